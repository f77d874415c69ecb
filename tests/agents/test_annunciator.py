"""What operators do with alarms, on a plant of five devices: the states of ISA-18.2, shelves, latches, parents, floods."""

from __future__ import annotations

import msgspec
import pytest

from agents.annunciator import ChangedError, RefusedError, Request, UnknownAlarmError
from agents.verbs import Seen
from schemas.alarm import AlarmState, Transition, Verb
from schemas.event import Severity, rfc3339
from schemas.finding import Alert
from tests.agents.desk import CLEARED, HOUR, LATCHING, PARENT, UPDATED, Desk, children, condition, wall
from tests.agents.plant import PUMP, VALVE, second

# --- States -------------------------------------------------------------------------------------------------------------------

STEPS = {
    "raise": lambda desk: desk.tell(condition(0, occurrence=desk.alarm.occurrences + 1 if desk.records else 1)),
    "clear": lambda desk: desk.tell(condition(1, CLEARED, occurrence=int(desk.alarm.alert.alert_id.rpartition("-")[2]))),
    "ack": lambda desk: desk.ask(Verb.ACKNOWLEDGE),
    "reset": lambda desk: desk.ask(Verb.RESET),
    "shelve": lambda desk: desk.ask(Verb.SHELVE),
    "shelve for an hour": lambda desk: desk.ask(Verb.SHELVE, until=rfc3339(wall(HOUR))),
    "an hour": lambda desk: desk.wait(HOUR),
    "unshelve": lambda desk: desk.ask(Verb.UNSHELVE),
    "suppress": lambda desk: desk.ask(Verb.SUPPRESS),
    "unsuppress": lambda desk: desk.ask(Verb.UNSUPPRESS),
    "take out": lambda desk: desk.ask(Verb.TAKE_OUT),
    "return": lambda desk: desk.ask(Verb.RETURN),
}


@pytest.mark.parametrize(
    ("text", "steps", "state"),
    [
        ("", "raise", AlarmState.UNACKNOWLEDGED),
        ("", "raise, ack", AlarmState.ACKNOWLEDGED),
        ("", "raise, ack, clear", AlarmState.NORMAL),
        ("", "raise, clear", AlarmState.RETURNED),
        ("", "raise, clear, ack", AlarmState.NORMAL),
        ("", "raise, clear, raise", AlarmState.UNACKNOWLEDGED),
        ("", "raise, ack, clear, raise", AlarmState.UNACKNOWLEDGED),
        (LATCHING, "raise", AlarmState.UNACKNOWLEDGED),
        (LATCHING, "raise, clear", AlarmState.LATCHED_UNACKNOWLEDGED),
        (LATCHING, "raise, clear, ack", AlarmState.LATCHED_ACKNOWLEDGED),
        (LATCHING, "raise, ack, clear", AlarmState.LATCHED_ACKNOWLEDGED),
        (LATCHING, "raise, ack, clear, reset", AlarmState.NORMAL),
        (LATCHING, "raise, ack, clear, reset, raise, clear", AlarmState.LATCHED_UNACKNOWLEDGED),
        (LATCHING, "raise, clear, raise", AlarmState.UNACKNOWLEDGED),
        ("", "raise, shelve", AlarmState.SHELVED),
        ("", "raise, shelve, an hour", AlarmState.SHELVED),
        ("", "raise, shelve, unshelve", AlarmState.UNACKNOWLEDGED),
        ("", "raise, shelve, ack, unshelve", AlarmState.ACKNOWLEDGED),
        ("", "raise, shelve, clear", AlarmState.RETURNED),
        ("", "raise, ack, shelve, clear", AlarmState.NORMAL),
        ("", "raise, shelve for an hour, clear, raise", AlarmState.SHELVED),
        ("", "raise, shelve for an hour, clear, raise, an hour", AlarmState.UNACKNOWLEDGED),
        ("", "raise, ack, clear, shelve for an hour, an hour", AlarmState.NORMAL),
        ("", "raise, shelve, suppress", AlarmState.SUPPRESSED),
        ("", "raise, suppress, shelve", AlarmState.SUPPRESSED),
        ("", "raise, suppress, clear, unsuppress", AlarmState.RETURNED),
        ("", "raise, suppress, take out", AlarmState.OUT_OF_SERVICE),
        ("", "raise, take out, suppress, return", AlarmState.SUPPRESSED),
        ("", "raise, take out, ack, clear, return", AlarmState.NORMAL),
        ("", "raise, take out, clear, raise", AlarmState.OUT_OF_SERVICE),
        ("", "raise, take out, clear, raise, return", AlarmState.UNACKNOWLEDGED),
    ],
)
def test_the_states_of_isa_18_2(text: str, steps: str, state: AlarmState) -> None:
    desk = Desk(text)
    for step in steps.split(", "):
        STEPS[step](desk)
    assert desk.state is state


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ("raise, ack, ack", "already acknowledged by ann"),
        ("raise, ack, clear, ack", "nothing to acknowledge: it is normal"),
        ("raise, reset", "it is not latched"),
        ("raise, clear, shelve", "say until when"),
        ("raise, shelve, shelve for an hour", "already shelved by ann"),
        ("raise, unshelve", "it is not shelved"),
        ("raise, suppress, suppress", r"already suppressed \(ann: tests\)"),
        ("raise, unsuppress", "it is not suppressed"),
        ("raise, take out, take out", r"already out of service \(ann: tests\)"),
        ("raise, return", "it is not out of service"),
    ],
)
def test_what_is_not_possible_is_refused_in_plain_words(steps: str, sentence: str) -> None:
    desk = Desk()
    *before, last = steps.split(", ")
    for step in before:
        STEPS[step](desk)
    with pytest.raises(RefusedError, match=sentence):
        STEPS[last](desk)


