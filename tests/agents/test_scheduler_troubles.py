"""What comes at the same time as something else, and what goes wrong, does not take others down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.run import Run, RunState, Step, TaskState
from agents.scheduler import TOO_OLD, BusyError, Limits, Scheduler
from agents.taskgraph import Task, TaskGraph
from agents.workshop import Call, ToolError
from schemas.action import RUNBOOK
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


async def test_rules_leave_room_for_people(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    workshop.gates["c"] = asyncio.Event()
    async with working(tmp_path, workshop, Limits(runs=3, for_people=2)) as scheduler:
        for name in ("rule-1", "rule-2"):
            await scheduler.plan(msgspec.structs.replace(order(ACT, name=name), role=RUNBOOK))
        for name in ("anna-1", "anna-2"):
            await scheduler.plan(order(ACT, name=name))
        await scheduler.start("rule-1")
        with pytest.raises(BusyError):
            await scheduler.start("rule-2")
        assert {(await scheduler.start(name)).state for name in ("anna-1", "anna-2")} == {RunState.RUNNING}
        workshop.gates["c"].set()


LOOK_AND_ACT = TaskGraph((Task("a", "read"), Task("b", "read"), *ACT.tasks), (("a", "c"), ("b", "c")))


async def left(path: Path, graph: TaskGraph, *, at: str) -> None:
    """A run that the process has left while a task was under way."""
    workshop = FakeWorkshop()
    workshop.gates[at] = asyncio.Event()
    async with working(path, workshop) as scheduler:
        await scheduler.plan(order(graph))
        await scheduler.start("run-1")
        await until(lambda: at in workshop.used)


@pytest.mark.parametrize(("away", "ended"), [(60, "succeeded"), (3 * 86_400, "failed")])
async def test_what_stood_still_for_long_goes_on_and_acts_no_more(tmp_path: Path, away: float, ended: str) -> None:
    """What was read before may have changed since."""
    await left(tmp_path, LOOK_AND_ACT, at="b")
    workshop = FakeWorkshop()
    async with working(tmp_path, workshop, later=away) as scheduler:
        run = await scheduler.finished("run-1")
    assert states(run) == {"a": "succeeded", "b": "succeeded", "c": ended}
    assert ("c" in workshop.used) is (ended == "succeeded")


@pytest.mark.parametrize("acted", [False, True])
async def test_what_was_under_way_when_it_stood_still_is_seen_to_its_end(tmp_path: Path, *, acted: bool) -> None:
    await left(tmp_path, ACT, at="c")
    workshop = FakeWorkshop()
    workshop.used += ["c"] if acted else []
    async with working(tmp_path, workshop, later=86_400) as scheduler:
        run = await scheduler.finished("run-1")
    assert (states(run), workshop.withdrawn) == ({"c": "succeeded" if acted else "failed"}, ["c by anna"])
    assert workshop.used == (["c", "c"] if acted else [])


async def test_a_rule_whose_turn_comes_too_late_does_not_act(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    async with working(tmp_path, workshop) as scheduler:
        await scheduler.plan(msgspec.structs.replace(order(ACT), role=RUNBOOK))
    async with working(tmp_path, workshop, later=86_400) as scheduler:
        await scheduler.start("run-1")
        run = await scheduler.finished("run-1")
    assert (states(run), workshop.used, run.steps["c"].detail) == ({"c": "failed"}, [], TOO_OLD)


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
