"""A water plant of five devices, and steps and faults made by hand.

tank-1 -> pump-1 -> valve-1 -> pipe-1 -> junction-1, all in gateway gw-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import msgspec
import numpy as np

from graph.detection.evidence import Shares, Step
from graph.faultpath.state import FaultState, Way, fault_id
from graph.topology import Topology
from schemas.action import RUNBOOK, Action, Cause
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Event, Linked, Micros, Severity, Stamp, rfc3339
from schemas.finding import Alert, AlertState, Explanation

TANK, PUMP, VALVE, PIPE, JUNCTION = (DeviceId(name) for name in ("tank-1", "pump-1", "valve-1", "pipe-1", "junction-1"))
GATEWAY = DeviceId("gw-1")
CHAIN = (TANK, PUMP, VALVE, PIPE, JUNCTION)
SECOND = 1_000_000
NOON = Micros(1_767_614_400_000_000)
"""2026-01-05T12:00:00Z"""


def second(number: float) -> Micros:
    """This many seconds after noon."""
    return Micros(NOON + round(number * SECOND))


def event(body: Body, at: float = -1000.0, name: str = "") -> Event:
    return Event(Stamp(second(at), "/gateways/gw-1", 0, 0, name or f"{type(body).__name__}@{at}"), body)


def plant() -> Topology:
    described = [
        Connected(device, device.split("-")[0], parent=GATEWAY, zone="east" if device == PIPE else "west") for device in CHAIN
    ]
    fed = [Linked(source, target, Relation.FEEDS) for source, target in pairwise(CHAIN)]
    bodies: list[Body] = [Connected(GATEWAY, "gateway"), *described, *fed]
    return Topology().merge(event(body, name=f"e{number}") for number, body in enumerate(bodies))


def step(at: float, scores: Mapping[DeviceId, float] | None = None, shares: Mapping[DeviceId, Shares] | None = None) -> Step:
    """Devices that are not named score 0.1; every threshold is 1."""
    count = len(CHAIN)
    score = np.array([(scores or {}).get(device, 0.1) for device in CHAIN])
    zeros = np.zeros(count)
    return Step(
        at=second(at),
        plant=float(score.max()),
        plant_threshold=1.0,
        devices=CHAIN,
        score=score,
        threshold=np.ones(count),
        alone=zeros,
        conflict=zeros,
        conditional=zeros,
        marginal=zeros,
        shift=zeros,
        tail=zeros,
        numeric=np.ones(count, bool),
        shares=shares or {},
    )


def fault(
    at: float,
    origins: Mapping[DeviceId, float],
    affected: tuple[DeviceId, ...] = (),
    *,
    opened: float = 0.0,
    closed: bool = False,
) -> FaultState:
    return FaultState(
        fault_id=fault_id(second(opened), PIPE),
        opened_at=second(opened),
        updated_at=second(at),
        closed_at=second(at) if closed else None,
        origins=tuple(origins.items()),
        affected=tuple((device, second(opened)) for device in affected),
        path=(Way(VALVE, PIPE, Relation.FEEDS, None, 0.5),) if VALVE in affected and PIPE in affected else (),
    )


def alert(device: DeviceId = PIPE, condition: str = "fault", severity: Severity = Severity.HIGH) -> Alert:
    return Alert(
        alert_id=f"alarm-{device}-{condition}",
        time=rfc3339(second(0)),
        device_id=device,
        condition=condition,
        severity=severity,
        state=AlertState.RAISED,
        score=2.0,
        fault_id="fault-1" if condition == "fault" else None,
        explanation=Explanation(),
    )


def action(device: DeviceId = PIPE, verb: str = "isolate", **changed: object) -> Action:
    made = Action(
        action_id=f"action-{verb}-{device}",
        site="demo",
        verb=verb,
        device_id=device,
        cause=Cause(
            alert_id="alarm-1",
            condition="fault",
            severity=Severity.HIGH,
            fault_id="fault-1",
            principal="runbook:test",
            role=RUNBOOK,
        ),
        requested_at=rfc3339(second(0)),
        expires_at=rfc3339(second(60)),
    )
    return msgspec.structs.replace(made, **changed)
