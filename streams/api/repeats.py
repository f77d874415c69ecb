"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a verb that is sent again is done once, and answered alike."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response

from streams.access import Principal
from streams.api.answering import JSON
from streams.api.problems import ProblemError
from streams.database import Database

HEADER = "idempotency-key"
KEPT = 86_400.0
"""Seconds for which an answer is kept."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS repeat (key TEXT PRIMARY KEY, digest BLOB NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS repeat_at ON repeat (at);
"""


class _Held(NamedTuple):
    digest: bytes
    status: int
    body: bytes


class Repeats:
    """Of one data folder. Routes bound the header (`streams.api.parameters`)."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        self._under_way: set[str] = set()

    async def once(
        self, request: Request, principal: Principal, work: Callable[[], Awaitable[Response]], *, secret: bool = False
    ) -> Response:
        """Do the work of a request, or answer as it was answered before. Only success is kept; of a `secret` answer only that
        it was given. Raises ProblemError.
        """
        named = request.headers.get(HEADER)
        if named is None:
            return await work()
        query = f"?{request.url.query}" if request.url.query else ""
        key = f"{principal.name}\0{request.method}\0{request.url.path}{query}\0{named}"
        digest = hashlib.sha256(await request.body()).digest()
        held = await self._database.run(lambda connection: _find(connection, key))
        if held is not None:
            if held.digest != digest:
                raise ProblemError(422, f"{HEADER}: it was used for another request")
            if secret:
                raise ProblemError(409, f"{HEADER}: this was done already, and its secret is shown once")
            return Response(held.body, held.status, media_type=JSON, headers={"idempotency-replayed": "true"})
        if key in self._under_way:
            raise ProblemError(409, f"{HEADER}: the first request with it is not done yet")
        self._under_way.add(key)
        try:
            response = await work()
            if response.status_code < 300:  # noqa: PLR2004 - 2xx
                row = (key, digest, response.status_code, b"" if secret else bytes(response.body), time.time())
                await self._database.run(lambda connection: _keep(connection, row))
            return response
        finally:
            self._under_way.discard(key)

    def close(self) -> None:
        self._database.close()


def _find(connection: sqlite3.Connection, key: str) -> _Held | None:
    query = "SELECT digest, status, body FROM repeat WHERE key = ? AND at > ?"
    row = connection.execute(query, (key, time.time() - KEPT)).fetchone()
    return None if row is None else _Held(*row)


def _keep(connection: sqlite3.Connection, row: tuple[str, bytes, int, bytes, float]) -> None:
    connection.execute("DELETE FROM repeat WHERE at <= ?", (time.time() - KEPT,))
    connection.execute("INSERT OR REPLACE INTO repeat VALUES (?, ?, ?, ?, ?)", row)
