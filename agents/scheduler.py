"""Carries task graphs out: what is ready runs at once, within bounds; what fails takes down only what needs it.

Durable: each step is on record before the next (`Runs`). After a crash `recover` goes on: tasks that had succeeded
are not repeated, those that were under way are used again. Reading again is harmless, files are written under names that follow
from run and task, and acting goes through the dispatcher under an id that follows from them too, which acts once per id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agents.arguments import ArgumentError, resolved
from agents.going import Going, LeftOutError, hindrance, takes_anything, told
from agents.run import Order, Run, Runs, RunState, Step, TaskState, summed
from agents.taskgraph import Task
from agents.toolset import Effect, Tool, ToolSet
from agents.workshop import Call, Part, ToolError, TransientError, UnknownOutcomeError, Workshop
from schemas.action import RUNBOOK, moment
from schemas.event import Micros, rfc3339

logger = logging.getLogger(__name__)
TOO_OLD = "nothing happened in this run for too long before its turn came: ask again if it is still wanted"
LARGEST_OUTPUT = 4_000_000
"""Bytes that a task may put out."""


class BusyError(Exception):
    """As many runs as may be are under way."""


class NoSuchRunError(LookupError):
    """No run has this id."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`at_once`: tasks that read or write files, over all runs. Times in seconds; each retry waits `factor` times longer.

    `runs` are under way at most, of which rules may have all but those `for_people`. A run that nothing has happened in for
    `fresh` seconds, as nobody was there to go on with it, acts no more: what it has read and why it was asked for are of then.
    """

    at_once: int = 8
    runs: int = 64
    for_people: int = 16
    fresh: float = 1_800.0
    seconds: float = 30.0
    attempts: int = 3
    first_wait: float = 0.5
    factor: float = 3.0


class Scheduler:
    """One per site; `run` must be running for anything to happen. `observers` are told of each run's each step."""

    def __init__(
        self, tools: ToolSet, workshop: Workshop, runs: Runs, *, clock: Callable[[], Micros], limits: Limits | None = None
    ) -> None:
        self._tools = tools
        self._workshop = workshop
        self._runs = runs
        self._clock = clock
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(self._limits.at_once)
        self._going: dict[str, Going] = {}
        self._changing = asyncio.Lock()
        """Held while a run begins, is called off, or ends: each of them sees what the others have done."""
        self._queue: asyncio.Queue[Going] = asyncio.Queue()
        self._random = random.Random(0)  # noqa: S311 - spreads retries, no secret
        self.observers: list[Callable[[Run, Step | None], None]] = []

    # --- For those who ask ------------------------------------------------------------------------------------------------

    async def plan(self, order: Order) -> Run:
        """Keep an order to be looked at before it runs. The same id again gives the run that it has."""
        run = await self._runs.plan(order, self._now())
        self._tell(run, None)
        return run

    async def start(self, run_id: str) -> Run:
        """Let a planned run begin; one that was begun before is left alone. Raises BusyError, NoSuchRunError."""
        async with self._changing:
            held = await self._held(run_id)
            if held.state is not RunState.PLANNED:
                return self._newest(held)
            if len(self._going) >= self._most(held.order):
                raise BusyError(f"{len(self._going)} runs are under way: try again later")
            if not await self._runs.begin(run_id, self._now()):
                return await self._held(run_id)
            self._enqueue(msgspec.structs.replace(held, state=RunState.RUNNING), stale=self._is_stale(held))
            return self._newest(held)

    async def cancel(self, run_id: str, actor: str) -> Run:
        """Begin nothing more, break off what only reads, withdraw what waits. What is under way to a device ends by itself.

        One that has ended, or ends first, is left as it is. Raises NoSuchRunError.
        """
        async with self._changing:
            going = self._going.get(run_id)
            if going is None:
                called_off = await self._runs.call_off(run_id, actor, self._now())
                held = await self._held(run_id)
                if called_off:
                    self._tell(held, None)
                return held
            await self._runs.cancel(run_id, actor, self._now())
            going.run = msgspec.structs.replace(going.run, cancelled_by=going.run.cancelled_by or actor)
        for key, call in list(going.calls.items()):
            if _acts(call):
                await self._workshop.withdraw(call, actor)
            else:
                going.broken_off.add(key)
                going.tasks[key].cancel()
        return going.run

    async def finished(self, run_id: str) -> Run:
        """The run once it has ended; as it is by then, should the scheduler end before it. Raises NoSuchRunError."""
        going = self._going.get(run_id)
        if going is not None:
            await going.done.wait()
        return await self._held(run_id)

    async def get(self, run_id: str) -> Run | None:
        going = self._going.get(run_id)
        return going.run if going is not None else await self._runs.run(run_id)

    async def state(self, run_id: str) -> RunState | None:
        """None if no run has, or of those of rules had, this id."""
        return await self._runs.state(run_id)

    async def unfinished(self) -> list[Run]:
        """What was begun and has not ended, oldest first."""
        return await self._runs.unfinished()

    async def planned(self, role: str) -> list[Run]:
        """What somebody of this role has planned and nobody has begun, oldest first."""
        return await self._runs.planned(role)

    async def newest(self, limit: int) -> list[Run]:
        """Newest first; those that are not under way without what their tasks have put out."""
        return [self._newest(run) for run in await self._runs.newest(limit)]

    async def trace(self, run_id: str, *, brief: bool = False) -> list[Step]:
        return await self._runs.trace(run_id, brief=brief)

    # --- The work ---------------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """After a start, before anything else: go on with the runs that the last process did not end."""
        for run in await self._runs.unfinished():
            self._enqueue(run, stale=self._is_stale(run))

    async def run(self) -> None:
        """Until cancelled, or until the store fails: what is not on record must not be done."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    going = await self._queue.get()
                    tasks.create_task(self._carry_out(going), name=f"run {going.run.order.run_id}")
        finally:
            for left in self._going.values():
                left.done.set()

    def _most(self, order: Order) -> int:
        """Runs beside which one of this order may begin: a storm of alarms must not keep people out."""
        limits = self._limits
        return max(1, limits.runs - limits.for_people) if order.role == RUNBOOK else limits.runs

    def _is_stale(self, run: Run) -> bool:
        return self._clock() - moment(run.updated_at) > self._limits.fresh * 1e6

    def _enqueue(self, run: Run, *, stale: bool) -> None:
        going = Going(run, {task.key: asyncio.Event() for task in run.order.graph.tasks}, stale=stale)
        self._going[run.order.run_id] = going
        self._queue.put_nowait(going)
        self._tell(run, None)

    async def _carry_out(self, going: Going) -> None:
        order = going.run.order
        async with asyncio.TaskGroup() as tasks:
            for task in order.graph.tasks:
                going.tasks[task.key] = tasks.create_task(self._in_turn(going, task), name=f"{order.run_id}: {task.key}")
        async with self._changing:  # who cancels it comes before the sum, or too late
            state, at = summed(going.run), self._now()
            await self._runs.end(order.run_id, state, at)
            del self._going[order.run_id]
        going.done.set()
        self._tell(msgspec.structs.replace(going.run, state=state, updated_at=at), None)

    async def _in_turn(self, going: Going, task: Task) -> None:
        """One task, once those before it have ended. A task that had ended before a crash only gets its arguments again."""
        try:
            for key in going.run.order.graph.before(task.key):
                await going.ended[key].wait()
            if not going.run.state_of(task.key).is_final:
                await self._attend(going, task)
            going.ended[task.key].set()
        except asyncio.CancelledError:
            if task.key not in going.broken_off:
                raise  # the service stops: the next one goes on from here
            await self._step(going, task, TaskState.CANCELLED, detail=f"cancelled by {going.run.cancelled_by}")
            going.ended[task.key].set()

    async def _attend(self, going: Going, task: Task) -> None:
        try:
            call = self._prepared(going, task)
        except LeftOutError as left_out:
            await self._step(going, task, left_out.state, detail=str(left_out))
            return
        if going.run.cancelled_by is not None and not await self._has_acted(going, call):
            await self._step(going, task, TaskState.CANCELLED, detail=f"cancelled by {going.run.cancelled_by}")
            return
        if going.stale and _acts(call) and not await self._has_acted(going, call):
            await self._step(going, task, TaskState.FAILED, detail=TOO_OLD)
            return
        await self._use(going, call)

    def _prepared(self, going: Going, task: Task) -> Call:
        """Raises LeftOutError."""
        if task.tool not in self._tools:
            raise LeftOutError(TaskState.FAILED, f"there is no tool {task.tool}")
        try:
            if lacking := hindrance(going, task, self._tools):
                raise LeftOutError(TaskState.SKIPPED, lacking)
            tool = self._tools[task.tool]
            return self._call(going, task, tool, resolved(tool, task, going.outputs))
        except ArgumentError as error:
            raise LeftOutError(TaskState.FAILED, str(error)) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            logger.exception("%s of run %s could not be prepared", task.key, going.run.order.run_id)
            raise LeftOutError(TaskState.FAILED, f"{type(error).__name__}: {error}") from error

    async def _has_acted(self, going: Going, call: Call) -> bool:
        """Of a run that is given up: whether a task had begun to act before the process died."""
        begun = going.run.state_of(call.task.key) in {TaskState.RUNNING, TaskState.WAITING}
        return begun and _acts(call) and await self._workshop.withdraw(call, going.run.cancelled_by or call.order.principal)

    def _call(self, going: Going, task: Task, tool: Tool, arguments: Mapping[str, Any]) -> Call:
        run = going.run
        parts = tuple(
            Part(
                key=other.key,
                tool=other.tool,
                state=step.state,
                outputs=step.outputs,
                detail=step.detail,
                arguments=told(going, other, self._tools),
            )
            for other in run.order.graph.tasks
            if other.key in run.order.graph.before(task.key)
            for step in (run.steps[other.key],)
        )

        async def waits(detail: str) -> None:
            await self._step(going, task, TaskState.WAITING, detail=detail)

        return Call(run.order, task, tool, arguments, parts if takes_anything(task, self._tools) else (), waits)

    async def _use(self, going: Going, call: Call) -> None:
        going.calls[call.task.key] = call
        try:
            if call.order.dry and call.tool.effect is not Effect.READ:
                await self._tried(going, call, 1, self._workshop.preview)
            elif call.tool.effect is Effect.ACT:
                await self._tried(going, call, 1, self._workshop.use)
            else:
                await self._repeatedly(going, call)
        finally:
            del going.calls[call.task.key]

    async def _repeatedly(self, going: Going, call: Call) -> None:
        wait = self._limits.first_wait
        for attempt in range(1, self._limits.attempts + 1):
            async with self._slots:
                last = attempt == self._limits.attempts
                if await self._tried(going, call, attempt, self._limited, last=last):
                    return
            await asyncio.sleep(wait * self._random.uniform(0.5, 1.5))
            wait *= self._limits.factor

    async def _limited(self, call: Call) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._workshop.use(call)
        except TimeoutError:
            raise TransientError(f"{call.tool.id} took longer than {self._limits.seconds:g} s") from None

    async def _tried(self, going: Going, call: Call, attempt: int, use: Callable[[Call], Any], *, last: bool = True) -> bool:
        """Whether that was the end of it."""
        cancelled_before = going.run.cancelled_by is not None
        await self._step(going, call.task, TaskState.RUNNING, attempt=attempt)
        if not cancelled_before and going.run.cancelled_by is not None and not await self._has_acted(going, call):
            await self._step(going, call.task, TaskState.CANCELLED, detail=f"cancelled by {going.run.cancelled_by}")
            return True
        try:
            outputs = dict(await use(call))
            _check_size(call, outputs)
        except TransientError as error:
            if not last:
                await self._step(going, call.task, TaskState.RUNNING, attempt=attempt, detail=f"again soon: {error}")
                return False
            await self._step(going, call.task, TaskState.FAILED, attempt=attempt, detail=str(error))
        except UnknownOutcomeError as error:
            await self._step(going, call.task, TaskState.UNKNOWN, attempt=attempt, detail=str(error))
        except ToolError as error:
            state = TaskState.FAILED if going.run.cancelled_by is None else TaskState.CANCELLED
            await self._step(going, call.task, state, attempt=attempt, detail=str(error))
        except Exception as error:
            logger.exception("%s of run %s failed", call.tool.id, call.order.run_id)
            await self._step(going, call.task, TaskState.FAILED, attempt=attempt, detail=f"{type(error).__name__}: {error}")
        else:
            await self._step(going, call.task, TaskState.SUCCEEDED, attempt=attempt, outputs=outputs)
        return True

    async def _step(
        self,
        going: Going,
        task: Task,
        state: TaskState,
        *,
        attempt: int = 0,
        outputs: Mapping[str, Any] | None = None,
        detail: str = "",
    ) -> None:
        """On record, then known. Whatever others have said, the detail can be written."""
        said = detail.encode(errors="backslashreplace").decode()
        step = Step(key=task.key, state=state, at=self._now(), attempt=attempt, outputs=dict(outputs or {}), detail=said)
        await self._runs.step(going.run.order.run_id, step)
        going.run = going.run.then(step)
        self._tell(going.run, step)

    async def _held(self, run_id: str) -> Run:
        """As it is on record."""
        held = await self._runs.run(run_id)
        if held is None:
            raise NoSuchRunError(f"no run {run_id}")
        return held

    def _newest(self, held: Run) -> Run:
        going = self._going.get(held.order.run_id)
        return held if going is None else going.run

    def _tell(self, run: Run, step: Step | None) -> None:
        """An observer that fails keeps nothing from being done."""
        for observe in self.observers:
            try:
                observe(run, step)
            except Exception:
                logger.exception("run %s could not be told of", run.order.run_id)

    def _now(self) -> str:
        return rfc3339(self._clock())


def _acts(call: Call) -> bool:
    return call.tool.effect is Effect.ACT and not call.order.dry


def _check_size(call: Call, outputs: Mapping[str, Any]) -> None:
    """Raises ToolError."""
    try:
        size = len(msgspec.json.encode(outputs))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ToolError(f"{call.tool.id} was used, and what it put out cannot be written as JSON: {error}") from error
    if size > LARGEST_OUTPUT:
        raise ToolError(f"{call.tool.id} put out more than {LARGEST_OUTPUT} bytes")
