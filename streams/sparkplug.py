"""The Sparkplug host: its own connection, clean at each start, and the events of all edge nodes in the gateway's outbox.

What edge nodes publish goes through the sessions of `schemas.sparkplug`; events and refused messages are stored in one
transaction and travel on as the gateway's do. Edge nodes keep nothing for us and ask for no watermark: what is lost on the way
shows as a gap, and a rebirth brings the present back.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from schemas.event import Micros
from schemas.sparkplug.command import Write
from schemas.sparkplug.host import Host, rebirth_request
from schemas.sparkplug.model import SparkplugError
from schemas.sparkplug.outcome import Outcome
from schemas.sparkplug.session import Rules
from schemas.sparkplug.state import State, encode_state, reply
from schemas.sparkplug.topic import EdgeNode, filters, state_topic
from streams.crashpoints import CrashPoint, CrashPoints
from streams.mqtt import Address, Connection, Message, Session, Will, connections, grouped
from streams.outbox import Outbox, Refused
from streams.settings import Settings, SparkplugRole

logger = logging.getLogger(__name__)
MOST_WAITING = 20_000
"""Edge nodes' messages cannot be held back; more are let go of, and everything is asked for anew."""
FAREWELL = 2.0
"""Seconds that the last STATE may take."""
STAGGER = (50_000, 500_000)
"""Microseconds between which an active host leaves the asking to others."""
COMMAND_QOS = 0
COMMANDING = frozenset({SparkplugRole.ACTIVE, SparkplugRole.PRIMARY})
MILLISECOND = 1000


