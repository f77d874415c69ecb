"""What becomes of alarms where people are, told to the cluster: by the gateway of their site, in order, at least once.

A record that is written again after a crash says the same: an alarm's id and version name its transition.
"""

from __future__ import annotations

import asyncio
import logging

from streams.cluster import Names
from streams.findings import LIVED, FindingStore
from streams.kafka import KafkaLog, Note

logger = logging.getLogger(__name__)
SUBSCRIBER = "kafka"
AT_ONCE = 500
PAUSE = 1.0
"""Seconds before another try when the cluster is away."""
JSON = [("content-type", b"application/json")]


class Announcer:
    """Of one site."""

    def __init__(self, site: str, *, log: KafkaLog, names: Names, store: FindingStore) -> None:
        self._site = site
        self._log = log
        self._names = names
        self._store = store

    async def run(self) -> None:
        """Until cancelled."""
        with self._store.listening() as grown:
            while True:
                grown.clear()
                try:
                    while await self._tell():
                        pass
                except ConnectionError as error:
                    logger.warning("alarms wait for the cluster: %s", error)
                    await asyncio.sleep(PAUSE)
                    continue
                await grown.wait()

    async def _tell(self) -> bool:
        """Tell the oldest rows; whether there were any."""
        rows = await self._store.untold(SUBSCRIBER, AT_ONCE)
        notes = [Note(self._names.findings(row.kind), self._site, row.body, JSON) for row in rows if row.kind in LIVED]
        if notes:
            await self._log.write(notes)
        if rows:
            await self._store.tell(SUBSCRIBER, rows[-1].number)
        return bool(rows)
