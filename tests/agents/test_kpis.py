"""The numbers of ISA-18.2, counted by hand."""

from __future__ import annotations

import pytest

from agents.kpis import kpis
from schemas.alarm import Frequent, Kpis, Limits, Transition, Verb
from schemas.device import DeviceId
from schemas.event import Severity, rfc3339
from tests.agents.desk import CLEARED, HOUR, PARENT, RAISED, UPDATED, Desk, condition, wall
from tests.agents.plant import PUMP, VALVE, second


def measured(desk: Desk, start: float, end: float, limits: Limits | None = None) -> Kpis:
    transitions = [record for record in reversed(desk.records) if isinstance(record, Transition)]
    return kpis(transitions, desk.annunciator.alarms(), start=second(start), end=second(end), limits=limits or Limits())


def come(desk: Desk, device: DeviceId, *seconds: float, severity: Severity = Severity.LOW) -> None:
    """Raised and cleared a second later, each time."""
    for number, start in enumerate(seconds, 1):
        for at, state in ((start, RAISED), (start + 1, CLEARED)):
            desk.tell(condition(at, state, severity, occurrence=number, device=device))


@pytest.fixture
def desk() -> Desk:
    """Two hours: a dozen alarms in the second ten minutes, a few others, some hidden, some under a fault."""
    desk = Desk().tell(PARENT)
    for number in range(12):
        come(desk, DeviceId(f"d{number:02}"), 600 + 10 * number)
    come(desk, VALVE, 3000, 3020, 3040, 3600, 7199, severity=Severity.HIGH)
    for number in range(3):
        desk.tell(condition(1300, device=DeviceId(f"child-{number}"), under=PARENT))
    desk.tell(condition(4000, severity=Severity.MEDIUM))
    desk.ask(Verb.SHELVE, alarm_id=desk.annunciator.alarm("alarm-pump-1-1").alarm_id, until=rfc3339(wall(HOUR)))
    desk.tell(condition(4001, CLEARED, Severity.MEDIUM))
    desk.tell(condition(4002, severity=Severity.MEDIUM, occurrence=2))
    return desk


def test_the_numbers_of_two_hours(desk: Desk) -> None:
    found = measured(desk, 0, 2 * HOUR)
    assert (found.start, found.end) == (rfc3339(second(0)), rfc3339(second(2 * HOUR)))
    # 1 fault, 12 in a row, 5 of the valve, 1 of the pump; its second one was shelved, and 3 hung under the fault.
    assert (found.raised, found.annunciated, found.consequential) == (23, 19, 3)
    assert found.per_hour == 9.5
    assert found.per_ten_minutes == pytest.approx(19 / 12)
    # From 600 until before 4200 there are all but the fault and the last of the valve.
    assert (found.peak_per_hour, found.peak_per_ten_minutes) == (17, 12)
    assert found.flood_share == pytest.approx(1 / 12)
    assert found.mix == pytest.approx(
        {Severity.LOW: 12 / 19, Severity.MEDIUM: 1 / 19, Severity.HIGH: 6 / 19, Severity.CRITICAL: 0}
    )
    assert (found.standing, found.shelved, found.stale) == (1, 1, ())
    # The fault, the twelve and the valve; what is shelved or hangs asks for nobody.
    assert found.unacknowledged == 14


def test_the_most_frequent_and_those_that_chatter(desk: Desk) -> None:
    found = measured(desk, 0, 2 * HOUR)
    valve = desk.annunciator.alarm("alarm-valve-1-5").alarm_id
    assert found.most_frequent[0] == Frequent(valve, VALVE, "anomaly", 5)
    assert [each.count for each in found.most_frequent] == [5, *[1] * 9]
    assert found.chattering == (Frequent(valve, VALVE, "anomaly", 5),)


def test_what_is_let_out_of_what_hid_it_has_asked_then() -> None:
    desk = Desk().tell(PARENT, condition(1, under=PARENT), condition(60, UPDATED, Severity.HIGH)).ask(Verb.ACKNOWLEDGE)
    desk.ask(Verb.ACKNOWLEDGE, alarm_id="alarm-pump-1-1")
    desk.tell(condition(61, UPDATED, Severity.HIGH), condition(62, UPDATED, Severity.CRITICAL))
    found = measured(desk, 1, HOUR)
    assert (found.raised, found.annunciated, found.consequential) == (1, 2, 1)
    assert found.mix == {Severity.LOW: 0, Severity.MEDIUM: 0, Severity.HIGH: 0.5, Severity.CRITICAL: 0.5}


def test_what_is_shelved_chatters_on() -> None:
    desk = Desk().tell(condition())
    desk.ask(Verb.SHELVE, until=rfc3339(wall(HOUR))).tell(condition(0, CLEARED))
    for number in (2, 3, 4):
        desk.tell(condition(number, occurrence=number), condition(number, CLEARED, occurrence=number))
    found = measured(desk, 1, HOUR)
    assert (found.annunciated, found.most_frequent, [each.count for each in found.chattering]) == (0, (), [3])


def test_a_stretch_has_its_start_and_not_its_end() -> None:
    desk = Desk()
    come(desk, PUMP, 0, 10, 20)
    assert measured(desk, 0, 20).raised == 2
    assert measured(desk, 10, 20.000001).raised == 2


def test_a_window_as_long_as_its_length_holds_only_one_of_its_ends() -> None:
    desk = Desk()
    come(desk, PUMP, 0, HOUR)
    assert measured(desk, 0, 2 * HOUR).peak_per_hour == 1
    come(desk, VALVE, HOUR - 1)
    assert measured(desk, 0, 2 * HOUR).peak_per_hour == 2


def test_rates_are_per_operator(desk: Desk) -> None:
    found = measured(desk, 0, 2 * HOUR, Limits(operators=2))
    assert (found.per_hour, found.peak_per_hour, found.flood_share) == (4.75, 9, 0.0)


def test_stale_is_what_has_been_active_for_longer_than_a_day() -> None:
    desk = Desk().tell(condition(0), condition(1, device=VALVE), condition(-1, device=DeviceId("gone")))
    desk.tell(condition(2, CLEARED, device=DeviceId("gone")))
    pump = desk.annunciator.alarm("alarm-pump-1-1").alarm_id
    assert measured(desk, 0, 24 * HOUR).stale == ()
    assert measured(desk, 0, 24 * HOUR + 1).stale == (pump,)


def test_nothing_is_calm() -> None:
    found = measured(Desk(), 0, 60)
    assert (found.raised, found.per_hour, found.peak_per_hour, found.flood_share) == (0, 0.0, 0, 0.0)
    assert found.mix == dict.fromkeys(Severity, 0.0)


def test_an_empty_stretch_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        measured(Desk(), 5, 5)
