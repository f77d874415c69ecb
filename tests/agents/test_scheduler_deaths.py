"""Death between any two steps: what the scheduler and the dispatcher write and send, each side effect happens once.

Every write and every sending is a place to die at, before it and after it. The test dies at the first, the second, and so on,
until a run gets through alive; after each death new objects over the same files go on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents.dispatcher import Answered, Dispatcher
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine
from agents.identity import instructed
from agents.run import Order, Run, RunState, Step, TaskState
from agents.scheduler import Limits, Scheduler
from agents.taskgraph import Condition, Reference, Task, TaskGraph
from agents.workshop import Call, ToolError, UnknownOutcomeError
from graph.topology import Topology
from schemas.action import Action, Cause
from schemas.event import ActionStatus, rfc3339
from streams.ledger import SqliteLedger
from streams.runstore import SqliteRuns
from tests.agents.workshop import NOW, TOOLS, order
from tests.waiting import HUNG

GRAPH = TaskGraph(
    (
        Task("a", "read"),
        Task("b", "draw", {"series": Reference("a", "series")}),
        Task("c", "act", {"device": "pump-1"}, when=(Condition(task="a", output="count", above=0),)),
        Task("d", "act", {"device": "pump-2"}),
        Task("e", "tell"),
    ),
    (("c", "d"), ("b", "e"), ("d", "e")),
)
ACTING = ("c", "d", "e")


class DeathError(BaseException):
    """The process is no more."""


class Fate:
    """Dies at the n-th place; what is dead does nothing any more."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.dead = False

    def pass_by(self) -> None:
        if self.dead:
            raise DeathError
        self._left -= 1
        if self._left == 0:
            self.dead = True
            raise DeathError


class MortalRuns(SqliteRuns):
    def __init__(self, path: Path, fate: Fate) -> None:
        super().__init__(path)
        self._fate = fate

    async def begin(self, run_id: str, at: str) -> bool:
        self._fate.pass_by()
        begun = await super().begin(run_id, at)
        self._fate.pass_by()
        return begun

    async def step(self, run_id: str, step: Step) -> None:
        self._fate.pass_by()
        await super().step(run_id, step)
        self._fate.pass_by()

    async def end(self, run_id: str, state: RunState, at: str) -> None:
        self._fate.pass_by()
        await super().end(run_id, state, at)
        self._fate.pass_by()


class MortalLedger(SqliteLedger):
    def __init__(self, path: Path, fate: Fate) -> None:
        super().__init__(path)
        self._fate = fate

    def record(self, entry: Entry) -> None:
        self._fate.pass_by()
        super().record(entry)
        self._fate.pass_by()

    def claim(self, action_id: str, at: Any) -> bool:
        self._fate.pass_by()
        claimed = super().claim(action_id, at)
        self._fate.pass_by()
        return claimed


class World:
    """What outlives the process: what was really done."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()


class MortalOutlet:
    def __init__(self, world: World, fate: Fate) -> None:
        self._world, self._fate = world, fate

    async def send(self, action: Action) -> Answered:
        self._fate.pass_by()
        self._world.done[action.action_id] += 1
        self._fate.pass_by()
        return Answered(ActionStatus.SUCCEEDED)


class ActingWorkshop:
    """Acts through the dispatcher, as the service's does."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def use(self, call: Call) -> Mapping[str, Any]:
        if call.tool.id in {"read", "draw"}:
            return {"count": 1, "series": [[0, 1.0]], "file": "b.svg"}
        entry = await self._dispatcher.dispatch(action_of(call.order, call.task), topology=Topology(), now=NOW)
        if entry.stage is Stage.UNKNOWN:
            raise UnknownOutcomeError(entry.detail)
        if entry.stage is not Stage.SUCCEEDED:
            raise ToolError(entry.detail)
        return {"action": {"actionId": entry.action.action_id}}

    async def preview(self, call: Call) -> Mapping[str, Any]:
        raise AssertionError(f"{call.task.key} was tried dry, and no run here is")

    async def withdraw(self, call: Call, actor: str) -> bool:
        raise AssertionError(f"{actor} withdrew {call.task.key}, and nobody cancels here")


def action_of(of: Order, task: Task) -> Action:
    device = task.arguments.get("device")
    return Action(
        action_id=instructed(of.site, of.run_id, task.key, verb=task.tool, device_id=device),
        site=of.site,
        verb=task.tool,
        device_id=device,
        via="way",
        cause=Cause(instruction_id=of.run_id, task=task.key, principal=of.principal, role=of.role),
        requested_at=rfc3339(NOW),
        expires_at="2099-01-01T00:00:00Z",
    )


async def lived(path: Path, world: World, fate: Fate) -> Run | None:
    """One process' life: recover, start the run if it was not, and carry it out; None if it died."""
    ledger, runs = MortalLedger(path / "ledger.db", fate), MortalRuns(path / "runs.db", fate)
    dispatcher = Dispatcher(engine=FakeEngine(allowed=True), ledger=ledger, outlets={"way": MortalOutlet(world, fate)})
    scheduler = Scheduler(TOOLS, ActingWorkshop(dispatcher), runs, clock=lambda: NOW, limits=Limits(first_wait=0.001))
    working: asyncio.Task[None] | None = None
    finished: asyncio.Task[Run] | None = None
    try:
        dispatcher.recover(NOW)
        await scheduler.recover()
        working = asyncio.create_task(scheduler.run())
        await scheduler.plan(order(GRAPH))
        await scheduler.start("run-1")
        finished = asyncio.create_task(scheduler.finished("run-1"))
        await asyncio.wait((working, finished), return_when=asyncio.FIRST_COMPLETED, timeout=HUNG)
        return finished.result() if finished.done() and not fate.dead else None
    except DeathError:
        return None
    finally:
        for task in (working, finished):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        ledger.close()
        runs.close()


async def test_death_at_any_place_lets_each_side_effect_happen_once(tmp_path: Path) -> None:
    # With one thread for the writes, all lives come by the same places in the same order.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    ids = {key: action_of(order(GRAPH), GRAPH.task(key)).action_id for key in ACTING}
    whole = parked = 0
    for place in range(1, 200):
        folder, world = tmp_path / str(place), World()
        first = await lived(folder, world, Fate(place))
        run = first or await lived(folder, world, Fate(0))
        assert run is not None
        assert run.state.is_final
        for key in ACTING:
            state, times = run.state_of(key), world.done[ids[key]]
            assert times <= 1, f"{key} happened {times} times after a death at {place}"
            if state is TaskState.SUCCEEDED:
                assert times == 1
            elif state is not TaskState.UNKNOWN:
                assert state is TaskState.SKIPPED
                assert times == 0, "what is skipped has not happened"
        whole += run.state is RunState.SUCCEEDED
        parked += any(run.state_of(key) is TaskState.UNKNOWN for key in ACTING)
        if first is not None:
            break
    else:
        raise AssertionError("no life was long enough")
    # Between claim and the record of the sending nobody can know: three effects, four places each.
    assert (whole, parked) == (place - 12, 12)