def test_a_reset_needs_the_condition_gone_and_an_acknowledgement() -> None:
    desk = Desk(LATCHING).tell(condition()).ask(Verb.ACKNOWLEDGE)
    with pytest.raises(RefusedError, match="has not returned to normal"):
        desk.ask(Verb.RESET)
    desk = Desk(LATCHING).tell(condition(), condition(1, CLEARED))
    with pytest.raises(RefusedError, match="not acknowledged yet"):
        desk.ask(Verb.RESET)


@pytest.mark.parametrize("verb", [Verb.SHELVE, Verb.SUPPRESS, Verb.TAKE_OUT])
def test_what_hides_an_alarm_needs_a_reason(verb: Verb) -> None:
    with pytest.raises(RefusedError, match="needs a reason"):
        Desk().tell(condition()).ask(verb, reason=" ")


@pytest.mark.parametrize("verb", [Verb.RAISE, Verb.UPDATE, Verb.CLEAR, Verb.EXPIRE])
def test_people_do_not_speak_for_plant_and_clock(verb: Verb) -> None:
    with pytest.raises(RefusedError, match="not for people"):
        Desk().tell(condition()).ask(verb)


@pytest.mark.parametrize("actor", ["plant", "clock", "rule:x", "rule", " "])
def test_nor_do_they_have_their_names(actor: str) -> None:
    with pytest.raises(RefusedError):
        Desk().tell(condition()).ask(Verb.ACKNOWLEDGE, actor=actor)


def test_an_unknown_alarm_is_told_apart_from_a_refusal() -> None:
    with pytest.raises(UnknownAlarmError, match="no alarm x"):
        Desk().tell(condition()).ask(Verb.ACKNOWLEDGE, alarm_id="x")


def test_who_has_seen_another_version_asks_nothing() -> None:
    desk = Desk().tell(condition(), condition(1, UPDATED, Severity.CRITICAL))
    seen = Request(verb=Verb.ACKNOWLEDGE, alarm_id=desk.alarm.alarm_id, actor="ann", version=1)
    with pytest.raises(ChangedError, match="the alarm is at version 2 now"):
        desk.annunciator.asked(seen, recorded_at=wall(0))
    now = msgspec.structs.replace(seen, version=2)
    assert desk.keep(desk.annunciator.asked(now, recorded_at=wall(0))).state is AlarmState.ACKNOWLEDGED
    with pytest.raises(RefusedError):
        desk.annunciator.asked(now, recorded_at=wall(0))


# --- What a transition says ---------------------------------------------------------------------------------------------------


