from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from agents.run import RunState, Step, TaskState
from agents.taskgraph import Task, TaskGraph
from streams.runstore import SqliteRuns
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


async def test_of_a_rule_s_run_it_stays_known_that_there_was_one(tmp_path: Path) -> None:
    with closing(SqliteRuns(tmp_path / "runs.db", most_planned=2, most_ended=1)) as runs:
        for name, role in (("rule", "runbook"), ("anna", "operator"), ("other", "runbook")):
            await runs.plan(msgspec.structs.replace(order(GRAPH, name=name), role=role), AT)
            assert await runs.state(name) is RunState.PLANNED
            await runs.begin(name, AT)
            await runs.end(name, RunState.SUCCEEDED, AT)
        await runs.plan(order(GRAPH, name="last"), AT)
        assert [run.order.run_id for run in await runs.newest(10)] == ["last", "other"]
        assert [await runs.state(name) for name in ("rule", "anna", "other")] == [RunState.SUCCEEDED, None, RunState.SUCCEEDED]


async def test_what_is_planned_and_called_off_again_and_again_pushes_nothing_else_out(tmp_path: Path) -> None:
    with closing(SqliteRuns(tmp_path / "runs.db", most_planned=2, most_ended=2)) as runs:
        await runs.plan(order(GRAPH, name="done"), AT)
        await runs.begin("done", AT)
        await runs.end("done", RunState.SUCCEEDED, AT)
        for number in range(9):
            await runs.plan(order(GRAPH, name=f"vic-{number}"), AT)
            await runs.call_off(f"vic-{number}", "vic", AT)
        assert await runs.state("done") is RunState.SUCCEEDED
        assert len(await runs.newest(20)) <= 4


async def test_an_order_that_is_planned_again_is_the_one_that_it_was(tmp_path: Path) -> None:
    runs = SqliteRuns(tmp_path / "runs.db")
    first = await runs.plan(order(GRAPH), AT)
    assert await runs.plan(msgspec.structs.replace(order(GRAPH), text="another"), AT) == first
    assert await runs.begin("run-1", AT)
    assert not await runs.begin("run-1", AT)
    runs.close()


async def test_lists_leave_outputs_out_and_the_run_has_them(tmp_path: Path) -> None:
    runs = SqliteRuns(tmp_path / "runs.db")
    await runs.plan(order(GRAPH), AT)
    await runs.begin("run-1", AT)
    steps = [
        Step(key="a", state=TaskState.RUNNING, at=AT, attempt=1),
        Step(key="a", state=TaskState.SUCCEEDED, at=AT, attempt=2, outputs={"count": 3}, detail="done"),
    ]
    for step in steps:
        await runs.step("run-1", step)
    (brief,) = await runs.newest(10)
    held = await runs.run("run-1")
    assert held is not None
    assert held.steps == {"a": steps[1]}
    assert brief.steps == {"a": msgspec.structs.replace(steps[1], outputs={})}
    assert await runs.trace("run-1") == steps
    assert [step.outputs for step in await runs.trace("run-1", brief=True)] == [{}, {}]
    assert (await runs.unfinished()) == [held]
    runs.close()


async def test_a_file_of_before_is_read(tmp_path: Path) -> None:
    """When outputs were in the step's body."""
    step = Step(key="a", state=TaskState.SUCCEEDED, at=AT, outputs={"count": 3})
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        connection.execute(
            "CREATE TABLE runs (place INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, "
            "updated_at TEXT NOT NULL, cancelled_by TEXT, body BLOB NOT NULL) STRICT"
        )
        connection.execute("CREATE TABLE steps (place INTEGER PRIMARY KEY, run_id TEXT NOT NULL, body BLOB NOT NULL) STRICT")
        row = ("run-1", RunState.RUNNING, AT, msgspec.json.encode(order(GRAPH)))
        connection.execute("INSERT INTO runs VALUES (NULL, ?, ?, ?, NULL, ?)", row)
        connection.execute("INSERT INTO steps VALUES (NULL, 'run-1', ?)", (msgspec.json.encode(step),))
    for _ in range(2):
        with closing(SqliteRuns(tmp_path / "runs.db")) as runs:
            held = await runs.run("run-1")
            assert held is not None
            assert held.steps["a"] == step
            assert (await runs.newest(1))[0].steps["a"].outputs == {}
    with closing(SqliteRuns(tmp_path / "runs.db")) as runs:
        await runs.step("run-1", step)
        assert await runs.trace("run-1") == [step, step]
