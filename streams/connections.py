"""uvicorn as the service needs it: signals are the service's, and connections are bounded.

A connection costs a file, and a service without files cannot write its checkpoint; so there are at most so many, and one that
does not ask for anything is closed. Nobody needs a key to connect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SILENT = 10.0
"""Seconds in which a connection must have sent the head of a request."""


class Server(uvicorn.Server):
    """Leaves signals to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def guarded(most: int, *, silent: float = SILENT) -> type[HttpToolsProtocol]:
    """The protocol with these bounds."""

    class Guarded(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
            else:
                self.loop.call_later(silent, self._close_if_silent)

        def _close_if_silent(self) -> None:
            # A socket of the console is another protocol's by then.
            ours = self.transport.get_protocol() is self
            if ours and getattr(self, "cycle", None) is None:
                self.transport.abort()

    return Guarded
