"""The tasks of a runbook's rule: checked against the plant's tools when the file is read, an order when the rule applies.

What is wrong is found before anything happens: an order that was made from a checked rule has tools that there are, arguments
of their types, and no cycle. Only a place in the plant may lead nowhere; the task that needs it then fails by name, and the
others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from agents.arguments import ArgumentError, checked
from agents.catalogue import plant_tools
from agents.run import Order
from agents.targets import Exactly, Target, find
from agents.taskgraph import Condition, Reference, Task, TaskGraph, TaskGraphError, TaskKey
from agents.toolset import ANY, Slot, Tool, ToolSet
from graph.faultpath.state import FaultState
from graph.topology import Topology
from schemas.action import Cause
from schemas.finding import Alert


class Fact(StrEnum):
    """What a task may be told of the alarm."""

    CONDITION = "condition"
    SEVERITY = "severity"
    ALERT_ID = "alertId"


class Aimed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An argument that is a device by its part in what happened: `{target: origin}`."""

    target: Target


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An argument that is a word of the alarm: `{alarm: severity}`."""

    alarm: Fact


FORMS: Mapping[str, type[Reference | Aimed | Said]] = {"from": Reference, "target": Aimed, "alarm": Said}
FITS = {Fact.CONDITION: ("text",), Fact.SEVERITY: ("text", "severity"), Fact.ALERT_ID: ("text",)}
"""Types of arguments that a word of the alarm may be."""


class RuleTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """One use of one tool. `after`: tasks that come before it though it takes nothing of theirs."""

    key: TaskKey
    tool: str
    arguments: dict[str, Any] = {}
    when: tuple[Condition, ...] = ()
    after: tuple[TaskKey, ...] = ()


class Wrong(NamedTuple):
    """What is wrong with a task, and where: `[0].arguments.device`."""

    path: str
    sentence: str


def meant(value: Any) -> Any:
    """What an argument of the file stands for. Raises ValueError."""
    if not isinstance(value, Mapping):
        return value
    for member, form in FORMS.items():
        if member in value:
            try:
                return msgspec.convert(value, form)
            except msgspec.ValidationError as error:
                raise ValueError(str(error).partition(" - at ")[0]) from None
    raise ValueError("an object here is {from, output}, {target} or {alarm}")


def first_wrong(tasks: tuple[RuleTask, ...], tools: ToolSet | None = None) -> Wrong | None:
    """The first thing that would not work in any plant, or None."""
    if not tasks:
        return None
    known = tools or plant_tools()
    for place, task in enumerate(tasks):
        if task.tool not in known:
            return Wrong(f"[{place}].tool", f"there is no tool {task.tool[:64]}")
        if any(other.key == task.key for other in tasks[:place]):
            return Wrong(f"[{place}].key", f"several tasks are named {task.key}")
    of = {task.key: known[task.tool] for task in tasks}
    for place, task in enumerate(tasks):
        for path, sentence in _wrongs(task, of):
            return Wrong(f"[{place}]{path}", sentence)
    try:
        _graph(tasks, lambda value: value if isinstance(value, Reference) else None)
    except TaskGraphError as error:
        return Wrong("", str(error))
    return None


def _wrongs(task: RuleTask, of: Mapping[str, Tool]) -> Iterator[Wrong]:
    tool = of[task.key]
    for name, value in task.arguments.items():
        slot = tool.input(name)
        sentence = f"{tool.id} takes no argument {name[:64]}" if slot is None else _misfit(slot, value, of)
        if sentence:
            yield Wrong(f".arguments.{name}", sentence)
    for slot in tool.inputs:
        if slot.required and slot.default is None and task.arguments.get(slot.name) is None:
            yield Wrong(".arguments" if task.arguments else "", f"{tool.id} needs {slot.name}")
    for place, condition in enumerate(task.when):
        if sentence := _untold(condition, of):
            yield Wrong(f".when[{place}]", sentence)
    for place, key in enumerate(task.after):
        if key not in of:
            yield Wrong(f".after[{place}]", f"{key} is no task of this rule")


def _misfit(slot: Slot, value: Any, of: Mapping[str, Tool]) -> str:
    """Why an argument cannot be this, or nothing."""
    try:
        found = meant(value)
        if isinstance(found, Reference):
            return _mislead(slot, found, of)
        if isinstance(found, Aimed):
            return "" if slot.type == "device" else f"a target is a device, and {slot.name} is of type {slot.type}"
        if isinstance(found, Said):
            return "" if slot.type in FITS[found.alarm] else f"{found.alarm} of an alarm is no {slot.type}"
        if found is not None:
            checked(slot, found)
    except ArgumentError as error:
        return str(error).removeprefix(f"{slot.name}: ")
    except ValueError as error:
        return str(error)
    return ""


def _mislead(slot: Slot, reference: Reference, of: Mapping[str, Tool]) -> str:
    if (sentence := _missing(reference.task, reference.output, of)) is not None:
        return sentence
    output = of[reference.task].output(reference.output)
    assert output is not None
    if slot.type in {output.type, ANY}:
        return ""
    return f"{reference.task}.{reference.output} is of type {output.type}, and {slot.name} of type {slot.type}"


def _untold(condition: Condition, of: Mapping[str, Tool]) -> str:
    if (sentence := _missing(condition.task, condition.output, of)) is not None:
        return sentence
    output = of[condition.task].output(condition.output)
    measured = condition.below is not None or condition.above is not None
    if measured and output is not None and output.type != "number":
        return f"{condition.task}.{condition.output} is no number, so it is neither below nor above one"
    return ""


def _missing(key: str, output: str, of: Mapping[str, Tool]) -> str | None:
    if key not in of:
        return f"{key} is no task of this rule"
    return None if of[key].output(output) is not None else f"{of[key].id} puts out no {output}"


def _graph(tasks: tuple[RuleTask, ...], value_of: Callable[[Any], Any]) -> TaskGraph:
    """Raises TaskGraphError."""
    made = tuple(
        Task(task.key, task.tool, {name: value_of(meant(value)) for name, value in task.arguments.items()}, task.when)
        for task in tasks
    )
    return TaskGraph(made, tuple((before, task.key) for task in tasks for before in task.after))


# --- When a rule applies ------------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """An order, and the tasks of it that are of a device which the plant does not have."""

    order: Order
    unresolved: tuple[RuleTask, ...]


class Happened(NamedTuple):
    """What a rule applies to."""

    alert: Alert
    fault: FaultState | None
    topology: Topology

    def value(self, found: Any) -> Any:
        """A place as its device; one that leads nowhere as words that are no device id, so that its task fails by them."""
        if isinstance(found, Aimed):
            device = find(found.target, self.alert, fault=self.fault, topology=self.topology)
            return f"no {_place(found.target)}" if device is None else device
        if isinstance(found, Said):
            facts = {Fact.CONDITION: self.alert.condition, Fact.SEVERITY: self.alert.severity.value}
            return facts.get(found.alarm, self.alert.alert_id)
        return found

    def lacks(self, task: RuleTask) -> bool:
        aims = [found for value in task.arguments.values() if isinstance(found := meant(value), Aimed)]
        return any(find(aim.target, self.alert, fault=self.fault, topology=self.topology) is None for aim in aims)


def _place(target: Target) -> str:
    if isinstance(target, Exactly):
        return f"{target.device_id} here" if target.nearest is None else f"{target.nearest} near"
    return target.value


def asked(
    tasks: tuple[RuleTask, ...], happened: Happened, *, run_id: str, site: str, rule: str, cause: Cause, expires: float | None
) -> Asked:
    """The order of checked tasks. The same alarm gives the same id."""
    order = Order(
        run_id=run_id,
        site=site,
        text=rule,
        principal=cause.principal,
        role=cause.role,
        asked_at=happened.alert.time,
        graph=_graph(tasks, happened.value),
        cause=cause,
        expires=expires,
    )
    return Asked(order, tuple(task for task in tasks if happened.lacks(task)))
