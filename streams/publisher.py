"""Tells subscribers on MQTT what was found: in order, each finding once, and again only if the service died while telling."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from streams.crashpoints import CrashPoint, CrashPoints
from streams.findings import FindingStore, Row
from streams.mqtt import Address, Connection, connections
from streams.topics import Topics

logger = logging.getLogger(__name__)
SUBSCRIBER = "mqtt"
AT_ONCE = 200
LAST = 5.0
"""Seconds that the broker has to take what was begun, when the service is to end."""


class Publisher:
    """`run` must be running."""

    def __init__(self, topics: Topics, *, address: Address, store: FindingStore, crash: CrashPoints) -> None:
        self._topics = topics
        self._address = address
        self._store = store
        self._crash = crash

    async def run(self) -> None:
        """Until cancelled."""
        async for connection in connections(self._address, f"openautoglm-{self._topics.site}-publisher"):
            try:
                with self._store.listening() as grown:
                    await self._follow(connection, grown)
            except ConnectionError as error:
                logger.warning("findings wait for the broker: %s", error)

    async def _follow(self, connection: Connection, grown: asyncio.Event) -> None:
        while True:
            grown.clear()
            rows = await self._store.untold(SUBSCRIBER, AT_ONCE)
            if not rows:
                await grown.wait()
                continue
            await self._to_its_end(asyncio.ensure_future(self._tell(connection, rows)))

    async def _to_its_end(self, telling: asyncio.Future[None]) -> None:
        """Also when the service ends: what was told and not noted would be told again after the next start."""
        try:
            await asyncio.shield(telling)
        except asyncio.CancelledError:
            try:
                await asyncio.wait_for(telling, LAST)
            except Exception as error:  # noqa: BLE001 - it is the end in any case, and will be told again
                logger.warning("what was being told may be told again: %s", error or type(error).__name__)
            raise

    async def _tell(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Sent in order at once; the broker's acknowledgements may come in any order."""
        await asyncio.gather(*(connection.publish(self._topics.findings(row.kind), row.body) for row in rows))
        self._crash.reached(CrashPoint.PUBLISHED)
        await self._store.tell(SUBSCRIBER, rows[-1].number)
