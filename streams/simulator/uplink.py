"""One gateway of the demo plant on MQTT: sends its spool in order, forgets what the watermark has passed, takes commands.

After each reconnect it waits for the retained watermark and sends again what is above; the same if the watermark stands still.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec

from schemas.action import Action
from schemas.device import DeviceId
from schemas.finding import Mark
from streams.mqtt import Address, Connection, connections
from streams.simulator.spool import Spool, Spools
from streams.topics import Topics

logger = logging.getLogger(__name__)
GREETING = 0.5
"""Seconds that a new connection waits for the retained watermark; there is none before the service's first."""
PATIENCE = 15.0
"""Seconds without a move of the watermark after which all is sent again: the broker may have lost what it acknowledged."""
Order = Callable[[DeviceId, Action], None]


class Uplink:
    """One gateway's connection; `order` is told each command with the gateway's name."""

    def __init__(self, name: DeviceId, *, topics: Topics, address: Address, spools: Spools, order: Order) -> None:
        self._name = name
        self._topics = topics
        self._address = address
        self._spools = spools
        self._order = order
        self._greeted = asyncio.Event()
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Goes on until it is cancelled, from one connection to the next."""
        topics = [self._topics.watermark(self._name), self._topics.commands("#")]
        identifier = f"simulator-{self._topics.site}-{self._name}"
        async for connection in connections(self._address, identifier, topics):
            self._greeted.clear()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(connection), name=f"{self._name}: listen")
                    tasks.create_task(self._send(connection), name=f"{self._name}: send")
                    tasks.create_task(self._repeat(), name=f"{self._name}: repeat")
            except* ConnectionError as lost:
                self._spools.away.add(self._name)
                self._spools.change()
                logger.info("%s: connection lost: %s", self._name, lost.exceptions[0])

    @property
    def _spool(self) -> Spool:
        return self._spools.of[self._name]

    async def _listen(self, connection: Connection) -> None:
        watermark, commands = self._topics.watermark(self._name), self._topics.commands("")
        async for message in connection.messages():
            if message.topic == watermark:
                self._mark(message.payload)
            elif message.topic.startswith(commands):  # amqtt also hands out retained messages that nobody asked for
                self._command(message.payload)
            message.ack()
        raise ConnectionError("no more messages")

    def _mark(self, payload: bytes) -> None:
        try:
            mark = msgspec.json.decode(payload, type=Mark)
        except msgspec.MsgspecError:
            logger.warning("%s: not a watermark: %r", self._name, payload[:100])
            return
        self._spool.passed(mark)
        self._greeted.set()
        self._moved.set()
        self._spools.change()

    def _command(self, payload: bytes) -> None:
        try:
            action = msgspec.json.decode(payload, type=Action)
        except msgspec.MsgspecError as error:
            logger.warning("%s: not a command: %s", self._name, error)
            return
        self._order(self._name, action)

    async def _send(self, connection: Connection) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GREETING):
                await self._greeted.wait()
        self._spool.rewind()
        self._spools.away.discard(self._name)
        self._spools.change()
        while True:
            batch = await self._spools.turn(self._name)
            await connection.publish(self._topics.gateway(self._name), batch.payload())
            self._spool.sent(batch)
            self._spools.change()

    async def _repeat(self) -> None:
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._moved.wait()
            except TimeoutError:
                self._spool.rewind()
                self._spools.change()
