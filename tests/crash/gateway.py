"""A gateway as the contract wants it: it keeps what the watermark has not passed, and sends it again until it has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from schemas.event import Event
from schemas.finding import Mark
from streams.mqtt import Address, Connection, connections
from streams.topics import Topics
from tests.streams.plant import line

PATIENCE = 0.5
"""Seconds until a message that is not safe yet is sent again."""

PACE = 0.03
"""Seconds between messages, unless told otherwise, so that the service comes to several checkpoints."""


class SpoolingGateway:
    """Publishes events in messages of `size`, each when the one before is safe; `done` when the last one is."""

    def __init__(
        self, address: Address, topics: Topics, events: Sequence[Event], *, size: int = 40, pace: float = PACE
    ) -> None:
        self._address = address
        self._topics = topics
        self._events = events
        self._size = size
        self._pace = pace
        self._safe = 0
        self._moved = asyncio.Event()
        self.done = asyncio.Event()

    async def run(self) -> None:
        mark = self._topics.watermark("gw-1")
        async for connection in connections(self._address, "gw-1", [mark]):
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen(connection))
                with contextlib.suppress(ConnectionError):
                    await self._send(connection)
                    await self.done.wait()
                listening.cancel()
            if self.done.is_set():
                return

    async def _listen(self, connection: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            async for message in connection.messages():
                self._safe = max(self._safe, msgspec.json.decode(message.payload, type=Mark).sequence)
                message.ack()
                self._moved.set()
                if self._safe >= self._events[-1].stamp.sequence:
                    self.done.set()

    async def _send(self, connection: Connection) -> None:
        while not self.done.is_set():
            self._moved.clear()
            unsafe = [event for event in self._events if event.stamp.sequence > self._safe]
            body = b",".join(line(event) for event in unsafe[: self._size])
            await connection.publish(self._topics.gateway("gw-1"), b"[" + body + b"]")
            await asyncio.sleep(self._pace)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), PATIENCE)
