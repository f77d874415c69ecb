"""The durable log between intake and analysis: the port that every broker fills, and the embedded one in SQLite.

The gateway role appends frames; the service reads them from an offset on. What is appended is on disk when `append` returns.
Records are kept until every consumer has passed them and newer ones fill the retention, so a consumer can go back and replay.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from streams.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (topic TEXT, offset INTEGER, value BLOB NOT NULL, PRIMARY KEY (topic, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consumer (topic TEXT, name TEXT, offset INTEGER NOT NULL, PRIMARY KEY (topic, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (topic TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
"""


class Record(NamedTuple):
    offset: int
    value: bytes


class Intake(Protocol):
    """What a gateway hands its frames to."""

    async def append(self, topic: str, values: Sequence[bytes]) -> object:
        """Write frames of one site at the end, in order; they are durable when this returns. Raises ConnectionError."""
        ...


class Broker(Intake, Protocol):
    """A partitioned log; a topic here is one partition of it. Offsets grow by one with each record."""

    async def append(self, topic: str, values: Sequence[bytes]) -> int:
        """Write records at the end, all or none; the offset after the last. They are durable when this returns."""
        ...

    async def read(self, topic: str, offset: int, *, limit: int) -> list[Record]:
        """Up to `limit` records from an offset on; at once, and empty at the end."""
        ...

    async def wait(self, topic: str, offset: int) -> None:
        """Until there is a record at this offset or after it."""
        ...

    async def position(self, topic: str, consumer: str) -> int:
        """The first offset that a consumer has not done yet; 0 at first."""
        ...

    async def commit(self, topic: str, consumer: str, offset: int) -> None:
        """Note that a consumer has done all before an offset."""
        ...

    async def trim(self, topic: str, keep: int) -> int:
        """Remove the oldest records beyond the newest `keep`, but none that a consumer still needs; how many went."""
        ...


class SqliteLog:
    """`Broker` in one file, for one process."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        self._grown = asyncio.Condition()

    async def append(self, topic: str, values: Sequence[bytes]) -> int:
        end = await self._database.run(lambda connection: _append(connection, topic, values))
        async with self._grown:
            self._grown.notify_all()
        return end

    async def read(self, topic: str, offset: int, *, limit: int) -> list[Record]:
        query = "SELECT offset, value FROM record WHERE topic = ? AND offset >= ? ORDER BY offset LIMIT ?"
        rows = await self._database.run(lambda connection: connection.execute(query, (topic, offset, limit)).fetchall())
        return [Record(*row) for row in rows]

    async def wait(self, topic: str, offset: int) -> None:
        async with self._grown:
            while await self._database.run(lambda connection: _end(connection, topic)) <= offset:
                await self._grown.wait()

    async def position(self, topic: str, consumer: str) -> int:
        query = "SELECT offset FROM consumer WHERE topic = ? AND name = ?"
        row = await self._database.run(lambda connection: connection.execute(query, (topic, consumer)).fetchone())
        return int(row[0]) if row else 0

    async def commit(self, topic: str, consumer: str, offset: int) -> None:
        upsert = "INSERT INTO consumer VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET offset = excluded.offset"
        await self._database.run(lambda connection: connection.execute(upsert, (topic, consumer, offset)))

    async def trim(self, topic: str, keep: int) -> int:
        return await self._database.run(lambda connection: _trim(connection, topic, keep))

    def close(self) -> None:
        self._database.close()


def _end(connection: sqlite3.Connection, topic: str) -> int:
    """The next offset. Kept by itself, so that it never goes back when old records are removed."""
    row = connection.execute("SELECT next FROM head WHERE topic = ?", (topic,)).fetchone()
    return int(row[0]) if row else 0


def _append(connection: sqlite3.Connection, topic: str, values: Sequence[bytes]) -> int:
    begin = _end(connection, topic)
    rows = [(topic, begin + place, value) for place, value in enumerate(values)]
    connection.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
    end = begin + len(values)
    connection.execute("INSERT INTO head VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next", (topic, end))
    return end


def _trim(connection: sqlite3.Connection, topic: str, keep: int) -> int:
    """A log without a consumer is trimmed by `keep` alone."""
    slowest = connection.execute("SELECT min(offset) FROM consumer WHERE topic = ?", (topic,)).fetchone()[0]
    before = _end(connection, topic) - keep
    if slowest is not None:
        before = min(before, int(slowest))
    return connection.execute("DELETE FROM record WHERE topic = ? AND offset < ?", (topic, before)).rowcount
