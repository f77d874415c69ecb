"""What comes at the same time as something else, and what goes wrong, does not take others down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.run import Run, RunState, Step, TaskState
from agents.scheduler import BusyError, Call, Limits, Scheduler, ToolError
from agents.taskgraph import Task, TaskGraph
from streams.runstore import SqliteRuns
from tests.agents.test_scheduler import carried_out, states, working
from tests.agents.workshop import NOW, TOOLS, FakeWorkshop, order
from tests.waiting import HUNG, until

ACT = TaskGraph((Task("c", "act", {"device": "pump-1"}),))


class OwnWays(FakeWorkshop):
    """Remembers of which runs a task was used."""

    def __init__(self) -> None:
        super().__init__()
        self.acted: set[str] = set()

    async def use(self, call: Call) -> Mapping[str, Any]:
        self.acted.add(call.order.run_id)
        return await super().use(call)

    async def withdraw(self, call: Call, actor: str) -> bool:
        self.withdrawn.append(f"{call.task.key} by {actor}")
        return call.order.run_id in self.acted


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancel_and_a_start_at_once_agree(tmp_path: Path, turns: int) -> None:
    """Whichever comes first: a run of which it was answered that it is cancelled before it began does nothing."""
    workshop = OwnWays()
    async with working(tmp_path, workshop) as scheduler:
        for number in range(30):
            name = f"run-{number}"
            await scheduler.plan(order(ACT, name=name))
            starting = asyncio.ensure_future(scheduler.start(name))
            for _ in range(turns * number):
                await asyncio.sleep(0)
            had_acted = name in workshop.acted
            cancelled, started = await scheduler.cancel(name, "bob"), await starting
            done = await scheduler.finished(name)
            assert (cancelled.state is RunState.CANCELLED or cancelled.cancelled_by == "bob") or had_acted
            if cancelled.cancelled_by is not None:
                assert (done.state, done.cancelled_by) == (RunState.CANCELLED, "bob")
            if cancelled.state is RunState.CANCELLED:
                assert name not in workshop.acted
                assert started.state in {RunState.CANCELLED, RunState.RUNNING}


class SlowRuns(SqliteRuns):
    """Steps are kept when `gate` is set."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = asyncio.Event()
        self.at_gate = asyncio.Event()

    async def step(self, run_id: str, step: Step) -> None:
        self.at_gate.set()
        await self.gate.wait()
        await super().step(run_id, step)


async def test_a_cancel_while_it_is_being_recorded_that_it_begins_to_act(tmp_path: Path) -> None:
    runs, workshop = SlowRuns(tmp_path / "runs.db"), FakeWorkshop()
    scheduler = Scheduler(TOOLS, workshop, runs, clock=lambda: NOW)
    running = asyncio.ensure_future(scheduler.run())
    await scheduler.plan(order(ACT))
    await scheduler.start("run-1")
    await runs.at_gate.wait()
    await scheduler.cancel("run-1", "bob")
    runs.gate.set()
    run = await scheduler.finished("run-1")
    assert (run.state, states(run), workshop.used) == (RunState.CANCELLED, {"c": "cancelled"}, [])
    running.cancel()
    runs.close()


async def test_what_has_ended_is_not_cancelled_and_not_ended_again(tmp_path: Path) -> None:
    done = await carried_out(tmp_path, ACT, FakeWorkshop())
    async with working(tmp_path, FakeWorkshop()) as scheduler:
        late = await scheduler.cancel("run-1", "bob")
        assert (late.state, late.cancelled_by, done.state) == (RunState.SUCCEEDED, None, RunState.SUCCEEDED)
    runs = SqliteRuns(tmp_path / "runs.db")
    await runs.cancel("run-1", "bob", done.updated_at)
    await runs.end("run-1", RunState.FAILED, done.updated_at)
    assert not await runs.call_off("run-1", "bob", done.updated_at)
    held = await runs.run("run-1")
    assert held is not None
    assert (held.state, held.cancelled_by) == (RunState.SUCCEEDED, None)
    runs.close()


async def test_no_more_runs_at_once_than_may_however_they_are_started(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    workshop.gates["c"] = asyncio.Event()
    async with working(tmp_path, workshop, Limits(runs=2)) as scheduler:
        names = [f"run-{number}" for number in range(12)]
        for name in names:
            await scheduler.plan(order(ACT, name=name))
        started = await asyncio.gather(*(scheduler.start(name) for name in names), return_exceptions=True)
        assert [isinstance(one, Run) for one in started].count(True) == 2
        assert sum(isinstance(one, BusyError) for one in started) == 10
        workshop.gates["c"].set()


async def test_an_observer_that_fails_keeps_nothing_from_being_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def fails(run: Run, step: Step | None) -> None:
        raise ValueError(f"{run.order.run_id} {step}")

    async with working(tmp_path, FakeWorkshop()) as scheduler:
        scheduler.observers += [fails, lambda run, _: seen.append(run.state)]
        await scheduler.plan(order(ACT))
        await scheduler.start("run-1")
        assert (await scheduler.finished("run-1")).state is RunState.SUCCEEDED
    assert seen == ["planned", "running", "running", "running", "succeeded"]
    assert "run run-1 could not be told of" in caplog.text


async def test_what_cannot_be_written_fails_its_task_alone(tmp_path: Path) -> None:
    graph = TaskGraph(tuple(Task(key, "read") for key in "abcd"))
    outputs = {"a": ToolError("bad \ud800 text"), "b": {"count": "\udc00"}, "c": {"count": object()}}
    run = await carried_out(tmp_path, graph, FakeWorkshop(outputs))
    assert states(run) == {"a": "failed", "b": "failed", "c": "failed", "d": "succeeded"}
    assert run.steps["a"].detail == "bad \\ud800 text"
    assert all("cannot be written as JSON" in run.steps[key].detail for key in "bc")


class BrokenRuns(SqliteRuns):
    async def step(self, run_id: str, step: Step) -> None:
        if step.state is TaskState.SUCCEEDED:
            raise OSError(f"disk full: {run_id}")
        await super().step(run_id, step)


async def test_a_store_that_fails_ends_the_scheduler_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    runs = BrokenRuns(tmp_path / "runs.db")
    scheduler = Scheduler(TOOLS, FakeWorkshop(), runs, clock=lambda: NOW)
    await scheduler.plan(order(ACT))
    await scheduler.start("run-1")
    waiting = asyncio.ensure_future(scheduler.finished("run-1"))
    await until(lambda: not waiting.done())
    with pytest.raises(ExceptionGroup):
        await scheduler.run()
    async with asyncio.timeout(HUNG):
        assert (await waiting).state is RunState.RUNNING
    runs.close()
