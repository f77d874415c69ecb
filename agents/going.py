"""A run under way in the scheduler, and what can be said of its tasks without using anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.arguments import ArgumentError, resolved
from agents.run import Run, TaskState
from agents.taskgraph import Task
from agents.toolset import ANY, ToolSet
from agents.workshop import Call


class LeftOutError(Exception):
    """A task ends in `state` without its tool being used; the message says why."""

    def __init__(self, state: TaskState, reason: str) -> None:
        super().__init__(reason)
        self.state = state


@dataclass
class Going:
    """A run under way. `calls`: what is being used now; `done` once nothing comes of it any more; `stale`: it must not act."""

    run: Run
    ended: dict[str, asyncio.Event]
    stale: bool = False
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    broken_off: set[str] = field(default_factory=set)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        return {key: step.outputs for key, step in self.run.steps.items()}


def hindrance(going: Going, task: Task, tools: ToolSet) -> str:
    """Why a task is left out: a condition does not hold, or something before it did not succeed.

    What takes anything tells of what was before it, so it also does when that has failed.
    """
    run, graph = going.run, going.run.order.graph
    needed = task.needs() if takes_anything(task, tools) else graph.before(task.key)
    if lacking := sorted(key for key in needed if run.state_of(key) is not TaskState.SUCCEEDED):
        return f"{lacking[0]} was {run.state_of(lacking[0])}"
    unmet = [condition for condition in task.when if not condition.holds(run.steps[condition.task].outputs)]
    return f"not so: {unmet[0]}" if unmet else ""


def takes_anything(task: Task, tools: ToolSet) -> bool:
    return any(slot.type == ANY for slot in tools[task.tool].inputs)


def told(going: Going, task: Task, tools: ToolSet) -> Mapping[str, Any]:
    """The arguments that a task that has ended had."""
    try:
        return resolved(tools[task.tool], task, going.outputs)
    except (ArgumentError, KeyError):
        return {}
