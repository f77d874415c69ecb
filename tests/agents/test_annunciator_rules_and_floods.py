"""What a program does with alarms: rules that hide by design, chattering, floods, and the state as a fold of transitions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from agents.alarms import Alarms
from agents.annunciator import Annunciator, RefusedError, UnknownAlarmError
from agents.roster import MOST_FAULTS
from graph.topology import Topology
from schemas.alarm import AlarmState, Flood, Transition, Verb
from schemas.device import DeviceId, SignalName
from schemas.event import Connected, ControlAlarm, Disconnected, Micros, Severity, Telemetry, rfc3339
from schemas.finding import Alert
from tests.agents.desk import CLEARED, HOUR, LATCHING, PARENT, RAISED, UPDATED, Desk, children, condition, rules, wall
from tests.agents.plant import PUMP, VALVE, event, plant, second

# --- By design ----------------------------------------------------------------------------------------------------------------

BY_DESIGN = """
rules:
  - {name: standstill, when: {devices: [pump-1]}, suppressWhen: {device: self, signal: running, is: false}}
"""
RUNNING = SignalName("running")


def pump(topology: Topology, *, running: bool, at: float) -> None:
    topology.merge([event(Telemetry(PUMP, {RUNNING: running}), at)])


def test_an_alarm_that_a_rule_hides_comes_hidden() -> None:
    topology = plant()
    pump(topology, running=False, at=0)
    desk = Desk(BY_DESIGN, topology).tell(condition(), condition(device=VALVE))
    assert desk.said == [(Verb.RAISE, "plant")] * 2
    assert [alarm.state for alarm in desk.annunciator.alarms()] == [AlarmState.SUPPRESSED, AlarmState.UNACKNOWLEDGED]
    assert desk.alarm.suppressed == "rule:standstill"


def test_a_rule_hides_and_shows_what_stands_as_its_signal_says() -> None:
    topology = plant()
    desk = Desk(BY_DESIGN, topology).tell(condition())
    assert desk.wait(plant=1).last == []
    pump(topology, running=False, at=2)
    assert desk.wait(plant=2).said == [(Verb.SUPPRESS, "rule:standstill")]
    assert desk.wait(plant=3).last == []
    pump(topology, running=True, at=4)
    assert desk.wait(plant=4).said == [(Verb.UNSUPPRESS, "rule:standstill")]
    assert desk.state is AlarmState.UNACKNOWLEDGED


def test_a_rule_lets_go_at_the_next_occurrence_too() -> None:
    topology = plant()
    pump(topology, running=False, at=0)
    desk = Desk(BY_DESIGN, topology).tell(condition(0), condition(1, CLEARED))
    pump(topology, running=True, at=2)
    assert desk.tell(condition(3, occurrence=2)).said == [(Verb.UNSUPPRESS, "rule:standstill"), (Verb.RAISE, "plant")]
    assert desk.state is AlarmState.UNACKNOWLEDGED


def test_people_and_rules_do_not_undo_each_other() -> None:
    topology = plant()
    desk = Desk(BY_DESIGN, topology).tell(condition()).ask(Verb.SUPPRESS)
    assert desk.wait(plant=1).last == []
    desk.ask(Verb.UNSUPPRESS)
    pump(topology, running=False, at=2)
    desk.wait(plant=2)
    with pytest.raises(RefusedError, match="by rule:standstill for as long as its condition holds"):
        desk.ask(Verb.UNSUPPRESS)


def test_a_rule_that_is_gone_hides_nothing() -> None:
    topology = plant()
    pump(topology, running=False, at=0)
    held = Desk(BY_DESIGN, topology).tell(condition()).alarm
    desk = Desk("", topology)
    desk.annunciator.restore([held])
    assert desk.wait().said == [(Verb.UNSUPPRESS, "rule:standstill")]


def test_without_the_graph_rules_leave_things_as_they_are() -> None:
    topology = plant()
    pump(topology, running=False, at=0)
    desk = Desk(BY_DESIGN, topology).tell(condition(0), condition(1, CLEARED))
    desk.topology = None
    assert desk.tell(condition(2, occurrence=2)).state is AlarmState.SUPPRESSED
    assert desk.wait().last == []


BEGINNING = Micros(-(2**63))


def test_a_plant_whose_time_is_not_known_does_what_its_rules_say_by_the_wall_clock() -> None:
    topology = plant()
    desk = Desk(BY_DESIGN, topology).tell(*chatter(0, 1, 2))
    pump(topology, running=False, at=2)
    desk.keep(desk.annunciator.passed(recorded_at=wall(9), plant=BEGINNING, topology=topology))
    (hidden,) = desk.last
    assert isinstance(hidden, Transition)
    assert (hidden.verb, hidden.time, hidden.alarm.chattering) == (Verb.SUPPRESS, rfc3339(wall(9)), True)


def test_the_last_word_of_a_device_that_is_gone_hides_nothing() -> None:
    topology = plant()
    pump(topology, running=False, at=0)
    desk = Desk(BY_DESIGN, topology).tell(condition())
    topology.merge([event(Disconnected(PUMP), 1)])
    assert desk.wait(plant=1).said == [(Verb.UNSUPPRESS, "rule:standstill")]
    topology.merge([event(Connected(PUMP, "pump"), 2)])
    assert desk.wait(plant=2).said == [(Verb.SUPPRESS, "rule:standstill")]


def test_who_only_sends_is_believed() -> None:
    topology = Topology()
    pump(topology, running=False, at=0)
    assert Desk(BY_DESIGN, topology).tell(condition()).state is AlarmState.SUPPRESSED


# --- Chattering and floods ----------------------------------------------------------------------------------------------------


def chatter(*seconds: float) -> list[Alert]:
    return [
        condition(at, state, occurrence=number)
        for number, start in enumerate(seconds, 1)
        for at, state in ((start, RAISED), (start + 1, CLEARED))
    ]


def test_three_in_a_minute_chatter_until_a_minute_is_quiet() -> None:
    desk = Desk().tell(*chatter(0, 30))
    assert not desk.alarm.chattering
    desk.tell(*chatter(0, 30, 59))
    assert (desk.alarm.chattering, len(desk.alarm.recent)) == (True, 3)
    assert desk.wait(plant=59).last == []
    assert desk.wait(plant=60).said == [(Verb.UPDATE, "clock")]
    assert (desk.alarm.chattering, len(desk.alarm.recent)) == (False, 2)


def test_a_minute_apart_is_no_chattering() -> None:
    assert not Desk().tell(*chatter(0, 30, 60)).alarm.chattering


def many(count: int, *, start: float = 0, apart: float = 1, under: Alert | None = None) -> list[Alert]:
    devices = [DeviceId(f"d{start}-{number}") for number in range(count)]
    return [condition(start + apart * number, device=device, under=under) for number, device in enumerate(devices)]


def floods(records: Sequence[Transition | Flood]) -> list[Flood]:
    return [record for record in records if isinstance(record, Flood)]


def test_a_flood_opens_above_ten_in_ten_minutes_and_closes_below_five() -> None:
    desk = Desk().tell(*many(10))
    assert floods(desk.records) == []
    desk.tell(*many(2, start=10))
    (flood,) = floods(desk.last)
    assert (flood.opened_at, flood.updated_at) == (rfc3339(second(10)), rfc3339(second(11)))
    assert (flood.alarms, flood.peak, desk.annunciator.flood) == (12, 12, flood)
    assert floods(desk.wait(plant=606).last) == []
    (over,) = floods(desk.wait(plant=607).last)
    assert (over.flood_id, over.closed_at, over.alarms) == (flood.flood_id, rfc3339(second(607)), 12)
    assert desk.annunciator.flood is None


def test_the_next_alarm_shows_that_a_flood_is_over() -> None:
    desk = Desk().tell(*many(11), *many(1, start=1000))
    assert [flood.closed_at for flood in floods(desk.last)] == [rfc3339(second(1000))]
    assert desk.annunciator.flood is None


def test_two_operators_can_handle_twice_as_many() -> None:
    desk = Desk("limits: {operators: 2}").tell(*many(20))
    assert desk.annunciator.flood is None
    assert desk.tell(*many(1, start=30)).annunciator.flood is not None


def test_what_is_hidden_or_hangs_is_no_flood() -> None:
    desk = Desk().tell(PARENT, *many(50, under=PARENT))
    assert (floods(desk.records), sum(alarm.annunciated for alarm in desk.annunciator.alarms())) == ([], 1)


SMALL = "limits: {floodOpens: 2, floodCloses: 1}"


def test_a_flood_that_comes_again_while_the_plants_time_stands_still_is_another() -> None:
    desk = Desk(SMALL).tell(*many(3, apart=0)).wait(plant=600)
    first, over, again = floods(desk.tell(*many(3, start=0.5, apart=-0.1)).records)
    assert (first.flood_id, over.closed_at, again.opened_at) == (over.flood_id, rfc3339(second(600)), over.closed_at)
    assert again.flood_id != first.flood_id
    desk = Desk(SMALL).tell(*many(3, apart=0))
    (flood,) = floods(desk.last)
    desk.annunciator.restore([])
    other = [condition(0, device=DeviceId(f"other-{number}")) for number in range(3)]
    (new,) = floods(desk.tell(*other).last)
    assert (flood.opened_at, flood.alarms) == (new.opened_at, new.alarms)
    assert flood.flood_id != new.flood_id


def test_all_that_comes_to_ask_counts_in_a_flood() -> None:
    desk = Desk(SMALL).tell(PARENT, *children(1), condition(0, severity=Severity.LOW), condition(0, device=VALVE))
    (opened,) = floods(desk.last)
    assert opened.alarms == 3
    free = msgspec.structs.replace(children(1)[0], suppressed_by=None, state=UPDATED, time=rfc3339(second(1)))
    assert [flood.alarms for flood in floods(desk.tell(free).last)] == [4]
    assert floods(desk.ask(Verb.ACKNOWLEDGE, alarm_id="alarm-pump-1-1").last) == []
    assert [flood.alarms for flood in floods(desk.tell(condition(2, UPDATED)).last)] == [5]
    assert floods(desk.tell(condition(3, UPDATED, Severity.CRITICAL)).last) == [], "it asks already"
    desk.ask(Verb.SHELVE, until=rfc3339(wall(10)), alarm_id="alarm-pump-1-1")
    (grown,) = floods(desk.wait(10, plant=4).last)
    assert (grown.alarms, grown.updated_at) == (6, rfc3339(second(12)))


def test_what_comes_off_a_shelf_hours_later_joins_no_flood_of_then() -> None:
    desk = Desk(SMALL).tell(*many(2), condition(1, device=VALVE, under=PARENT), condition(1, under=PARENT))
    for name in ("alarm-valve-1-1", "alarm-pump-1-1"):
        desk.ask(Verb.SHELVE, alarm_id=name, until=rfc3339(wall(HOUR)))
    desk.tell(condition(2, UPDATED, device=VALVE), condition(2, UPDATED))
    desk.wait(HOUR)
    assert (desk.said, floods(desk.records)) == ([(Verb.EXPIRE, "clock")] * 2, [])
    again = Annunciator("demo", rules(SMALL))
    again.apply(desk.records)
    more = [condition(HOUR, device=DeviceId("more"))]
    (flood,) = floods(desk.tell(*more).last)
    assert (flood.alarms, flood.opened_at) == (3, rfc3339(second(HOUR)))
    assert floods(again.told(more, recorded_at=wall(0), topology=None)) == [flood]


def test_a_plant_whose_time_is_not_known_ends_no_flood() -> None:
    desk = Desk().tell(*many(11))
    assert desk.keep(desk.annunciator.passed(recorded_at=wall(9999), plant=Micros(0), topology=None)).last == []


# --- State --------------------------------------------------------------------------------------------------------------------


def busy() -> Desk:
    desk = Desk(LATCHING).tell(PARENT, *children(1), *many(11), *chatter(20, 30, 40), condition(50, device=VALVE, under=PARENT))
    desk.ask(Verb.SHELVE, alarm_id="alarm-valve-1-1", until=rfc3339(wall(HOUR)))
    return desk.ask(Verb.ACKNOWLEDGE)


def test_the_state_is_what_the_transitions_say_folded() -> None:
    desk, again = busy(), Annunciator("demo", rules(LATCHING))
    again.apply(desk.records)
    again.apply(desk.records)
    assert (list(again.alarms()), again.flood) == (list(desk.annunciator.alarms()), desk.annunciator.flood)
    assert again.passed(recorded_at=wall(2 * HOUR), plant=second(2000), topology=None) == desk.wait(2 * HOUR, 2000).last


def test_a_restored_annunciator_goes_on() -> None:
    desk, again = busy(), Annunciator("demo", rules(LATCHING))
    again.restore(desk.annunciator.alarms(), desk.annunciator.flood)
    assert {alarm.alarm_id: alarm for alarm in again.alarms()} == {alarm.alarm_id: alarm for alarm in desk.annunciator.alarms()}
    for alerts in ([condition(60, occurrence=9)], many(3, start=70)):
        found = again.told(alerts, recorded_at=wall(0), topology=None)
        again.apply(found)
        assert found == desk.tell(*alerts).last
    assert again.passed(recorded_at=wall(2 * HOUR), plant=second(2000), topology=None) == desk.wait(2 * HOUR, 2000).last


def test_faults_that_are_over_do_not_fill_the_memory() -> None:
    desk = Desk()
    for number in range(MOST_FAULTS + 5):
        parent = msgspec.structs.replace(PARENT, alert_id=f"p{number}", fault_id=f"f{number}")
        desk.tell(parent).ask(Verb.ACKNOWLEDGE, alarm_id=f"p{number}")
        desk.tell(msgspec.structs.replace(parent, state=CLEARED, time=rfc3339(second(1))))
    assert len(list(desk.annunciator.alarms())) == MOST_FAULTS
    with pytest.raises(UnknownAlarmError):
        desk.annunciator.alarm("p4")
    assert desk.annunciator.alarm("p5").state is AlarmState.NORMAL


def test_alarms_of_the_pipeline_are_taken_as_they_are() -> None:
    alarms, desk = Alarms("demo"), Desk()
    for seconds, active in ((0, True), (1, False), (2, True)):
        desk.tell(*alarms.control(event(ControlAlarm(PUMP, "dry", active), seconds)))
    assert (desk.alarm.occurrences, desk.state, desk.alarm.condition) == (2, AlarmState.UNACKNOWLEDGED, "control:dry")
