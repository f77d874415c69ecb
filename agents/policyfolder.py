"""The product's policy engine: a folder of Cedar policies and `plant.yaml`, read once.

Every `*.cedar` file of the folder counts, and all of them together decide. The schema comes with the product, so what policies
may speak of is the same at every plant, but for the verbs that `plant.yaml` adds.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Self

from agents.authorization import Asker, UnfitError
from agents.cedar import Approval, CedarPolicies, Judgement, PolicyError, Source
from agents.limits import unfit
from agents.plantfile import Plant, PlantFile
from agents.policy import HOUR, Approver, Decision, History, refusal
from agents.rulefile import load
from graph.topology import Topology
from schemas.action import Action
from schemas.event import Micros

PLANT, TESTS, PATTERN = "plant.yaml", "tests.yaml", "*.cedar"
_OWN = (files("agents") / "schema.cedarschema").read_text(encoding="utf-8")
VERBS = frozenset(re.findall(r'"([^"]+)"', _OWN[_OWN.index("\naction") :]))
"""Those of the product's own schema."""


def schema_of(plant: PlantFile) -> str:
    """The product's schema with the plant's own verbs."""
    own = sorted(set(plant.verbs) - VERBS)
    if not own:
        return _OWN
    verbs = ", ".join(map(json.dumps, own))
    return f"{_OWN}\naction {verbs}\n{_OWN[_OWN.index('appliesTo') :]}"


class Policy:
    """The engine of a folder."""

    def __init__(self, plant: PlantFile, sources: list[Source], history: History) -> None:
        """Raises PolicyError."""
        self.plant = Plant(plant)
        self.cedar = CedarPolicies(sources, schema_of(plant))
        self.verbs = VERBS | set(plant.verbs)
        self._asker = Asker(self.plant)
        self._history = history

    @classmethod
    def load(cls, folder: Path, history: History) -> Self:
        """Raises PolicyError, RuleFileError, OSError."""
        if not folder.is_dir():
            raise PolicyError([f"{folder}: is no folder; policies are one, with {PATTERN} and {PLANT}"])
        if not (folder / PLANT).is_file():
            raise PolicyError([f"{folder}: no {PLANT} in it"])
        return cls(load(folder / PLANT, PlantFile), sources_of(folder), history)

    def decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision:
        if action.verb not in self.verbs:
            return refusal(action, "no policy can speak of this verb: plant.yaml does not name it", now)
        if reason := unfit(action, topology):
            return refusal(action, reason, now)
        rates = self._history.rates(action, Micros(now - HOUR))
        try:
            asked = self._asker.ask(action, topology, now, rates=rates, approver=approver)
        except UnfitError as error:
            return refusal(action, str(error), now)
        return _decision(action, self.cedar.judge(asked), now)


def _decision(action: Action, judged: Judgement, now: Micros) -> Decision:
    """Of several permits the one that asks most for a person's word counts."""
    if judged.errors:
        return refusal(action, f"the policy failed: {'; '.join(judged.errors)}", now)
    ids = tuple(policy.id for policy in judged.deciding)
    rule = ", ".join(ids)
    if not judged.allowed:
        reason = f"forbidden by {rule}" if ids else "nothing permits it"
        return Decision(action.action_id, allowed=False, rule=rule, reason=reason, at=now, policies=ids)
    approvals = {policy.approval for policy in judged.deciding}
    second = Approval.SECOND in approvals
    reason = f"permitted by {rule}"
    if approvals != {Approval.NONE}:
        reason += ", if a second person approves" if second else ", if somebody approves"
    return Decision(
        action.action_id,
        allowed=True,
        rule=rule,
        reason=reason,
        at=now,
        approval=approvals != {Approval.NONE},
        second=second,
        policies=ids,
    )


def sources_of(folder: Path) -> list[Source]:
    """The files of policies, by name. Raises PolicyError if there are none, OSError."""
    found = sorted(folder.glob(PATTERN))
    if not found:
        raise PolicyError([f"{folder}: no {PATTERN} in it"])
    try:
        return [Source(str(path), path.read_text(encoding="utf-8")) for path in found]
    except UnicodeDecodeError as error:
        raise PolicyError([f"{folder}: not UTF-8: {error}"]) from None
