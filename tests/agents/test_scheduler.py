from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.run import Run, RunState, TaskState
from agents.scheduler import BusyError, Limits, NoSuchRunError, Scheduler
from agents.taskgraph import Condition, Reference, Task, TaskGraph
from agents.workshop import Call, ToolError, TransientError, UnknownOutcomeError
from schemas.event import Micros
from streams.runstore import SqliteRuns
from tests.agents.workshop import NOW, TOOLS, FakeWorkshop, order
from tests.waiting import HUNG, until

QUICK = Limits(first_wait=0.001, seconds=HUNG)
CHAIN = TaskGraph(
    (Task("a", "read"), Task("b", "draw", {"series": Reference("a", "series")}), Task("c", "act", {"device": "pump-1"}))
)


@asynccontextmanager
async def working(path: Path, workshop: Any, limits: Limits = QUICK, *, later: float = 0) -> AsyncIterator[Scheduler]:
    """`later`: seconds after NOW, at which its clock stands."""
    runs = SqliteRuns(path / "runs.db")
    scheduler = Scheduler(TOOLS, workshop, runs, clock=lambda: Micros(NOW + round(later * 1e6)), limits=limits)
    await scheduler.recover()
    running = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        runs.close()


async def carried_out(path: Path, graph: TaskGraph, workshop: FakeWorkshop, *, dry: bool = False) -> Run:
    async with working(path, workshop) as scheduler:
        run = await scheduler.plan(order(graph, dry=dry))
        await scheduler.start(run.order.run_id)
        async with asyncio.timeout(HUNG):
            return await scheduler.finished(run.order.run_id)


def states(run: Run) -> dict[str, str]:
    return {key: step.state.value for key, step in sorted(run.steps.items())}


