"""The service's main loop: log -> pipeline -> findings -> actions -> checkpoint, in this order, which is what makes it safe.

1. read records from the position on; 2. run the pipeline in the model thread; 3. save the findings; 4. hand the alarms to the
responder, which acts at most once per action, and keep the runs that rules ask for; 5. save position and snapshot, last and not
each time. A crash anywhere repeats from the last checkpoint: findings, actions and runs have ids that follow from their causes,
so a repeat changes nothing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from schemas.event import Event
from schemas.frame import unpack
from streams import checkpoint
from streams.broker import Broker, Record
from streams.checkpoint import Checkpoint
from streams.crashpoints import CrashPoint, CrashPoints
from streams.journal import AlarmJournal
from streams.pipeline import Pipeline, Reaction
from streams.plantclock import PlantClock

logger = logging.getLogger(__name__)
CONSUMER = "service"
RECORDS = 200
"""Records in one turn of the loop."""
LAST_BATCH = 20.0
"""Seconds that the last batch has when the service is to end: a webhook may take 15."""

Result = TypeVar("Result")
Respond = Callable[[Reaction, Pipeline], Awaitable[None]]


@contextmanager
def made_to_stay() -> Iterator[None]:
    """Millions of objects and no garbage among them: looking for it would take a quarter of the time, and again later."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


class Analysis:
    """One site's consumer of the log. `folder` holds the checkpoint; `every`: seconds between checkpoints."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        log: Broker,
        journal: AlarmJournal,
        clock: PlantClock,
        respond: Respond,
        folder: Path,
        every: float,
        keep: int,
        crash: CrashPoints,
    ) -> None:
        self.pipeline = pipeline
        self.log = log
        self._journal = journal
        self._clock = clock
        self.responders: list[Respond] = [respond]
        """Each does its part of what a batch asks for, before the checkpoint."""
        self._path = folder / "checkpoint.bin"
        self._every = every
        self._keep = keep
        self._crash = crash
        self._offset = self._seen = 0
        self.busy = False
        """Whether records are being taken in."""
        self._saved = time.monotonic()
        self._saved_offset = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.observers: list[Callable[[Reaction], None]] = []
        self.takers: list[Callable[[Sequence[Event]], None]] = []
        """Told of each batch's events, in the model thread."""
        self.begun = 0
        """The first record that this process takes in."""

    @property
    def offset(self) -> int:
        """The first record that is not done yet."""
        return self._offset

    @property
    def seen(self) -> int:
        """The first record that the pipeline has not seen; exact in the model thread alone."""
        return self._seen

    def restore(self) -> None:
        """Go on from the last checkpoint, if there is one. Raises DamagedError, SnapshotError."""
        held = checkpoint.load(self._path)
        if held is not None:
            with made_to_stay():
                self.pipeline.restore(held.snapshot)
            self._offset = self._seen = self._saved_offset = self.begun = held.offset
            self._clock.noticed(held.plant_time(time.time()))
            logger.info("restored at record %d", held.offset)

    async def run(self) -> None:
        """Until cancelled; the last act is a checkpoint."""
        topic = self.pipeline.site
        taking: asyncio.Future[None] | None = None
        try:
            while True:
                records = await self.log.read(topic, self._offset, limit=RECORDS)
                if records:
                    taking = asyncio.ensure_future(self._take(records))
                    await asyncio.shield(taking)
                else:
                    await self._wait(topic)
                if time.monotonic() - self._saved >= self._every:
                    await self._save()
        finally:
            if taking is not None:
                # A batch is finished once it is begun: the pipeline has seen it, and would not find again what is not kept.
                await asyncio.wait((taking,), timeout=LAST_BATCH)
            await asyncio.shield(self._save())
            self._thread.shutdown()

    async def _wait(self, topic: str) -> None:
        """For the next record, but not beyond the time of the next checkpoint if one is due."""
        pending = self._offset > self._saved_offset
        try:
            async with asyncio.timeout(max(self._every, 0.01) if pending else None):
                await self.log.wait(topic, self._offset)
        except TimeoutError:
            logger.debug("quiet: time for a checkpoint")

    async def _take(self, records: list[Record]) -> None:
        self.busy = True
        events = [event for record in records for event in unpack(record.value)]
        reaction = await self.in_model_thread(lambda: self._run(events, records[-1].offset + 1))
        self._crash.reached(CrashPoint.PROCESSED)
        if reaction.alerts or reaction.faults:
            await self._journal.save(reaction.alerts, [state.finding() for state in reaction.faults])
            self._crash.reached(CrashPoint.FINDINGS_SAVED)
        for respond in self.responders:
            await respond(reaction, self.pipeline)
        self._clock.noticed(self.pipeline.now)
        self._clock.heard(self.pipeline.watermark)
        for observe in self.observers:
            observe(reaction)
        self._offset = records[-1].offset + 1
        self.busy = False

    def _run(self, events: list[Event], offset: int) -> Reaction:
        reaction = self.pipeline(events)
        for take in self.takers:
            take(events)
        self._seen = offset
        return reaction

    async def in_model_thread(self, work: Callable[[], Result]) -> Result:
        """Do work in the one thread that may touch the pipeline."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _save(self) -> None:
        self._saved = time.monotonic()
        if self._offset == self._saved_offset:
            return
        offset, plant = self._offset, self._clock.now

        def taken() -> bytes | None:
            # Of a batch that broke off, the snapshot would know what nobody has been told.
            return self.pipeline.snapshot() if self._seen == offset else None

        snapshot = await self.in_model_thread(taken)
        if snapshot is None:
            logger.warning("no checkpoint: the records from %d on are not done, and will be taken in again", offset)
            return
        await asyncio.to_thread(checkpoint.save, Checkpoint(offset, snapshot, plant, time.time()), self._path, self._crash)
        self._saved_offset = offset
        await self.log.commit(self.pipeline.site, CONSUMER, offset)
        await self.log.trim(self.pipeline.site, self._keep)
