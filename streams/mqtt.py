"""MQTT, the only file that knows it: connections that come back, acknowledgement by hand, and the embedded broker.

aiomqtt acknowledges a QoS 1 message before the program has seen it; here a message is acknowledged when its receiver says so,
through the client underneath. What was not acknowledged, the broker sends again after a reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Self

import aiomqtt
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig

logger = logging.getLogger(__name__)
RECONNECT = (0.2, 5.0)
"""Seconds before the first and between later attempts to connect."""
SHUTDOWN = 2.0
"""Seconds that the embedded broker may take to end."""
QOS = 1
IN_FLIGHT = 1000
"""Messages sent but not acknowledged; the client holds back more."""
MOST_MESSAGES = 500
"""Messages that are taken together, or"""
MOST_BYTES = 1 << 22
"""bytes."""
AT_ONCE = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
"""Or the kernel holds a small packet back until the one before is acknowledged, up to 40 ms."""


@dataclass(frozen=True)
class Address:
    """Where a broker is and how to be let in. The password is never part of a text form."""

    host: str
    port: int
    username: str | None = None
    password: Callable[[], str | None] = lambda: None
    tls: bool = False


@dataclass(frozen=True)
class Message:
    """A message that waits for `ack`; until then the broker keeps it."""

    topic: str
    payload: bytes
    ack: Callable[[], object]
    retained: bool = False


@dataclass(frozen=True)
class Will:
    """What the broker publishes when it loses the client, at least once and retained."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Session:
    """What the broker keeps of a client, and how many messages may wait here.

    `clean`: nothing is kept over a connection. `most`: messages beyond it are let go of with a warning, for those who notice
    that one is missing; None where the broker holds back what was not acknowledged.
    """

    clean: bool = False
    most: int | None = None


LASTING = Session()
"""The broker keeps the subscriptions, and what was not acknowledged."""


class Connection:
    """One client's connection, while it lasts."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = QOS) -> None:
        """At least once: returns when the broker has it; with `qos` 0, when it is on its way. Raises ConnectionError."""
        try:
            await self._client.publish(topic, payload, qos=qos, retain=retain)
        except aiomqtt.MqttError as error:
            raise ConnectionError(str(error)) from error
        # asyncio.wait_for, which aiomqtt uses, loses a cancellation that meets the broker's answer (Python before 3.12).
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    async def messages(self) -> AsyncIterator[Message]:
        """What the subscriptions bring in. Raises ConnectionError when the connection is lost."""
        acknowledge = self._client._client.ack  # noqa: SLF001 - aiomqtt has no manual acknowledgement of its own
        try:
            async for message in self._client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                acknowledgement = partial(acknowledge, message.mid, message.qos)
                yield Message(str(message.topic), payload, acknowledgement, bool(message.retain))
        except aiomqtt.MqttError as error:
            raise ConnectionError(str(error)) from error

    def waiting(self) -> int:
        """Messages that are here but not taken yet."""
        return len(self._client.messages)


@asynccontextmanager
async def connect(
    address: Address, identifier: str, topics: Sequence[str] = (), *, session: Session = LASTING, will: Will | None = None
) -> AsyncIterator[Connection]:
    """A connection under a fixed name. Raises ConnectionError."""
    client = aiomqtt.Client(
        address.host,
        address.port,
        username=address.username,
        password=address.password(),
        identifier=identifier,
        clean_session=session.clean,
        max_queued_incoming_messages=session.most,
        will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=QOS, retain=True),
        tls_params=aiomqtt.TLSParameters() if address.tls else None,
        timeout=10,
        max_inflight_messages=IN_FLIGHT,
        socket_options=AT_ONCE,
    )
    client._client.manual_ack_set(True)  # noqa: SLF001 - see `messages`
    # A connection that is lost while nobody listens is reported where it is next used, not by the event loop.
    client._disconnected.add_done_callback(lambda lost: lost.cancelled() or lost.exception())  # noqa: SLF001
    client.pending_calls_threshold = 10_000
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(client)
            for topic in topics:
                await client.subscribe(topic, qos=QOS)
        except aiomqtt.MqttError as error:
            raise ConnectionError(str(error)) from error
        except asyncio.CancelledError:
            client._client.on_disconnect = None  # noqa: SLF001 - it would ask a cancelled future how the connecting went
            raise
        with suppress(aiomqtt.MqttError):  # a lost connection has been reported where it was used
            yield Connection(client)


async def connections(
    address: Address,
    identifier: str,
    topics: Sequence[str] = (),
    *,
    session: Session = LASTING,
    will: Callable[[], Will | None] = lambda: None,
) -> AsyncGenerator[Connection, None]:
    """One connection after the other, for ever: when one is lost, the next. `will` is asked before each."""
    first, later = RECONNECT
    pause = first
    while True:
        try:
            async with connect(address, identifier, topics, session=session, will=will()) as connection:
                pause = first
                yield connection
        except ConnectionError as error:
            logger.warning("MQTT broker at %s:%d: %s; trying again", address.host, address.port, error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, later)


async def grouped(connection: Connection) -> AsyncIterator[list[Message]]:
    """Messages as they come, all that are there already together. Raises ConnectionError."""
    group: list[Message] = []
    size = 0
    async for message in connection.messages():
        group.append(message)
        size += len(message.payload)
        if not connection.waiting() or len(group) >= MOST_MESSAGES or size >= MOST_BYTES:
            yield group
            group, size = [], 0


class EmbeddedBroker:
    """amqtt in this process: for a trial, a single machine, and tests. It keeps nothing over a restart."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._broker: Broker | None = None

    async def __aenter__(self) -> Self:
        listener = ListenerConfig(bind=f"{self._host}:{self._port}")
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        self._broker = Broker(BrokerConfig(listeners={"default": listener}, plugins=plugins))
        await self._broker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._broker is not None
        try:
            # amqtt can wait for ever for a client that is just sending; it keeps nothing, so nothing is lost by not waiting.
            async with asyncio.timeout(SHUTDOWN):
                await self._broker.shutdown()
        except TimeoutError:
            logger.debug("the embedded broker did not end in time")

    @property
    def port(self) -> int:
        """The port in use; a free one was chosen if it was to be 0."""
        assert self._broker is not None
        server = self._broker._servers["default"].instance  # noqa: SLF001 - amqtt does not tell which port it got
        return int(server.sockets[0].getsockname()[1])
