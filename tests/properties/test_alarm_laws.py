"""Laws of alarms, for any steps and faults: each opens before it ends, one is open at a time, none outlives its cause."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.alarms import Alarms, AlarmSettings
from graph.faultpath.state import FaultState
from schemas.device import DeviceId
from schemas.event import ControlAlarm, Event, Severity, Stamp
from schemas.finding import Alert, AlertState
from tests.agents.plant import CHAIN, fault, plant, second, step

laws = settings(derandomize=True, database=None, max_examples=100, deadline=None)
SETTINGS = AlarmSettings(on_delay=4_000_000, off_delay=4_000_000, off_steps=2)
TOPOLOGY = plant()

Moment = tuple[dict[DeviceId, float], tuple[DeviceId, ...], bool, ControlAlarm | None]
"""Scores; the fault's devices, none if there is no news of it; whether it closes; the control system's word."""

devices = st.sampled_from(CHAIN)
scores = st.dictionaries(devices, st.sampled_from([0.9, 1.2, 2.0, 4.0, 20.0]), max_size=4)
words = st.builds(ControlAlarm, devices, st.just("dry"), st.booleans(), st.sampled_from(Severity))
moments = st.tuples(scores, st.lists(devices, max_size=4, unique=True).map(tuple), st.booleans(), st.none() | words)
stories = st.lists(moments, max_size=25)


def told(alarms: Alarms, story: list[Moment], start: int = 0, opened: int | None = None) -> list[list[Alert]]:
    """What the alarms say at each second; a fault lives from its first news to the one that closes it."""
    found: list[list[Alert]] = []
    for at, (strange, named, closes, word) in enumerate(story, start):
        faults: list[FaultState] = []
        if named:
            opened = at if opened is None else opened
            faults = [fault(at, dict.fromkeys(named, 1 / len(named)), named, opened=opened, closed=closes)]
            opened = None if closes else opened
        spoken = [] if word is None else alarms.control(Event(Stamp(second(at), "gw", 0, 0, f"{at}"), word))
        found.append(spoken + alarms.update(step(at, strange), faults, TOPOLOGY))
    return found


@laws
@given(stories)
def test_each_alarm_opens_is_updated_and_ends_and_one_is_open_at_a_time(story: list[Moment]) -> None:
    alarms, open_now = Alarms("demo", SETTINGS), dict[tuple[str, str, str | None], str]()
    for alert in (alert for alerts in told(alarms, story) for alert in alerts):
        # A fault has no key but itself: two faults one after the other may begin at the same device.
        key = (alert.device_id, alert.condition, alert.fault_id if alert.condition == "fault" else None)
        if alert.state is AlertState.RAISED:
            assert key not in open_now
            open_now[key] = alert.alert_id
        assert open_now[key] == alert.alert_id
        if alert.state is AlertState.CLEARED:
            del open_now[key]
    assert sorted(alert.alert_id for alert in alarms.standing()) == sorted(open_now.values())


@laws
@given(stories)
def test_no_two_alerts_have_the_key_by_which_they_are_kept(story: list[Moment]) -> None:
    keys = [
        (alert.alert_id, alert.time, alert.state, alert.severity, alert.suppressed_by)
        for alerts in told(Alarms("demo", SETTINGS), story)
        for alert in alerts
    ]
    assert len(set(keys)) == len(keys)


@laws
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.sampled_from(Severity)), max_size=8))
def test_nor_do_those_of_a_control_system_that_says_much_at_one_time(story: list[tuple[int, bool, Severity]]) -> None:
    alarms, at = Alarms("demo", SETTINGS), 0
    keys = []
    for number, (later, active, severity) in enumerate(story):
        at += later
        word = Event(Stamp(second(at), "gw", 0, number, f"{number}"), ControlAlarm(CHAIN[0], "dry", active, severity))
        keys += [(alert.alert_id, alert.time, alert.state, alert.severity) for alert in alarms.control(word)]
    assert len(set(keys)) == len(keys)


@laws
@given(stories)
def test_what_hangs_hangs_under_a_parent_that_stands(story: list[Moment]) -> None:
    alarms = Alarms("demo", SETTINGS)
    for alerts in told(alarms, story):
        for alert in alerts:
            shares = [part.share for part in alert.explanation.signals] + [part.share for part in alert.explanation.neighbours]
            assert not shares or sum(shares) == pytest.approx(1.0)
    standing = {alert.alert_id: alert for alert in alarms.standing()}
    for alert in standing.values():
        assert alert.suppressed_by is None or standing[alert.suppressed_by].fault_id == alert.fault_id


@laws
@given(stories)
def test_nothing_stays_when_all_is_quiet(story: list[Moment]) -> None:
    alarms = Alarms("demo", SETTINGS)
    calm: list[Moment] = [({}, (CHAIN[0],), True, None), *[({}, (), False, None)] * 8]
    told(alarms, story + calm)
    assert [alert for alert in alarms.standing() if not alert.condition.startswith("control:")] == []


@laws
@given(stories, st.integers(0, 25))
def test_a_snapshot_goes_on_as_if_never_stopped(story: list[Moment], stop: int) -> None:
    straight, alarms = Alarms("demo", SETTINGS), Alarms("demo", SETTINGS)
    expected = told(straight, story)
    found = told(alarms, story[:stop])
    held = alarms.snapshot()
    again = Alarms("demo", SETTINGS)
    again.restore(held)
    assert again.snapshot() == held
    opened = [fault.opened_at for fault in _faults(again)]
    since = (opened[0] - second(0)) // 1_000_000 if opened else None
    found += told(again, story[stop:], len(story[:stop]), since)
    assert found == expected
    assert again.snapshot() == straight.snapshot()


def _faults(alarms: Alarms) -> list[FaultState]:
    ids = [alert.fault_id for alert in alarms.standing() if alert.condition == "fault"]
    return [known for fault_id in ids if (known := alarms.fault(fault_id)) is not None]


@laws
@given(stories)
def test_a_repeat_of_the_whole_story_gives_the_same_ids(story: list[Moment]) -> None:
    one, other = told(Alarms("demo", SETTINGS), story), told(Alarms("demo", SETTINGS), story)
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    raised = [alert.alert_id for alerts in one for alert in alerts if alert.state is AlertState.RAISED]
    assert len(set(raised)) == len(raised)
