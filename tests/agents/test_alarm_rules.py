"""The file of alarm rules, and what its delays and deadbands do to alarms, with exact times."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.alarmrules import PLAIN, AlarmRules, AlarmRulesFile, SuppressWhen
from agents.alarms import Alarms
from agents.rulefile import RuleFileError, parse
from graph.topology import Topology
from schemas.device import DeviceId, SignalName
from schemas.event import Connected, ControlAlarm, Disconnected, Quality, Severity, SignalValue, Telemetry, rfc3339
from schemas.finding import Alert, AlertState
from tests.agents.plant import GATEWAY, PIPE, PUMP, VALVE, event, fault, plant, second, step

RAISED, UPDATED, CLEARED = AlertState
RUNNING = SignalName("running")


def rules(text: str) -> AlarmRules:
    return AlarmRules(parse(f"version: 1\n{text}".encode(), AlarmRulesFile, name="rules.yaml"))


def said(alerts: list[Alert]) -> list[tuple[AlertState, str]]:
    return [(alert.state, alert.time) for alert in alerts]


def at(seconds: float) -> str:
    return rfc3339(second(seconds))


# --- The file -----------------------------------------------------------------------------------------------------------------

ORDERED = """
rules:
  - {name: pumps, when: {deviceTypes: [pump]}, latch: true}
  - {name: east, when: {zones: [east], conditions: ["control:*"]}}
  - {name: by name, when: {devices: ["valve-*"]}}
  - {name: faults, when: {conditions: [fault]}}
