"""Serves the application on a socket in the service's own event loop, and ends with it."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp

from streams.settings import Settings

logger = logging.getLogger(__name__)
BACKLOG = 2_048
OWN_FILES = 512
"""Files and connections that the service itself may need."""
LAST_WORDS = 1
"""Seconds that requests under way have to end when the service does."""


class ApiServer:
    """`run` must be running. Who comes before that waits; that an address is in use is said at once. Raises AddressError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        family = socket.AF_INET6 if ":" in settings.api_bind else socket.AF_INET
        # Named as TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for the client's acknowledgement.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((settings.api_bind, settings.api_port))
            self._socket.listen(BACKLOG)  # until then another one may bind the same address
        except OSError as error:
            self._socket.close()
            raise AddressError(
                f"setting api_port: cannot listen on {settings.api_bind}:{settings.api_port}: {error.strerror}"
            ) from error
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        scheme = "http" if self._settings.api_certificate is None else "https"
        host = f"[{self._settings.api_bind}]" if ":" in self._settings.api_bind else self._settings.api_bind
        return f"{scheme}://{host}:{self.port}"

    @property
    def local_url(self) -> str:
        """For those on this machine: where all addresses are listened on, loopback is one of them."""
        return self.url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")

    async def run(self, app: ASGIApp, *, ending: Callable[[], None]) -> None:
        """Until cancelled; `ending` is called then, to end answers that have no end."""
        from uvicorn import Config  # noqa: PLC0415

        from streams.connections import Server, guarded  # noqa: PLC0415 - the plant does not wait for it

        settings = self._settings
        config = Config(
            app,
            log_config=None,
            access_log=False,
            http=guarded(most_connections()),
            backlog=BACKLOG,
            server_header=False,
            timeout_graceful_shutdown=LAST_WORDS,
            ssl_certfile=settings.api_certificate,
            ssl_keyfile=_text(settings.api_certificate_key),
        )
        server = Server(config)
        serving = asyncio.ensure_future(server.serve([self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            ending()
            server.should_exit = True
            await serving
            raise

    def close(self) -> None:
        self._socket.close()


def most_connections() -> int:
    """As many as leave the service files of its own; the limit of the process is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = soft if hard == resource.RLIM_INFINITY else hard
    return max(limit - OWN_FILES, limit // 2)


class AddressError(ValueError):
    """The address cannot be listened on."""


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
