"""The ledger of actions in SQLite: what was decided, claimed, sent and answered, on disk before the caller goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from agents.entry import Entry, Stage
from schemas.device import DeviceId
from schemas.event import Micros

SCHEMA = """
CREATE TABLE IF NOT EXISTS actions (
    action_id TEXT PRIMARY KEY, stage TEXT NOT NULL, verb TEXT NOT NULL, device_id TEXT NOT NULL,
    claimed_at INTEGER, entry BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS actions_by_stage ON actions (stage);
CREATE INDEX IF NOT EXISTS actions_by_target ON actions (device_id, verb, claimed_at);
CREATE TABLE IF NOT EXISTS history (
    place INTEGER PRIMARY KEY, action_id TEXT NOT NULL, rule TEXT, allowed_at INTEGER, entry BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS history_by_action ON history (action_id);
CREATE INDEX IF NOT EXISTS history_by_rule ON history (rule, allowed_at) WHERE rule IS NOT NULL;
"""


class SqliteLedger:
    """A `Ledger` in one file; any thread may use it, one at a time. Each call is one transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(SCHEMA)
        self._decode = msgspec.msgpack.Decoder(Entry).decode

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def claim(self, action_id: str, at: Micros) -> bool:
        with self._transaction() as connection:
            query = "SELECT entry FROM actions WHERE action_id = ? AND stage = ?"
            row = connection.execute(query, (action_id, Stage.ALLOWED)).fetchone()
            if row is None:
                return False
            entry = self._decode(row[0])
            _write(connection, msgspec.structs.replace(entry, stage=Stage.CLAIMED, at=at, claimed_at=at), decides=False)
            return True

    def record(self, entry: Entry) -> None:
        with self._transaction() as connection:
            _write(connection, entry, decides=entry.stage is Stage.ALLOWED)

    def entry(self, action_id: str) -> Entry | None:
        rows = self._rows("SELECT entry FROM actions WHERE action_id = ?", action_id)
        return self._decode(rows[0][0]) if rows else None

    def history(self, action_id: str) -> list[Entry]:
        rows = self._rows("SELECT entry FROM history WHERE action_id = ? ORDER BY place", action_id)
        return [self._decode(row[0]) for row in rows]

    def at_stage(self, stage: Stage) -> list[Entry]:
        return [self._decode(row[0]) for row in self._rows("SELECT entry FROM actions WHERE stage = ? ORDER BY rowid", stage)]

    def newest(self, limit: int) -> list[Entry]:
        """The actions that were asked for last, oldest first."""
        query = "SELECT entry FROM (SELECT rowid AS place, entry FROM actions ORDER BY rowid DESC LIMIT ?) ORDER BY place"
        return [self._decode(row[0]) for row in self._rows(query, limit)]

    def last_claimed(self, verb: str, device_id: DeviceId | None) -> Micros | None:
        query = "SELECT max(claimed_at) FROM actions WHERE verb = ? AND device_id = ?"
        found: Micros | None = self._rows(query, verb, device_id or "")[0][0]
        return found

    def allowed_since(self, rule: str, since: Micros, *, besides: str) -> int:
        query = "SELECT count(DISTINCT action_id) FROM history WHERE rule = ? AND allowed_at > ? AND action_id <> ?"
        return int(self._rows(query, rule, since, besides)[0][0])


def _write(connection: sqlite3.Connection, entry: Entry, *, decides: bool) -> None:
    """Into both tables; only the line that decides counts for its rule. What was claimed never becomes unclaimed."""
    action, raw = entry.action, msgspec.msgpack.encode(entry)
    rule, at = (entry.decision.rule, entry.decision.at) if decides and entry.decision else (None, None)
    connection.execute(
        "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (action_id)"
        " DO UPDATE SET stage = excluded.stage, claimed_at = excluded.claimed_at, entry = excluded.entry"
        " WHERE excluded.claimed_at IS NOT NULL OR actions.claimed_at IS NULL",
        (action.action_id, entry.stage, action.verb, action.device_id or "", entry.claimed_at, raw),
    )
    connection.execute("INSERT INTO history VALUES (NULL, ?, ?, ?, ?)", (action.action_id, rule, at, raw))
