"""The life of alarms on a plant of five devices, with exact times."""

from __future__ import annotations

from itertools import groupby

import pytest

from agents.alarms import Alarms, AlarmSettings
from graph.topology import Topology
from schemas.device import DeviceId, SignalName
from schemas.event import Body, Connected, ControlAlarm, Disconnected, Event, Severity, Telemetry
from schemas.finding import Alert, AlertState, Explanation, NeighbourShare, SignalShare
from tests.agents.plant import CHAIN, JUNCTION, PIPE, PUMP, TANK, VALVE, event, fault, plant, step

RAISED, UPDATED, CLEARED = AlertState
SETTINGS = AlarmSettings(on_delay=10_000_000, off_delay=10_000_000, off_steps=3)


def said(alerts: list[Alert]) -> list[tuple[DeviceId, str, AlertState]]:
    return [(alert.device_id, alert.condition, alert.state) for alert in alerts]


@pytest.fixture
def topology() -> Topology:
    return plant()


@pytest.fixture
def alarms() -> Alarms:
    return Alarms("demo", SETTINGS)


def in_fault(alarms: Alarms, topology: Topology) -> list[Alert]:
    return alarms.update(step(0, {PIPE: 2.0}), [fault(0, {PIPE: 0.7, VALVE: 0.2}, (PIPE,))], topology)


# --- Anomalies outside of a fault ---------------------------------------------------------------------------------------------


def test_a_blip_opens_nothing(alarms: Alarms, topology: Topology) -> None:
    for at in range(0, 100, 5):
        assert alarms.update(step(at, {PUMP: 2.0} if at % 10 == 0 else {}), [], topology) == []


def test_what_lasts_opens_after_the_delay_and_only_once(alarms: Alarms, topology: Topology) -> None:
    told = [alarms.update(step(at, {PUMP: 2.0}), [], topology) for at in (0, 5, 10, 15)]
    assert [len(alerts) for alerts in told] == [0, 0, 1, 0]
    (alert,) = told[2]
    assert (alert.device_id, alert.condition, alert.state) == (PUMP, "anomaly", RAISED)
    assert (alert.time, alert.score, alert.severity) == ("2026-01-05T12:00:10Z", 2.0, Severity.MEDIUM)
    assert alert.fault_id is alert.suppressed_by is None


def test_it_clears_after_quiet_steps_and_quiet_time(alarms: Alarms, topology: Topology) -> None:
    for at in (0, 10):
        alarms.update(step(at, {PUMP: 2.0}), [], topology)
    told = [alarms.update(step(at), [], topology) for at in (11, 12, 13, 20, 21, 22)]
    assert [said(alerts) for alerts in told] == [[], [], [], [], [(PUMP, "anomaly", CLEARED)], []]
    assert list(alarms.standing()) == []


def test_one_strange_step_starts_the_quiet_anew(alarms: Alarms, topology: Topology) -> None:
    for at in (0, 10):
        alarms.update(step(at, {PUMP: 2.0}), [], topology)
    quiet = [alarms.update(step(at, {PUMP: 2.0} if at == 18 else {}), [], topology) for at in (12, 14, 16, 18, 20, 22, 26, 30)]
    assert [len(alerts) for alerts in quiet] == [0, 0, 0, 0, 0, 0, 0, 1]


def test_a_device_that_is_no_longer_scored_does_not_keep_its_alarm(alarms: Alarms, topology: Topology) -> None:
    for at in (0, 10):
        alarms.update(step(at, {PUMP: 2.0}), [], topology)
    told: list[Alert] = []
    for at in (20, 30, 40):
        whole = step(at)
        keep = [place for place, device in enumerate(whole.devices) if device != PUMP]
        fewer = {name: getattr(whole, name)[keep] for name in ("score", "threshold")}
        told += alarms.update(
            type(whole)(**{**vars(whole), "devices": tuple(CHAIN[place] for place in keep), **fewer}), [], topology
        )
    assert said(told) == [(PUMP, "anomaly", CLEARED)]
    assert told[0].score == 0.0


