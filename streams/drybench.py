"""A plant's tools over a recording: runs are carried out dry, and where they would leave something behind, nothing stays.

The real control room, tools and scheduler over a folder that is gone afterwards. Used by `streams.dryrun`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import NoReturn, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from agents.annunciator import Annunciator
from agents.catalogue import plant_tools
from agents.dispatcher import Dispatcher
from agents.entry import Entry
from agents.policy import Decision
from agents.run import Order, Run
from agents.scheduler import Scheduler
from graph.sqlite_store import SqliteGraphStore
from graph.topology import Topology
from schemas.action import Action
from schemas.event import Event, Micros
from streams.controlroom import ControlRoom
from streams.feed import Feed
from streams.findings import FindingStore
from streams.folder import Folder
from streams.history import History
from streams.journal import AlarmJournal, wall_clock
from streams.outbox import Outbox
from streams.pipeline import Pipeline, Reaction
from streams.plantclock import PlantClock
from streams.runstore import SqliteRuns
from streams.traces import Traces
from streams.workshop.periods import Calendar
from streams.workshop.plantworkshop import PlantWorkshop
from streams.workshop.runfiles import RunFiles

Result = TypeVar("Result")


class Still:
    """`streams.plantview.Live`: between two batches nothing moves."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return work(self._pipeline.topology)

    @property
    def now(self) -> Micros:
        return self._pipeline.now

    @property
    def version(self) -> int:
        return self._pipeline.topology.version


class DrySide:
    """`streams.workshop.acting.ActingSide` that only says what would be decided."""

    def __init__(self, dispatcher: Dispatcher, pipeline: Pipeline) -> None:
        self._dispatcher = dispatcher
        self._pipeline = pipeline

    def has_way(self, via: str) -> bool:
        return via in self._dispatcher.ways

    def entry(self, action_id: str) -> Entry | None:
        del action_id
        return None

    async def preview(self, action: Action) -> Decision:
        return self._dispatcher.preview(action, topology=self._pipeline.topology, now=self._pipeline.now)

    async def request(self, action: Action) -> NoReturn:
        raise AssertionError(f"{action.verb} of {action.target} is not to be done")

    async def later(self, seen: Entry, patience: float) -> NoReturn:
        raise AssertionError(f"{seen.action.action_id} was not done: {patience}")

    async def reject(self, action_id: str, actor: str, reason: str) -> NoReturn:
        raise AssertionError(f"{actor} cannot reject {action_id}: {reason}")


class DryBench:
    """Fed with each batch and what it gave rise to, as the service's parts are."""

    def __init__(
        self,
        stack: AsyncExitStack,
        folder: Path,
        pipeline: Pipeline,
        *,
        dispatcher: Dispatcher,
        annunciator: Annunciator,
        zone: ZoneInfo,
    ) -> None:
        own = Folder(folder)
        store = stack.enter_context(closing(FindingStore(own.findings)))
        self._pipeline = pipeline
        self._history, self._traces = History(), Traces()
        self._clock = PlantClock(monotonic=lambda: 0.0)
        self._journal = AlarmJournal(annunciator, store, clock=self._clock, topology=lambda: pipeline.topology)
        room = ControlRoom(
            pipeline.site,
            journal=self._journal,
            store=store,
            feed=Feed(store),
            outbox=stack.enter_context(closing(Outbox(own.outbox))),
            traces=self._traces,
            live=Still(pipeline),
            hands=None,
            database=stack.enter_context(closing(SqliteGraphStore(folder / "graph.db"))),
        )
        calendar = Calendar(self._clock, zone)
        tools = PlantWorkshop(room, self._history, RunFiles(own.run_files), DrySide(dispatcher, pipeline), calendar)
        runs = stack.enter_context(closing(SqliteRuns(own.runs)))
        self.scheduler = Scheduler(plant_tools(), tools, runs, clock=wall_clock)

    async def take(self, reaction: Reaction, events: Sequence[Event]) -> None:
        self._history.observe(events)
        self._traces.observe(reaction.steps)
        if reaction.alerts or reaction.faults:
            await self._journal.save(reaction.alerts, [state.finding() for state in reaction.faults])
        self._clock.noticed(self._pipeline.now)

    async def carry_out(self, order: Order) -> Run:
        await self.scheduler.plan(msgspec.structs.replace(order, dry=True))
        await self.scheduler.start(order.run_id)
        return await self.scheduler.finished(order.run_id)


@asynccontextmanager
async def opened(
    pipeline: Pipeline, *, dispatcher: Dispatcher, annunciator: Annunciator, zone: ZoneInfo
) -> AsyncIterator[DryBench]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openautoglm-dry-")))
        bench = DryBench(stack, folder, pipeline, dispatcher=dispatcher, annunciator=annunciator, zone=zone)
        working = asyncio.ensure_future(bench.scheduler.run())
        try:
            yield bench
        finally:
            working.cancel()
            await asyncio.wait((working,))
