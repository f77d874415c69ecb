"""Runs of instructions as the API and the command line show them. Times are RFC 3339."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agents.run import Run, RunState, Step, TaskState
from agents.taskgraph import Task
from streams.answers import Answer

if TYPE_CHECKING:
    from streams.instructions import Planned  # whoever shows runs need not load who plans them

LARGEST = 256_000
"""Bytes of what one task has put out, as far as a whole run shows it."""


class TaskNow(Answer, frozen=True):
    """A task, and how far it is. `cut_short`: its outputs are to be asked for by themselves."""

    key: str
    tool: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    when: list[str] = msgspec.field(default_factory=list)
    why: str = ""
    state: TaskState = TaskState.PENDING
    attempt: int = 0
    at: str | None = None
    detail: str = ""
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    cut_short: bool = False


class RunBrief(Answer, frozen=True):
    """A run in a list. `ended` counts tasks."""

    run_id: str
    text: str
    principal: str
    state: RunState
    dry: bool
    asked_at: str
    updated_at: str
    cancelled_by: str | None
    tasks: int
    ended: int


class RunNow(Answer, frozen=True):
    """A run with its tasks in the order of its graph, and the links between them. `digest` is the plan's."""

    run_id: str
    text: str
    principal: str
    role: str
    state: RunState
    dry: bool
    asked_at: str
    updated_at: str
    cancelled_by: str | None
    digest: str
    tasks: list[TaskNow]
    links: list[tuple[str, str]]


class Instructed(Answer, frozen=True):
    """What an instruction was understood to be. Without a run it was not: the questions say what is unclear."""

    run: RunNow | None
    questions: list[str]
    form: Any = None
    dot: str | None = None
    mermaid: str | None = None


def brief(run: Run) -> RunBrief:
    order = run.order
    return RunBrief(
        run_id=order.run_id,
        text=order.text,
        principal=order.principal,
        state=run.state,
        dry=order.dry,
        asked_at=order.asked_at,
        updated_at=run.updated_at,
        cancelled_by=run.cancelled_by,
        tasks=len(order.graph.tasks),
        ended=sum(run.state_of(task.key).is_final for task in order.graph.tasks),
    )


def whole(run: Run) -> RunNow:
    order = run.order
    return RunNow(
        run_id=order.run_id,
        text=order.text,
        principal=order.principal,
        role=order.role,
        state=run.state,
        dry=order.dry,
        asked_at=order.asked_at,
        updated_at=run.updated_at,
        cancelled_by=run.cancelled_by,
        digest=order.graph.digest,
        tasks=[task_of(task, run.steps.get(task.key)) for task in order.graph.tasks],
        links=list(order.graph.links),
    )


def task_of(task: Task, step: Step | None, *, largest: int | None = LARGEST) -> TaskNow:
    shown = TaskNow(
        key=task.key,
        tool=task.tool,
        arguments=msgspec.to_builtins(task.arguments),
        when=[str(condition) for condition in task.when],
        why=task.why,
    )
    if step is None:
        return shown
    large = largest is not None and len(msgspec.json.encode(step.outputs)) > largest
    return msgspec.structs.replace(
        shown,
        state=step.state,
        attempt=step.attempt,
        at=step.at,
        detail=step.detail,
        outputs={} if large else step.outputs,
        cut_short=large,
    )


def instructed(planned: Planned) -> Instructed:
    run = planned.run
    if run is None:
        return Instructed(run=None, questions=list(planned.questions), form=planned.form)
    graph = run.order.graph
    return Instructed(
        run=whole(run),
        questions=list(planned.questions),
        form=planned.form,
        dot=graph.to_dot(),
        mermaid=graph.to_mermaid(),
    )
