"""What a gateway has accepted but not yet handed on, and what it has refused: one file, one transaction for each intake.

The gateway role acknowledges a message only after `store`, and lets go of a frame only when the log has it. A crash in between
repeats a frame, and the service's de-duplication takes the repeat out: nothing is lost, nothing counts twice.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from schemas.decode import decode, original
from schemas.event import Event, Stamp
from schemas.finding import Invalid, Mark
from schemas.frame import pack
from streams.database import Database
from streams.watermark import Watermarks

SCHEMA = """
CREATE TABLE IF NOT EXISTS frame (number INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deadletter (
    number INTEGER PRIMARY KEY AUTOINCREMENT, received REAL NOT NULL, topic TEXT NOT NULL, offset INTEGER NOT NULL,
    reason TEXT NOT NULL, pointer TEXT NOT NULL, raw TEXT NOT NULL, digest BLOB NOT NULL, count INTEGER NOT NULL DEFAULT 1,
    replayed REAL);
CREATE UNIQUE INDEX IF NOT EXISTS deadletter_digest ON deadletter (digest) WHERE replayed IS NULL;
CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watermark (source TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
"""
ADD = "INSERT INTO total VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"


class UnknownInputError(LookupError):
    """There is no such refused input, or it was taken in meanwhile."""


class DeadLetter(msgspec.Struct, frozen=True, rename="camel"):
    """A refused input: when and where it came, why it was refused, what it was, and how often the same came again."""

    number: int
    received: float
    topic: str
    offset: int
    reason: str
    pointer: str
    raw: str
    count: int


class Replayed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a refused input that was tried again."""

    number: int
    accepted: bool
    reason: str = ""


class Refused(msgspec.Struct, frozen=True):
    """An invalid input, the topic that it came on, and its place among its gateway's events as far as that can be read."""

    topic: str
    invalid: Invalid
    stamp: Stamp | None = None


class Outbox:
    """For one gateway role; calls come from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        rows = self._database.read(lambda connection: connection.execute("SELECT source, state FROM watermark").fetchall())
        self.watermarks = Watermarks.restored(rows)
        self.takers: list[Callable[[Sequence[Event]], Awaitable[None]]] = []
        """Are handed what was stored before it counts as taken in: at least once, as the sender sends what did not."""

    async def store(self, events: Sequence[Event], refused: Sequence[Refused], *, marked: bool = True) -> list[Mark]:
        """Keep an intake, all or nothing; the sources' new watermarks. Durable when this returns.

        `marked`: their senders keep what the watermark has not passed; those of whom nobody asks that have none.
        """
        stamps = [event.stamp for event in events] + [letter.stamp for letter in refused if letter.stamp is not None]
        marks = self.watermarks.advance(stamps) if marked else []

        def work(connection: sqlite3.Connection) -> None:
            if events:
                connection.execute("INSERT INTO frame (value) VALUES (?)", (pack(events),))
            for letter in refused:
                _keep(connection, letter)
            for name, count in (("valid", len(events)), ("invalid", len(refused))):
                connection.execute(ADD, (name, count))
            rows = [(mark.source, self.watermarks.state(mark.source)) for mark in marks]
            connection.executemany("INSERT OR REPLACE INTO watermark VALUES (?, ?)", rows)

        await self._database.run(work)
        for take in self.takers:
            await take(events)
        return marks

    async def waiting(self, limit: int) -> list[tuple[int, bytes]]:
        """The oldest frames that are not forwarded yet, with their numbers."""
        query = "SELECT number, value FROM frame ORDER BY number LIMIT ?"
        return await self._database.run(lambda connection: connection.execute(query, (limit,)).fetchall())

    async def forwarded(self, number: int) -> None:
        """Let go of all frames up to a number: the log has them."""
        await self._database.run(lambda connection: connection.execute("DELETE FROM frame WHERE number <= ?", (number,)))

    def totals(self) -> dict[str, int]:
        """How many inputs were valid and how many not, since the data folder was made."""
        return dict(self._database.read(lambda connection: connection.execute("SELECT name, count FROM total").fetchall()))

    def deadletters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """The newest refused inputs that were not replayed, newest last."""
        query = (
            "SELECT number, received, topic, offset, reason, pointer, raw, count FROM deadletter "
            "WHERE replayed IS NULL ORDER BY number DESC LIMIT ?"
        )
        rows = self._database.read(lambda connection: connection.execute(query, (limit,)).fetchall())
        return [DeadLetter(*row) for row in reversed(rows)]

    async def replayed(self, number: int, events: Sequence[Event]) -> None:
        """A dead letter is valid now: take its events in and close it, in one step."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO frame (value) VALUES (?)", (pack(events),))
            connection.execute("UPDATE deadletter SET replayed = ? WHERE number = ?", (time.time(), number))
            connection.execute(ADD, ("replayed", len(events)))

        await self._database.run(work)
        for take in self.takers:
            await take(events)

    async def retry(self, number: int) -> Replayed:
        """Try a refused input again. Raises UnknownInputError."""
        query = "SELECT raw FROM deadletter WHERE number = ? AND replayed IS NULL"
        row = await self._database.run(lambda connection: connection.execute(query, (number,)).fetchone())
        if row is None:
            raise UnknownInputError(f"no refused input {number} waits")
        decoded = decode(original(row[0]))
        if decoded.invalid or not decoded.events:
            return Replayed(number=number, accepted=False, reason=decoded.invalid[0].reason if decoded.invalid else "empty")
        await self.replayed(number, decoded.events)
        return Replayed(number=number, accepted=True)

    def close(self) -> None:
        self._database.close()


def _keep(connection: sqlite3.Connection, letter: Refused) -> None:
    """The same input twice is one dead letter with a count, so a flood of one broken message costs one row."""
    invalid = letter.invalid
    digest = hashlib.blake2b(f"{letter.topic}\0{invalid.raw}".encode(errors="surrogatepass"), digest_size=16).digest()
    insert = (
        "INSERT INTO deadletter (received, topic, offset, reason, pointer, raw, digest) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (digest) WHERE replayed IS NULL DO UPDATE SET count = count + 1"
    )
    row = (time.time(), letter.topic, invalid.offset, invalid.reason, invalid.pointer, invalid.raw, digest)
    connection.execute(insert, row)
