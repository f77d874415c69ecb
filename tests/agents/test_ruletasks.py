"""Rules with tasks: what is refused when the file is read, and the order that an alarm makes of the others."""

from __future__ import annotations

import msgspec
import pytest

from agents.arguments import ArgumentError, resolved
from agents.catalogue import plant_tools
from agents.rulefile import RuleFileError, parse
from agents.runbook import Plan, Runbook, RunbookFile, Unresolved
from agents.taskgraph import Condition, Reference
from graph.topology import Topology
from schemas.event import Severity
from schemas.finding import AlertState
from tests.agents.plant import JUNCTION, PIPE, PUMP, VALVE, alert, fault, plant

HEAD = """version: 1
rules:
- name: look into it
  when: {condition: fault, severity: high}
  tasks:
"""
TRACE = "  - {key: trace, tool: trace_fault, arguments: {device: {target: origin}}}\n"
WHOLE = (
    HEAD
    + TRACE
    + """  - key: close
    tool: command_device
    arguments: {device: {target: {nearest: valve, direction: upstream}}, verb: close}
    when: [{from: trace, output: count, above: 0}]
  - {key: order, tool: open_work_order, arguments: {device: {from: trace, output: origin}, priority: {alarm: severity}}}
  - {key: tell, tool: notify, arguments: {to: maintenance, text: {alarm: condition}}, after: [close, order]}
  expires: 600
"""
)


def book(text: str) -> Runbook:
    return Runbook("demo", parse(text.encode(), RunbookFile, name="runbook.yaml").rules)


@pytest.fixture
def topology() -> Topology:
    return plant()


def plan(text: str, topology: Topology, *, state: AlertState = AlertState.RAISED, severity: Severity = Severity.HIGH) -> Plan:
    raised = msgspec.structs.replace(alert(JUNCTION, severity=severity), state=state)
    return book(text).plan(raised, fault(0, {PIPE: 0.7}), topology)


# --- The file -----------------------------------------------------------------------------------------------------------------


def task(text: str) -> str:
    """A rule with the trace and one more task; the task is on line 7."""
    return HEAD + TRACE + f"  - {text}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (task("{key: a, tool: open_valve}"), "7: rules[0].tasks[1].tool: there is no tool open_valve"),
        (task("{key: a, tool: list_faults, wen: []}"), "7: rules[0].tasks[1]: Object contains unknown field `wen`"),
        (
            task("{key: a, tool: notify,\n     arguments: {two: x}}"),
            "8: rules[0].tasks[1].arguments.two: notify takes no argument two",
        ),
        (task("{key: a, tool: isolate_device}"), "7: rules[0].tasks[1]: isolate_device needs device"),
        (
            task("{key: a, tool: set_point, arguments: {device: p, value: 1}}"),
            "7: rules[0].tasks[1].arguments: set_point needs",
        ),
        (task("{key: a, tool: assess_impact, arguments: {device: 'pump 7'}}"), "arguments.device: 'pump 7' is no device id"),
        (
            task("{key: a, tool: command_device, arguments: {device: p, verb: explode}}"),
            "arguments.verb: 'explode' is none of ",
        ),
        (task("{key: a, tool: show_neighbours, arguments: {device: p, hops: 99}}"), "arguments.hops: '99' is no count"),
        (task("{key: a, tool: notify, arguments: {to: [a]}}"), "arguments.to: \"['a']\" is no text"),
        (task("{key: a, tool: notify, arguments: {text: {words: x}}}"), "arguments.text: an object here is {from, output}"),
        (task("{key: a, tool: notify, arguments: {text: {alarm: colour}}}"), "arguments.text: Invalid enum value 'colour'"),
        (task("{key: a, tool: notify, arguments: {text: {target: origin}}}"), "arguments.text: a target is a device, and text"),
        (task("{key: a, tool: isolate_device, arguments: {device: {alarm: severity}}}"), "severity of an alarm is no device"),
        (task("{key: a, tool: isolate_device, arguments: {device: {target: there}}}"), "arguments.device: "),
        (
            task("{key: a, tool: isolate_device, arguments: {device: {target: {within: 3}}}}"),
            "needs either deviceId or nearest",
        ),
        (task("{key: a, tool: isolate_device, arguments: {device: {from: b, output: origin}}}"), "b is no task of this rule"),
        (task("{key: a, tool: isolate_device, arguments: {device: {from: trace, output: x}}}"), "trace_fault puts out no x"),
        (
            task("{key: a, tool: isolate_device, arguments: {device: {from: trace, output: count}}}"),
            "trace.count is of type number, and device of type device",
        ),
        (task("{key: a, tool: list_faults, when: [{from: b, output: count}]}"), "tasks[1].when[0]: b is no task of this rule"),
        (task("{key: a, tool: list_faults, when: [{from: trace, output: x}]}"), "tasks[1].when[0]: trace_fault puts out no x"),
        (
            task("{key: a, tool: list_faults, when: [{from: trace, output: origin, above: 1}]}"),
            "tasks[1].when[0]: trace.origin is no number",
        ),
        (task("{key: a, tool: list_faults, after: [b]}"), "7: rules[0].tasks[1].after[0]: b is no task of this rule"),
        (task("{key: a, tool: list_faults, after: [a]}"), "5: rules[0].tasks: tasks wait for each other: a -> a"),
        (task("{key: trace, tool: list_faults}"), "7: rules[0].tasks[1].key: several tasks are named trace"),
        (HEAD.replace("tasks:", "tasks: []"), "5: rules[0].tasks: Expected `array` of length >= 1"),
        (HEAD.replace("  tasks:\n", ""), "3: rules[0]: needs then or tasks"),
        (HEAD.replace("  tasks:", "  then: [{verb: a}]\n  expires: 3"), "3: rules[0]: expires is of tasks"),
    ],
)
def test_what_cannot_work_is_refused_with_its_line_and_field(text: str, says: str) -> None:
    with pytest.raises(RuleFileError) as refused:
        parse(text.encode(), RunbookFile, name="runbook.yaml")
    assert str(refused.value).startswith("runbook.yaml:")
    assert says in str(refused.value)


