"""The demo's policies read by a person: plain Python over plain facts, from `safety.cedar`, `water.cedar` and `plant.yaml`.

Knows neither Cedar nor the engine's parts: types, hazards and reach are worked out anew, by other means.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

TYPES = {"plc": "controller", "gw": "gateway"} | {
    name: name for name in ("junction", "pipe", "pump", "reservoir", "tank", "valve")
}
HARMLESS = {"acknowledge", "inspect", "notify", "retrain", "shelve", "unshelve", "work-order"}
VERBS = HARMLESS | {"close", "isolate", "open", "reconnect", "reset", "restart", "set", "set-point", "start", "stop"}
ROLES = {"viewer": 0, "operator": 1, "engineer": 2, "admin": 3}
INFLUENCE = {"FEEDS", "DRIVES", "CONTROLS"}
"""Those of the relations used here that carry influence."""


@dataclass(frozen=True)
class Known:
    """A device as the graph has it; `announced` is None where something has only named it."""

    announced: str | None


@dataclass(frozen=True)
class Link:
    source: str
    target: str
    relation: str
    directed: bool


@dataclass(frozen=True)
class Question:
    principal: str
    role: str
    verb: str
    device: str | None
    severity: int
    by_verb: int
    by_principal: int
    approver: str
    """The role of who has approved it; empty if nobody has."""
    devices: dict[str, Known] = field(default_factory=dict)
    links: tuple[Link, ...] = ()


def kind(device: str) -> str:
    found = re.fullmatch(r"([a-z]+)-.*", device)
    return TYPES.get(found[1], "") if found else ""


def hazard(verb: str, device: str | None) -> int:
    if verb in HARMLESS:
        return 0
    of = "" if device is None else kind(device)
    minor = (verb in {"isolate", "reconnect"} and of in {"junction", "pipe"}) or (verb == "restart" and of == "gateway")
    serious = (verb in {"open", "close"} and of == "valve") or (verb in {"start", "stop"} and of == "pump")
    return 1 if minor else 2 if serious else 3


def reached(question: Question) -> set[str]:
    """The device and all that influence from it can get to."""
    assert question.device is not None
    seen, waiting = {question.device}, deque([question.device])
    while waiting:
        here = waiting.popleft()
        for link in question.links:
            if link.relation not in INFLUENCE:
                continue
            ends = [link.target] if link.source == here else []
            ends += [link.source] if link.target == here and not link.directed else []
            for end in ends:
                if end not in seen:
                    seen.add(end)
                    waiting.append(end)
    return seen


def expected(question: Question) -> str:
    """`refuse`, `wait` for a person, `pair` for a second one, or `allow`."""
    runbook = question.role == "runbook"
    if question.verb not in VERBS or not who(question) or not taken(question.approver) or forbidden(question, runbook=runbook):
        return "refuse"
    words = ruled(question) if runbook else handled(question)
    if not words:
        return "refuse"
    return "pair" if "pair" in words else "wait" if "wait" in words else "allow"


def who(question: Question) -> bool:
    if question.role == "runbook":
        return question.principal.startswith("runbook:") and len(question.principal) > len("runbook:")
    return question.role in ROLES and question.principal != ""


def taken(approver: str) -> bool:
    """Whether somebody of this role, or nobody, can be whom the policy hears of."""
    return approver in {"", *ROLES}


def forbidden(question: Question, *, runbook: bool) -> bool:
    device = question.device
    if device is None:
        return False
    known = question.devices.get(device)
    trusted = known is not None and known.announced is not None and kind(device) != "" and known.announced == kind(device)
    if not trusted and hazard(question.verb, device) > 0:
        return True
    if question.verb not in HARMLESS and (known is None or any(down.startswith("hospital-") for down in reached(question))):
        return True
    if hazard(question.verb, device) == 3 and question.approver and ROLES.get(question.approver, 0) < 2:
        return True
    described = known is not None and known.announced is not None
    return runbook and question.verb in {"start", "stop"} and described and kind(device) == "pump"


def ruled(question: Question) -> set[str]:
    """What the permits for runbooks say."""
    device, verb, count = question.device, question.verb, question.by_verb
    of = "" if device is None else kind(device)
    found = set()
    if verb == "isolate" and of == "pipe" and question.severity >= 3 and count < 4:
        found.add("allow")
    if verb == "close" and of == "valve" and question.severity >= 4 and count < 2:
        found.add("wait")
    if (verb in {"inspect", "work-order"} and count < 20) or (verb == "notify" and count < 60):
        found.add("allow")
    return found


def handled(question: Question) -> set[str]:
    """What the permits for people say."""
    rank, worst = ROLES[question.role], hazard(question.verb, question.device)
    found = set()
    if rank >= 1 and worst == 0 and question.verb != "retrain" and question.by_principal < 60:
        found.add("allow")
    if question.device is not None:
        if rank >= 1 and worst == 1 and question.by_principal < 20:
            found.add("allow")
        if rank >= 1 and worst == 2 and question.by_principal < 10:
            found.add("pair")
        if rank >= 2 and worst == 3 and question.by_principal < 5:
            found.add("pair")
    elif rank >= 2 and question.verb == "retrain" and question.by_verb < 4:
        found.add("allow")
    return found