def test_each_transition_tells_time_actor_and_reason() -> None:
    desk = Desk().tell(condition(3)).ask(Verb.SHELVE, reason="being repaired", now=5, until=rfc3339(wall(HOUR)))
    first, second_ = desk.records
    assert isinstance(first, Transition)
    assert isinstance(second_, Transition)
    assert (first.verb, first.before, first.actor) == (Verb.RAISE, AlarmState.NORMAL, "plant")
    assert (first.time, first.recorded_at) == (rfc3339(second(3)), rfc3339(wall(0)))
    assert (second_.before, second_.actor, second_.reason) == (AlarmState.UNACKNOWLEDGED, "ann", "being repaired")
    assert second_.time == second_.recorded_at == rfc3339(wall(5))
    shelf = second_.alarm.shelf
    assert shelf is not None
    assert (shelf.actor, shelf.since, shelf.until) == ("ann", rfc3339(wall(5)), rfc3339(wall(HOUR)))


def test_an_alarm_is_found_by_its_id_and_by_that_of_its_newest_occurrence() -> None:
    desk = Desk().tell(condition(0), condition(1, CLEARED), condition(2, occurrence=2))
    assert desk.annunciator.alarm("alarm-pump-1-2") == desk.annunciator.alarm(desk.alarm.alarm_id) == desk.alarm
    assert (desk.alarm.occurrences, desk.alarm.raised_at, desk.alarm.version) == (2, rfc3339(second(2)), 3)
    with pytest.raises(UnknownAlarmError):
        desk.annunciator.alarm("alarm-pump-1-1")


def test_one_alert_at_two_alarms_is_found_at_the_one_that_it_came_to_last() -> None:
    same = msgspec.structs.replace(condition(device=VALVE), alert_id="same")
    desk = Desk().tell(msgspec.structs.replace(condition(), alert_id="same"), same)
    desk.tell(condition(1, occurrence=2), condition(2, device=VALVE, occurrence=2))
    with pytest.raises(UnknownAlarmError):
        desk.annunciator.alarm("same")


def test_two_faults_at_one_device_are_two_alarms() -> None:
    other = msgspec.structs.replace(PARENT, alert_id="other", fault_id="fault-2")
    assert len(list(Desk().tell(PARENT, other).annunciator.alarms())) == 2


# --- Alerts -------------------------------------------------------------------------------------------------------------------


def test_what_was_taken_already_makes_nothing() -> None:
    story = [
        condition(0, severity=Severity.LOW),
        condition(1, UPDATED, Severity.MEDIUM),
        condition(1, UPDATED, Severity.HIGH),
        condition(2, CLEARED),
        condition(3, occurrence=2),
    ]
    for taken in range(1, len(story) + 1):
        assert Desk().tell(*story[:taken]).tell(*story[:taken]).last == []


def test_the_end_of_what_is_not_known_makes_nothing_and_its_update_raises_it() -> None:
    assert Desk().tell(condition(0, CLEARED)).last == []
    assert Desk().tell(condition(0, UPDATED)).said == [(Verb.RAISE, "plant")]
    assert Desk().tell(condition(1, occurrence=2)).tell(condition(2, CLEARED)).last == []


def test_what_has_got_worse_asks_again() -> None:
    desk = Desk().tell(condition(0, severity=Severity.LOW)).ask(Verb.ACKNOWLEDGE)
    assert desk.tell(condition(1, UPDATED, Severity.LOW)).state is AlarmState.ACKNOWLEDGED
    assert desk.tell(condition(2, UPDATED, Severity.HIGH)).state is AlarmState.UNACKNOWLEDGED
    assert (desk.alarm.severity, desk.alarm.acknowledged_by) == (Severity.HIGH, None)


def test_what_joins_a_parent_asks_no_more_and_what_leaves_it_asks_again() -> None:
    desk = Desk().tell(condition(0))
    assert desk.alarm.annunciated
    desk.tell(condition(1, UPDATED, under=PARENT))
    assert (desk.state, desk.alarm.annunciated) == (AlarmState.UNACKNOWLEDGED, False)
    desk.tell(condition(2, UPDATED))
    assert (desk.state, desk.alarm.annunciated) == (AlarmState.UNACKNOWLEDGED, True)


def test_a_late_end_still_ends_its_alarm() -> None:
    assert Desk().tell(condition(5), condition(9, UPDATED, under=PARENT), condition(7, CLEARED)).state is AlarmState.RETURNED


# --- Parents ------------------------------------------------------------------------------------------------------------------


