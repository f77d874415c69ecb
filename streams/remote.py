"""The live graph of a site that workers hold, read from Kafka: for `openautoglm projection` and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple, TypeVar

from streams.cluster import Cluster, Names
from streams.findings import FOUND, Kind
from streams.kafka import Partition, committed, newest
from streams.kafka_admin import identity, partitions_of
from streams.statetopic import DamagedStateError, Manifest, joined
from streams.upkeep import Live, NothingThereError

Result = TypeVar("Result")
TRIES = 5
"""Readings of snapshots that are replaced meanwhile, before they count as damaged."""


class KafkaTruth(NamedTuple):
    """`Truth` of one site on Kafka. Its calls block."""

    cluster: Cluster
    names: Names
    site: str

    def live(self) -> Live:
        return _blocking(self._live())

    def origin(self) -> str:
        return _blocking(self._origin())

    def runs(self) -> bool:
        """Whether a worker runs is known to the group alone; there may always be one."""
        return True

    async def _live(self) -> Live:
        partition, manifest, snapshot = await self._found()
        told = {kind: await committed(self.cluster, self.names.findings(kind), partition) for kind in FOUND}
        ours = {kind: [found.value or b"" for found in records if found.key == self.site] for kind, records in told.items()}
        return Live.of(snapshot, manifest.offset, ours[Kind.ALERTS], ours[Kind.FAULTS])

    async def _origin(self) -> str:
        partition, _, _ = await self._found()
        return origin(await identity(self.cluster), self.names, partition)

    async def _found(self) -> tuple[Partition, Manifest, bytes]:
        for number in range(await partitions_of(self.cluster, self.names)):
            found = await snapshots(self.cluster, self.names, Partition(number), [self.site])
            if self.site in found:
                return Partition(number), *found[self.site]
        raise NothingThereError(f"no worker has left a snapshot of site {self.site} in {self.names.state}")


async def snapshots(
    cluster: Cluster, names: Names, partition: Partition, sites: Iterable[str]
) -> dict[str, tuple[Manifest, bytes]]:
    """Of those sites that have one there. Raises DamagedStateError, ConnectionError.

    While somebody writes, Kafka may let go of chunks that a newer snapshot replaces before they are read here: then read again.
    """
    for last in (*[False] * TRIES, True):
        held = await newest(cluster, names.state, partition)
        try:
            return {site: whole for site in sites if (whole := joined(site, held)) is not None}
        except DamagedStateError:
            if last:
                raise
    raise AssertionError


def origin(cluster: str, names: Names, partition: Partition) -> str:
    """What names a partition of the events, the same for all workers."""
    return f"{cluster}/{names.events}/{partition}"


def _blocking(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)
