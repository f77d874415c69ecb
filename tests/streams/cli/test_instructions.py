"""`do` and `runs`: the plan is shown, somebody agrees, results come, and the exit status says whether all of it was done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agents.run import RunState, TaskState
from agents.taskgraph import Task, TaskGraph
from streams.cli.instructions import tree_of
from streams.cli.terminal import OUT
from streams.roles import Role
from streams.runview import RunNow, TaskNow
from tests.e2e.service import SITE
from tests.streams.api.serving import Served, served
from tests.streams.phrasebook import PHRASES, Phrasebook, permits
from tests.streams.test_cli import Ended, Run, run

__all__ = ["run"]
Ask = Callable[..., Awaitable[Ended]]
HOSTILE = "open [red]valve\x1b[2J\u202e[/] <b>"
BAD = TaskGraph((Task("one", "show_neighbours", {"device": "pump-9"}),))


class Desk(NamedTuple):
    api: Served
    ask: Ask
    show: Callable[[Role], None]
    """From now on, the key of this role."""


@pytest.fixture
async def desk(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAUTOGLM_SITE", SITE)
    book = Phrasebook({**PHRASES, "look at pump-9": BAD, HOSTILE: BAD})
    async with served(tmp_path / "data", interpreter=book, policy=permits(tmp_path / "policy")) as api:

        def show(role: Role) -> None:
            monkeypatch.setenv("OPENAUTOGLM_API_KEY", api.clients[role].headers["authorization"].removeprefix("Bearer "))

        async def ask(*arguments: object) -> Ended:
            return await asyncio.to_thread(run, *arguments)

        show(Role.OPERATOR)
        monkeypatch.setenv("OPENAUTOGLM_API_URL", str(api.parts.url))
        yield Desk(api, ask, show)


async def test_a_plan_is_shown_and_run_and_its_files_fetched(desk: Desk, tmp_path: Path) -> None:
    done = await desk.ask("do", "draw the level of tank-1", "--yes", "--save", tmp_path / "files")
    assert done.code == 0, done.err
    plan = done.out.splitlines()[:4]
    assert plan[0] == "draw the level of tank-1"
    assert "read: signal_history (device tank-1, period P1D)  # the level" in plan[1]
    assert "chart: draw_chart (series from read.series)" in plan[2]
    assert "report: write_report" in plan[3]
    assert "succeeded read: series 1 points of level; latest 2.5; count 1" in done.out
    assert "succeeded chart: file chart.svg" in done.out
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["chart.svg", "report.md"]
    assert (tmp_path / "files" / "report.md").read_text().startswith("# Report: draw the level")


async def test_nobody_can_be_asked_without_a_terminal(desk: Desk) -> None:
    for more in ((), ("--json",)):
        done = await desk.ask("do", "find pumps", *more)
        assert (done.code, "say --yes, or --dry-run" in done.err) == (2, True)
    assert [run.state for run in await desk.api.parts.workroom.instructions.newest(9)] == [RunState.PLANNED] * 2


async def test_as_json_the_plan_each_task_and_the_run(desk: Desk) -> None:
    done = await desk.ask("do", "find pumps", "--yes", "--json")
    assert (done.code, done.err) == (0, "")
    assert [next(iter(row)) for row in done.rows] == ["plan", "task", "run"]
    assert done.rows[1]["task"]["outputs"]["count"] == 1
    assert done.rows[2]["run"]["state"] == "succeeded"


async def test_dry_nothing_is_done_and_a_viewer_may(desk: Desk) -> None:
    desk.show(Role.VIEWER)
    done = await desk.ask("do", "stop pump-1 and tell maintenance", "--dry-run")
    assert done.code == 0, done.err
    assert "would be done" in done.out
    refused = await desk.ask("do", "stop pump-1 and tell maintenance", "--yes")
    assert (refused.code, "needs the role operator" in refused.err) == (2, True)
    assert (await desk.api.client.get("/v1/actions")).json()["items"] == []


async def test_what_fails_and_what_is_not_understood_end_with_1(desk: Desk) -> None:
    done = await desk.ask("do", "look at pump-9", "--yes")
    assert (done.code, "failed one: no device pump-9" in done.out) == (1, True)
    asked = await desk.ask("do", "sing", "--yes")
    assert (asked.code, asked.err.strip()) == (1, "unclear: what is to be done?")


async def test_runs_are_listed_shown_and_cancelled(desk: Desk) -> None:
    await desk.ask("do", "find pumps", "--yes")
    planned = (await desk.ask("do", "find pumps", "--json")).rows[0]["plan"]["run"]["runId"]
    listed = await desk.ask("runs", "list", "--json")
    assert [(row["state"], row["ended"]) for row in listed.rows] == [("planned", 0), ("succeeded", 1)]
    assert planned in (await desk.ask("runs", "list")).out
    shown = await desk.ask("runs", "show", listed.rows[1]["runId"])
    assert "succeeded find: count 1" in shown.out
    cancelled = await desk.ask("runs", "cancel", planned)
    assert f"{planned} cancelled, cancelled by operator" in cancelled.err
    assert (await desk.ask("runs", "show", "run-0")).code == 2


async def test_hostile_text_is_text_in_the_terminal(desk: Desk) -> None:
    done = await desk.ask("do", HOSTILE, "--yes")
    assert done.out.splitlines()[0] == "open [red]valve\\x1b[2J\\u202e[/] <b>"
    assert "\x1b[2J" not in done.out + done.err
    assert "\u202e" not in (await desk.ask("runs", "list")).out


async def test_without_a_service_it_says_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (("do", "x"), ("runs", "list"), ("runs", "show", "r"), ("runs", "cancel", "r")):
        done = await asyncio.to_thread(run, *command)
        assert (done.code, "no service runs here" in done.err) == (3, True)


def test_a_graph_as_a_tree() -> None:
    tasks = [TaskNow(key=key, tool="t") for key in ("c", "a", "b", "d")]
    links = [("a", "c"), ("b", "c"), ("a", "d")]
    told: dict[str, Any] = dict.fromkeys(("text", "principal", "role", "asked_at", "updated_at", "digest"), "x")
    now = RunNow(run_id="r", state=RunState.PLANNED, dry=False, cancelled_by=None, tasks=tasks, links=links, **told)
    with OUT.capture() as shown:
        OUT.print(tree_of(now))
    lines = [line.strip("│├└─ ") for line in shown.get().splitlines()]
    assert lines == ["x", "a: t", "d: t", "b: t", "c: t after a too"]
    assert all(task.state is TaskState.PENDING for task in tasks)
