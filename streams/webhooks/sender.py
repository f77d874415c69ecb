"""One attempt of a delivery: signed, sent over a guarded connection, and what came of it.

Over httpcore, not httpx: it follows no redirect, asks no proxy of the environment, unpacks no answer, and logs no URL, which
for many receivers is a password.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

import httpcore
from standardwebhooks import Webhook as Signer

from schemas.event import Micros, instant
from streams.webhooks.schedule import LONGEST_HOLD
from streams.webhooks.url import parsed

TIMEOUT = 15.0
LONGEST_ANSWER = 4_096
LONGEST_ERROR = 200
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
FAILURES = (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)
"""TimeoutError and ForbiddenAddressError are OSErrors."""


class Message(NamedTuple):
    id: str
    url: str
    body: bytes
    secrets: Sequence[str]

    def __repr__(self) -> str:
        return f"Message({self.id})"


class Outcome(NamedTuple):
    """`hold`: seconds for which the receiver asks to be left alone."""

    status: int | None = None
    error: str | None = None
    hold: float = 0.0

    @property
    def delivered(self) -> bool:
        return self.error is None and self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def gone(self) -> bool:
        return self.status == HTTPStatus.GONE


class Sender:
    """`network` decides which addresses are reached, `tls` whom to trust: the system's authorities without it."""

    def __init__(
        self, network: httpcore.AsyncNetworkBackend, *, tls: ssl.SSLContext | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._network = network
        self._tls = tls or ssl.create_default_context()
        self._timeout = timeout

    async def send(self, message: Message, now: Micros) -> Outcome:
        """What a receiver does is an outcome, never an error."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(message, now)
        except FAILURES as error:
            return Outcome(error=f"{type(error).__name__}: {error}".rstrip(": ")[:LONGEST_ERROR])

    async def _exchange(self, message: Message, now: Micros) -> Outcome:
        url = parsed(message.url)
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [(b"host", url.netloc), *_headers(message, now).items()]
        # A pool of one connection for one attempt: a connection that is kept would outlive the check of its address.
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=self._network) as pool,
            pool.stream("POST", target, headers=headers, content=message.body) as response,
        ):
            await _skip(response)
            return Outcome(response.status, hold=_hold(response, now))


def _headers(message: Message, now: Micros) -> Mapping[bytes | str, bytes | str]:
    at = instant(now)
    body = message.body.decode()
    return {
        "content-type": "application/json",
        "user-agent": "openautoglm",
        "connection": "close",
        "content-length": str(len(message.body)),
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(message.id, at, body) for secret in message.secrets),
    }


async def _skip(response: httpcore.Response) -> None:
    """Let the receiver finish, as long as it says little: nothing of it is kept, lest a webhook be a way to read."""
    size = 0
    async for part in response.aiter_stream():
        size += len(part)
        if size > LONGEST_ANSWER:
            return


def _hold(response: httpcore.Response, now: Micros) -> float:
    if response.status not in BUSY:
        return 0.0
    value = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_HOLD)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - now / 1_000_000
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_HOLD)
