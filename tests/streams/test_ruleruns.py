"""Rules with tasks in the whole service: one run for an alarm, by way of the policy, whatever repeats, stops or is busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.identity import instructed
from agents.run import Order, Run, RunState, TaskState
from agents.scheduler import Limits, Scheduler
from agents.taskgraph import Task, TaskGraph
from schemas.action import RUNBOOK, moment
from streams.mqtt import Connection
from streams.pipeline import Pipeline, Reaction
from streams.ruleruns import RuleRuns
from streams.runstore import SqliteRuns
from streams.service import Parts
from tests.agents.workshop import NOW, TOOLS, FakeWorkshop
from tests.e2e.service import SITE, running
from tests.streams.api.serving import CLOCK, PUMP, TOPIC, event, plant
from tests.streams.phrasebook import permits
from tests.waiting import HUNG, until

RULES = """version: 1
rules:
- name: a dry pump
  when: {condition: 'control:dry', severity: high}
  tasks:
  - {key: look, tool: list_alarms, arguments: {device: {target: device}}}
  - {key: report, tool: write_report, after: [look]}
  - {key: tell, tool: notify, arguments: {to: maintenance}, after: [report]}
  - {key: isolate, tool: isolate_device, arguments: {device: {target: device}, reason: {alarm: condition}}, after: [look]}
  expires: 600
