"""What the runbook asks for, and what it does not accept."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agents.rulefile import LARGEST, RuleFileError, load, parse
from agents.runbook import Runbook, RunbookFile, Unresolved
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Connected, Disconnected, Severity
from schemas.finding import AlertState
from tests.agents.plant import GATEWAY, JUNCTION, PIPE, PUMP, TANK, VALVE, alert, event, fault, plant

DEPLOYED = Path(__file__).parents[2] / "deploy" / "runbook.yaml"


def book(when: str, then: str = "{verb: inspect}") -> Runbook:
    text = f"version: 1\nrules:\n- name: only\n  when: {when}\n  then: [{then}]\n"
    return Runbook("demo", parse(text.encode(), RunbookFile, name="test").rules)


@pytest.fixture
def topology() -> Topology:
    return plant()


# --- When ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "condition", "expected"),
    [
        ("{condition: fault}", "fault", True),
        ("{condition: fault}", "anomaly", False),
        ("{condition: '*'}", "disconnected", True),
        ("{condition: 'control:overload'}", "control:overload", True),
        ("{condition: 'control:overload'}", "control:overloads", False),
        ("{condition: 'control:over*'}", "control:overload", True),
        ("{condition: fault, severity: critical}", "fault", False),
        ("{condition: fault, severity: medium}", "fault", True),
        ("{condition: fault, state: cleared}", "fault", False),
        ("{condition: fault, deviceTypes: [pump, pipe]}", "fault", True),
        ("{condition: fault, deviceTypes: [pump]}", "fault", False),
        ("{condition: fault, exceptTypes: [pipe]}", "fault", False),
        ("{condition: fault, zones: [east]}", "fault", True),
        ("{condition: fault, zones: [west]}", "fault", False),
        ("{condition: fault, originProbability: 0.7}", "fault", True),
        ("{condition: fault, originProbability: 0.71}", "fault", False),
    ],
)
def test_when(topology: Topology, when: str, condition: str, *, expected: bool) -> None:
    found = book(when).actions_for(alert(condition=condition), fault(0, {PIPE: 0.7}), topology)
    assert bool(found) is expected


def test_a_probability_needs_a_fault(topology: Topology) -> None:
    assert book("{condition: '*', originProbability: 0.1}").actions_for(alert(), None, topology) == []


def test_updates_count_as_raised_and_clearing_does_not(topology: Topology) -> None:
    states = {state: msgspec.structs.replace(alert(), state=state) for state in AlertState}
    raised, cleared = book("{condition: fault}"), book("{condition: fault, state: cleared}")
    assert [bool(raised.actions_for(states[state], None, topology)) for state in AlertState] == [True, True, False]
    assert [bool(cleared.actions_for(states[state], None, topology)) for state in AlertState] == [False, False, True]


@pytest.mark.parametrize(
    ("condition", "suppressed", "expected"),
    [
        ("anomaly", None, False),
        ("anomaly", "true", True),
        ("control:overload", None, True),
        ("control:overload", "false", False),
        ("disconnected", None, True),
    ],
)
def test_suppressed_alarms(topology: Topology, condition: str, suppressed: str | None, *, expected: bool) -> None:
    when = "{condition: '*'}" if suppressed is None else f"{{condition: '*', suppressed: {suppressed}}}"
    hanging = msgspec.structs.replace(alert(PUMP, condition), suppressed_by="alarm-parent")
    assert bool(book(when).actions_for(hanging, fault(0, {PIPE: 0.7}), topology)) is expected


def test_the_subject_of_a_control_alarm_is_its_own_device(topology: Topology) -> None:
    raised = alert(PUMP, "control:overload")
    assert book("{condition: '*', deviceTypes: [pump]}").actions_for(raised, fault(0, {PIPE: 0.7}), topology)


# --- Then ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("origin", PIPE),
        ("device", JUNCTION),
        ("parent", GATEWAY),
        ("{deviceId: tank-1}", TANK),
        ("{deviceId: tank-9}", None),
        ("{nearest: valve}", VALVE),
        ("{nearest: valve, direction: upstream}", VALVE),
        ("{nearest: valve, direction: downstream}", None),
        ("{nearest: junction, direction: downstream, start: origin}", JUNCTION),
        ("{nearest: tank, within: 3}", TANK),
        ("{nearest: tank, within: 2}", None),
        ("{nearest: pipe}", None),
        ("{nearest: pipe, start: device}", PIPE),
        ("{nearest: gateway}", None),
        ("{nearest: gateway, relations: [CONTAINS]}", GATEWAY),
    ],
)
def test_target(topology: Topology, target: str, expected: DeviceId | None) -> None:
    asked = book("{condition: fault}", f"{{verb: close, target: {target}}}")
    plan = asked.plan(alert(JUNCTION), fault(0, {PIPE: 0.7}), topology)
    assert [action.device_id for action in plan.actions] == ([] if expected is None else [expected])
    assert plan.unresolved == (() if expected is not None else (Unresolved("only", "close"),))


def test_a_device_that_is_gone_is_not_the_nearest(topology: Topology) -> None:
    topology.merge([event(Disconnected(VALVE), 0)])
    asked = book("{condition: fault}", "{verb: close, target: {nearest: valve}}")
    assert asked.plan(alert(), None, topology).actions == ()


def test_an_action_in_full(topology: Topology) -> None:
    then = "{verb: isolate, arguments: {how: slowly, steps: [1, 2]}, via: orders, expires: 1.5, cooldown: 30}"
    (action,) = book("{condition: fault}", then).actions_for(alert(), fault(0, {PIPE: 0.7}), topology)
    assert msgspec.to_builtins(action) == {
        "actionId": action.action_id,
        "site": "demo",
        "verb": "isolate",
        "deviceId": "pipe-1",
        "via": "orders",
        "arguments": {"how": "slowly", "steps": [1, 2]},
        "cause": {
            "alertId": "alarm-pipe-1-fault",
            "condition": "fault",
            "severity": "high",
            "faultId": "fault-1",
            "principal": "runbook:only",
            "role": "runbook",
        },
        "requestedAt": "2026-01-05T12:00:00Z",
        "expiresAt": "2026-01-05T12:00:01.500Z",
        "cooldownSeconds": 30.0,
    }


def test_the_id_follows_from_fault_verb_and_target(topology: Topology) -> None:
    def asked(verb: str, severity: Severity, device: DeviceId) -> str:
        plan = book("{condition: fault}", f"{{verb: {verb}}}").plan(alert(severity=severity), fault(0, {device: 0.7}), topology)
        return plan.actions[0].action_id

    assert asked("isolate", Severity.HIGH, PIPE) == asked("isolate", Severity.CRITICAL, PIPE)
    different = {asked("isolate", Severity.HIGH, PIPE), asked("stop", Severity.HIGH, PIPE), asked("stop", Severity.HIGH, PUMP)}
    assert len(different) == 3


def test_an_anomaly_that_joins_a_fault_keeps_the_ids_of_its_actions(topology: Topology) -> None:
    alone = alert(PUMP, "anomaly")
    joined = msgspec.structs.replace(alone, fault_id="fault-1")
    asked = book("{condition: anomaly}", "{verb: inspect, target: device}")
    assert asked.actions_for(alone, None, topology) == asked.actions_for(alone, None, topology)
    assert asked.actions_for(alone, None, topology)[0].action_id == asked.actions_for(joined, None, topology)[0].action_id


def test_two_rules_that_ask_for_the_same_ask_once(topology: Topology) -> None:
    once = book("{condition: fault}", "{verb: inspect}, {verb: inspect, arguments: {again: true}}")
    (action,) = once.actions_for(alert(), None, topology)
    assert action.arguments == {}


# --- The file -----------------------------------------------------------------------------------------------------------------

RULE = "version: 1\nrules:\n- name: a\n  when: {condition: fault}\n  then:\n  - verb: close\n    "


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RULE + "tagret: origin\n", "runbook.yaml:7: rules[0].then[0]: Object contains unknown field `tagret`"),
        (RULE + "target: orign\n", "runbook.yaml:7: rules[0].then[0].target: "),
        (RULE + "target: {within: 3}\n", "runbook.yaml:7: rules[0].then[0].target: needs either deviceId or nearest"),
        (RULE + "target: {deviceId: 'a b'}\n", "runbook.yaml:7: rules[0].then[0].target.deviceId: "),
        (RULE + "expires: 0\n", "runbook.yaml:7: rules[0].then[0].expires: Expected `float` > 0.0"),
        (RULE + "expires: .nan\n", "runbook.yaml:7: rules[0].then[0].expires: Expected `float`, got `null`"),
        (RULE + "expires: '5'\n", "runbook.yaml:7: rules[0].then[0].expires: Expected `float`, got `str`"),
        (RULE.replace("fault", "faults") + "via: x\n", "runbook.yaml:4: rules[0].when.condition: "),
        (RULE + "via: x\n" + RULE[RULE.index("- name") :] + "via: x\n", "runbook.yaml:1: the file: several rules are named a"),
        ("version: 2\nrules: []\n", "runbook.yaml:1: version: "),
        ("rules: []\n", "runbook.yaml:1: the file: Object missing required field `version`"),
        ("version: 1\nversion: 1\nrules: []\n", "runbook.yaml:2: version is given twice"),
        ("a: &x [1]\nb: *x\n", "runbook.yaml:1: anchors and aliases are not allowed"),
        ("a: !!python/object/apply:os.system [ls]\n", "runbook.yaml:1: could not determine a constructor"),
        ("a:\n  b: [", "runbook.yaml:2: "),
        ("[" * 100_000, "runbook.yaml:1: nested deeper than 16"),
        ("a: [{? [1] : 2}]\n", "runbook.yaml:1: found unhashable key"),
        ("a: " + "9" * 5000, "runbook.yaml: "),
        ("", "runbook.yaml:1: the file: Expected `object`, got `null`"),
        ("#" * (LARGEST + 1), "runbook.yaml: more than 262144 bytes"),
    ],
)
def test_a_wrong_file_names_line_and_field(text: str, says: str) -> None:
    with pytest.raises(RuleFileError) as refused:
        parse(text.encode(), RunbookFile, name="runbook.yaml")
    assert str(refused.value).startswith(says)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(RuleFileError):
        parse(b"\xff\xfe\x00", RunbookFile, name="runbook.yaml")


def test_the_name_is_the_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("version: 2\nrules: []\n")
    with pytest.raises(RuleFileError, match=r"mine\.yaml:1: version"):
        load(path, RunbookFile)


# --- The demo plant's runbook -------------------------------------------------------------------------------------------------


def asked(severity: Severity, origin: DeviceId, probability: float = 0.7) -> list[tuple[str, DeviceId | None]]:
    topology = plant()
    found = Runbook.load(DEPLOYED, site="demo").actions_for(
        alert(origin, severity=severity), fault(0, {origin: probability}), topology
    )
    return [(action.verb, action.device_id) for action in found]


def test_the_deployed_runbook() -> None:
    assert asked(Severity.MEDIUM, PIPE) == []
    assert asked(Severity.HIGH, PIPE) == [("isolate", "pipe-1")]
    assert asked(Severity.CRITICAL, PIPE) == [("isolate", "pipe-1"), ("close", "valve-1")]
    assert asked(Severity.CRITICAL, PIPE, 0.1) == []
    assert asked(Severity.HIGH, PUMP) == [("inspect", "pump-1"), ("stop", "pump-1")]
    assert asked(Severity.HIGH, TANK) == [("inspect", "tank-1")]


def test_the_deployed_runbook_on_a_lost_gateway() -> None:
    runbook, topology = Runbook.load(DEPLOYED, site="demo"), plant().merge([event(Connected(GATEWAY, "gateway"), 0)])
    (action,) = runbook.actions_for(alert(GATEWAY, "disconnected", Severity.MEDIUM), None, topology)
    assert (action.verb, action.device_id) == ("inspect", GATEWAY)