def test_severity_only_grows(alarms: Alarms, topology: Topology) -> None:
    scores = (1.1, 1.1, 3.5, 1.2, 3.6, 20.0)
    told = [alarms.update(step(at * 10, {PUMP: score}), [], topology) for at, score in enumerate(scores)]
    assert [[(alert.state, alert.severity) for alert in alerts] for alerts in told] == [
        [],
        [(RAISED, Severity.LOW)],
        [(UPDATED, Severity.HIGH)],
        [],
        [],
        [(UPDATED, Severity.CRITICAL)],
    ]


def test_the_explanation_is_the_detectors(alarms: Alarms, topology: Topology) -> None:
    shares = {PUMP: ((("flow", 3.0),), ((PIPE, 1.0),))}
    told = [alarms.update(step(at, {PUMP: 2.0}, shares), [], topology) for at in (0, 10)]
    expected = Explanation((SignalShare(SignalName("flow"), 0.75),), (NeighbourShare(PIPE, 0.25),))
    assert told[1][0].explanation == expected


# --- Faults -------------------------------------------------------------------------------------------------------------------


def test_a_fault_has_one_parent_and_its_devices_hang_under_it_at_once(alarms: Alarms, topology: Topology) -> None:
    parent, child = in_fault(alarms, topology)
    assert (parent.device_id, parent.condition, parent.state, parent.severity) == (PIPE, "fault", RAISED, Severity.MEDIUM)
    assert (parent.fault_id, parent.suppressed_by) == (fault(0, {}).fault_id, None)
    assert (child.device_id, child.condition, child.suppressed_by) == (PIPE, "anomaly", parent.alert_id)
    assert child.fault_id == parent.fault_id


def test_the_parent_is_updated_only_when_spread_or_origin_change(alarms: Alarms, topology: Topology) -> None:
    parent, _ = in_fault(alarms, topology)
    same = alarms.update(step(1, {PIPE: 2.0}), [fault(1, {PIPE: 0.6, VALVE: 0.3}, (PIPE,))], topology)
    spread = alarms.update(step(2, {PIPE: 2.0}), [fault(2, {PIPE: 0.6}, (PIPE, VALVE, JUNCTION))], topology)
    moved = alarms.update(step(3, {PIPE: 2.0}), [fault(3, {VALVE: 0.6, PIPE: 0.2}, (PIPE, VALVE, JUNCTION))], topology)
    assert same == []
    assert [(alert.alert_id, alert.severity, alert.device_id) for alert in spread] == [(parent.alert_id, Severity.HIGH, PIPE)]
    assert [(alert.alert_id, alert.state, alert.device_id) for alert in moved] == [(parent.alert_id, UPDATED, PIPE)]
    shares = {part.device_id: part.share for part in moved[0].explanation.neighbours}
    assert shares == pytest.approx({VALVE: 0.75, PIPE: 0.25})


def test_an_origin_without_evidence_is_explained_by_what_it_affects_next_to_it(alarms: Alarms, topology: Topology) -> None:
    parent, *_ = alarms.update(step(0), [fault(0, {PIPE: 0.7}, (VALVE, JUNCTION, PUMP))], topology)
    assert parent.explanation == Explanation((), (NeighbourShare(JUNCTION, 0.5), NeighbourShare(VALVE, 0.5)))


def test_an_anomaly_beside_a_fault_or_in_conflict_with_it_hangs_under_it(alarms: Alarms, topology: Topology) -> None:
    parent, _ = in_fault(alarms, topology)
    shares = {TANK: ((("level", 1.0),), ((PIPE, 3.0), (PUMP, 1.0)))}
    told = alarms.update(step(1, {PIPE: 2.0, JUNCTION: 2.0, PUMP: 2.0, TANK: 2.0}, shares), [], topology)
    assert [(alert.device_id, alert.suppressed_by) for alert in told] == [(TANK, parent.alert_id), (JUNCTION, parent.alert_id)]


