"""Runs that rules ask for: kept with the batch that asked, begun as soon as the scheduler has room.

Called by the main loop after the findings are on disk and before the checkpoint, so an order is on record before the events
that it follows from are done with. Ids follow from rule and alarm: what the log's replay asks for again is the run that there
is. One that was kept and not begun, as the scheduler was busy or the process died, is begun later.
"""

from __future__ import annotations

import asyncio
import logging

from agents.run import RunState
from agents.scheduler import BusyError, Scheduler
from schemas.action import RUNBOOK
from streams.pipeline import Pipeline, Reaction

logger = logging.getLogger(__name__)
PAUSE = 1.0
"""Seconds after which a busy scheduler is asked again."""


class RuleRuns:
    """Of one site. `recover` before the first reaction; `run` must be running for what has to wait."""

    def __init__(self, scheduler: Scheduler, *, pause: float = PAUSE) -> None:
        self._scheduler = scheduler
        self._pause = pause
        self._waiting: dict[str, None] = {}
        """Ids in the order in which they were asked for."""
        self._more = asyncio.Event()
        self._held_up = False

    async def recover(self) -> None:
        """Take up what the last process had kept and not begun."""
        for run in await self._scheduler.planned(RUNBOOK):
            self._wait(run.order.run_id)

    async def respond(self, reaction: Reaction, pipeline: Pipeline) -> None:
        """Keep what a reaction asks for, and begin it; the oldest first."""
        del pipeline
        for order in reaction.orders:
            # An alarm that is told again asks again; to plan it again would tell subscribers of it again.
            state = await self._scheduler.state(order.run_id) or (await self._scheduler.plan(order)).state
            if state is RunState.PLANNED and order.run_id not in self._waiting:
                self._wait(order.run_id)
        if reaction.orders:
            await self._begin()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._more.wait()
            await self._begin()
            if self._waiting:
                await asyncio.sleep(self._pause)

    def _wait(self, run_id: str) -> None:
        self._waiting[run_id] = None
        self._more.set()

    async def _begin(self) -> None:
        while self._waiting:
            run_id = next(iter(self._waiting))
            try:
                run = await self._scheduler.start(run_id)
            except BusyError as error:
                if not self._held_up:
                    logger.warning("%d runs of rules wait: %s", len(self._waiting), error)
                self._held_up = True
                return
            self._held_up = False
            self._waiting.pop(run_id, None)
            logger.info("rule %s: run %s is %s", run.order.text, run_id, run.state)
        self._more.clear()
