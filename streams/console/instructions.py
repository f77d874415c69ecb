"""The instructions' page: a sentence, the plan that it becomes before anything runs, and then each task as it goes."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.run import Run, RunState
from agents.scheduler import NoSuchRunError
from streams.access import Principal
from streams.console.frame import Console, NotTakenError, View, Visit
from streams.console.plandrawing import Drawing, drawn
from streams.console.results import Part, parts
from streams.instructions import LONGEST, ChangedPlanError, Planned
from streams.plantview import NotHereError
from streams.roles import Role
from streams.runview import TaskNow, brief, task_of

NEWEST = 20


class InstructionsView(View, component="static/instructions.js"):
    """See `instructions.js`."""


class TaskShown(msgspec.Struct, frozen=True):
    """A task, and what it has put out."""

    task: TaskNow
    parts: list[Part]


class InstructionsPage:
    """One browser's run, or the sentence that is to become one."""

    def __init__(self, console: Console, run_id: str | None = None) -> None:
        self.visit = Visit(console, here="instructions")
        self._run_id = run_id
        self._drawing: tuple[str, Drawing] | None = None
        self._shown: Run | None = None
        self._offered: Run | None = None
        """The plan that a dry run was tried of: it is the one to run afterwards."""
        with self.visit.shell:
            self._view = InstructionsView(longest=LONGEST, busy="", questions=[], runs=[], run=None, plan=None, tasks=[])
        for name, work in (("plan", self._plan), ("run", self._run), ("dry", self._dry), ("cancel", self._cancel)):
            self.visit.on(self._view, name, work)
        self.visit.on(self._view, "look", self._look)

    async def begin(self) -> None:
        self.visit.refresh = self._refresh
        await self.visit.begin()

    @property
    def _who(self) -> Principal:
        """Raises PermissionError."""
        return self.visit.acting(Role.VIEWER)

    # --- What people ask for ----------------------------------------------------------------------------------------------

    async def _plan(self, asked: dict[str, Any]) -> None:
        text = _sentence(asked.get("text"))
        planned = await self._planned(text, dry=False)
        self._offered, self._run_id = None, None if planned.run is None else planned.run.order.run_id
        self._view.show(questions=list(planned.questions), asked=text, missing=None)
        await self._refresh()

    async def _planned(self, text: str, *, dry: bool) -> Planned:
        self._view.show(busy="Understanding it …")
        try:
            return await self.visit.room.instructions.plan(text, self._who, dry=dry)
        except TimeoutError as error:
            raise NotTakenError("understanding it takes too long; try again later") from error
        finally:
            self._view.show(busy="")

    async def _run(self, asked: dict[str, Any]) -> None:
        self.visit.named(Role.OPERATOR)
        await self._begin(asked, dry=False)

    async def _dry(self, asked: dict[str, Any]) -> None:
        await self._begin(asked, dry=True)

    async def _begin(self, asked: dict[str, Any], *, dry: bool) -> None:
        """Run the plan that is shown; in a new run where that is somebody else's, of the other kind, or over."""
        shown, digest = self._shown, str(asked.get("digest"))
        if shown is None or shown.order.graph.digest != digest:
            raise ChangedPlanError("the plan is not the one that is shown: look at it again")
        plans = [run for run in (shown, self._offered) if run is not None and run.order.principal == self._who.name]
        fitting = next((run for run in plans if _can_begin(run, digest, dry=dry)), None)
        if dry and _can_begin(shown, digest, dry=False):
            self._offered = shown
        if fitting is None:
            fitting = (await self._planned(shown.order.text, dry=dry)).run
        if fitting is None:
            raise ChangedPlanError("it is not understood any more: plan it again")
        self._run_id = fitting.order.run_id
        await self.visit.room.instructions.start(self._run_id, digest, self._who)
        await self._refresh()

    async def _cancel(self, asked: dict[str, Any]) -> None:
        await self.visit.room.instructions.cancel(str(asked.get("id")), self._who)
        await self._refresh()

    async def _look(self, asked: dict[str, Any]) -> None:
        """At another run of the list, or at none."""
        self._run_id = None if asked.get("id") is None else str(asked["id"])
        self._offered = None
        self._view.show(questions=[], asked=None, missing=None)
        await self._refresh()

    # --- What is shown ----------------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        try:
            instructions = self.visit.room.instructions
        except NotHereError as error:
            self._view.show(problem=f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        runs = [brief(run) for run in await instructions.newest(NEWEST)]
        try:
            run = None if self._run_id is None else await instructions.run(self._run_id)
        except NoSuchRunError as error:
            self._run_id, run = None, None
            self._view.show(missing=f"There is {error}.")
        self._shown = run
        self._view.show(runs=runs, **self._one(run))

    def _one(self, run: Run | None) -> dict[str, Any]:
        if run is None:
            return {"run": None, "plan": None, "tasks": [], "may": None}
        order, who = run.order, self.visit.who
        operator = who is not None and who.role.may(Role.OPERATOR)
        own = operator or (who is not None and who.name == order.principal)
        ready = run.state is RunState.PLANNED or (order.dry and run.state.is_final)
        may = {"run": operator and ready, "dry": own and ready, "cancel": own and not run.state.is_final}
        tasks = [
            TaskShown(
                msgspec.structs.replace(task_of(task, run.steps.get(task.key)), outputs={}, cut_short=False),
                parts(order.run_id, run.steps[task.key].outputs) if task.key in run.steps else [],
            )
            for task in order.graph.tasks
        ]
        shown = {**msgspec.to_builtins(brief(run)), "digest": order.graph.digest}
        return {"run": shown, "plan": self._plan_of(run), "tasks": tasks, "may": may}

    def _plan_of(self, run: Run) -> Drawing:
        digest = run.order.graph.digest
        if self._drawing is None or self._drawing[0] != digest:
            self._drawing = (digest, drawn(run.order.graph))
        return self._drawing[1]


def _sentence(given: object) -> str:
    """Raises NotTakenError."""
    text = given.strip() if isinstance(given, str) else ""
    if not 0 < len(text) <= LONGEST:
        raise NotTakenError(f"an instruction has 1 to {LONGEST} characters")
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise NotTakenError("the text is not valid Unicode")
    return text


def _can_begin(run: Run, digest: str, *, dry: bool) -> bool:
    return run.state is RunState.PLANNED and run.order.dry is dry and run.order.graph.digest == digest