"""


@pytest.mark.parametrize(
    ("device", "condition", "name"),
    [
        (PUMP, "anomaly", "pumps"),
        (PIPE, "control:dry", "east"),
        (PIPE, "anomaly", PLAIN.name),
        (VALVE, "anomaly", "by name"),
        (PIPE, "fault", "faults"),
        (DeviceId("stranger"), "control:dry", PLAIN.name),
    ],
)
def test_the_first_rule_about_an_alarm_decides(device: DeviceId, condition: str, name: str) -> None:
    assert rules(ORDERED).rule_for(device, condition, plant()).name == name


def test_without_the_graph_rules_about_types_and_zones_do_not_hold() -> None:
    assert rules(ORDERED).rule_for(PUMP, "control:dry", None) is PLAIN
    assert rules(ORDERED).rule_for(VALVE, "control:dry", None).name == "by name"


def test_a_file_is_loaded_and_without_one_nothing_is_special(tmp_path: Path) -> None:
    path = tmp_path / "alarmrules.yaml"
    path.write_text("version: 1\nlimits: {operators: 2}\n", encoding="utf-8")
    assert (AlarmRules.load(path).limits.operators, AlarmRules.load(path).limits.flood_opens) == (2, 10)
    assert AlarmRules().rule_for(PUMP, "anomaly", plant()) is PLAIN


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules: [{name: a}, {name: a}]", "several rules are named a"),
        ("rules: [{name: a, deadband: 1.0}]", "deadband"),
        ("rules: [{name: a, onDelay: -1}]", "onDelay"),
        ("rules: [{name: a, surprise: 1}]", "unknown field `surprise`"),
        ("rules: [{name: a, suppressWhen: {signal: x}}]", "needs is, below or above"),
        ("rules: [{name: a, suppressWhen: {signal: x, is: 1, device: sibling}}]", "sibling"),
        ("limits: {operators: 0}", "operators must be above 0"),
        ("limits: {floodCloses: 11}", "floodCloses must not be above floodOpens"),
    ],
)
def test_a_file_that_does_not_say_what_to_do_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RuleFileError, match=r"^rules.yaml:\d+: ") as refused:
        rules(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("is: false", False, True),
        ("is: false", True, False),
        ("is: 0", 0.0, True),
        ("is: closed", "closed", True),
        ("below: 3", 2.9, True),
        ("below: 3", 3.0, False),
        ("above: 3", 3.1, True),
        ("{above: 1, below: 3}", 2.0, True),
        ("{above: 1, below: 3}", 3.0, False),
        ("below: 3", "2", False),
    ],
)
def test_a_reading_says_that_an_alarm_means_nothing(condition: str, value: SignalValue, *, holds: bool) -> None:
    given = condition.strip("{}")
    held = rules(f"rules: [{{name: a, suppressWhen: {{signal: running, {given}}}}}]").rules[0].suppress_when
    assert held is not None
    topology = plant().merge([event(Telemetry(PUMP, {RUNNING: value}))])
    assert held.holds(PUMP, topology) is holds


@pytest.mark.parametrize(("whose", "device"), [("self", PUMP), ("parent", GATEWAY), ("{deviceId: valve-1}", VALVE)])
def test_the_reading_may_be_anothers(whose: str, device: DeviceId) -> None:
    held = rules(f"rules: [{{name: a, suppressWhen: {{device: {whose}, signal: running, is: false}}}}]").rules[0].suppress_when
    assert held is not None
    assert not held.holds(PUMP, plant())
    assert held.holds(PUMP, plant().merge([event(Telemetry(device, {RUNNING: False}))]))


def test_not_knowing_never_hides_an_alarm() -> None:
    stopped = SuppressWhen(signal=RUNNING, is_=False)
    bad = plant().merge([event(Telemetry(PUMP, {RUNNING: False}, Quality.BAD))])
    assert not stopped.holds(PUMP, bad)
    assert not stopped.holds(PUMP, Topology())


# --- Delays of the control system's alarms ------------------------------------------------------------------------------------

DELAYED = "rules: [{name: slow, when: {conditions: ['control:*', disconnected]}, onDelay: 10, offDelay: 20}]"


@pytest.fixture
def alarms() -> Alarms:
    return Alarms("demo", rules=rules(DELAYED))


def spoken(alarms: Alarms, seconds: float, *, active: bool, device: DeviceId = PUMP) -> list[tuple[AlertState, str]]:
    return said(alarms.control(event(ControlAlarm(device, "dry", active, Severity.HIGH), seconds)))


def test_what_goes_away_within_its_on_delay_opens_nothing(alarms: Alarms) -> None:
    assert spoken(alarms, 0, active=True) == spoken(alarms, 9, active=False) == []
    assert alarms.update(step(30), [], plant()) == []


def test_what_lasts_opens_when_a_step_shows_it_as_of_when_the_delay_was_over(alarms: Alarms) -> None:
    assert spoken(alarms, 0, active=True) == []
    assert said(alarms.update(step(9), [], plant())) == []
    assert said(alarms.update(step(13), [], plant())) == [(RAISED, at(10))]


def test_any_event_of_the_control_system_shows_it_too(alarms: Alarms) -> None:
    spoken(alarms, 0, active=True)
    assert spoken(alarms, 10, active=True, device=VALVE) == [(RAISED, at(10))]
    assert spoken(alarms, 11, active=False, device=VALVE) == []


def test_an_end_after_the_delay_shows_that_it_was_there(alarms: Alarms) -> None:
    spoken(alarms, 0, active=True)
    assert spoken(alarms, 15, active=False) == [(RAISED, at(10))]
    assert said(alarms.update(step(40), [], plant())) == [(CLEARED, at(35))]


def test_what_comes_back_within_its_off_delay_never_cleared(alarms: Alarms) -> None:
    spoken(alarms, 0, active=True)
    spoken(alarms, 10, active=True)
    assert spoken(alarms, 20, active=False) == spoken(alarms, 39, active=True) == []
    assert said(alarms.update(step(100), [], plant())) == []
    assert spoken(alarms, 200, active=False) == []
    assert said(alarms.update(step(220), [], plant())) == [(CLEARED, at(220))]


def test_the_severity_of_what_opens_is_the_newest(alarms: Alarms) -> None:
    alarms.control(event(ControlAlarm(PUMP, "dry", active=True, severity=Severity.LOW), 0))
    alarms.control(event(ControlAlarm(PUMP, "dry", active=True, severity=Severity.CRITICAL), 5))
    (alert,) = alarms.update(step(10), [], plant())
    assert (alert.severity, alert.time) == (Severity.CRITICAL, at(10))


def test_what_opens_in_a_faults_first_step_hangs_under_it_at_once(alarms: Alarms) -> None:
    spoken(alarms, 0, active=True)
    parent, child = alarms.update(step(10), [fault(10, {PIPE: 0.7}, (PUMP,))], plant())
    assert (child.state, child.condition, child.suppressed_by) == (RAISED, "control:dry", parent.alert_id)


def test_a_short_absence_is_none(alarms: Alarms) -> None:
    assert alarms.control(event(Disconnected(PUMP), 0)) == []
    assert alarms.control(event(Connected(PUMP, "pump"), 5)) == []
    assert alarms.update(step(20), [], plant()) == []


def test_a_rule_about_types_holds_where_the_graph_is_given() -> None:
    slow = Alarms("demo", rules=rules("rules: [{name: pumps, when: {deviceTypes: [pump]}, onDelay: 10}]"))
    assert slow.control(event(ControlAlarm(PUMP, "dry", active=True), 0), plant()) == []
    assert len(slow.control(event(ControlAlarm(PUMP, "wet", active=True), 1))) == 1


def test_an_alarm_that_flickers_within_its_delay_costs_no_memory(alarms: Alarms) -> None:
    for number in range(1000):
        spoken(alarms, number / 1000, active=number % 2 == 0)
    spoken(alarms, 2, active=True)
    assert len(alarms._delays._by_due) < 100
    assert said(alarms.update(step(12), [], plant())) == [(RAISED, at(12))]


# --- Anomalies ----------------------------------------------------------------------------------------------------------------


def test_an_anomaly_has_the_delays_of_its_rule() -> None:
    alarms = Alarms("demo", rules=rules("rules: [{name: a, when: {conditions: [anomaly]}, onDelay: 30, offDelay: 40}]"))
    topology = plant()
    told = [said(alarms.update(step(now, {PUMP: 2.0} if now <= 30 else {}), [], topology)) for now in range(0, 100, 10)]
    assert [alerts for alerts in told if alerts] == [[(RAISED, at(30))], [(CLEARED, at(80))]]


def test_within_the_deadband_an_anomaly_is_neither_strange_nor_quiet() -> None:
    alarms = Alarms("demo", rules=rules("rules: [{name: a, deadband: 0.2}]"))
    topology = plant()
    scores = [1.5, 1.5, 0.9, 0.85, 0.9, 0.7, 0.7, 0.9, 0.8, 0.8, 0.8]
    told = [said(alarms.update(step(now * 10, {PUMP: score}), [], topology)) for now, score in enumerate(scores)]
    assert [alerts for alerts in told if alerts] == [[(RAISED, at(10))], [(CLEARED, at(100))]]


def test_the_deadband_opens_nothing() -> None:
    alarms = Alarms("demo", rules=rules("rules: [{name: a, deadband: 0.5}]"))
    assert [alarms.update(step(now, {PUMP: 0.9}), [], plant()) for now in range(0, 50, 10)] == [[]] * 5


# --- State --------------------------------------------------------------------------------------------------------------------

WORDS = [(0, True), (5, False), (7, True), (18, True), (22, False), (30, True), (40, False), (45, False), (70, True)]


@pytest.mark.parametrize("stop", range(len(WORDS) + 1))
def test_a_snapshot_goes_on_with_what_waits(stop: int) -> None:
    straight, alarms = (Alarms("demo", rules=rules(DELAYED)) for _ in range(2))
    expected: list[tuple[AlertState, str]] = []
    told: list[tuple[AlertState, str]] = []
    for number, (seconds, active) in enumerate(WORDS):
        if number == stop:
            held = alarms.snapshot()
            alarms = Alarms("demo", rules=rules(DELAYED))
            alarms.restore(held)
            assert alarms.snapshot() == held
        for one, out in ((straight, expected), (alarms, told)):
            out.extend(spoken(one, seconds, active=active))
            out.extend(said(one.update(step(seconds + 1), [], plant())))
    assert told == expected == [(RAISED, at(17)), (CLEARED, at(60))]
    assert alarms.snapshot() == straight.snapshot()
