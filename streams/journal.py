"""The alarms of one site in the hands of operators, durable: every transition is on disk before anyone sees it.

Fed by the analysis (or the relay from Kafka) with findings, and by the API and the command line with verbs; both wait for each
other, so an alarm has one owner. What the annunciator decides is written in the transaction of the findings that it follows
from, and applied when it is on disk. A crash leaves neither a finding without its alarm nor an alarm twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from agents.annunciator import Annunciator, Request
from graph.topology import Topology
from schemas.alarm import Alarm, Flood, Transition
from schemas.event import Micros
from schemas.finding import Alert, Fault
from streams.findings import FindingStore, Kind

MOST_ALARMS = 1_000_000
TICK = 1.0


def wall_clock() -> Micros:
    return Micros(time.time_ns() // 1000)


class AlarmJournal:
    """`clock` tells the wall's time, for verbs and shelves; `plant` and `topology` the plant's time and graph, where known."""

    def __init__(
        self,
        annunciator: Annunciator,
        store: FindingStore,
        *,
        plant: Callable[[], Micros] = lambda: Micros(0),
        topology: Callable[[], Topology | None] = lambda: None,
        clock: Callable[[], Micros] = wall_clock,
    ) -> None:
        self.annunciator = annunciator
        self._store = store
        self._plant = plant
        self._topology = topology
        self._clock = clock
        self._lock = asyncio.Lock()

    def restore(self) -> None:
        """Go on from what is on disk."""
        held = self._store.newest(Kind.ALARMS, limit=MOST_ALARMS)
        floods = [msgspec.json.decode(body, type=Flood) for body in self._store.newest(Kind.FLOODS, limit=1)]
        flood = next((flood for flood in floods if flood.closed_at is None), None)
        self.annunciator.restore((msgspec.json.decode(body, type=Transition).alarm for body in held), flood)

    async def save(self, alerts: Sequence[Alert], faults: Sequence[Fault]) -> None:
        """Keep findings, each once, and what they make of alarms."""

        def decide(fresh: Sequence[Alert]) -> list[Transition | Flood]:
            return self.annunciator.told(fresh, recorded_at=self._clock(), topology=self._topology())

        async with self._lock:
            self.annunciator.apply(await self._store.save(alerts, faults, decide))

    async def ask(self, request: Request) -> Alarm:
        """Do what a person asks; the alarm as it is then. Raises RefusedError, UnknownAlarmError."""
        async with self._lock:
            records = self.annunciator.asked(request, recorded_at=self._clock(), topology=self._topology())
            await self._keep(records)
            return self.annunciator.alarm(request.alarm_id)

    async def run(self) -> None:
        """Until cancelled: time passes, shelves end, floods are over."""
        while True:
            await asyncio.sleep(TICK)
            async with self._lock:
                await self._keep(
                    self.annunciator.passed(recorded_at=self._clock(), plant=self._plant(), topology=self._topology())
                )

    async def _keep(self, records: Sequence[Transition | Flood]) -> None:
        if records:
            self.annunciator.apply(await self._store.save((), (), lambda _: records))
