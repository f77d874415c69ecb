"""The record of what subscribers are told: findings, what became of their alarms, and actions, each once and in order.

Fed by `streams.journal` and the responder; read by the publisher, the feed, webhooks, the API and the command line. A row's key
follows from its cause, so one that is made again after a crash is recognised and changes nothing. Its number only grows, so it
says how far a subscriber has come.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from schemas.action import Progress, moment
from schemas.alarm import Flood, Transition
from schemas.event import Micros
from schemas.finding import Alert, Fault
from schemas.instruction import RunProgress
from streams.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS finding (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
    at INTEGER NOT NULL DEFAULT 0, UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS finding_subject ON finding (kind, subject, number);
CREATE TABLE IF NOT EXISTS told (subscriber TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""
BY_TIME = "CREATE INDEX IF NOT EXISTS finding_at ON finding (kind, at)"
OLDER = "ALTER TABLE finding ADD COLUMN at INTEGER NOT NULL DEFAULT 0"
"""For files that were made before rows had a time."""


class Kind(StrEnum):
    """Also the last part of the topic."""

    ALERTS = "alerts"
    FAULTS = "faults"
    ALARMS = "alarms"
    """Transitions of alarms in the hands of operators."""
    FLOODS = "floods"
    ACTIONS = "actions"
    RUNS = "runs"
    """How instructions are carried out."""


FOUND = (Kind.ALERTS, Kind.FAULTS)
"""What the analysis finds; all else follows from it."""
LIVED = (Kind.ALARMS, Kind.FLOODS)
"""What becomes of it where people are."""


class Row(NamedTuple):
    number: int
    kind: Kind
    body: bytes


Finding = Alert | Fault | Transition | Flood | Progress | RunProgress
Decide = Callable[[Sequence[Alert]], Iterable[Transition | Flood]]
"""What follows from alerts that are new, decided while nobody else writes."""


class FindingStore:
    """All of one site."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        self._database.transact(_upgrade)
        self._listeners: list[asyncio.Event] = []

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be something new."""
        event = asyncio.Event()
        event.set()
        self._listeners.append(event)
        try:
            yield event
        finally:
            self._listeners.remove(event)

    # --- Write ------------------------------------------------------------------------------------------------------------

    async def save(
        self, alerts: Sequence[Alert], faults: Sequence[Fault], decide: Decide = lambda _: ()
    ) -> list[Transition | Flood]:
        """Keep findings, and what follows from those that are new, all or nothing; what follows."""

        def work(connection: sqlite3.Connection) -> list[Transition | Flood]:
            fresh = [alert for alert in alerts if _insert(connection, alert)]
            for fault in faults:
                _insert(connection, fault)
            followed = list(decide(fresh))
            for record in followed:
                _insert(connection, record, again=not isinstance(record, Transition))
            return followed

        followed = await self._database.run(work)
        self._ring()
        return followed

    async def add(self, rows: Iterable[Finding]) -> None:
        """Keep rows, those that are known already left alone."""
        await self._database.run(lambda connection: [_insert(connection, row) for row in rows])
        self._ring()

    def _ring(self) -> None:
        for event in self._listeners:
            event.set()

    # --- Subscribers ------------------------------------------------------------------------------------------------------

    async def untold(self, subscriber: str, limit: int) -> list[Row]:
        """The oldest rows that a subscriber has not been told yet."""
        return await self._database.run(lambda connection: _after(connection, _told(connection, subscriber), limit))

    async def tell(self, subscriber: str, number: int) -> None:
        """Note that a subscriber has been told all up to a number."""
        upsert = "INSERT INTO told VALUES (?, ?) ON CONFLICT DO UPDATE SET number = excluded.number"
        await self._database.run(lambda connection: connection.execute(upsert, (subscriber, number)))

    async def after(self, number: int, limit: int) -> list[Row]:
        """The oldest rows behind a number."""
        return await self._database.run(lambda connection: _after(connection, number, limit))

    def last(self) -> int:
        """The highest number that was ever given."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'finding'"
        row = self._database.read(lambda connection: connection.execute(query).fetchone())
        return int(row[0]) if row else 0

    # --- Read -------------------------------------------------------------------------------------------------------------

    def newest(self, kind: Kind, *, limit: int = 1000) -> list[bytes]:
        """The last state of each alarm, fault or action, oldest first."""
        query = (
            "SELECT body FROM finding WHERE number IN (SELECT max(number) FROM finding WHERE kind = ? GROUP BY subject "
            "ORDER BY max(number) DESC LIMIT ?) ORDER BY number"
        )
        return self._bodies(query, kind, limit)

    def history(self, kind: Kind, subject: str, *, limit: int = -1) -> list[bytes]:
        """Every state of one alarm, fault or action; the newest so many."""
        query = (
            "SELECT body FROM (SELECT number, body FROM finding WHERE kind = ? AND subject = ? ORDER BY number DESC LIMIT ?) "
            "ORDER BY number"
        )
        return self._bodies(query, kind, subject, limit)

    def every(self, kind: Kind) -> list[bytes]:
        """Every state of every alarm, fault or action, in the order in which they were made."""
        return self._bodies("SELECT body FROM finding WHERE kind = ? ORDER BY number", kind)

    def between(self, kind: Kind, start: Micros, end: Micros) -> list[bytes]:
        """What was made from a time until before another, by the findings' own times, in the order in which it was made."""
        return self._bodies("SELECT body FROM finding WHERE kind = ? AND at >= ? AND at < ? ORDER BY number", kind, start, end)

    def _bodies(self, query: str, *values: object) -> list[bytes]:
        return [row[0] for row in self._database.read(lambda connection: connection.execute(query, values).fetchall())]

    def close(self) -> None:
        self._database.close()


