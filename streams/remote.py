"""The live graph of a site that workers hold, read from Kafka: for `openautoglm projection` and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from streams.cluster import Cluster, Names
from streams.findings import Kind
from streams.kafka import Partition, committed, newest
from streams.kafka_admin import identity, partitions_of
from streams.statetopic import Manifest, joined
from streams.upkeep import Live, NothingThereError

Result = TypeVar("Result")


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
        told = {kind: await committed(self.cluster, self.names.findings(kind), partition) for kind in Kind}
        ours = {kind: [found.value or b"" for found in records if found.key == self.site] for kind, records in told.items()}
        return Live.of(snapshot, manifest.offset, ours[Kind.ALERTS], ours[Kind.FAULTS])

    async def _origin(self) -> str:
        partition, _, _ = await self._found()
        return origin(await identity(self.cluster), self.names, partition)

    async def _found(self) -> tuple[Partition, Manifest, bytes]:
        for number in range(await partitions_of(self.cluster, self.names)):
            held = await newest(self.cluster, self.names.state, Partition(number))
            whole = joined(self.site, held)
            if whole is not None:
                return Partition(number), *whole
        raise NothingThereError(f"no worker has left a snapshot of site {self.site} in {self.names.state}")


def origin(cluster: str, names: Names, partition: Partition) -> str:
    """What names a partition of the events, the same for all workers."""
    return f"{cluster}/{names.events}/{partition}"


def _blocking(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)
