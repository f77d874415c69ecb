"""The alarms of one site in the hands of operators, durable: every transition is on disk before anyone sees it.

Fed by the analysis (or the relay from Kafka) with findings, and by the API and the command line with verbs; both wait for each
other, so an alarm has one owner. What the annunciator decides is written in the transaction of the findings that it follows
from, and applied when it is on disk. A crash leaves neither a finding without its alarm nor an alarm twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from agents.annunciator import Annunciator, Request
from graph.topology import Topology
from schemas.alarm import Alarm, Flood, Transition
from schemas.event import Micros
from schemas.finding import Alert, Fault
from streams.findings import FindingStore, Kind
from streams.plantclock import PlantClock

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
Records = list[Transition | Flood]
Think = Callable[[Callable[[], Records]], Awaitable[Records]]
MOST_ALARMS = 1_000_000
TICK = 1.0


def wall_clock() -> Micros:
    return Micros(time.time_ns() // 1000)


class AlarmJournal:
    """`clock` tells the plant's time and `wall` the wall's, for verbs and shelves; `topology` is the live graph where there is

    one, and `think` does short work in the thread that owns it.
    """

    def __init__(
        self,
        annunciator: Annunciator,
        store: FindingStore,
        *,
        clock: PlantClock | None = None,
        topology: Callable[[], Topology | None] = lambda: None,
        think: Think | None = None,
        wall: Callable[[], Micros] = wall_clock,
    ) -> None:
        self.annunciator = annunciator
        self._store = store
        self._clock = clock or PlantClock()
        self._topology = topology
        self._think = think or _at_once
        self._wall = wall
        self._lock = asyncio.Lock()

    def restore(self) -> None:
        """Go on from what is on disk."""
        held = self._store.newest(Kind.ALARMS, limit=MOST_ALARMS)
        floods = [msgspec.json.decode(body, type=Flood) for body in self._store.newest(Kind.FLOODS, limit=1)]
        flood = next((flood for flood in floods if flood.closed_at is None), None)
        self.annunciator.restore((msgspec.json.decode(body, type=Transition).alarm for body in held), flood)

    async def save(self, alerts: Sequence[Alert], faults: Sequence[Fault]) -> None:
        """Keep findings, each once, and what they make of alarms. The graph must not change meanwhile."""

        def decide(fresh: Sequence[Alert]) -> list[Transition | Flood]:
            return self.annunciator.told(fresh, recorded_at=self._wall(), topology=self._topology())

        async with self._lock:
            self.annunciator.apply(await self._store.save(alerts, faults, decide))

    async def ask(self, request: Request) -> Alarm:
        """Do what a person asks; the alarm as it is then. Raises RefusedError, UnknownAlarmError.

        Done to its end even if nobody waits for it any more: what is on disk must be what is in memory.
        """
        return await _to_its_end(self._ask(request))

    async def _ask(self, request: Request) -> Alarm:
        async with self._lock:
            now = self._wall()
            records = await self._think(lambda: self.annunciator.asked(request, recorded_at=now, topology=self._topology()))
            await self._keep(records)
            return self.annunciator.alarm(request.alarm_id)

    async def run(self) -> None:
        """Until cancelled: time passes, shelves end, floods are over."""
        while True:
            await asyncio.sleep(TICK)
            await _to_its_end(self._pass())

    async def _pass(self) -> None:
        async with self._lock:
            now, plant = self._wall(), self._clock.now
            await self._keep(
                await self._think(lambda: self.annunciator.passed(recorded_at=now, plant=plant, topology=self._topology()))
            )

    async def _keep(self, records: Sequence[Transition | Flood]) -> None:
        if records:
            self.annunciator.apply(await self._store.save((), (), lambda _: records))


async def _at_once(work: Callable[[], Records]) -> Records:
    return work()


async def _to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Do work; whoever is cancelled meanwhile waits for it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("broken off at the end: %s", error)
        raise
