"""A task graph in the making: drafts of tasks, what was spoken of last, and what is still to be asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from agents.catalogue import plant_tools
from agents.taskgraph import Condition, Reference, Task, TaskGraph
from agents.toolset import Effect

DEVICES = frozenset({tool.id for tool in plant_tools().tools if (slot := tool.input("device")) and slot.required})
"""Tools that need a device."""
TELLING = frozenset({"write_report", "notify"})
"""Tools that tell of what was before them."""


@dataclass
class Draft:
    """A task; `stage` counts the words of order before it. `why`: the words that asked for it."""

    tool: str
    arguments: dict[str, Any]
    why: str
    stage: int
    when: list[Condition] = field(default_factory=list)
    key: str = ""
    asked: bool = True
    """Whether the sentence asks for it, or another task needs it."""


@dataclass
class Context:
    """What was spoken of last: `it`, `there`, `then`."""

    devices: list[Any] = field(default_factory=list)
    """Ids, or references to what a task will put out."""
    history: list[Any] = field(default_factory=list)
    """All devices that were named, newest last."""
    signals: list[str] = field(default_factory=list)
    zone: str | None = None
    measure: tuple[str, str] | None = None
    """The task and the output that a condition without a subject is about."""
    series: list[str] = field(default_factory=list)
    """Tasks whose series was asked for last."""
    unit: str | None = None
    """The signal that the last value was for."""


class Drafts:
    """The tasks so far."""

    def __init__(self) -> None:
        self.tasks: list[Draft] = []
        self.questions: list[str] = []
        self.stage = 0
        self.heading = False
        """Whether what stands behind a report is what it tells of: `a report on pump-7: alarms and neighbours`."""

    def add(
        self, tool: str, arguments: dict[str, Any], why: str, when: Iterable[Condition] = (), *, asked: bool = True
    ) -> Draft:
        """A new task, or the one that does the same already."""
        for held in self.tasks:
            if held.tool == tool and held.arguments == arguments and held.stage == self.stage and tool not in TELLING:
                held.asked = held.asked or asked
                return held
        draft = Draft(tool, arguments, why.strip(), self.stage, list(when), key=f"t{len(self.tasks) + 1}", asked=asked)
        self.tasks.append(draft)
        return draft

    def last(self, *tools: str) -> Draft | None:
        return next((draft for draft in reversed(self.tasks) if draft.tool in tools), None)

    def settle(self) -> None:
        """What only announces what follows goes; a report comes after what it tells of."""
        known = {value.task for draft in self.tasks for value in draft.arguments.values() if isinstance(value, Reference)}
        for draft in list(self.tasks):
            alike = [
                other for other in self.tasks if other is not draft and other.tool == draft.tool and "device" in other.arguments
            ]
            if draft.tool in DEVICES and "device" not in draft.arguments and alike and draft.key not in known:
                self.tasks.remove(draft)
        reports = [draft for draft in self.tasks if draft.tool == "write_report"]
        for draft in reports[1:]:
            self.tasks.remove(draft)
        if reports and (self.heading or self.tasks[0] is reports[0]):
            place = self.tasks.index(reports[0])
            leads = place == 0
            while place + 1 < len(self.tasks) and self._is_told(self.tasks[place + 1], reports[0], leads=leads):
                self.tasks[place], self.tasks[place + 1] = self.tasks[place + 1], self.tasks[place]
                place += 1

    def _is_told(self, draft: Draft, report: Draft, *, leads: bool) -> bool:
        """What only reads, in the same step and on the same conditions, belongs to a report that says what it is about."""
        if leads:
            return draft.tool not in TELLING
        reads = plant_tools()[draft.tool].effect is not Effect.ACT
        return reads and draft.stage == report.stage and draft.when == report.when

    def graph(self) -> TaskGraph:
        """Raises TaskGraphError."""
        tasks = tuple(Task(draft.key, draft.tool, draft.arguments, tuple(draft.when), draft.why) for draft in self.tasks)
        return TaskGraph(tasks, tuple(sorted(self._links())))

    def _links(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        stages = sorted({draft.stage for draft in self.tasks})
        for earlier, later in pairwise(stages):
            ends = [draft for draft in self.tasks if draft.stage == earlier]
            for draft in (draft for draft in self.tasks if draft.stage == later):
                if (draft.tool not in TELLING or "text" in draft.arguments) and not _feeds(draft, self.tasks, later):
                    found |= {(end.key, draft.key) for end in ends}
        for place, draft in enumerate(self.tasks):
            if draft.tool in TELLING and "text" not in draft.arguments:
                named = {condition.task for condition in draft.when}
                found |= {(before.key, draft.key) for before in self.tasks[:place] if before.key not in named}
        return found


def _feeds(draft: Draft, tasks: Iterable[Draft], stage: int) -> bool:
    """Whether a task of the same stage feeds this one, so that it need not wait for the stage before by itself."""
    sources = {value.task for value in draft.arguments.values() if isinstance(value, Reference)}
    return any(other.key in sources and other.stage == stage for other in tasks)