def now() -> Micros:
    """The time of this machine."""
    return Micros(time.time_ns() // 1000)


@dataclass(frozen=True)
class Manner:
    """How this host behaves: what it may publish, and under which name."""

    role: SparkplugRole
    identifier: str
    host: str
    groups: Sequence[str]
    rules: Rules

    @classmethod
    def of(cls, settings: Settings) -> Manner:
        host = settings.sparkplug_host_id or f"openautoglm-{settings.site}"
        role = settings.sparkplug_role
        low, high = STAGGER
        rules = Rules(
            asks=role in {SparkplugRole.ACTIVE, SparkplugRole.PRIMARY},
            reorder=int(settings.sparkplug_reorder_timeout * 1_000_000),
            throttle=int(settings.sparkplug_rebirth_throttle * 1_000_000),
            # By the name, so that hosts that see the same gap do not ask at the same moment; the primary goes first.
            stagger=low + zlib.crc32(host.encode()) % (high - low) if role is SparkplugRole.ACTIVE else 0,
        )
        return cls(role, f"openautoglm-{settings.site}-sparkplug", host, settings.sparkplug_groups, rules)

    @property
    def primary(self) -> bool:
        return self.role is SparkplugRole.PRIMARY


class SparkplugHost:
    """One per site; `run` goes on until it is cancelled. `stored` is called when the outbox holds something new."""

    def __init__(
        self,
        manner: Manner,
        *,
        address: Address,
        outbox: Outbox,
        crash: CrashPoints,
        stored: Callable[[], None] = lambda: None,
        clock: Callable[[], Micros] = now,
    ) -> None:
        self._manner = manner
        self._address = address
        self._outbox = outbox
        self._crash = crash
        self._stored = stored
        self._clock = clock
        self._connection: Connection | None = None
        self._moved = asyncio.Event()
        self._own = State(online=True, timestamp=0)
        self._warned = False
        self._overrun = False
        self.host = Host(manner.rules)
        self.connected = asyncio.Event()

    async def run(self) -> None:
        manner = self._manner
        topics = filters(manner.groups, manner.host)
        session = Session(clean=True, most=MOST_WAITING)
        links = connections(self._address, manner.identifier, topics, session=session, will=self._will)
        async with aclosing(links):
            async for connection in links:
                await self._meet(connection)

    async def write(self, node: EdgeNode, write: Write) -> None:
        """Send a command, once. Raises SparkplugError: nothing was sent; after any other error nobody knows."""
        if self._manner.role not in COMMANDING:
            raise SparkplugError(
                f"a host that is {self._manner.role} publishes no commands: set sparkplug_role to active or primary"
            )
        connection = self._connection
        if connection is None:
            raise SparkplugError("the MQTT broker is away")
        topic, payload = self.host.write(node, write, self._clock())
        await connection.publish(topic, payload, qos=COMMAND_QOS)

    # --- Connection ----------------------------------------------------------------------------------------------------

    def _will(self) -> Will | None:
        """Asked right before each connection: its timestamp is the connection's, and the birth's that follows."""
        self._own = State(online=True, timestamp=self._clock() // MILLISECOND)
        if not self._manner.primary:
            return None
        return Will(state_topic(self._manner.host), encode_state(State(online=False, timestamp=self._own.timestamp)))

    async def _meet(self, connection: Connection) -> None:
        """One connection: the subscriptions are made; the birth goes first, then everything else."""
        try:
            await self._tell(connection, self._own)
            await self._act(self.host.back(self._clock()), connection)
            self._connection = connection
            self.connected.set()
            async with asyncio.TaskGroup() as tasks:
                timing = tasks.create_task(self._keep_time(connection), name="sparkplug: timers")
                await self._intake(connection)
                timing.cancel()
        except ConnectionError as error:
            logger.warning("Sparkplug: MQTT connection lost: %s", error)
        except asyncio.CancelledError:
            await self._part(connection)
            raise
        finally:
            self.connected.clear()
            self._connection = None
        await self._act(self.host.lost(self._clock()), None)

    async def _tell(self, connection: Connection, state: State) -> None:
        if self._manner.primary:
            await connection.publish(state_topic(self._manner.host), encode_state(state), retain=True)

    async def _part(self, connection: Connection) -> None:
        """An intended end: the broker does not publish the will then, so the host says it itself."""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._tell(connection, State(online=False, timestamp=self._clock() // MILLISECOND))

    # --- Messages and timers -------------------------------------------------------------------------------------------

    async def _intake(self, connection: Connection) -> None:
        try:
            async for messages in grouped(connection):
                await self._take(messages, connection)
                for message in messages:
                    message.ack()
                self._moved.set()
                await self._catch_up(connection, len(messages))
        except ConnectionError as error:
            logger.warning("Sparkplug: MQTT connection lost: %s", error)

    async def _catch_up(self, connection: Connection, taken: int) -> None:
        """If more came than may wait here, some were let go of, deaths perhaps: then nothing that is known is sure any more."""
        self._overrun = self._overrun or connection.waiting() + taken >= MOST_WAITING
        if self._overrun and not connection.waiting():
            self._overrun = False
            logger.warning("Sparkplug: more messages than can be taken; all edge nodes are stale until they are born again")
            await self._act(self.host.lost(self._clock()), connection)
            await self._act(self.host.back(self._clock()), connection)

    async def _take(self, messages: Sequence[Message], connection: Connection) -> None:
        gained = Outcome()
        own = state_topic(self._manner.host)
        for message in messages:
            if message.topic == own:
                await self._answer(message, connection)
                continue
            out = self.host.take(message.topic, message.payload, self._clock(), retained=message.retained)
            gained.events += out.events
            gained.refused += out.refused
            gained.rebirths += out.rebirths
        await self._act(gained, connection)
        if self.host.counts.early and not self._warned and not self._manner.rules.asks:
            self._warned = True
            logger.warning("Sparkplug: edge nodes speak whose births were before us; a passive host waits for their next ones")

    async def _answer(self, message: Message, connection: Connection) -> None:
        """Somebody says that this host is gone: the will of a connection before this one, as a rule."""
        if self._manner.primary and (again := reply(message.payload, self._own)) is not None:
            await self._tell(connection, again)

    async def _keep_time(self, connection: Connection) -> None:
        while True:
            self._moved.clear()
            due = self.host.due
            wait = None if due is None else max(0.0, (due - self._clock()) / 1_000_000)
            try:
                await asyncio.wait_for(self._moved.wait(), wait)
            except TimeoutError:
                with suppress(ConnectionError):  # the intake meets it too
                    await self._act(self.host.tick(self._clock()), connection)

    async def _act(self, out: Outcome, connection: Connection | None) -> None:
        """Keep what was gained, then ask for rebirths."""
        if out.events or out.refused:
            self._crash.reached(CrashPoint.RECEIVED)
            refused = [Refused(topic, invalid) for topic, invalid in out.refused]
            await self._outbox.store(out.events, refused, marked=False)
            self._crash.reached(CrashPoint.STORED)
            self._stored()
        if connection is None:
            return
        for node in dict.fromkeys(out.rebirths):
            logger.info("Sparkplug: asking %s/%s for a rebirth", node.group, node.edge)
            await connection.publish(*rebirth_request(node, self._clock()), qos=COMMAND_QOS)
