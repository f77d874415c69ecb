"""Webhooks on disk: endpoints with their secrets, how far each has come in the feed, and the log of its deliveries.

One file, so that a row's delivery and the position behind that row are one transaction. Secrets must be there to sign with, so
they lie in it as they are, and the file is its owner's alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from schemas.event import Micros
from streams.database import Database
from streams.feed import Told
from streams.webhooks import log
from streams.webhooks.body import Origin, body_of
from streams.webhooks.endpoint import Secret, Webhook, WebhookId
from streams.webhooks.log import Delivery, Due, Entry, Lane
from streams.webhooks.sender import Message, Outcome

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhook (
    id TEXT PRIMARY KEY, body BLOB NOT NULL, secrets BLOB NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
"""
MOST = 100
KEPT = 10_000
"""Deliveries of an endpoint that the log keeps, and at most about as many that wait: then the feed is read no further."""
UNWRITTEN = 1_024
"""Rows that nobody wanted, after which the position is written all the same."""

Result = TypeVar("Result")


class UnknownWebhookError(LookupError):
    """No webhook has this id."""


class UnknownDeliveryError(LookupError):
    """No delivery has this id, or it has left the log."""


class TooManyWebhooksError(Exception):
    """There are as many as there may be."""


class Record:
    """`kept`: see KEPT."""

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._database = Database(path, SCHEMA + log.SCHEMA)
        self._kept = kept

    async def _do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await self._database.run(work)

    # --- Endpoints --------------------------------------------------------------------------------------------------------

    async def create(self, webhook: Webhook, secret: Secret, position: int) -> None:
        """Raises TooManyWebhooksError."""

        def work(connection: sqlite3.Connection) -> None:
            (count,) = connection.execute("SELECT count(*) FROM webhook").fetchone()
            if count >= MOST:
                raise TooManyWebhooksError(f"at most {MOST} webhooks")
            row = (webhook.id, msgspec.json.encode(webhook), msgspec.json.encode([secret]), position)
            connection.execute("INSERT INTO webhook VALUES (?, ?, ?, ?)", row)

        await self._do(work)

    async def webhooks(self) -> list[Webhook]:
        """All, oldest first."""
        rows = await self._do(lambda connection: connection.execute("SELECT body FROM webhook").fetchall())
        return sorted((_decoded(body) for (body,) in rows), key=lambda webhook: (webhook.created_at, webhook.id))

    async def webhook(self, name: WebhookId) -> Webhook:
        """Raises UnknownWebhookError."""
        return await self._do(lambda connection: _webhook(connection, name))

    async def change(self, name: WebhookId, change: Callable[[Webhook], Webhook], *, hasten: Micros | None = None) -> Webhook:
        """`hasten`: now, to try at once what waits. Raises UnknownWebhookError."""

        def work(connection: sqlite3.Connection) -> Webhook:
            changed = change(_webhook(connection, name))
            _write(connection, changed)
            if hasten is not None:
                log.hasten(connection, name, hasten)
            return changed

        return await self._do(work)

    async def change_secrets(self, name: WebhookId, change: Callable[[list[Secret]], list[Secret]]) -> None:
        """Raises UnknownWebhookError."""

        def work(connection: sqlite3.Connection) -> None:
            changed = msgspec.json.encode(change(_secrets(connection, name)))
            connection.execute("UPDATE webhook SET secrets = ? WHERE id = ?", (changed, name))

        await self._do(work)

    async def remove(self, name: WebhookId) -> None:
        """With its log. Raises UnknownWebhookError."""

        def work(connection: sqlite3.Connection) -> None:
            _webhook(connection, name)
            connection.execute("DELETE FROM webhook WHERE id = ?", (name,))
            log.remove(connection, name)

        await self._do(work)

    # --- Deliveries -------------------------------------------------------------------------------------------------------

    async def position(self, name: WebhookId) -> int:
        return await self._do(lambda connection: _position(connection, name))

    async def take_in(self, name: WebhookId, rows: Sequence[Told], *, origin: Origin, now: Micros) -> bool:
        """Make deliveries of rows as far as they are wanted; False: not now, it is disabled or too much waits."""

        def work(connection: sqlite3.Connection) -> bool:
            webhook = _webhook(connection, name)
            if not webhook.enabled or log.waiting(connection, name) >= self._kept:
                return False
            position = _position(connection, name)
            entries = _entries(webhook, [told for told in rows if told.number > position], origin)
            if entries or rows[-1].number - position >= UNWRITTEN:
                log.insert(connection, name, entries, now)
                log.trim(connection, name, self._kept)
                connection.execute("UPDATE webhook SET position = ? WHERE id = ?", (rows[-1].number, name))
            return True

        return await self._do(work)

    async def add(self, name: WebhookId, entry: Entry, now: Micros) -> Delivery:
        """A delivery that is no row's, and is tried once."""

        def work(connection: sqlite3.Connection) -> Delivery:
            log.insert(connection, name, [entry], now, step=log.ONLY_ONCE)
            return _found(log.find(connection, entry.id))

        return await self._do(work)

    async def following(self, name: WebhookId, lane: Lane, flying: Collection[int]) -> Due | None:
        """The next delivery of a lane that is not on its way."""

        def work(connection: sqlite3.Connection) -> Due | None:
            return log.following(connection, name, lane, flying) if _webhook(connection, name).enabled else None

        return await self._do(work)

    async def message(self, name: WebhookId, number: int, now: Micros) -> Message:
        """A delivery as it is sent now."""

        def work(connection: sqlite3.Connection) -> Message:
            entry = log.entry(connection, number)
            secrets = [secret.value for secret in _secrets(connection, name) if valid(secret, now)]
            return Message(entry.id, _webhook(connection, name).url, entry.body, secrets)

        return await self._do(work)

    async def note(self, name: WebhookId, number: int, outcome: Outcome, *, now: Micros) -> None:
        """What came of an attempt; a receiver that is gone for good is not asked again."""

        def work(connection: sqlite3.Connection) -> None:
            log.note(connection, number, outcome, now)
            if outcome.gone:
                reason = "the receiver answered 410 Gone"
                _write(connection, msgspec.structs.replace(_webhook(connection, name), enabled=False, disabled_reason=reason))

        await self._do(work)

    async def again(self, delivery: str, now: Micros) -> Delivery:
        """Raises UnknownDeliveryError."""
        return _found(await self._do(lambda connection: log.again(connection, delivery, now)))

    async def deliveries(self, name: WebhookId, after: int, limit: int) -> list[Delivery]:
        """Raises UnknownWebhookError."""

        def work(connection: sqlite3.Connection) -> list[Delivery]:
            _webhook(connection, name)
            return log.listed(connection, name, after, limit)

        return await self._do(work)

    def close(self) -> None:
        self._database.close()


