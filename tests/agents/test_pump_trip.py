"""One pump trips and three hundred devices behind it raise alarms: operators see one, and no flood."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from agents.alarms import Alarms
from agents.annunciator import Annunciator, Request
from graph.detection.evidence import Step
from graph.faultpath.state import FaultState, fault_id
from graph.topology import Topology
from schemas.alarm import AlarmState, Flood, Transition, Verb
from schemas.device import DeviceId, Relation
from schemas.event import Connected, ControlAlarm, Linked, Severity
from schemas.finding import Alert
from tests.agents.plant import event, second

DEVICES = tuple(DeviceId(f"device-{number:03}") for number in range(300))
PUMP = DEVICES[0]


@pytest.fixture
def topology() -> Topology:
    described = [event(Connected(device, "pump" if device == PUMP else "valve"), name=device) for device in DEVICES]
    fed = [event(Linked(*pair, Relation.FEEDS), name=f"to {pair[1]}") for pair in pairwise(DEVICES)]
    return Topology().merge([*described, *fed])


def strange(at: float, score: float = 5.0) -> Step:
    count = len(DEVICES)
    ones, zeros = np.ones(count), np.zeros(count)
    return Step(
        at=second(at),
        plant=score,
        plant_threshold=1.0,
        devices=DEVICES,
        score=ones * score,
        threshold=ones,
        alone=zeros,
        conflict=zeros,
        conditional=zeros,
        marginal=zeros,
        shift=zeros,
        tail=zeros,
        numeric=np.ones(count, bool),
    )


def trip(at: float, *, closed: bool = False) -> FaultState:
    return FaultState(
        fault_id=fault_id(second(0), PUMP),
        opened_at=second(0),
        updated_at=second(at),
        closed_at=second(at) if closed else None,
        origins=((PUMP, 0.9),),
        affected=tuple((device, second(0)) for device in DEVICES),
        path=(),
    )


def words(alarms: Alarms, at: float, *, active: bool) -> list[Alert]:
    """What the control system says of every third device."""
    spoken = [event(ControlAlarm(device, "flow low", active, Severity.HIGH), at, f"{device}@{at}") for device in DEVICES[::3]]
    return [alert for one in spoken for alert in alarms.control(one)]


class Room:
    def __init__(self, topology: Topology) -> None:
        self.annunciator = Annunciator("demo")
        self.topology = topology
        self.floods: list[Flood] = []
        self.asked: list[Transition] = []

    def tell(self, alerts: list[Alert]) -> None:
        records = self.annunciator.told(alerts, recorded_at=second(0), topology=self.topology)
        self.annunciator.apply(records)
        for record in records:
            if isinstance(record, Flood):
                self.floods.append(record)
            elif record.asks:
                self.asked.append(record)


def test_one_trip_is_one_alarm_and_no_flood(topology: Topology) -> None:
    alarms, room = Alarms("demo"), Room(topology)
    room.tell(alarms.update(strange(0), [trip(0)], topology))
    room.tell(words(alarms, 1, active=True))
    assert len(list(room.annunciator.alarms())) == 1 + 300 + 100
    assert [alarm.condition for alarm in room.annunciator.alarms() if alarm.annunciated] == ["fault"]
    assert (len(room.asked), room.floods, room.annunciator.flood) == (1, [], None)


def test_who_acknowledges_it_has_acknowledged_all_and_all_ends(topology: Topology) -> None:
    alarms, room = Alarms("demo"), Room(topology)
    room.tell([*alarms.update(strange(0), [trip(0)], topology), *words(alarms, 1, active=True)])
    (parent,) = [alarm for alarm in room.annunciator.alarms() if alarm.annunciated]
    request = Request(verb=Verb.ACKNOWLEDGE, alarm_id=parent.alarm_id, actor="ann")
    room.annunciator.apply(room.annunciator.asked(request, recorded_at=second(2)))
    assert {alarm.state for alarm in room.annunciator.alarms()} == {AlarmState.ACKNOWLEDGED}
    room.tell(words(alarms, 3, active=False))
    for at in (5, 10, 15, 20):
        room.tell(alarms.update(strange(at, 0.1), [], topology))
    room.tell(alarms.update(strange(25, 0.1), [trip(25, closed=True)], topology))
    assert {alarm.state for alarm in room.annunciator.alarms()} == {AlarmState.NORMAL}


def test_what_outlives_the_fault_is_seen_again(topology: Topology) -> None:
    alarms, room = Alarms("demo"), Room(topology)
    room.tell([*alarms.update(strange(0), [trip(0)], topology), *words(alarms, 1, active=True)])
    for at in (5, 10, 15, 20):
        room.tell(alarms.update(strange(at, 0.1), [], topology))
    room.tell(alarms.update(strange(25, 0.1), [trip(25, closed=True)], topology))
    seen = [alarm for alarm in room.annunciator.alarms() if alarm.annunciated and alarm.active]
    assert [alarm.condition for alarm in seen] == ["control:flow low"] * 100
    # The fault itself, and then all of them at once.
    assert len(room.asked) == 101
    assert [flood.alarms for flood in room.floods if flood.closed_at is None] == [101]


def test_the_same_alarms_without_a_fault_are_a_flood(topology: Topology) -> None:
    alarms, room = Alarms("demo"), Room(topology)
    for at in (0, 10):
        room.tell(alarms.update(strange(at), [], topology))
    assert len(room.asked) == 300
    assert [(flood.alarms, flood.peak, flood.closed_at) for flood in room.floods] == [(300, 300, None)]