def test_who_acknowledges_a_parent_acknowledges_what_hangs_under_it() -> None:
    desk = Desk().tell(PARENT, *children(), condition(device=VALVE)).ask(Verb.ACKNOWLEDGE)
    assert desk.said == [(Verb.ACKNOWLEDGE, "ann")] * 4
    assert [record.reason for record in desk.last if isinstance(record, Transition)] == ["tests", *["with its parent"] * 3]
    assert [alarm.acknowledged for alarm in desk.annunciator.alarms()] == [True, True, True, True, False]


def test_a_child_may_be_acknowledged_by_itself() -> None:
    desk = Desk().tell(PARENT, *children())
    desk.ask(Verb.ACKNOWLEDGE, alarm_id="alarm-pump-0-1")
    assert [alarm.acknowledged for alarm in desk.annunciator.alarms()] == [False, True, False, False]
    assert len(desk.ask(Verb.ACKNOWLEDGE).last) == 3


def test_an_acknowledged_parent_may_be_acknowledged_again_for_what_came_under_it_since() -> None:
    desk = Desk().tell(PARENT).ask(Verb.ACKNOWLEDGE)
    desk.tell(*children(1)).ask(Verb.ACKNOWLEDGE, actor="bob")
    assert [alarm.acknowledged_by for alarm in desk.annunciator.alarms()] == ["ann", "bob"]
    with pytest.raises(RefusedError, match="already acknowledged by ann"):
        desk.ask(Verb.ACKNOWLEDGE)


def asked_at(desk: Desk, seconds: float, *, severity: Severity = Severity.HIGH, occurrence: int = 1) -> Desk:
    """An acknowledgement that was asked for then, of the first alarm as it was, and is done now."""
    seen = Seen(occurrence=occurrence, severity=severity, at=rfc3339(second(seconds)))
    request = Request(verb=Verb.ACKNOWLEDGE, alarm_id=desk.alarm.alarm_id, actor="ann", seen=seen)
    return desk.keep(desk.annunciator.asked(request, recorded_at=wall(0)))


def test_what_came_or_changed_under_a_parent_since_it_was_asked_about_is_left() -> None:
    still, worse = children(2)
    fresh = condition(8, device=VALVE, under=PARENT)
    grown = msgspec.structs.replace(worse, state=UPDATED, severity=Severity.CRITICAL, time=rfc3339(second(7)))
    desk = asked_at(Desk().tell(PARENT, still, worse, grown, fresh), 5)
    acknowledged = {alarm.device_id: alarm.acknowledged for alarm in desk.annunciator.alarms()}
    assert acknowledged == {PARENT.device_id: True, still.device_id: True, worse.device_id: False, VALVE: False}


def test_what_has_got_worse_or_was_raised_again_since_is_not_what_was_asked_about() -> None:
    worse = Desk().tell(condition(), condition(3, UPDATED, Severity.CRITICAL))
    with pytest.raises(ChangedError, match="has got worse since this was asked for: high then, critical now"):
        asked_at(worse, 1)
    again = Desk().tell(condition(), condition(3, CLEARED), condition(4, occurrence=2))
    with pytest.raises(ChangedError, match="raised again"):
        asked_at(again, 1)
    assert asked_at(Desk().tell(condition(), condition(3, UPDATED, Severity.LOW)), 1).alarm.acknowledged


ENDED = msgspec.structs.replace(PARENT, state=CLEARED, time=rfc3339(second(9)))


def ended(at: float = 5) -> list[Alert]:
    gone = {"time": rfc3339(second(at)), "state": CLEARED}
    return [msgspec.structs.replace(child, **gone) for child in children(2)]


def test_what_returns_under_an_acknowledged_parent_is_settled_at_once() -> None:
    desk = Desk().tell(PARENT).ask(Verb.ACKNOWLEDGE).tell(*children(3)).tell(*ended())
    assert desk.said == [(Verb.CLEAR, "plant"), (Verb.ACKNOWLEDGE, "ann")] * 2
    assert {(record.time, record.reason) for record in desk.last[1::2] if isinstance(record, Transition)} == {
        (rfc3339(second(5)), "with its parent")
    }
    states = [alarm.state for alarm in desk.annunciator.alarms()]
    assert states == [AlarmState.ACKNOWLEDGED, AlarmState.NORMAL, AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED]


