"""Findings of the cluster to a gateway's own store, from which the publisher tells MQTT subscribers, each once and in order."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from schemas.finding import Alert, Fault
from streams.cluster import Cluster, Names
from streams.findings import FindingStore, Kind
from streams.kafka import Found, follow

logger = logging.getLogger(__name__)
PAUSE = 1.0
"""Seconds before another try when the cluster is away."""


class Relay:
    """Follows the findings of one site; `found` is set whenever there is something new."""

    def __init__(self, site: str, *, cluster: Cluster, names: Names, store: FindingStore) -> None:
        self._site = site
        self._cluster = cluster
        self._names = names
        self._store = store
        self.found = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        topics = [self._names.findings(kind) for kind in Kind]
        while True:
            try:
                async for bulk in follow(self._cluster, topics, group=f"{self._names.prefix}-relay-{self._site}"):
                    await self._keep(bulk)
            except ConnectionError as error:
                logger.warning("findings wait for the cluster: %s", error)
            await asyncio.sleep(PAUSE)

    async def _keep(self, bulk: list[Found]) -> None:
        ours = [found for found in bulk if found.key == self._site and found.value is not None]
        alerts = [found.value for found in ours if found.topic == self._names.findings(Kind.ALERTS)]
        faults = [found.value for found in ours if found.topic == self._names.findings(Kind.FAULTS)]
        new = await self._store.save(
            [msgspec.json.decode(value or b"", type=Alert) for value in alerts],
            [msgspec.json.decode(value or b"", type=Fault) for value in faults],
        )
        if new:
            self.found.set()
