"""What is doubtful in a folder of policies that can be used: what permits much, and what can never hold.

What is wrong is refused when the folder is read; see `agents.policyfolder`. Used by `openautoglm policy check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agents.authorization import ROLES
from agents.cedar import Approval
from agents.cedar import Policy as Text
from agents.pattern import any_matches
from agents.plantfile import Hazard
from agents.policy import NoHistory
from agents.policyfolder import PLANT, Policy
from schemas.device import DeviceId


def doubts(folder: Path) -> list[str]:
    """Each with file and line. Raises PolicyError, RuleFileError, OSError for what is wrong."""
    policy = Policy.load(folder, NoHistory())
    return [
        *_of_plant(policy, folder / PLANT),
        *(doubt for text in policy.cedar.policies for doubt in _of_policy(policy, text)),
    ]


def _of_plant(policy: Policy, path: Path) -> Iterator[str]:
    said = policy.plant.said
    named = {kind for entry in said.hazards for kind in entry.types} | set(said.protected.types)
    for pattern in sorted(named):
        if not any(any_matches([pattern], kind) for kind in said.types):
            yield f"{path}: types: none is {pattern}, so no device is"
    exempt = said.blast.exempt or ()
    verbs = {verb for entry in said.hazards for verb in entry.verbs} | set(exempt) | set(said.blast.verbs)
    for pattern in sorted(verbs):
        if not any(any_matches([pattern], verb) for verb in policy.verbs):
            yield f"{path}: verbs: none is {pattern}"
    hazardous = [verb for verb in sorted(policy.verbs) if any_matches(exempt, verb) and _is_hazardous(policy, verb)]
    if hazardous:
        yield f"{path}: blast.exempt: {_few(hazardous)} can be hazardous, and protected devices may go down by what is exempt"
    if said.blast.verbs:
        yield f"{path}: blast.verbs: is of before; every verb counts but those of blast.exempt, so leave it out"


def _of_policy(policy: Policy, text: Text) -> Iterator[str]:
    if text.permits and not text.conditions:
        hazardous = sorted(
            verb for verb in text.verbs or policy.verbs if policy.plant.worst(verb).grade >= Hazard.SERIOUS.grade
        )
        if hazardous:
            yield f"{text.place}: {text.id!r} permits {_few(hazardous)} without any condition"
    if text.approval is not Approval.NONE and "approver" in text.text:
        yield f"{text.place}: {text.id!r} holds only once somebody has approved, so it never waits: say who may in a forbid"
    for kind, name in sorted(text.names):
        if doubt := _of_name(policy, kind, name):
            yield f"{text.place}: {text.id!r} names {doubt}"


def _is_hazardous(policy: Policy, verb: str) -> bool:
    return policy.plant.worst(verb).grade > Hazard.HARMLESS.grade


def _of_name(policy: Policy, kind: str, name: str) -> str:
    """Why no entity can have this name; empty if one can."""
    said = policy.plant.said
    if kind == "Role" and name not in ROLES:
        return f"the role {name!r}; there are {', '.join(ROLES)}"
    if kind == "Device" and not policy.plant.type_of(DeviceId(name)):
        return f"the device {name!r}, which is of no type in {PLANT}, and so never known"
    if kind == "Zone" and said.zones is not None and name not in said.zones:
        return f"the zone {name!r}, which {PLANT} does not have"
    if kind in ("Texts", "Numbers"):
        return f"{kind}::{name!r}: arguments are to be had from the context"
    return ""


def _few(names: Iterable[str]) -> str:
    first, *rest = names
    return first if not rest else f"{first} and {len(rest)} other verbs"