def test_an_anomaly_elsewhere_in_the_plant_stands_by_itself_after_the_delay(alarms: Alarms, topology: Topology) -> None:
    in_fault(alarms, topology)
    told = [alarms.update(step(at, {PIPE: 2.0, PUMP: 2.0}), [], topology) for at in (1, 11)]
    assert [[(alert.device_id, alert.suppressed_by) for alert in alerts] for alerts in told] == [[], [(PUMP, None)]]


def test_an_alarm_from_before_joins_the_fault_and_is_let_out_when_it_closes(alarms: Alarms, topology: Topology) -> None:
    for at in (-20, -10):
        alarms.update(step(at, {PUMP: 2.0}), [], topology)
    parent, joined, *_ = alarms.update(step(0, {PUMP: 2.0}), [fault(0, {PIPE: 0.7}, (PIPE, PUMP))], topology)
    assert (joined.device_id, joined.state, joined.suppressed_by) == (PUMP, UPDATED, parent.alert_id)
    told = alarms.update(step(5, {PUMP: 2.0}), [fault(5, {PIPE: 0.7}, (PIPE, PUMP), closed=True)], topology)
    assert said(told) == [(PIPE, "fault", CLEARED), (PUMP, "anomaly", UPDATED)]
    assert (told[1].suppressed_by, told[1].fault_id) == (None, parent.fault_id)


def test_a_closed_fault_is_known_for_one_more_step(alarms: Alarms, topology: Topology) -> None:
    in_fault(alarms, topology)
    closed = fault(5, {PIPE: 0.7}, (PIPE,), closed=True)
    assert alarms.fault(closed.fault_id) == fault(0, {PIPE: 0.7, VALVE: 0.2}, (PIPE,))
    alarms.update(step(5), [closed], topology)
    assert alarms.fault(closed.fault_id) == closed
    alarms.update(step(6), [], topology)
    assert alarms.fault(closed.fault_id) is None


def test_a_repeated_end_says_nothing(alarms: Alarms, topology: Topology) -> None:
    closed = fault(5, {PIPE: 0.7}, (PIPE,), closed=True)
    assert alarms.update(step(5), [closed], topology) == []


# --- The control system -------------------------------------------------------------------------------------------------------


def alarm(at: float, *, active: bool, severity: Severity = Severity.HIGH) -> Event:
    return event(ControlAlarm(PUMP, "overload", active, severity), at)


def test_the_control_systems_alarms_open_and_clear(alarms: Alarms) -> None:
    events = [alarm(0, active=False), alarm(1, active=True), alarm(2, active=True), alarm(3, active=False)]
    told = [alarms.control(one) for one in events]
    assert [said(alerts) for alerts in told] == [
        [],
        [(PUMP, "control:overload", RAISED)],
        [],
        [(PUMP, "control:overload", CLEARED)],
    ]
    assert told[1][0].alert_id == told[3][0].alert_id
    assert told[1][0].explanation == Explanation()


def test_a_late_or_repeated_event_changes_nothing(alarms: Alarms) -> None:
    assert len(alarms.control(alarm(5, active=True))) == 1
    assert alarms.control(alarm(5, active=True)) == []
    assert alarms.control(alarm(4, active=False)) == []
    assert len(alarms.control(alarm(6, active=False))) == 1
    assert alarms.control(alarm(5.5, active=True)) == []


def test_a_control_alarm_may_change_its_severity(alarms: Alarms) -> None:
    alarms.control(alarm(0, active=True))
    (changed,) = alarms.control(alarm(1, active=True, severity=Severity.CRITICAL))
    assert (changed.state, changed.severity, changed.time) == (UPDATED, Severity.CRITICAL, "2026-01-05T12:00:01Z")