"""
SEVERE = """
@id("tell") permit (principal is Runbook, action == Action::"notify", resource);
@id("isolate when critical") permit (principal is Runbook, action == Action::"isolate", resource)
when { context.severity >= 4 };
"""


class Plant(NamedTuple):
    parts: Parts
    mqtt: Connection

    async def publish(self, *events: dict[str, Any]) -> None:
        at, later = CLOCK.next()
        sent = [one | {"time": at} for one in events] + [event("device.log", deviceId=PUMP, text="tick") | {"time": later}]
        await self.mqtt.publish(TOPIC, msgspec.json.encode(sent))
        analysis = self.parts.analysis
        await until(lambda: analysis.pipeline.watermark >= moment(later) and not analysis.busy)

    async def alarm(self, severity: str = "high", *, active: bool = True) -> None:
        await self.publish(event("device.alarm", deviceId=PUMP, alarm="dry", active=active, severity=severity))


@asynccontextmanager
async def plant_of(folder: Path) -> AsyncIterator[Plant]:
    book = folder / "runbook.yaml"
    book.write_text(RULES)
    policy = permits(folder / "policy", SEVERE)
    async with running(folder / "data", runbook=book, policy=policy, allowed_lateness=0) as (parts, mqtt):
        yield Plant(parts, mqtt)


async def test_an_alarm_becomes_one_run_whose_acts_go_by_the_policy(tmp_path: Path) -> None:
    async with plant_of(tmp_path) as found:
        scheduler, parts = found.parts.workroom.scheduler, found.parts
        await found.publish(*plant())
        await found.alarm()
        (run,) = await scheduler.newest(10)
        done = await asyncio.wait_for(scheduler.finished(run.order.run_id), HUNG)
        assert {key: step.state for key, step in done.steps.items()} == {
            "look": TaskState.SUCCEEDED,
            "report": TaskState.SUCCEEDED,
            "tell": TaskState.SUCCEEDED,
            "isolate": TaskState.FAILED,
        }
        assert "nothing permits it" in done.steps["isolate"].detail
        told = parts.responder.entry(done.steps["tell"].outputs["action"]["actionId"])
        assert told is not None
        cause = told.action.cause
        assert (cause.condition, cause.severity, cause.role) == ("control:dry", "high", RUNBOOK)
        assert (cause.run_id, cause.task, cause.principal) == (run.order.run_id, "tell", "runbook:a dry pump")
        assert moment(told.action.expires_at) - moment(told.action.requested_at) == 600_000_000

        trace = await scheduler.trace(run.order.run_id)
        await found.alarm("critical")
        assert [one.order.run_id for one in await scheduler.newest(10)] == [run.order.run_id]
        assert await scheduler.trace(run.order.run_id) == trace


async def test_the_policy_is_told_how_severe_the_alarm_is(tmp_path: Path) -> None:
    async with plant_of(tmp_path) as found:
        await found.publish(*plant())
        await found.alarm("critical")
        (run,) = await found.parts.workroom.scheduler.newest(10)
        name = instructed(SITE, run.order.run_id, "isolate", verb="isolate", device_id=PUMP)
        await until(lambda: found.parts.responder.entry(name) is not None)
        isolated = found.parts.responder.entry(name)
        assert isolated is not None
        assert (isolated.action.device_id, isolated.action.arguments) == (PUMP, {"reason": "control:dry"})
        assert isolated.decision is not None
        assert isolated.decision.policies == ("isolate when critical",)
        assert isolated.action.cause.run_id == run.order.run_id


def order(name: str) -> Order:
    return Order(
        run_id=name,
        site="s",
        text="a rule",
        principal="runbook:a rule",
        role=RUNBOOK,
        asked_at="2026-01-05T00:00:00Z",
        graph=TaskGraph((Task("a", "read"),)),
    )


async def test_an_alarm_that_is_told_again_long_after_its_run_is_forgotten_makes_no_other(tmp_path: Path) -> None:
    with closing(SqliteRuns(tmp_path / "runs.db", most_ended=1)) as runs:
        shop = FakeWorkshop()
        scheduler = Scheduler(TOOLS, shop, runs, clock=lambda: NOW)
        rules, working = RuleRuns(scheduler), asyncio.ensure_future(scheduler.run())
        for name in ("run-0", "run-1", "run-2"):
            await rules.respond(Reaction(orders=[order(name)]), Pipeline("s"))
            await scheduler.finished(name)
        assert await runs.run("run-0") is None
        await rules.respond(Reaction(orders=[order("run-0")]), Pipeline("s"))
        assert await runs.run("run-0") is None
        assert await runs.state("run-0") is RunState.SUCCEEDED
        working.cancel()


async def test_what_a_busy_scheduler_cannot_begin_waits_and_outlives_the_process(tmp_path: Path) -> None:
    orders, pipeline = [order(f"run-{number}") for number in range(3)], Pipeline("s")
    path = tmp_path / "runs.db"
    with closing(SqliteRuns(path)) as runs:
        shop = FakeWorkshop()
        shop.gates["a"] = asyncio.Event()
        scheduler = Scheduler(TOOLS, shop, runs, clock=lambda: NOW, limits=Limits(runs=1))
        rules = RuleRuns(scheduler, pause=0.01)
        working = asyncio.ensure_future(scheduler.run())
        await rules.respond(Reaction(orders=orders), pipeline)
        await rules.respond(Reaction(orders=orders), pipeline)
        assert [run.state for run in await runs.newest(10)] == [RunState.PLANNED, RunState.PLANNED, RunState.RUNNING]
        working.cancel()
    with closing(SqliteRuns(path)) as runs:
        shop = FakeWorkshop()
        scheduler = Scheduler(TOOLS, shop, runs, clock=lambda: NOW, limits=Limits(runs=1))
        rules = RuleRuns(scheduler, pause=0.01)
        await scheduler.recover()
        await rules.recover()
        tasks = [asyncio.ensure_future(work) for work in (scheduler.run(), rules.run())]
        await rules.respond(Reaction(orders=orders), pipeline)
        async with asyncio.timeout(HUNG):
            while [run.state for run in await runs.newest(10)] != [RunState.SUCCEEDED] * 3:
                await asyncio.sleep(0.01)
        assert shop.used == ["a"] * 3
        for task in tasks:
            task.cancel()


class Death(BaseException):
    """The process is no more."""


class MortalRuns(SqliteRuns):
    """Dies at the n-th place before or after a write."""

    def __init__(self, path: Path, at: int) -> None:
        super().__init__(path)
        self._left = at

    def _pass_by(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Death

    async def plan(self, order: Order, at: str) -> Run:
        self._pass_by()
        run = await super().plan(order, at)
        self._pass_by()
        return run

    async def begin(self, run_id: str, at: str) -> bool:
        self._pass_by()
        begun = await super().begin(run_id, at)
        self._pass_by()
        return begun


@pytest.mark.parametrize("place", range(1, 9))
async def test_death_anywhere_before_the_checkpoint_leaves_one_run_of_each(tmp_path: Path, place: int) -> None:
    orders, pipeline = [order("run-1"), order("run-2")], Pipeline("s")
    with closing(MortalRuns(tmp_path / "runs.db", place)) as runs:
        rules = RuleRuns(Scheduler(TOOLS, FakeWorkshop(), runs, clock=lambda: NOW))
        with pytest.raises(Death):
            await rules.respond(Reaction(orders=orders), pipeline)
    with closing(SqliteRuns(tmp_path / "runs.db")) as runs:
        shop = FakeWorkshop()
        scheduler = Scheduler(TOOLS, shop, runs, clock=lambda: NOW)
        rules = RuleRuns(scheduler)
        await scheduler.recover()
        await rules.recover()
        working = asyncio.ensure_future(scheduler.run())
        await rules.respond(Reaction(orders=orders), pipeline)
        ended = [await asyncio.wait_for(scheduler.finished(one.run_id), HUNG) for one in orders]
        assert [run.state for run in ended] == [RunState.SUCCEEDED] * 2
        assert (len(await runs.newest(10)), shop.used) == (2, ["a", "a"])
        working.cancel()


async def test_what_people_only_planned_is_not_begun(tmp_path: Path) -> None:
    with closing(SqliteRuns(tmp_path / "runs.db")) as runs:
        scheduler = Scheduler(TOOLS, FakeWorkshop(), runs, clock=lambda: NOW)
        await scheduler.plan(msgspec.structs.replace(order("run-ann"), principal="ann", role="operator"))
        await scheduler.plan(order("run-rule"))
        assert [run.order.run_id for run in await scheduler.planned(RUNBOOK)] == ["run-rule"]
