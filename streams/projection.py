"""Write-behind: what changed in the live graph goes to a database of the graph, beside the stream and never in its way.

Fed by whoever owns a pipeline, through `Source`: rows are computed in the pipeline's own thread, and a key stops waiting only
when the database has committed it. A database that is away, slow or refuses us stops nothing: the keys wait, each once, and are
in the next snapshot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, cast

from graph.pending import Pending
from graph.store import Batch, GraphStore, Outcome, StoreError, StoreRefusedError
from streams.pipeline import Pipeline

logger = logging.getLogger(__name__)
ROWS = 2_000
"""Rows of one transaction: few enough that the pipeline waits some milliseconds for them at most."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
REFUSED_PAUSE = 60.0
"""Seconds until the next try where only a changed setting helps: a database locks out who hammers."""
GATHER = 0.1
"""Seconds in which changes of one key become one row."""
LOOK = 10.0
"""Seconds without a change after which the database is asked whether it is still as it was left."""
END = 3.0
"""Seconds that a write under way has to end when the service does."""

FENCED = "site {} in this database was written by another service: `openautoglm projection rebuild` takes it over"


class Source(Protocol):
    """The owner of a pipeline, as the projection sees it. One task asks, one question at a time."""

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        ...

    @property
    def since(self) -> float | None:
        """When the oldest change that waits was made, by the monotonic clock; None if nothing waits."""
        ...

    async def changed(self) -> None:
        """Until something waits."""
        ...

    async def pending(self, limit: int, *, empty: bool) -> Batch | None:
        """The next rows. Where nothing waits: None, or a batch without rows if it may be `empty`."""
        ...

    async def applied(self, batch: Batch, outcome: Outcome) -> None:
        """What the database did with the rows that were given last."""
        ...


class PipelineSource:
    """`Source` of one pipeline with `projected=True`.

    `run` does work in the pipeline's thread; `offset` is read there: the first record of the log that it has not seen.
    `noticed` is to be called after each batch of events. `origin` names the log, and stays the same over restarts.
    """

    def __init__(
        self, pipeline: Pipeline, *, origin: str, offset: Callable[[], int], run: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._pipeline = pipeline
        self._origin = origin
        self._offset = offset
        self._run = run
        self._changed = asyncio.Event()
        self._in_round: float | None = None
        self._after_it: float | None = None

    @property
    def waiting(self) -> int:
        return len(self._pending)

    @property
    def since(self) -> float | None:
        return self._in_round if self._in_round is not None else self._after_it

    @property
    def _pending(self) -> Pending:
        assert self._pipeline.pending is not None, "the pipeline must be made with projected=True"
        return self._pipeline.pending

    def noticed(self) -> None:
        """The pipeline has taken in events, or was restored."""
        if self._after_it is None and self._pending.fresh:
            self._after_it = time.monotonic()
            self._changed.set()

    async def changed(self) -> None:
        self.noticed()
        await self._changed.wait()

    async def pending(self, limit: int, *, empty: bool) -> Batch | None:
        def take() -> Batch | None:
            site, offset = self._pipeline.site, self._offset()
            return self._pending.take(site=site, origin=self._origin, offset=offset, limit=limit, empty=empty)

        if self._in_round is None:
            self._in_round, self._after_it = self._after_it, None
            self._changed.clear()
        batch: Batch | None = await self._run(take)
        if batch is None:
            self._in_round = None
        return batch

    async def applied(self, batch: Batch, outcome: Outcome) -> None:
        await self._run(lambda: self._pending.done(batch, outcome))
        if batch.last or outcome is not Outcome.WRITTEN:
            self._in_round = None
        self.noticed()


class Projection:
    """Writes what waits. `written` counts rows. The store is closed at the end unless others use it too (`owns`)."""

    def __init__(self, store: GraphStore, source: Source, *, rows: int = ROWS, owns: bool = True) -> None:
        self._store = store
        self._owns = owns
        self._source = source
        self._rows = rows
        self._prepared = False
        self._busy: threading.Thread | None = None
        self._pause = FIRST_PAUSE
        self.trouble = ""
        self.written = 0

    @property
    def waiting(self) -> int:
        """Rows that are not in the database yet."""
        return self._source.waiting

    @property
    def lag(self) -> float:
        """Seconds since the oldest change that is not in the database yet."""
        since = self._source.since
        return 0.0 if since is None else time.monotonic() - since

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                empty = not await self._changed()
                while (batch := await self._source.pending(self._rows, empty=empty)) is not None:
                    outcome = await self._apply(batch)
                    if outcome is not None:
                        await self._source.applied(batch, outcome)
                        empty = False
        finally:
            await self._close()

    async def _changed(self) -> bool:
        """False after a quiet time: it is then looked whether the database still holds what was written."""
        try:
            async with asyncio.timeout(LOOK):
                await self._source.changed()
        except TimeoutError:
            return False
        await asyncio.sleep(GATHER)
        return True

    async def _apply(self, batch: Batch) -> Outcome | None:
        """None if it must be tried again; that is then not too soon."""
        try:
            outcome = await self._in_thread(lambda: self._write(batch))
        except StoreRefusedError as error:
            await self._wait(str(error), REFUSED_PAUSE)
            return None
        except StoreError as error:
            await self._wait(str(error), self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return None
        if outcome is Outcome.FENCED:
            await self._wait(FENCED.format(batch.site), REFUSED_PAUSE)
            return None
        if outcome is Outcome.LOST:
            logger.warning("the database has lost what was written to it: everything is written again")
        elif self.trouble:
            logger.info("the projection goes on")
        self.trouble, self._pause = "", FIRST_PAUSE
        self.written += len(batch) if outcome is Outcome.WRITTEN else 0
        return outcome

    def _write(self, batch: Batch) -> Outcome:
        if not self._prepared:
            self._store.prepare()
        outcome = self._store.apply(batch)
        # An emptied database has lost its constraints as well.
        self._prepared = outcome is not Outcome.LOST
        return outcome

    async def _wait(self, trouble: str, pause: float) -> None:
        """Said once, not with each try."""
        if trouble != self.trouble:
            logger.warning("the projection waits: %s", trouble)
        self.trouble = trouble
        await asyncio.sleep(pause)

    async def _in_thread(self, work: Callable[[], Outcome]) -> Outcome:
        """In a thread that does not keep the process from ending: a database that hangs must not."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome | None, error: BaseException | None) -> None:
            if not done.cancelled():
                done.set_exception(error) if error is not None else done.set_result(cast("Outcome", outcome))

        def body() -> None:
            outcome, error = None, None
            try:
                outcome = work()
            except BaseException as raised:  # noqa: BLE001 - raised again where it is awaited
                error = raised
            with suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(settle, outcome, error)

        self._busy = threading.Thread(target=body, name="projection", daemon=True)
        self._busy.start()
        return await done

    async def _close(self) -> None:
        """A write under way may end; one that hangs is left behind, with its connection."""
        if self._busy is not None:
            await asyncio.to_thread(self._busy.join, END)
        if self._owns and (self._busy is None or not self._busy.is_alive()):
            self._store.close()