def test_a_device_that_leaves_and_comes_back(alarms: Alarms) -> None:
    here, gone = Connected(PUMP, "pump"), Disconnected(PUMP)
    bodies: list[Body] = [here, gone, Telemetry(PUMP, {}), gone, here]
    told = [alarms.control(event(body, at)) for at, body in enumerate(bodies)]
    assert [said(alerts) for alerts in told] == [
        [],
        [(PUMP, "disconnected", RAISED)],
        [],
        [],
        [(PUMP, "disconnected", CLEARED)],
    ]


def test_control_alarms_of_a_fault_hang_under_it_too(alarms: Alarms, topology: Topology) -> None:
    alarms.control(alarm(-5, active=True))
    parent, joined, *_ = alarms.update(step(0), [fault(0, {PIPE: 0.7}, (PUMP,))], topology)
    assert (joined.condition, joined.suppressed_by) == ("control:overload", parent.alert_id)
    (gone,) = alarms.control(event(Disconnected(PUMP), 1))
    assert (gone.fault_id, gone.suppressed_by) == (parent.fault_id, parent.alert_id)


# --- Identity and state -------------------------------------------------------------------------------------------------------


def test_ids_follow_from_causes() -> None:
    def ids(site: str) -> list[str]:
        alarms, topology = Alarms(site, SETTINGS), plant()
        return [alert.alert_id for alert in (*in_fault(alarms, topology), *alarms.control(alarm(0, active=True)))]

    assert ids("demo") == ids("demo")
    assert len(set(ids("demo")) | set(ids("other"))) == 6


STORY = [
    *((at, {PUMP: 2.0}, []) for at in (-20, -10)),
    (0, {PUMP: 2.0, PIPE: 2.0}, [fault(0, {PIPE: 0.7}, (PIPE,))]),
    (5, {PUMP: 2.0, PIPE: 4.0}, [fault(5, {VALVE: 0.7}, (PIPE, VALVE, JUNCTION))]),
    (10, {JUNCTION: 1.2}, []),
    (15, {}, [fault(15, {VALVE: 0.7}, (PIPE, VALVE, JUNCTION), closed=True)]),
    *((at, {}, []) for at in (20, 25, 30, 35)),
]


@pytest.mark.parametrize("stop", range(len(STORY) + 1))
def test_a_snapshot_goes_on_as_if_never_stopped(stop: int) -> None:
    topology, straight, alarms = plant(), Alarms("demo", SETTINGS), Alarms("demo", SETTINGS)
    expected: list[Alert] = []
    told: list[Alert] = []
    for number, (at, scores, faults) in enumerate(STORY):
        if number == stop:
            held = alarms.snapshot()
            alarms = Alarms("demo", SETTINGS)
            alarms.restore(held)
            assert alarms.snapshot() == held
        for one, out in ((straight, expected), (alarms, told)):
            out.extend(one.control(alarm(at, active=number % 4 < 2)))
            out.extend(one.update(step(at, scores), faults, topology))
    assert told == expected
    assert alarms.snapshot() == straight.snapshot()


def test_every_alarm_of_the_story_ends_and_none_is_open_twice() -> None:
    topology, alarms = plant(), Alarms("demo", SETTINGS)
    told = [alert for at, scores, faults in STORY for alert in alarms.update(step(at, scores), faults, topology)]
    by_key = sorted(told, key=lambda alert: (alert.device_id, alert.condition))
    for _, alerts in groupby(by_key, key=lambda alert: (alert.device_id, alert.condition)):
        states = [alert.state for alert in alerts]
        assert (states[0], states[-1]) == (RAISED, CLEARED)
        assert (states.count(RAISED), states.count(CLEARED)) == (1, 1)
    for alert in told:
        why = alert.explanation
        shares = [part.share for part in why.signals] + [part.share for part in why.neighbours]
        assert not shares or sum(shares) == pytest.approx(1.0)
