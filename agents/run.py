"""A run: one task graph being carried out for somebody, what became of each task, and the port to where that is on record."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import msgspec

from agents.taskgraph import TaskGraph
from schemas.action import Cause


class TaskState(StrEnum):
    """pending -> running -> succeeded | failed | unknown; pending -> skipped | cancelled; running -> waiting, cancelled.

    `WAITING`: for a person's approval. `UNKNOWN`: nobody can say whether its effect happened; a person must find out.
    """

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        return self not in {TaskState.PENDING, TaskState.RUNNING, TaskState.WAITING}


class RunState(StrEnum):
    """`PLANNED`: shown, and not to be run yet. `PARTIAL`: some of its tasks did not succeed."""

    PLANNED = "planned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in {RunState.PLANNED, RunState.RUNNING}


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What is to be carried out, for whom and why. `text`: the instruction, or the name of the runbook's rule.

    `dry`: nothing may change; what would act tells what it would do.
    """

    run_id: str
    site: str
    text: str
    principal: str
    role: str
    asked_at: str
    graph: TaskGraph
    dry: bool = False
    cause: Cause | None = None
    """Of a runbook's run: the alarm."""
    expires: float | None = None
    """Seconds that each of its actions has, if that is longer than the tool's own."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A task reaching a state: a line of the run's trace. `attempt` counts from 1."""

    key: str
    state: TaskState
    at: str
    attempt: int = 0
    outputs: dict[str, Any] = {}
    detail: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A run as it is now: each task's last step, by its key."""

    order: Order
    state: RunState
    steps: dict[str, Step]
    updated_at: str
    cancelled_by: str | None = None

    def state_of(self, key: str) -> TaskState:
        return self.steps[key].state if key in self.steps else TaskState.PENDING

    def then(self, step: Step) -> Run:
        return msgspec.structs.replace(self, steps={**self.steps, step.key: step}, updated_at=step.at)


class Runs(Protocol):
    """Where runs are on record. What a method wrote is on disk when it returns."""

    async def plan(self, order: Order, at: str) -> Run:
        """Keep an order that is not to be run yet; the run that its id already has, if there is one."""
        ...

    async def begin(self, run_id: str, at: str) -> bool:
        """True for one caller ever: the run was planned and is now running."""
        ...

    async def step(self, run_id: str, step: Step) -> None: ...

    async def cancel(self, run_id: str, actor: str, at: str) -> None:
        """Keep who has cancelled a running run first; it has not ended by that."""
        ...

    async def call_off(self, run_id: str, actor: str, at: str) -> bool:
        """End a run that is planned, and will not begin any more. False if it was not planned."""
        ...

    async def end(self, run_id: str, state: RunState, at: str) -> None:
        """Of a running run; no other is changed."""
        ...

    async def run(self, run_id: str) -> Run | None: ...

    async def state(self, run_id: str) -> RunState | None:
        """Of a rule's run also when no more than its id is kept."""
        ...

    async def trace(self, run_id: str, *, brief: bool = False) -> list[Step]:
        """Every step of a run, oldest first; `brief`: without outputs."""
        ...

    async def unfinished(self) -> list[Run]:
        """The runs that were begun and have not ended, oldest first."""
        ...

    async def planned(self, role: str) -> list[Run]:
        """The runs that somebody of this role has planned and nobody has begun, oldest first."""
        ...

    async def newest(self, limit: int) -> list[Run]:
        """Newest first, without what their tasks have put out."""
        ...


def summed(run: Run) -> RunState:
    """What a run came to, all its tasks having ended. What a condition skipped counts as done."""
    if run.cancelled_by is not None:
        return RunState.CANCELLED
    states = [run.state_of(task.key) for task in run.order.graph.tasks]
    bad = {TaskState.FAILED, TaskState.UNKNOWN, TaskState.CANCELLED}
    if not bad.intersection(states):
        return RunState.SUCCEEDED
    return RunState.PARTIAL if TaskState.SUCCEEDED in states else RunState.FAILED
