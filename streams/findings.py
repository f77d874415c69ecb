"""Findings on disk, each once, in the order in which they were made, and what subscribers have been told of them.

Fed by the service; read by the publisher, the API and the command line. A finding's key follows from its cause, so one that is
made again after a crash is recognised and changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from schemas.finding import Alert, Fault
from streams.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS finding (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS finding_subject ON finding (kind, subject, number);
CREATE TABLE IF NOT EXISTS told (subscriber TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""


class Kind(StrEnum):
    """Also the last part of the topic."""

    ALERTS = "alerts"
    FAULTS = "faults"


class Row(NamedTuple):
    number: int
    kind: Kind
    body: bytes


class FindingStore:
    """All findings of one site."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)

    async def save(self, alerts: Sequence[Alert], faults: Sequence[Fault]) -> int:
        """Keep findings; how many of them are new."""
        rows: list[tuple[Kind, str, str, Alert | Fault]] = [
            (Kind.ALERTS, alert.alert_id, f"{alert.alert_id} {alert.time} {alert.state}", alert) for alert in alerts
        ]
        rows += [(Kind.FAULTS, fault.fault_id, f"{fault.fault_id} {fault.updated_at}", fault) for fault in faults]
        return await self._database.run(lambda connection: _insert(connection, rows))

    async def untold(self, subscriber: str, limit: int) -> list[Row]:
        """The oldest findings that a subscriber has not been told yet."""
        query = (
            "SELECT number, kind, body FROM finding "
            "WHERE number > coalesce((SELECT number FROM told WHERE subscriber = ?), 0) ORDER BY number LIMIT ?"
        )
        rows = await self._database.run(lambda connection: connection.execute(query, (subscriber, limit)).fetchall())
        return [Row(number, Kind(kind), body) for number, kind, body in rows]

    async def tell(self, subscriber: str, number: int) -> None:
        """Note that a subscriber has been told all up to a number."""
        upsert = "INSERT INTO told VALUES (?, ?) ON CONFLICT DO UPDATE SET number = excluded.number"
        await self._database.run(lambda connection: connection.execute(upsert, (subscriber, number)))

    def newest(self, kind: Kind, *, limit: int = 1000) -> list[bytes]:
        """The last state of each alarm or fault, oldest first."""
        query = (
            "SELECT body FROM finding WHERE number IN (SELECT max(number) FROM finding WHERE kind = ? GROUP BY subject "
            "ORDER BY max(number) DESC LIMIT ?) ORDER BY number"
        )
        return [row[0] for row in self._database.read(lambda connection: connection.execute(query, (kind, limit)).fetchall())]

    def history(self, kind: Kind, subject: str) -> list[bytes]:
        """Every state of one alarm or fault."""
        query = "SELECT body FROM finding WHERE kind = ? AND subject = ? ORDER BY number"
        return [row[0] for row in self._database.read(lambda connection: connection.execute(query, (kind, subject)).fetchall())]

    def every(self, kind: Kind) -> list[bytes]:
        """Every state of every alarm or fault, in the order in which they were made."""
        query = "SELECT body FROM finding WHERE kind = ? ORDER BY number"
        return [row[0] for row in self._database.read(lambda connection: connection.execute(query, (kind,)).fetchall())]

    def close(self) -> None:
        self._database.close()


def _insert(connection: sqlite3.Connection, rows: Iterable[tuple[Kind, str, str, Alert | Fault]]) -> int:
    before = connection.total_changes
    connection.executemany(
        "INSERT OR IGNORE INTO finding (kind, subject, key, body) VALUES (?, ?, ?, ?)",
        [(kind, subject, key, msgspec.json.encode(finding)) for kind, subject, key, finding in rows],
    )
    return connection.total_changes - before