def test_two_tasks_that_wait_for_each_other() -> None:
    text = task("{key: a, tool: write_report, after: [b]}") + "  - {key: b, tool: write_report, after: [a]}\n"
    with pytest.raises(RuleFileError, match=r"rules\[0\]\.tasks: tasks wait for each other: a -> b -> a|b -> a -> b"):
        book(text)


# --- The order ----------------------------------------------------------------------------------------------------------------


def test_an_order_in_full(topology: Topology) -> None:
    found = plan(WHOLE, topology)
    (order,) = found.orders
    assert (found.fired, found.unresolved, found.actions) == (("look into it",), (), ())
    assert (order.site, order.text, order.principal, order.role) == ("demo", "look into it", "runbook:look into it", "runbook")
    assert (order.asked_at, order.expires) == ("2026-01-05T12:00:00Z", 600)
    assert order.cause is not None
    assert (order.cause.condition, order.cause.severity, order.cause.fault_id) == ("fault", Severity.HIGH, "fault-1")
    assert [(one.tool, one.arguments) for one in order.graph.tasks] == [
        ("trace_fault", {"device": PIPE}),
        ("command_device", {"device": VALVE, "verb": "close"}),
        ("open_work_order", {"device": Reference("trace", "origin"), "priority": "high"}),
        ("notify", {"to": "maintenance", "text": "fault"}),
    ]
    assert order.graph.task("close").when == (Condition(task="trace", output="count", above=0),)
    assert order.graph.links == (("trace", "close"), ("trace", "order"), ("close", "tell"), ("order", "tell"))


def test_one_run_for_a_fault_however_it_grows(topology: Topology) -> None:
    high, worse = (plan(WHOLE, topology, severity=severity).orders[0] for severity in (Severity.HIGH, Severity.CRITICAL))
    again = plan(WHOLE, topology, state=AlertState.UPDATED).orders[0]
    cleared = plan(WHOLE.replace("condition: fault", "condition: fault, state: cleared"), topology, state=AlertState.CLEARED)
    assert high.run_id == worse.run_id == again.run_id
    assert cleared.orders[0].run_id != high.run_id
    assert plan(WHOLE.replace("look into it", "another"), topology).orders[0].run_id != high.run_id


def test_an_alarm_of_its_own_has_its_own_run(topology: Topology) -> None:
    text = WHOLE.replace("condition: fault", "condition: '*'")
    one, other = (book(text).plan(alert(device, "control:dry"), None, topology).orders[0] for device in (PUMP, PIPE))
    assert one.run_id != other.run_id
    assert one.graph.task("trace").arguments == {"device": PUMP}


def test_a_place_that_is_not_there_fails_its_task_and_no_other(topology: Topology) -> None:
    found = plan(WHOLE.replace("nearest: valve, direction: upstream", "nearest: crane"), topology)
    assert found.unresolved == (Unresolved("look into it", "command_device", "close"),)
    with pytest.raises(ArgumentError, match="device: 'no crane near' is no device id"):
        resolved(plant_tools()["command_device"], found.orders[0].graph.task("close"), {})


def test_actions_and_tasks_beside_each_other(topology: Topology) -> None:
    found = plan(WHOLE + "  then: [{verb: isolate}]\n", topology)
    assert [action.verb for action in found.actions] == ["isolate"]
    assert len(found.orders) == 1


def test_an_order_is_the_same_on_the_wire(topology: Topology) -> None:
    (order,) = plan(WHOLE, topology).orders
    again = msgspec.json.decode(msgspec.json.encode(order), type=type(order))
    assert (again, again.graph.digest) == (order, order.graph.digest)
