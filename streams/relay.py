"""Findings of the cluster to a gateway's own store, from which the publisher tells MQTT subscribers, each once and in order."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

import msgspec

from schemas.action import moment
from schemas.finding import Alert, Fault
from streams.cluster import Cluster, Names
from streams.findings import FOUND, Kind
from streams.journal import AlarmJournal
from streams.kafka import Found, follow
from streams.plantclock import PlantClock

logger = logging.getLogger(__name__)
Finding = TypeVar("Finding", Alert, Fault)
PAUSE = 1.0
"""Seconds before another try when the cluster is away."""


class Relay:
    """Follows the findings of one site."""

    def __init__(self, site: str, *, cluster: Cluster, names: Names, journal: AlarmJournal, clock: PlantClock) -> None:
        self._site = site
        self._cluster = cluster
        self._names = names
        self._journal = journal
        self._clock = clock
        self.trouble = ""
        """Why nothing comes from the cluster now, if so."""

    async def run(self) -> None:
        """Until cancelled."""
        topics = [self._names.findings(kind) for kind in FOUND]
        while True:
            try:
                async for bulk in follow(self._cluster, topics, group=f"{self._names.prefix}-relay-{self._site}"):
                    self.trouble = ""
                    if bulk:
                        await self._keep(bulk)
            except ConnectionError as error:
                logger.warning("findings wait for the cluster: %s", error)
                self.trouble = f"the cluster is away: {error}"
            await asyncio.sleep(PAUSE)

    async def _keep(self, bulk: list[Found]) -> None:
        ours = [found for found in bulk if found.key == self._site]
        alerts = [alert for found in ours if (alert := self._read(found, Kind.ALERTS, Alert)) is not None]
        faults = [fault for found in ours if (fault := self._read(found, Kind.FAULTS, Fault)) is not None]
        await self._journal.save(alerts, faults)
        for alert in alerts:
            self._clock.noticed(moment(alert.time))

    def _read(self, found: Found, kind: Kind, finding: type[Finding]) -> Finding | None:
        """What somebody else has written there is passed over: it must not stop the others."""
        if found.topic != self._names.findings(kind):
            return None
        try:
            read = msgspec.json.decode(found.value or b"", type=finding)
            moment(read.time if isinstance(read, Alert) else read.updated_at)  # a time that is none would stop us later
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            logger.warning("%s holds what is no finding: %s", found.topic, error)
            return None
        return read
