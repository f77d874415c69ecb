"""A TCP connection that can be slow, stand still, or be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 1 << 16


@dataclass
class Proxy:
    """Passes bytes on to a port of loopback. `delay`: seconds for each chunk and direction; `open`: cleared, nothing passes."""

    target: int
    port: int = 0
    delay: float = 0.0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: bool = False
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        self.open.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Reset every connection that there is."""
        for writer in list(self.writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            if self.refuses:
                return
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self.writers.add(there_writer)
            with suppress(ConnectionError):
                await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
            self._end(there_writer)
        except (OSError, asyncio.CancelledError):
            return  # cancelled by the end of the test alone
        finally:
            self._end(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            await self.open.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(chunk)
            await writer.drain()
        writer.close()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self.writers.discard(writer)
        writer.close()
