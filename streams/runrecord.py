"""Tells subscribers how runs go on: each state of a run and of its tasks is a row of the record, once.

Told by the scheduler, whose own store is the truth: what a crash kept from being told is told after the next start.
"""

from __future__ import annotations

import asyncio

from agents.run import Run, Step
from agents.scheduler import Scheduler
from schemas.instruction import RunProgress
from streams.findings import FindingStore

RETOLD = 100
"""The newest runs, of which something may not have been told when the last process ended, besides all that had not ended."""
AT_ONCE = 200
LONGEST = 1_000
"""Characters of a detail."""


class RunRecord:
    """`run` must be running; `observe` is for the scheduler."""

    def __init__(self, store: FindingStore) -> None:
        self._store = store
        self._waiting: asyncio.Queue[RunProgress] = asyncio.Queue()

    def observe(self, run: Run, step: Step | None) -> None:
        self._waiting.put_nowait(of_run(run) if step is None else of_step(run, step))

    async def recover(self, scheduler: Scheduler) -> None:
        """Before the first step of this process."""
        runs = {run.order.run_id: run for run in [*await scheduler.unfinished(), *reversed(await scheduler.newest(RETOLD))]}
        for run in runs.values():
            steps = await scheduler.trace(run.order.run_id, brief=True)
            await self._store.add([*(of_step(run, step) for step in steps), of_run(run)])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            rows = [await self._waiting.get()]
            while len(rows) < AT_ONCE and not self._waiting.empty():
                rows.append(self._waiting.get_nowait())
            await self._store.add(rows)


def of_run(run: Run) -> RunProgress:
    order = run.order
    return RunProgress(
        run_id=order.run_id,
        site=order.site,
        at=run.updated_at,
        state=run.state,
        text=order.text,
        principal=order.principal,
        dry=order.dry,
        detail="" if run.cancelled_by is None else f"cancelled by {run.cancelled_by}",
    )


def of_step(run: Run, step: Step) -> RunProgress:
    return RunProgress(
        run_id=run.order.run_id,
        site=run.order.site,
        at=step.at,
        state=step.state,
        task=step.key,
        tool=run.order.graph.task(step.key).tool,
        attempt=step.attempt,
        detail=step.detail[:LONGEST],
        dry=run.order.dry,
    )
