"""Cedar policies (cedarpolicy.com): parsed and validated once, then asked. The only file that knows the engine.

Cedar decides as its language says (nothing is permitted unless a `permit` holds and no `forbid` does), with one thing stricter
here: a policy that cannot be evaluated makes the answer no. Cedar alone would pass over it, were it a `forbid` or not.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import cedarpy
import msgspec
from cedarpy import pst

from agents.authorization import Asked

LARGEST, MOST = 262_144, 1_000
"""Characters and policies of a folder."""
MOST_OPERATORS = 200
"""Of one policy: Cedar's parser goes down a level for each of a row, and takes the process with it where the stack ends."""
_OPERATORS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|(&&|\|\||[-+*.\[({]|[<>=!]=?|\b(?:in|like|has|is|if)\b)')
ID, APPROVAL, DOC = "id", "approval", "doc"


class PolicyError(ValueError):
    """Policies that cannot be used, each fault with its file and line. Nothing of them may be used."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Approval(StrEnum):
    """Who must say yes besides the policy: anybody, or somebody else than who asked."""

    NONE = ""
    PERSON = "person"
    SECOND = "second-person"


class Source(NamedTuple):
    """A file of policies."""

    name: str
    text: str


class Policy(NamedTuple):
    """One policy of a file; `tree` is what Cedar has read."""

    id: str
    approval: Approval
    file: str
    line: int
    text: str
    tree: pst.Template

    @property
    def permits(self) -> bool:
        return self.tree.effect == "permit"

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def conditions(self) -> int:
        """How many `when` and `unless` it has."""
        return len(self.tree.clauses)

    @property
    def verbs(self) -> frozenset[str] | None:
        """Those that its scope names; None if all."""
        match self.tree.action:
            case pst.ActionEq(entity):
                return frozenset({entity.id})
            case pst.ActionIn(entities):
                return frozenset(entity.id for entity in entities)
            case _:
                return None

    @property
    def names(self) -> set[tuple[str, str]]:
        """Type and id of every entity that it names."""
        return {(str(uid.type), uid.id) for uid in pst.entity_uids(self.tree)}


class Judgement(NamedTuple):
    """What Cedar says; `deciding` are the permits or forbids that held. Any error is a no."""

    allowed: bool
    deciding: tuple[Policy, ...]
    errors: tuple[str, ...]


class CedarPolicies:
    """Policies and the schema that they were validated against."""

    def __init__(self, sources: Sequence[Source], schema: str) -> None:
        """Raises PolicyError."""
        if sum(len(source.text) for source in sources) > LARGEST:
            raise PolicyError([f"{sources[0].name}: more than {LARGEST} characters"])
        read = [_read(*found) for source in sources for found in statements(source)]
        if faults := [fault for fault in read if isinstance(fault, str)]:
            raise PolicyError(faults)
        self.policies = tuple(policy for policy in read if isinstance(policy, Policy))
        _no_twins(self.policies)
        self._schema = cedarpy.Schema.from_str(schema)
        text = "\n".join(policy.text for policy in self.policies)
        if faults := list(self._invalid(text)):
            raise PolicyError(faults)
        # Cedar numbers the policies of a text from 0 on: `policy0` is the first of ours.
        self._set = cedarpy.PolicySet.from_str(text)

    def _invalid(self, text: str) -> Iterator[str]:
        for error in cedarpy.validate_policies(text, self._schema).errors:
            policy = self._named(error.policy_id)
            place, sentence = (policy.place, error.error) if policy else ("schema", str(error))
            yield f"{place}: {self._explained(sentence)}"

    def _named(self, number: str) -> Policy | None:
        digits = number.removeprefix("policy")
        return self.policies[int(digits)] if digits.isdecimal() and int(digits) < len(self.policies) else None

    def judge(self, asked: Asked) -> Judgement:
        """Raises whatever is wrong with the question: then the answer is no.

        The question is not held against the schema (`conforms` does that, for tests), which would cost a third more; what a
        policy cannot evaluate is a no in any case.
        """
        result = cedarpy.is_authorized(*_question(asked, self._set))
        errors = tuple(self._explained(error) for error in result.diagnostics.errors)
        held = [self._named(reason) for reason in result.diagnostics.reasons]
        deciding = tuple(sorted((policy for policy in held if policy is not None), key=lambda policy: policy.id))
        return Judgement(result.decision is cedarpy.Decision.Allow and not errors and bool(deciding), deciding, errors)

    def conforms(self, asked: Asked) -> list[str]:
        """What in a question is not as the schema says."""
        return list(cedarpy.is_authorized(*_question(asked, self._set), schema=self._schema).diagnostics.errors)

    def _explained(self, error: str) -> str:
        for number, policy in enumerate(self.policies):
            error = error.replace(f"`policy{number}`", json.dumps(policy.id, ensure_ascii=False))
        return _sentence(error)


def _question(asked: Asked, policies: cedarpy.PolicySet) -> tuple[dict[str, Any], cedarpy.PolicySet, str]:
    context = msgspec.json.encode(asked.context).decode()
    request = {"principal": asked.principal, "action": asked.action, "resource": asked.resource, "context": context}
    return request, policies, msgspec.json.encode(asked.entities).decode()


def statements(source: Source) -> Iterator[tuple[str, int, str]]:
    """Each policy of a file, with file and line. They end with semicolons outside of texts and comments."""
    text, begin, line, at = source.text, 0, 1, 0
    while at < len(text):
        letter = text[at]
        if text.startswith("//", at):
            at = _end(text, "\n", at)
        elif letter == '"':
            at = _closed(text, at)
        elif letter == ";":
            yield source.name, line + _blank(text[begin : at + 1]), text[begin : at + 1]
            line, begin = line + text.count("\n", begin, at + 1), at + 1
        at += 1
    if _blank(rest := text[begin:]) >= 0:
        yield source.name, line + _blank(rest), rest


def _end(text: str, mark: str, at: int) -> int:
    found = text.find(mark, at)
    return len(text) if found < 0 else found


def _closed(text: str, at: int) -> int:
    """Where a text that begins here ends."""
    at += 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at


def _blank(part: str) -> int:
    """How many lines come before a policy's first one; -1 if nothing but comments is there."""
    for number, line in enumerate(part.split("\n")):
        if line.strip() and not line.strip().startswith("//"):
            return number
    return -1


def _read(file: str, line: int, text: str) -> Policy | str:
    """The policy, or what is wrong with it."""
    place = f"{file}:{line}"
    if sum(found[1] is not None for found in _OPERATORS.finditer(text)) > MOST_OPERATORS:
        return f"{place}: more than {MOST_OPERATORS} operators and brackets; make two policies of it"
    try:
        found = cedarpy.policies_to_pst(text)
    except ValueError as error:
        return f"{place}: {_sentence(str(error))}"
    if found.templates or len(found.static_policies) != 1:
        return f"{place}: templates are not used here"
    (tree,) = found.static_policies.values()
    notes = {name: value or "" for name, value in tree.annotations.items()}
    if fault := _annotated_badly(notes, tree):
        return f"{place}: {fault}"
    return Policy(notes[ID], Approval(notes.get(APPROVAL, "")), file, line, text, tree)


def _annotated_badly(notes: Mapping[str, str], tree: pst.Template) -> str:
    """A misspelt annotation would be one that is not there."""
    if unknown := sorted(notes.keys() - {ID, APPROVAL, DOC}):
        return f"unknown annotation @{unknown[0]}"
    if not notes.get(ID):
        return 'needs an annotation @id("...") by which decisions name it'
    if APPROVAL in notes and (tree.effect != "permit" or notes[APPROVAL] not in (Approval.PERSON, Approval.SECOND)):
        return '@approval is "person" or "second-person", and for permits'
    return ""


def _no_twins(policies: Sequence[Policy]) -> None:
    if len(policies) > MOST:
        raise PolicyError([f"{policies[MOST].place}: more than {MOST} policies"])
    counts = Counter(policy.id for policy in policies)
    if twins := [policy for policy in policies if counts[policy.id] > 1]:
        raise PolicyError([f"{policy.place}: several policies have the id {json.dumps(policy.id)}" for policy in twins])


def _sentence(text: str) -> str:
    return " ".join(text.split())
