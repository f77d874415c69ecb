"""The partitions that one worker holds: taken over, worked on, handed over.

Fed by the worker with what the consumer group decides and what was fetched. One lock keeps a hand-over and the work on records
apart; it is never held while records are waited for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from streams.cluster import Cluster, Names
from streams.crashpoints import CrashPoints
from streams.fetched import Fetched
from streams.kafka import FencedError, Partition, Writer, newest, when_there
from streams.pipeline import Pipeline
from streams.shard import Shard, Watch, unwatched

logger = logging.getLogger(__name__)
SETTLING = 0.5
"""Seconds that a turn waits for a takeover."""
RECLAIM = 5.0
"""Seconds after which a partition that another worker took is taken back, if it is still ours; more than two heartbeats."""


class Shards:
    """`every`: seconds between snapshots. `rebalances` grows when partitions go: what was fetched before that is void."""

    def __init__(
        self,
        cluster: Cluster,
        names: Names,
        *,
        partitions: int,
        pipeline_of: Callable[[str], Pipeline],
        every: float,
        crash: CrashPoints,
    ) -> None:
        self.held: dict[Partition, Shard] = {}
        self.rebalances = 0
        self.progress = time.monotonic()
        """When records were last taken in, or a partition taken over."""
        self.watch: Watch = unwatched
        """Who follows the sites that are here."""
        self._cluster = cluster
        self._names = names
        self._pipeline_of = pipeline_of
        self._every = every
        self._crash = crash
        self._partitions = partitions
        self._mine: set[Partition] = set()
        self._takeover: asyncio.Task[None] | None = None
        self._lost: dict[Partition, float] = {}
        self._committed: dict[Partition, int] = {}
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._lock = asyncio.Lock()

    # --- What the group decides ----------------------------------------------------------------------------------------

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """These are ours from now on, and no others. They are taken over in the background: see `settled`.

        The group hears nothing from a member while it is told what it has, and gives it up if that takes long.
        """
        self._mine = set(partitions)
        self._lost.clear()
        self._takeover = asyncio.create_task(self._take_over(self._mine), name="takeover")

    async def settled(self) -> bool:
        """Whether all that is ours is here. Raises what ended a takeover: DamagedStateError, SnapshotError, ClusterError."""
        if self._takeover is None:
            await asyncio.sleep(SETTLING)
            return False
        takeover = self._takeover
        await asyncio.wait([takeover], timeout=SETTLING)
        if not takeover.done() or takeover.cancelled():
            return False
        takeover.result()
        return True

    async def revoked(self) -> Mapping[Partition, int]:
        """Others may get ours: write the snapshots. The positions that may be committed."""
        self.rebalances += 1
        if self._takeover is not None:
            self._takeover.cancel()
            await asyncio.gather(self._takeover, return_exceptions=True)
            self._takeover = None
        async with self._lock:
            for partition in list(self.held):
                await self._guarded(partition, self.held[partition].save())
            return self._committable()

    async def _take_over(self, wanted: set[Partition]) -> None:
        async with self._lock:
            for partition in self.held.keys() - wanted:
                await self._drop(partition)
            async with asyncio.TaskGroup() as tasks:
                for partition in sorted(wanted):
                    tasks.create_task(self._hold(partition))
            count = sum(len(shard.sites) for shard in self.held.values())
            logger.info("holding partitions %s with %d sites", ", ".join(map(str, sorted(self.held))) or "none", count)

    async def _hold(self, partition: Partition) -> None:
        """What was kept in memory is used if nobody else had it in between."""
        if partition in self.held:
            try:
                await self.held[partition].renew()
            except (FencedError, ConnectionError) as error:
                logger.info("partition %d is read anew: %s", partition, error)
                await self._drop(partition)
        if partition not in self.held:
            self.held[partition] = await when_there(partial(self._taken_over, partition))
        self.progress = time.monotonic()

    async def _taken_over(self, partition: Partition) -> Shard:
        """Fence off the owner before, then read what it left: in this order nothing of it is missed."""
        began = time.monotonic()
        writer = Writer(self._cluster, self._names, partition)
        shard = Shard(
            partition,
            partitions=self._partitions,
            names=self._names,
            writer=writer,
            pipeline_of=self._pipeline_of,
            watch=self.watch,
            executor=self.executor,
            every=self._every,
            crash=self._crash,
        )
        try:
            await writer.start()
            await shard.restore(await newest(self._cluster, self._names.state, partition))
        except BaseException:
            await writer.close()
            raise
        logger.debug("partition %d: %d sites in %.1f s", partition, len(shard.sites), time.monotonic() - began)
        return shard

    async def _drop(self, partition: Partition) -> None:
        self._committed.pop(partition, None)
        await self.held.pop(partition).close()

    # --- Work ----------------------------------------------------------------------------------------------------------

    async def take(self, partition: Partition, records: Sequence[Fetched], rebalances: int) -> bool:
        """Take in what was fetched when there had been so many rebalances.

        False if there was one since, or the partition is not here: it is unknown then whether these records follow the last
        that were taken in, and they are to be fetched again from the committed position.
        """
        async with self._lock:
            shard = self.held.get(partition)
            if shard is None or rebalances != self.rebalances:
                return False
            if await self._guarded(partition, shard.take(records)):
                self.progress = time.monotonic()
            return True

    async def save(self) -> Mapping[Partition, int]:
        """Write the snapshots that are due. The positions that may be committed."""
        async with self._lock:
            for partition, shard in list(self.held.items()):
                if shard.due:
                    await self._guarded(partition, shard.save())
            return self._committable()

    async def reclaim(self) -> list[Partition]:
        """Take over again what was lost, if the group still says it is ours: it is to be fetched from its committed position.

        Whoever took it may have been a worker that did not know yet that it is no longer of the group; it knows by then.
        """
        async with self._lock:
            now = time.monotonic()
            back = [partition for partition, lost in self._lost.items() if now - lost >= RECLAIM and partition in self._mine]
            for partition in back:
                self.held[partition] = await when_there(partial(self._taken_over, partition))
                del self._lost[partition]
            return back

    async def _guarded(self, partition: Partition, work: Awaitable[None]) -> bool:
        """Whether it was done. After an error it is unknown what the cluster has kept, so what is in memory is of no use."""
        try:
            await work
        except FencedError as error:
            await self._lose(partition, error, since=time.monotonic())
        except ConnectionError as error:
            await self._lose(partition, error, since=time.monotonic() - RECLAIM)
        else:
            return True
        return False

    async def _lose(self, partition: Partition, error: Exception, *, since: float) -> None:
        logger.warning("partition %d is to be read anew: %s", partition, error)
        await self._drop(partition)
        self._lost[partition] = since

    def _committable(self) -> dict[Partition, int]:
        """Positions that have moved since the last that were committed."""
        return {
            partition: shard.committable
            for partition, shard in self.held.items()
            if shard.committable is not None and shard.committable != self._committed.get(partition)
        }

    def committed(self, positions: Mapping[Partition, int]) -> None:
        """The group knows these now."""
        self._committed |= positions

    async def close(self) -> None:
        if self._takeover is not None:
            self._takeover.cancel()
            await asyncio.gather(self._takeover, return_exceptions=True)
        async with self._lock:
            for partition in list(self.held):
                await self._drop(partition)
        self.executor.shutdown()