def valid(secret: Secret, now: Micros) -> bool:
    return secret.until is None or secret.until > now


def _entries(webhook: Webhook, rows: Sequence[Told], origin: Origin) -> list[Entry]:
    """The id follows from endpoint and row, so a row that is taken in again is the same delivery."""
    wanted = [(told, body_of(told, webhook, origin)) for told in rows if webhook.filter.wants(told)]
    return [Entry(f"{webhook.id}-{told.number}", body) for told, body in wanted if body is not None]


def _found(delivery: Delivery | None) -> Delivery:
    if delivery is None:
        raise UnknownDeliveryError("no such delivery")
    return delivery


def _webhook(connection: sqlite3.Connection, name: WebhookId) -> Webhook:
    return _decoded(_column(connection, name, "body"))


def _secrets(connection: sqlite3.Connection, name: WebhookId) -> list[Secret]:
    return msgspec.json.decode(_column(connection, name, "secrets"), type=list[Secret])


def _position(connection: sqlite3.Connection, name: WebhookId) -> int:
    return int(_column(connection, name, "position"))


def _column(connection: sqlite3.Connection, name: WebhookId, column: str) -> bytes:
    row = connection.execute(f"SELECT {column} FROM webhook WHERE id = ?", (name,)).fetchone()  # noqa: S608
    if row is None:
        raise UnknownWebhookError(f"no webhook {name!r}")
    value: bytes = row[0]
    return value


def _write(connection: sqlite3.Connection, webhook: Webhook) -> None:
    connection.execute("UPDATE webhook SET body = ? WHERE id = ?", (msgspec.json.encode(webhook), webhook.id))


def _decoded(body: bytes) -> Webhook:
    return msgspec.json.decode(body, type=Webhook)
