"""The gateway role: messages in, validated, kept, and only then acknowledged.

Takes MQTT messages, decodes and validates them, stores valid events and dead letters in one transaction, acknowledges,
publishes the sources' watermarks, and forwards frames to the log. Works on while the log is away; the outbox holds what waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import msgspec

from schemas import bounds
from schemas.decode import decode
from schemas.event import Event, Micros, Stamp
from schemas.finding import Invalid, Mark
from streams.broker import Intake
from streams.crashpoints import CrashPoint, CrashPoints
from streams.mqtt import Address, Connection, Message, connections, grouped
from streams.outbox import Outbox, Refused
from streams.topics import Topics, gateway_name

logger = logging.getLogger(__name__)
FRAMES = 64
"""Frames forwarded at once."""
PAUSE = 1.0
"""Seconds before another try when the log is away."""
LOOK = 1.0
"""Seconds after which the outbox is looked into unasked: another process may replay dead letters into it."""


class Gateway:
    """One per site and service; `run` goes on until it is cancelled."""

    def __init__(self, topics: Topics, *, address: Address, outbox: Outbox, log: Intake, crash: CrashPoints) -> None:
        self._topics = topics
        self._address = address
        self._outbox = outbox
        self._log = log
        self._crash = crash
        self._stored = asyncio.Event()
        self._marks: dict[str, Mark] = {mark.source: mark for mark in outbox.watermarks.all()}
        self._marked = asyncio.Event()
        self.received = 0
        self.invalid = 0
        self.connected = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(), name="gateway: receive")
            tasks.create_task(self._forward(), name="gateway: forward")

    # --- Intake --------------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        identifier = f"openautoglm-{self._topics.site}"
        async for connection in connections(self._address, identifier, [self._topics.events]):
            self.connected.set()
            self._marked.set()
            async with asyncio.TaskGroup() as tasks:
                marking = tasks.create_task(self._publish_marks(connection), name="gateway: watermarks")
                await self._intake(connection)
                marking.cancel()
            self.connected.clear()

    async def _intake(self, connection: Connection) -> None:
        try:
            async for messages in grouped(connection):
                await self.take(messages)
        except ConnectionError as error:
            logger.warning("MQTT connection lost: %s", error)

    async def take(self, messages: Sequence[Message]) -> None:
        """Keep what these messages hold, then acknowledge them."""
        events: list[Event] = []
        refused: list[Refused] = []
        for message in messages:
            decoded = decode(message.payload)
            events += decoded.events
            refused += [Refused(message.topic, invalid, place(invalid)) for invalid in decoded.invalid]
        self._crash.reached(CrashPoint.RECEIVED)
        marks = await self._outbox.store(events, refused)
        self._crash.reached(CrashPoint.STORED)
        for message in messages:
            message.ack()
        self._crash.reached(CrashPoint.ACKNOWLEDGED)
        self.received += len(events) + len(refused)
        self.invalid += len(refused)
        self._marks.update({mark.source: mark for mark in marks})
        self._stored.set()
        self._marked.set()

    async def _publish_marks(self, connection: Connection) -> None:
        """The newest mark of each source; marks in between are passed over while the broker is slow."""
        told: dict[str, Mark] = {}
        try:
            while True:
                await self._marked.wait()
                self._marked.clear()
                for source, mark in list(self._marks.items()):
                    if told.get(source) != mark:
                        told[source] = mark
                        topic = self._topics.watermark(gateway_name(source))
                        await connection.publish(topic, msgspec.json.encode(mark), retain=True)
        except ConnectionError:
            logger.debug("watermarks wait for the next connection")

    def look(self) -> None:
        """Somebody else has put something into the outbox."""
        self._stored.set()

    # --- Hand-over -----------------------------------------------------------------------------------------------------

    async def _forward(self) -> None:
        while True:
            self._stored.clear()
            frames = await self._outbox.waiting(FRAMES)
            if not frames:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stored.wait(), LOOK)
                continue
            try:
                await self._log.append(self._topics.site, [value for _, value in frames])
            except ConnectionError as error:
                logger.warning("the log is away: %s; the outbox keeps what comes", error)
                await asyncio.sleep(PAUSE)
                continue
            self._crash.reached(CrashPoint.LOGGED)
            await self._outbox.forwarded(frames[-1][0])
            self._crash.reached(CrashPoint.FORWARDED)


class _Placed(msgspec.Struct):
    """What tells an event's place, in the bounds of a valid one: a number beyond them would stop the gateway."""

    source: Annotated[str, msgspec.Meta(min_length=1, max_length=bounds.URI, pattern=bounds.URI_REFERENCE)]
    sequence: Annotated[str, msgspec.Meta(max_length=20, pattern=bounds.SEQUENCE)]
    epoch: Annotated[str, msgspec.Meta(max_length=19, pattern=bounds.EPOCH)] | None = None


def place(invalid: Invalid) -> Stamp | None:
    """Where an invalid event stands among its gateway's, if it is whole enough to say: a watermark may pass it then.

    `raw` shows bytes that are no text as no JSON can be, so it need not be turned back, which takes long.
    """
    try:
        held = msgspec.json.decode(invalid.raw, type=_Placed)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Stamp(Micros(0), held.source, int(held.epoch or 0), int(held.sequence), "")
