"""The log of deliveries, as functions of a connection: `streams.webhooks.record` puts them together into transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from schemas.event import Micros, rfc3339
from streams.webhooks.endpoint import WebhookId
from streams.webhooks.schedule import DELAYS, next_attempt
from streams.webhooks.sender import Outcome

SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, webhook TEXT NOT NULL, body BLOB NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, step INTEGER NOT NULL, due INTEGER, status INTEGER, error TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS delivery_webhook ON delivery (webhook, number);
CREATE INDEX IF NOT EXISTS delivery_first ON delivery (webhook, number) WHERE state = 'pending' AND attempts = 0;
CREATE INDEX IF NOT EXISTS delivery_again ON delivery (webhook, due) WHERE state = 'pending' AND attempts > 0;
"""
COLUMNS = "number, id, webhook, state, attempts, due, status, error, created_at, updated_at"
ONLY_ONCE = len(DELAYS) - 1


class State(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the log. `id` is the `webhook-id` that the receiver sees; `status` and `error` are of the newest attempt."""

    number: int
    id: str
    webhook_id: WebhookId
    state: State
    attempts: int
    next_attempt_at: str | None
    status: int | None
    error: str | None
    created_at: str
    updated_at: str


class Lane(NamedTuple):
    """Deliveries that wait for each other, so many at a time; those of one lane never wait for those of another."""

    name: str
    slots: int
    query: str


FIRST = Lane(
    "first",
    6,
    "SELECT number, 0 FROM delivery WHERE webhook = ? AND state = 'pending' AND attempts = 0 ORDER BY number LIMIT ?",
)
"""First attempts, in the order of the rows."""
AGAIN = Lane(
    "again",
    2,
    "SELECT number, due FROM delivery WHERE webhook = ? AND state = 'pending' AND attempts > 0 ORDER BY due LIMIT ?",
)
"""All others, as they fall due."""


class Due(NamedTuple):
    number: int
    at: Micros


class Entry(NamedTuple):
    """A delivery to be made."""

    id: str
    body: bytes


def insert(connection: sqlite3.Connection, webhook: WebhookId, entries: Sequence[Entry], now: Micros, *, step: int = 0) -> None:
    query = (
        "INSERT OR IGNORE INTO delivery (id, webhook, body, state, attempts, step, due, created_at, updated_at) "
        "VALUES (?, ?, ?, 'pending', 0, ?, ?, ?, ?)"
    )
    connection.executemany(query, [(entry.id, webhook, entry.body, step, now, now, now) for entry in entries])


def trim(connection: sqlite3.Connection, webhook: WebhookId, kept: int) -> None:
    """Remove what is over and not among the newest."""
    query = (
        "DELETE FROM delivery WHERE webhook = ?1 AND state <> 'pending' AND number <= "
        "(SELECT number FROM delivery WHERE webhook = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)"
    )
    connection.execute(query, (webhook, kept))


def waiting(connection: sqlite3.Connection, webhook: WebhookId) -> int:
    query = (
        "SELECT (SELECT count(*) FROM delivery WHERE webhook = ?1 AND state = 'pending' AND attempts = 0) + "
        "(SELECT count(*) FROM delivery WHERE webhook = ?1 AND state = 'pending' AND attempts > 0)"
    )
    return int(connection.execute(query, (webhook,)).fetchone()[0])


def following(connection: sqlite3.Connection, webhook: WebhookId, lane: Lane, flying: Collection[int]) -> Due | None:
    """The next of a lane that is not on its way."""
    rows = connection.execute(lane.query, (webhook, len(flying) + 1))
    return next((Due(number, at) for number, at in rows if number not in flying), None)


def entry(connection: sqlite3.Connection, number: int) -> Entry:
    return Entry(*connection.execute("SELECT id, body FROM delivery WHERE number = ?", (number,)).fetchone())


def note(connection: sqlite3.Connection, number: int, outcome: Outcome, now: Micros) -> None:
    """What came of an attempt. One whose endpoint was removed meanwhile changes nothing."""
    row = connection.execute("SELECT step FROM delivery WHERE number = ?", (number,)).fetchone()
    if row is None:
        return
    due = None if outcome.delivered or outcome.gone else next_attempt(row[0], now, hold=outcome.hold)
    state = State.DELIVERED if outcome.delivered else State.FAILED if due is None else State.PENDING
    query = (
        "UPDATE delivery SET state = ?, attempts = attempts + 1, step = step + 1, due = ?, status = ?, error = ?, "
        "updated_at = ? WHERE number = ?"
    )
    connection.execute(query, (state, due, outcome.status, outcome.error, now, number))


def again(connection: sqlite3.Connection, delivery: str, now: Micros) -> Delivery | None:
    """Start a delivery's attempts anew."""
    query = "UPDATE delivery SET state = 'pending', step = 0, due = ?, updated_at = ? WHERE id = ?"
    connection.execute(query, (now, now, delivery))
    return find(connection, delivery)


def hasten(connection: sqlite3.Connection, webhook: WebhookId, now: Micros) -> None:
    """Make all that waits due."""
    query = "UPDATE delivery SET due = ? WHERE webhook = ? AND state = 'pending' AND attempts > 0"
    connection.execute(query, (now, webhook))


def find(connection: sqlite3.Connection, delivery: str) -> Delivery | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM delivery WHERE id = ?", (delivery,)).fetchone()  # noqa: S608
    return None if row is None else _delivery(row)


def listed(connection: sqlite3.Connection, webhook: WebhookId, after: int, limit: int) -> list[Delivery]:
    query = f"SELECT {COLUMNS} FROM delivery WHERE webhook = ? AND number > ? ORDER BY number LIMIT ?"  # noqa: S608
    return [_delivery(row) for row in connection.execute(query, (webhook, after, limit))]


def remove(connection: sqlite3.Connection, webhook: WebhookId) -> None:
    connection.execute("DELETE FROM delivery WHERE webhook = ?", (webhook,))


def _delivery(row: tuple[int, str, str, str, int, int | None, int | None, str | None, int, int]) -> Delivery:
    number, name, webhook, state, attempts, due, status, error, created, updated = row
    return Delivery(
        number=number,
        id=name,
        webhook_id=WebhookId(webhook),
        state=State(state),
        attempts=attempts,
        next_attempt_at=None if due is None else rfc3339(Micros(due)),
        status=status,
        error=error,
        created_at=rfc3339(Micros(created)),
        updated_at=rfc3339(Micros(updated)),
    )