def test_what_had_returned_is_settled_when_its_acknowledged_parent_ends() -> None:
    worse = msgspec.structs.replace(PARENT, state=UPDATED, severity=Severity.CRITICAL, time=rfc3339(second(6)))
    desk = Desk().tell(PARENT).ask(Verb.ACKNOWLEDGE).tell(worse, *children(3), *ended(7))
    assert [alarm.acknowledged for alarm in desk.annunciator.alarms()] == [False] * 4
    held = list(desk.annunciator.alarms())
    desk.annunciator.restore([msgspec.structs.replace(held[0], acknowledged=True, acknowledged_by="bob"), *held[1:]])
    desk.tell(ENDED)
    assert desk.said == [(Verb.CLEAR, "plant"), (Verb.ACKNOWLEDGE, "bob"), (Verb.ACKNOWLEDGE, "bob")]
    assert [alarm.state for alarm in desk.annunciator.alarms() if alarm.active] == [AlarmState.UNACKNOWLEDGED]
    assert [alarm.acknowledged_by for alarm in desk.annunciator.alarms()].count("bob") == 3


def test_what_had_returned_under_a_parent_that_nobody_has_seen_waits_for_it() -> None:
    desk = Desk().tell(PARENT, *children(2), *ended(), ENDED)
    assert {alarm.state for alarm in desk.annunciator.alarms()} == {AlarmState.RETURNED}
    desk.ask(Verb.ACKNOWLEDGE, alarm_id=PARENT.alert_id)
    assert {alarm.state for alarm in desk.annunciator.alarms()} == {AlarmState.NORMAL}


def test_what_was_seen_with_its_parent_alone_asks_for_itself_when_it_leaves_it() -> None:
    desk = Desk().tell(PARENT, *children(2)).ask(Verb.ACKNOWLEDGE, alarm_id="alarm-pump-1-1").ask(Verb.ACKNOWLEDGE)
    assert [alarm.with_parent for alarm in desk.annunciator.alarms()] == [False, True, False]
    free = {"suppressed_by": None, "state": UPDATED, "time": rfc3339(second(9))}
    desk.tell(ENDED, *(msgspec.structs.replace(child, **free) for child in children(2)))
    states = [(alarm.state, alarm.with_parent) for alarm in desk.annunciator.alarms()]
    assert states == [(AlarmState.NORMAL, False), (AlarmState.UNACKNOWLEDGED, False), (AlarmState.ACKNOWLEDGED, False)]


# --- Shelves ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        (rfc3339(wall(0)), "must be in the future"),
        (rfc3339(wall(24 * HOUR + 1)), "longer than 86400 s"),
        ("tomorrow", "is no time with a zone"),
        ("2026-01-07T00:00:00", "is no time with a zone"),
        ("0001-01-01T00:00:00+12:00", "must be in the future|no time"),
    ],
)
def test_a_shelf_has_an_end_that_is_not_too_far(until: str, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        Desk().tell(condition()).ask(Verb.SHELVE, until=until)


def test_a_rule_may_allow_other_shelves() -> None:
    desk = Desk("rules: [{name: a, when: {devices: [pump-1]}, longestShelf: 60}]").tell(condition())
    with pytest.raises(RefusedError, match="longer than 60 s"):
        desk.ask(Verb.SHELVE, until=rfc3339(wall(61)))
    assert desk.ask(Verb.SHELVE, until=rfc3339(wall(60))).state is AlarmState.SHELVED


def test_the_clock_ends_shelves_in_the_order_of_their_ends() -> None:
    desk = Desk().tell(condition(), condition(device=VALVE))
    desk.ask(Verb.SHELVE, until=rfc3339(wall(20)))
    desk.ask(Verb.SHELVE, alarm_id="alarm-valve-1-1", until=rfc3339(wall(10)))
    assert desk.wait(9).last == []
    assert desk.wait(20).said == [(Verb.EXPIRE, "clock"), (Verb.EXPIRE, "clock")]
    assert [record.alarm.device_id for record in desk.last if isinstance(record, Transition)] == [VALVE, PUMP]
    assert desk.wait(30).last == []


def test_a_one_shot_shelf_does_not_outlive_an_occurrence_whose_end_was_lost() -> None:
    assert Desk().tell(condition(0)).ask(Verb.SHELVE).tell(condition(5, occurrence=2)).state is AlarmState.UNACKNOWLEDGED
