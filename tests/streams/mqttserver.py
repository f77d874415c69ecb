"""A server that notes every MQTT packet as it came, and answers as the protocol wants: for tests of what goes over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from streams.mqtt import Address
from tests.waiting import HUNG

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PING, PONG, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14


class Publish(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(NamedTuple):
    """`will` is None without one."""

    identifier: str
    clean: bool
    will: Publish | None


class Subscribe(NamedTuple):
    topic: str
    qos: int


class Disconnect(NamedTuple):
    """The client said that it goes."""


Packet = Connect | Publish | Subscribe | Disconnect


class Server:
    """`packets` are those of all connections, in order; `send` and `drop` act on the newest connection."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._came = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None
        self.port = 0

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    async def until(self, count: int, kind: type[Packet]) -> list[Packet]:
        """All packets, once so many of a kind have come. Raises TimeoutError."""
        async with asyncio.timeout(HUNG), self._came:
            await self._came.wait_for(lambda: len(self.of(kind)) >= count)
            return list(self.packets)

    def of(self, kind: type[Packet]) -> list[Packet]:
        return [packet for packet in self.packets if isinstance(packet, kind)]

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert self._writer is not None
        body = len(topic.encode()).to_bytes(2, "big") + topic.encode() + payload
        self._writer.write(bytes([PUBLISH << 4 | retain]) + _length(len(body)) + body)
        await self._writer.drain()

    def drop(self) -> None:
        assert self._writer is not None
        self._writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            while True:
                (first,) = await reader.readexactly(1)
                body = await reader.readexactly(await _read_length(reader))
                writer.write(self._answer(first >> 4, first & 15, body))
                async with self._came:
                    self._came.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, kind: int, flags: int, body: bytes) -> bytes:
        match kind:
            case 1:
                self.packets.append(_connect(body))
                return bytes([CONNACK << 4, 2, 0, 0])
            case 3:
                topic, rest = _text(body)
                qos = flags >> 1 & 3
                self.packets.append(Publish(topic.decode(), rest[2:] if qos else rest, qos, bool(flags & 1)))
                return bytes([PUBACK << 4, 2]) + rest[:2] if qos else b""
            case 8:
                topic, rest = _text(body[2:])
                self.packets.append(Subscribe(topic.decode(), rest[0]))
                return bytes([SUBACK << 4, 3]) + body[:2] + rest[:1]
            case 12:
                return bytes([PONG << 4, 0])
            case 14:
                self.packets.append(Disconnect())
        return b""


def _connect(body: bytes) -> Connect:
    """Protocol 3.1.1: name, level, flags, keep-alive, then the texts that the flags announce."""
    _, rest = _text(body)
    flags, rest = rest[1], rest[4:]
    identifier, rest = _text(rest)
    will = None
    if flags & 4:
        topic, rest = _text(rest)
        payload, rest = _text(rest)
        will = Publish(topic.decode(), payload, flags >> 3 & 3, bool(flags & 32))
    return Connect(identifier.decode(), bool(flags & 2), will)


def _text(body: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(body[:2], "big")
    return body[2 : 2 + length], body[2 + length :]


def _length(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


async def _read_length(reader: asyncio.StreamReader) -> int:
    value = 0
    for shift in range(0, 28, 7):
        (byte,) = await reader.readexactly(1)
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        if server._writer is not None:
            server._writer.close()