def _upgrade(connection: sqlite3.Connection) -> None:
    if "at" not in {row[1] for row in connection.execute("PRAGMA table_info(finding)")}:
        connection.execute(OLDER)
    connection.execute(BY_TIME)


def _told(connection: sqlite3.Connection, subscriber: str) -> int:
    row = connection.execute("SELECT number FROM told WHERE subscriber = ?", (subscriber,)).fetchone()
    return int(row[0]) if row else 0


def _after(connection: sqlite3.Connection, number: int, limit: int) -> list[Row]:
    query = "SELECT number, kind, body FROM finding WHERE number > ? ORDER BY number LIMIT ?"
    return [Row(place, Kind(kind), body) for place, kind, body in connection.execute(query, (number, limit))]


def _insert(connection: sqlite3.Connection, found: Finding, *, again: bool = True) -> bool:
    """Whether it is new. What must not come `again` raises sqlite3.IntegrityError: two processes own one alarm."""
    kind, subject, key, at = _named(found)
    command = f"INSERT{' OR IGNORE' if again else ''} INTO finding (kind, subject, key, body, at) VALUES (?, ?, ?, ?, ?)"
    return connection.execute(command, (kind, subject, key, msgspec.json.encode(found), at)).rowcount > 0


def _named(found: Finding) -> tuple[Kind, str, str, Micros]:
    match found:
        case Alert(alert_id=name, time=time, state=state):
            # An alert may join a fault and grow worse in one step.
            return Kind.ALERTS, name, f"{name} {time} {state} {found.severity} {found.suppressed_by or ''}", moment(time)
        case Fault(fault_id=name, updated_at=time):
            return Kind.FAULTS, name, f"{name} {time}", moment(time)
        case Transition(alarm=alarm, time=time):
            return Kind.ALARMS, alarm.alarm_id, f"{alarm.alarm_id} {alarm.version} {found.recorded_at}", moment(time)
        case Flood(flood_id=name, updated_at=time):
            return Kind.FLOODS, name, f"{name} {time} {found.alarms} {found.closed_at}", moment(time)
        case Progress(action=action, stage=stage, at=time):
            return Kind.ACTIONS, action.action_id, f"{action.action_id} {stage} {time}", moment(time)
        case RunProgress(run_id=name, state=state, at=time):
            return Kind.RUNS, name, f"{name} {found.task or ''} {state} {found.attempt} {found.detail} {time}", moment(time)
