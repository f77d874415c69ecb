"""What the rules of a runbook did on a recording, and what they should have done: a file of expectations, and who is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from agents.policytests import Verdict
from agents.runbook import Name, Seconds, Strict
from agents.targets import Id
from schemas.action import moment
from schemas.device import DeviceId
from schemas.event import Micros, Severity, micros


class Act(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An action under `then`, or a task of a run. `decision`: what the policy says; empty where it is not asked."""

    verb: str = ""
    task: str = ""
    tool: str = ""
    device: DeviceId | None = None
    via: str = ""
    arguments: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    state: str = ""
    decision: str = ""
    reason: str = ""


class Firing(msgspec.Struct, kw_only=True, rename="camel"):
    """A rule that applied, and what it asked for that was new. `again`: how often it applied after that with nothing new."""

    rule: str
    at: str
    alert_id: str
    condition: str
    severity: Severity
    device: DeviceId
    fault_id: str | None = None
    acts: list[Act] = []
    run_id: str | None = None
    unresolved: list[str] = []
    again: int = 0


class Expected(Strict, frozen=True):
    """A firing that must be there: of the rule, and where given within so many seconds of `since`.

    `since`: a time, or the recording's first event. `device`, `verb`, `tool` and `decision` are those of one act.
    """

    rule: Name
    since: datetime | None = None
    within: Seconds | None = None
    device: Id | None = None
    verb: str | None = None
    tool: str | None = None
    decision: Verdict | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("since needs a zone, such as Z")


class ExpectFile(Strict, frozen=True):
    """`never`: rules that must not apply at all."""

    version: Literal[1]
    expect: tuple[Expected, ...] = ()
    never: Annotated[tuple[Name, ...], Meta(max_length=10_000)] = ()

    def named(self) -> Iterator[tuple[str, str]]:
        """The rules that it names, and where."""
        yield from ((f"expect[{place}].rule", one.rule) for place, one in enumerate(self.expect))
        yield from ((f"never[{place}]", rule) for place, rule in enumerate(self.never))


class Case(Strict, frozen=True):
    """Recordings, and what must come of them. Paths are from the file's own folder."""

    name: Name
    events: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1_000)]
    model: str | None = None
    expect: tuple[Expected, ...] = ()
    never: tuple[Name, ...] = ()

    @property
    def wanted(self) -> ExpectFile:
        return ExpectFile(version=1, expect=self.expect, never=self.never)


class CaseFile(Strict, frozen=True):
    version: Literal[1]
    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]


class Judged(NamedTuple):
    """`words`: the expectation as it is shown; `why` it is not met."""

    words: str
    why: str

    @property
    def met(self) -> bool:
        return not self.why


def judged(file: ExpectFile, firings: Sequence[Firing], began: Micros | None) -> list[Judged]:
    found = [Judged(_words(one), _why(one, firings, began)) for one in file.expect]
    for rule in file.never:
        fired = next((firing for firing in firings if firing.rule == rule), None)
        why = "" if fired is None else f"it applied at {fired.at}, to {fired.condition} of {fired.device}"
        found.append(Judged(f"never: {rule}", why))
    return found


def _words(one: Expected) -> str:
    facts: dict[str, Any] = {name: getattr(one, name) for name in ("device", "verb", "tool", "decision")}
    facts["within"] = None if one.within is None else f"{one.within:g} s"
    said = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    return f"{one.rule}: {said}" if said else one.rule


def _why(one: Expected, firings: Sequence[Firing], began: Micros | None) -> str:
    of_rule = [firing for firing in firings if firing.rule == one.rule]
    if not of_rule:
        return "the rule did not apply"
    acts = [firing for firing in of_rule if _asks(one, firing)]
    if not acts:
        said = "; ".join(_shown(act) for firing in of_rule for act in firing.acts)
        return f"it asked for something else: {said or 'nothing'}"
    since = began if one.since is None else micros(one.since)
    late = [(moment(firing.at) - since) / 1e6 for firing in acts if since is not None]
    after = [seconds for seconds in late if seconds >= 0]
    if one.since is not None and not after:
        return f"it applied only before that, at {acts[-1].at}"
    if one.within is not None and (not after or min(after) > one.within):
        return f"it applied {min(after):g} s after that" if after else "it applied before that"
    return ""


def _asks(one: Expected, firing: Firing) -> bool:
    wanted = {name: value for name in ("device", "verb", "tool", "decision") if (value := getattr(one, name)) is not None}
    return not wanted or any(all(getattr(act, name) == value for name, value in wanted.items()) for act in firing.acts)


def _shown(act: Act) -> str:
    return " ".join(filter(None, (act.task and f"{act.task}:", act.verb or act.tool, act.device, act.decision or act.state)))
