"""What policies must say: cases in `tests.yaml` beside them, each with the facts that it needs, and how they come out.

Used by `openautoglm policy test` and, with one case made of options, by `policy ask`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from agents.authorization import RoleName
from agents.plantfile import Name, PlantFile, Strict
from agents.policy import Approver, Decision, PolicyEngine, Rates, decided
from agents.policyfolder import PLANT, TESTS, Policy, sources_of
from agents.rulefile import load
from agents.targets import Id
from graph.topology import Topology
from schemas.action import MQTT, Action, Cause
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Disconnected, Event, Linked, Micros, Severity, Stamp, micros, rfc3339

NOON = datetime.fromisoformat("2026-01-05T12:00:00Z")
"""A Monday."""
LATER = 60_000_000


class Verdict(StrEnum):
    ALLOW = "allow"
    WAIT = "wait"
    REFUSE = "refuse"

    @classmethod
    def of(cls, decision: Decision, *, approved: bool) -> Verdict:
        if not decision.allowed:
            return cls.REFUSE
        return cls.WAIT if decision.approval and not approved else cls.ALLOW


class DeviceFacts(Strict, frozen=True):
    """A device as the graph has it.

    Without `type` it announces the one that `plant.yaml` gives its id; `known: false`: it has announced nothing.
    """

    id: Id
    type: str | None = None
    zone: str | None = None
    connected: bool = True
    known: bool = True


class RatesFacts(Strict, frozen=True):
    """How many actions were allowed in the last hour."""

    verb: int = 0
    device: int = 0
    principal: int = 0


class Case(Strict, frozen=True, kw_only=True):
    """One question, and the answer that it must have. `by`: the policies that decide, in any order; unless empty.

    `approver`: the role of somebody who has approved it.
    """

    name: Name
    principal: str
    role: str
    verb: str
    device: DeviceFacts | None = None
    others: tuple[DeviceFacts, ...] = ()
    feeds: tuple[tuple[Id, Id], ...] = ()
    severity: Severity | None = None
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    via: str = MQTT
    at: datetime = NOON
    rates: RatesFacts = RatesFacts()
    approver: RoleName | None = None
    expect: Verdict
    by: tuple[str, ...] = ()


class CaseFile(Strict, frozen=True):
    version: Literal[1]
    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]


class Outcome(NamedTuple):
    case: Case
    decision: Decision
    verdict: Verdict

    @property
    def passed(self) -> bool:
        return self.verdict is self.case.expect and (not self.case.by or set(self.case.by) == set(self.decision.policies))


class _Said:
    """A `History` of numbers."""

    def __init__(self, rates: RatesFacts) -> None:
        self._rates = Rates(rates.verb, rates.device, rates.principal)

    def rates(self, action: Action, since: Micros) -> Rates:
        del action, since
        return self._rates


def tested(folder: Path) -> list[Outcome]:
    """Every case of a folder. Raises PolicyError, RuleFileError, OSError."""
    return [answered(folder, case) for case in load(folder / TESTS, CaseFile).cases]


def answered(folder: Path, case: Case) -> Outcome:
    """Raises PolicyError, RuleFileError, OSError."""
    plant = load(folder / PLANT, PlantFile)
    policy = Policy(plant, sources_of(folder), _Said(case.rates))
    return judged(policy, policy, case)


def judged(engine: PolicyEngine, policy: Policy, case: Case) -> Outcome:
    at = micros(case.at)
    topology = Topology().merge(_events(case, policy, at))
    approver = None if case.approver is None else Approver("approver", case.approver)
    decision = decided(engine, _action(case, at), topology=topology, now=at, approver=approver)
    return Outcome(case, decision, Verdict.of(decision, approved=approver is not None))


def _action(case: Case, at: Micros) -> Action:
    who = {"principal": case.principal, "role": case.role}
    alarm = {"alert_id": "alarm", "condition": "fault", "severity": case.severity}
    cause = Cause(instruction_id="case", task="case", **who) if case.severity is None else Cause(**alarm, **who)  # type: ignore[arg-type]
    return Action(
        action_id="action-case",
        site="site",
        verb=case.verb,
        device_id=None if case.device is None else case.device.id,
        via=case.via,
        arguments=case.arguments,
        cause=cause,
        requested_at=rfc3339(at),
        expires_at=rfc3339(Micros(at + LATER)),
    )


def _events(case: Case, policy: Policy, at: Micros) -> Iterator[Event]:
    devices: Sequence[DeviceFacts] = [*([case.device] if case.device else []), *case.others]
    bodies: list[Body] = []
    for device in devices:
        if device.known:
            announced = policy.plant.type_of(device.id) if device.type is None else device.type
            bodies.append(Connected(device.id, announced or "unknown", zone=device.zone))
        if device.known and not device.connected:
            bodies.append(Disconnected(device.id))
    bodies += [Linked(DeviceId(source), DeviceId(target), Relation.FEEDS) for source, target in case.feeds]
    for number, body in enumerate(bodies):
        yield Event(Stamp(Micros(at - LATER + number), "/case", 0, number, f"case-{number}"), body)


def case_of(given: dict[str, Any]) -> Case:
    """From plain values. Raises ValueError."""
    return msgspec.convert(given, Case)
