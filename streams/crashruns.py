"""Runs of instructions on record, with places at which a test may kill the process: before and after each step."""

from __future__ import annotations

from agents.run import Order, Run, Runs, RunState, Step
from streams.crashpoints import CrashPoint, CrashPoints


class CrashRuns:
    """`agents.run.Runs` of another one."""

    def __init__(self, runs: Runs, crash: CrashPoints) -> None:
        self._runs = runs
        self._crash = crash

    async def plan(self, order: Order, at: str) -> Run:
        return await self._runs.plan(order, at)

    async def begin(self, run_id: str, at: str) -> bool:
        return await self._runs.begin(run_id, at)

    async def step(self, run_id: str, step: Step) -> None:
        self._crash.reached(CrashPoint.STEP_DUE)
        await self._runs.step(run_id, step)
        self._crash.reached(CrashPoint.STEP_KEPT)

    async def cancel(self, run_id: str, actor: str, at: str) -> None:
        await self._runs.cancel(run_id, actor, at)

    async def call_off(self, run_id: str, actor: str, at: str) -> bool:
        return await self._runs.call_off(run_id, actor, at)

    async def end(self, run_id: str, state: RunState, at: str) -> None:
        await self._runs.end(run_id, state, at)

    async def run(self, run_id: str) -> Run | None:
        return await self._runs.run(run_id)

    async def state(self, run_id: str) -> RunState | None:
        return await self._runs.state(run_id)

    async def trace(self, run_id: str, *, brief: bool = False) -> list[Step]:
        return await self._runs.trace(run_id, brief=brief)

    async def unfinished(self) -> list[Run]:
        return await self._runs.unfinished()

    async def planned(self, role: str) -> list[Run]:
        return await self._runs.planned(role)

    async def newest(self, limit: int) -> list[Run]:
        return await self._runs.newest(limit)