async def test_a_graph_is_carried_out_and_outputs_become_arguments(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    run = await carried_out(tmp_path, CHAIN, workshop)
    assert run.state is RunState.SUCCEEDED
    assert states(run) == {"a": "succeeded", "b": "succeeded", "c": "succeeded"}
    assert workshop.calls["b"].arguments == {"series": [[0, 1.0]]}


async def test_what_is_ready_runs_at_once(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    workshop.gates = {key: asyncio.Event() for key in "xyz"}
    async with working(tmp_path, workshop) as scheduler:
        await scheduler.plan(order(TaskGraph(tuple(Task(key, "read") for key in "xyz"))))
        await scheduler.start("run-1")
        await until(lambda: workshop.at_once == 3)
        for gate in workshop.gates.values():
            gate.set()
        assert (await scheduler.finished("run-1")).state is RunState.SUCCEEDED


async def test_no_more_read_at_once_than_may(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    workshop.gates = {f"t{number}": asyncio.Event() for number in range(12)}
    async with working(tmp_path, workshop, Limits(at_once=2)) as scheduler:
        await scheduler.plan(order(TaskGraph(tuple(Task(key, "read") for key in workshop.gates))))
        await scheduler.start("run-1")
        await until(lambda: workshop.at_once == 2)
        for gate in workshop.gates.values():
            gate.set()
        await scheduler.finished("run-1")
    assert workshop.most_at_once == 2


async def test_what_fails_takes_down_only_what_needs_it(tmp_path: Path) -> None:
    graph = TaskGraph((*CHAIN.tasks, Task("d", "tell")), (("b", "d"), ("c", "d")))
    workshop = FakeWorkshop({"a": ToolError("no such signal")})
    run = await carried_out(tmp_path, graph, workshop)
    assert run.state is RunState.PARTIAL
    assert states(run) == {"a": "failed", "b": "skipped", "c": "succeeded", "d": "succeeded"}
    assert run.steps["b"].detail == "a was failed"
    assert [(part.key, part.state.value) for part in workshop.calls["d"].parts] == [("b", "skipped"), ("c", "succeeded")]
    assert workshop.calls["d"].parts[1].arguments == {"device": "pump-1"}


async def test_a_device_is_not_touched_when_what_comes_before_has_failed(tmp_path: Path) -> None:
    graph = TaskGraph((Task("a", "act", {"device": "x"}), Task("b", "act", {"device": "y"})), (("a", "b"),))
    run = await carried_out(tmp_path, graph, FakeWorkshop({"a": ToolError("refused")}))
    assert states(run) == {"a": "failed", "b": "skipped"}
    assert run.state is RunState.FAILED


@pytest.mark.parametrize(("count", "state"), [(1, "skipped"), (2, "succeeded")])
async def test_a_condition_decides(tmp_path: Path, count: int, state: str) -> None:
    graph = TaskGraph(
        (Task("a", "read"), Task("b", "act", {"device": "x"}, when=(Condition(task="a", output="count", above=1),)))
    )
    run = await carried_out(tmp_path, graph, FakeWorkshop({"a": {"count": count}}))
    assert states(run) == {"a": "succeeded", "b": state}
    assert run.state is RunState.SUCCEEDED


async def test_reading_is_tried_again_and_acting_is_not(tmp_path: Path) -> None:
    graph = TaskGraph((Task("a", "read"), Task("c", "act", {"device": "x"})))
    workshop = FakeWorkshop(
        {"a": [TransientError("busy"), TransientError("busy"), {"count": 3}], "c": [TransientError("busy")]}
    )
    run = await carried_out(tmp_path, graph, workshop)
    assert workshop.counts == {"a": 3, "c": 1}
    assert states(run) == {"a": "succeeded", "c": "failed"}
    assert run.steps["a"].attempt == 3


async def test_a_tool_that_takes_too_long_fails_and_says_so(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    workshop.gates["a"] = asyncio.Event()
    async with working(tmp_path, workshop, Limits(seconds=0.02, attempts=2, first_wait=0.001)) as scheduler:
        await scheduler.plan(order(TaskGraph((Task("a", "read"),))))
        await scheduler.start("run-1")
        run = await scheduler.finished("run-1")
    assert run.steps["a"].detail == "read took longer than 0.02 s"
    assert workshop.counts == {"a": 2}


async def test_errors_of_every_kind_end_in_a_state(tmp_path: Path) -> None:
    graph = TaskGraph(
        (
            Task("a", "read"),
            Task("b", "act", {"device": "x"}),
            Task("c", "act", {"device": "no id"}),
            Task("d", "gone"),
            Task("e", "read"),
        )
    )
    workshop = FakeWorkshop({"a": ValueError("bug"), "b": UnknownOutcomeError("sent?"), "e": {"series": ["x" * 5_000_000]}})
    run = await carried_out(tmp_path, graph, workshop)
    assert states(run) == {"a": "failed", "b": "unknown", "c": "failed", "d": "failed", "e": "failed"}
    details = {key: step.detail for key, step in run.steps.items()}
    assert details["a"] == "ValueError: bug"
    assert details["c"] == "device: 'no id' is no device id"
    assert details["d"] == "there is no tool gone"
    assert "more than" in details["e"]


async def test_a_dry_run_reads_and_changes_nothing(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    run = await carried_out(tmp_path, TaskGraph((CHAIN.tasks[0], CHAIN.tasks[2])), workshop, dry=True)
    assert (workshop.used, workshop.previewed) == (["a"], ["c"])
    assert run.steps["c"].outputs == {"action": {"would": "be allowed"}}


async def test_a_plan_waits_until_it_is_started_and_starts_once(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    async with working(tmp_path, workshop) as scheduler:
        planned = await scheduler.plan(order(CHAIN))
        assert planned.state is RunState.PLANNED
        await asyncio.gather(*(scheduler.start("run-1") for _ in range(5)))
        await scheduler.finished("run-1")
        assert (await scheduler.start("run-1")).state is RunState.SUCCEEDED
        assert (await scheduler.plan(order(CHAIN))).state is RunState.SUCCEEDED
        with pytest.raises(NoSuchRunError):
            await scheduler.start("run-2")
    assert workshop.counts == {"a": 1, "b": 1, "c": 1}


async def test_more_runs_than_may_are_refused_for_now(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    workshop.gates["a"] = asyncio.Event()
    async with working(tmp_path, workshop, Limits(runs=1)) as scheduler:
        for name in ("run-1", "run-2"):
            await scheduler.plan(order(CHAIN, name=name))
        await scheduler.start("run-1")
        with pytest.raises(BusyError):
            await scheduler.start("run-2")
        workshop.gates["a"].set()
        await scheduler.finished("run-1")
        await scheduler.start("run-2")
        assert (await scheduler.finished("run-2")).state is RunState.SUCCEEDED


class Approvals(FakeWorkshop):
    """Its `act` waits for a person; what is withdrawn is refused."""

    async def use(self, call: Call) -> Mapping[str, Any]:
        if call.tool.id != "act":
            return await super().use(call)
        self.used.append(call.task.key)
        await call.waits("for approval")
        await self.gates["c"].wait()
        raise ToolError("rejected")

    async def withdraw(self, call: Call, actor: str) -> bool:
        self.gates["c"].set()
        return await super().withdraw(call, actor)


async def test_a_cancelled_run_breaks_off_reading_and_withdraws_what_waits(tmp_path: Path) -> None:
    workshop = Approvals()
    workshop.gates = {"a": asyncio.Event(), "c": asyncio.Event()}
    async with working(tmp_path, workshop) as scheduler:
        await scheduler.plan(order(CHAIN))
        await scheduler.start("run-1")
        await until(lambda: workshop.used.count("c") and "a" in workshop.used)
        got = await scheduler.get("run-1")
        assert got is not None
        await until(lambda: scheduler._going["run-1"].run.state_of("c") is TaskState.WAITING)
        await scheduler.cancel("run-1", "bert")
        run = await scheduler.finished("run-1")
    assert run.state is RunState.CANCELLED
    assert run.cancelled_by == "bert"
    assert states(run) == {"a": "cancelled", "b": "skipped", "c": "cancelled"}
    assert workshop.withdrawn == ["c by bert"]


async def test_a_planned_run_can_be_cancelled_and_not_started_after(tmp_path: Path) -> None:
    workshop = FakeWorkshop()
    async with working(tmp_path, workshop) as scheduler:
        await scheduler.plan(order(CHAIN))
        assert (await scheduler.cancel("run-1", "bert")).state is RunState.CANCELLED
        assert (await scheduler.start("run-1")).state is RunState.CANCELLED
    assert not workshop.used


async def test_after_a_stop_the_next_process_goes_on(tmp_path: Path) -> None:
    first = FakeWorkshop()
    first.gates["b"] = asyncio.Event()
    graph = TaskGraph((*CHAIN.tasks[:2], Task("d", "tell")), (("b", "d"), ("a", "d")))
    async with working(tmp_path, first) as scheduler:
        await scheduler.plan(order(graph))
        await scheduler.start("run-1")
        await until(lambda: "b" in first.used)
    second = FakeWorkshop()
    async with working(tmp_path, second) as scheduler:
        run = await scheduler.finished("run-1")
        trace = await scheduler.trace("run-1")
    assert run.state is RunState.SUCCEEDED
    assert second.counts == {"b": 1, "d": 1}
    assert [step.state.value for step in trace if step.key == "b"] == ["running", "running", "succeeded"]


async def test_what_was_cancelled_stays_so_after_a_stop(tmp_path: Path) -> None:
    first = FakeWorkshop()
    first.gates["c"] = asyncio.Event()
    async with working(tmp_path, first) as scheduler:
        await scheduler.plan(
            order(TaskGraph((Task("c", "act", {"device": "x"}), Task("d", "act", {"device": "y"})), (("c", "d"),)))
        )
        await scheduler.start("run-1")
        await until(lambda: "c" in first.used)
        await scheduler.cancel("run-1", "bert")
    second = FakeWorkshop()
    second.used.append("c")  # it had been sent
    async with working(tmp_path, second) as scheduler:
        run = await scheduler.finished("run-1")
    assert run.state is RunState.CANCELLED
    assert states(run) == {"c": "succeeded", "d": "cancelled"}


async def test_observers_see_each_step_after_it_is_on_record(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    async with working(tmp_path, FakeWorkshop()) as scheduler:
        scheduler.observers.append(
            lambda run, step: seen.append((run.state.value, step.key + " " + step.state if step else ""))
        )
        await scheduler.plan(order(TaskGraph((Task("a", "read"),))))
        await scheduler.start("run-1")
        await scheduler.finished("run-1")
    assert seen == [("planned", ""), ("running", ""), ("running", "a running"), ("running", "a succeeded"), ("succeeded", "")]
