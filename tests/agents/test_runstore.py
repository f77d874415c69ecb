from __future__ import annotations

from pathlib import Path

import msgspec

from agents.run import RunState, Step, TaskState
from agents.runstore import SqliteRuns
from agents.taskgraph import Task, TaskGraph
from tests.agents.workshop import order

AT = "2026-01-05T00:00:00Z"
GRAPH = TaskGraph((Task("a", "read"),))


async def test_the_oldest_go_and_what_is_to_run_stays(tmp_path: Path) -> None:
    runs = SqliteRuns(tmp_path / "runs.db", most_planned=2, most_ended=2)
    await runs.plan(msgspec.structs.replace(order(GRAPH, name="rule"), role="runbook"), AT)
    for name in ("going", "old", "older", "newer", "newest"):
        await runs.plan(order(GRAPH, name=name), AT)
        if name == "going":
            await runs.begin(name, AT)
            await runs.step(name, Step(key="a", state=TaskState.RUNNING, at=AT))
    assert [run.order.run_id for run in await runs.newest(10)] == ["newest", "newer", "going", "rule"]
    for name in ("x", "y", "z"):
        await runs.plan(order(GRAPH, name=name), AT)
        await runs.begin(name, AT)
        await runs.step(name, Step(key="a", state=TaskState.SUCCEEDED, at=AT))
        await runs.end(name, RunState.SUCCEEDED, AT)
    await runs.plan(order(GRAPH, name="last"), AT)
    left = {run.order.run_id for run in await runs.newest(10)}
    assert {"rule", "going", "y", "z", "last"} <= left
    assert "x" not in left
    assert await runs.trace("x") == []
    assert len(await runs.trace("going")) == 1
    runs.close()


async def test_an_order_that_is_planned_again_is_the_one_that_it_was(tmp_path: Path) -> None:
    runs = SqliteRuns(tmp_path / "runs.db")
    first = await runs.plan(order(GRAPH), AT)
    assert await runs.plan(msgspec.structs.replace(order(GRAPH), text="another"), AT) == first
    assert await runs.begin("run-1", AT)
    assert not await runs.begin("run-1", AT)
    runs.close()
