"""Task graphs: what is to be done for one instruction or alarm, in which order, and on which conditions.

Made by the planner from an instruction or read from a runbook; run by the scheduler. A graph is checked when it is made, so one
that exists has no cycle and nothing that leads nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.identity import derived

MOST_TASKS = 64
TaskKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]


class TaskGraphError(ValueError):
    """A graph that cannot be run: a cycle, a key that stands twice, or something that leads nowhere."""


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"task": "from"}):
    """What another task has put out: `{"from": "trace", "output": "origin"}`."""

    task: TaskKey
    output: Annotated[str, Meta(min_length=1, max_length=64)]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"is_": "is", "task": "from"}):
    """Holds if what a task put out fits all that is given. What was not put out fits nothing.

    >>> Condition(task="query", output="count", above=1).holds({"count": 2})
    True
    """

    task: TaskKey
    output: Annotated[str, Meta(min_length=1, max_length=64)]
    is_: str | bool | float | None = None
    below: float | None = None
    above: float | None = None

    def holds(self, outputs: Mapping[str, Any]) -> bool:
        value = outputs.get(self.output)
        if value is None:
            return False
        if self.is_ is not None and value != self.is_:
            return False
        if self.below is None and self.above is None:
            return True
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.below is None or value < self.below) and (self.above is None or value > self.above)

    def __str__(self) -> str:
        said = [
            f"is {self.is_}" * (self.is_ is not None),
            f"below {self.below:g}" if self.below is not None else "",
            f"above {self.above:g}" if self.above is not None else "",
        ]
        return f"{self.task}.{self.output} {' and '.join(filter(None, said)) or 'is known'}"


Argument = Reference | str | bool | int | float | list[Any] | None
"""A value, or where it comes from."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One use of one tool. `when`: only if all of it holds, else it is left out, and with it what needs its outputs.

    `why` says in words which part of the instruction asked for it.
    """

    key: TaskKey
    tool: str
    arguments: dict[str, Any] = {}
    """Each an `Argument`; a reference on the wire is an object with `from` and `output` alone."""
    when: tuple[Condition, ...] = ()
    why: str = ""

    def references(self) -> Iterator[Reference]:
        """What its arguments come from."""
        return (value for value in self.arguments.values() if isinstance(value, Reference))

    def needs(self) -> set[str]:
        """Keys of the tasks whose outputs it uses."""
        return {one.task for one in self.references()} | {condition.task for condition in self.when}


class TaskGraph(msgspec.Struct, frozen=True):
    """Tasks, and which must have ended before which. What uses an output comes after it without a link of its own.

    >>> graph = TaskGraph((Task("a", "history"), Task("b", "chart", {"series": Reference("a", "series")})))
    >>> graph.links
    (('a', 'b'),)
    >>> TaskGraph((Task("a", "x"), Task("b", "y")), (("a", "b"), ("b", "a")))
    Traceback (most recent call last):
    agents.taskgraph.TaskGraphError: tasks wait for each other: a -> b -> a
    """

    tasks: tuple[Task, ...]
    links: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raises TaskGraphError."""
        if len(self.tasks) > MOST_TASKS:
            raise TaskGraphError(f"more than {MOST_TASKS} tasks")
        tasks = tuple(msgspec.structs.replace(task, arguments=_arguments(task.arguments)) for task in self.tasks)
        msgspec.structs.force_setattr(self, "tasks", tasks)
        keys = Counter(task.key for task in tasks)
        if twice := [key for key, count in keys.items() if count > 1]:
            raise TaskGraphError(f"several tasks are named {twice[0]}")
        links = {*map(tuple, self.links), *((need, task.key) for task in tasks for need in task.needs())}
        for link in sorted(links):
            if missing := [end for end in link if end not in keys]:
                raise TaskGraphError(f"the link {link[0]} -> {link[1]} leads to {missing[0]}, which is no task")
        place = {key: number for number, key in enumerate(keys)}
        msgspec.structs.force_setattr(self, "links", tuple(sorted(links, key=lambda link: (place[link[0]], place[link[1]]))))
        self.order()

    def task(self, key: str) -> Task:
        """Raises KeyError."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise KeyError(key)

    def before(self, key: str) -> frozenset[str]:
        """Which tasks must have ended before this one."""
        return frozenset(source for source, target in self.links if target == key)

    def order(self) -> list[list[str]]:
        """Generations: what stands in one can run at once. Raises TaskGraphError."""
        sorter = TopologicalSorter({task.key: self.before(task.key) for task in self.tasks})
        try:
            sorter.prepare()
        except CycleError as error:
            raise TaskGraphError(f"tasks wait for each other: {' -> '.join(reversed(error.args[1]))}") from None
        generations, place = [], {task.key: number for number, task in enumerate(self.tasks)}
        while sorter.is_active():
            ready = sorted(sorter.get_ready(), key=place.__getitem__)
            generations.append(ready)
            sorter.done(*ready)
        return generations

    @property
    def digest(self) -> str:
        """Equal for equal graphs: what was shown to a person is what runs."""
        return derived("plan", msgspec.json.encode(msgspec.to_builtins(self), order="deterministic").decode())

    def to_dot(self) -> str:
        """For Graphviz."""
        nodes = [f'  "{task.key}" [label="{_quoted(_label(task))}"];' for task in self.tasks]
        edges = [f'  "{source}" -> "{target}"{self._edge_label(source, target)};' for source, target in self.links]
        return "\n".join(["digraph tasks {", "  rankdir=LR;", "  node [shape=box];", *nodes, *edges, "}"])

    def _edge_label(self, source: str, target: str) -> str:
        said = self._conditions(source, target)
        return f' [label="{_quoted(said)}"]' if said else ""

    def to_mermaid(self) -> str:
        """For Markdown pages and the console."""
        names = {task.key: f"t{number}" for number, task in enumerate(self.tasks)}
        nodes = [f'  {names[task.key]}["{_entities(_label(task))}"]' for task in self.tasks]
        edges = []
        for source, target in self.links:
            said = self._conditions(source, target)
            edges.append(f"  {names[source]} -->{f'|{chr(34)}{_entities(said)}{chr(34)}|' if said else ''} {names[target]}")
        return "\n".join(["flowchart LR", *nodes, *edges])

    def _conditions(self, source: str, target: str) -> str:
        return " and ".join(f"if {condition}" for condition in self.task(target).when if condition.task == source)


def _arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """References that came over the wire as objects become what they are. Raises TaskGraphError."""
    found = {}
    for name, value in arguments.items():
        if isinstance(value, Mapping) and "from" in value:
            try:
                found[name] = msgspec.convert(value, Reference)
            except msgspec.ValidationError as error:
                raise TaskGraphError(f"argument {name}: {error}") from None
        else:
            found[name] = value
    return found


def _label(task: Task) -> str:
    said = [f"{name}: {_shown(value)}" for name, value in task.arguments.items()]
    title = task.tool if task.key == task.tool else f"{task.key}: {task.tool}"
    return "\n".join([title, *said])


def _shown(value: Any) -> str:
    return f"{value.task}.{value.output}" if isinstance(value, Reference) else str(value)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", "\\n").replace("\0", "")


def _entities(text: str) -> str:
    """Characters that mean something to Mermaid or HTML become numbered entities.

    >>> _entities('a"b')
    'a#34;b'
    """
    plain = "".join(character if character.isalnum() or character in " .,:_-/" else f"#{ord(character)};" for character in text)
    return plain.replace("#10;", "<br/>")
