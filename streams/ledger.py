"""The ledger of actions in SQLite: what was decided, claimed, sent and answered, on disk before the caller goes on.

Each record is in one transaction with its line of the audit (`agents.audit`).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agents import audit
from agents.audit import BEGINNING, NOTHING, BrokenError, Head, Line, Row
from agents.entry import Entry, Stage, Step
from agents.policy import COUNTLESS, Rates
from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros
from streams.database import Database

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
CREATE TABLE IF NOT EXISTS allowed (
    action_id TEXT PRIMARY KEY, verb TEXT NOT NULL, device_id TEXT NOT NULL, principal TEXT NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS allowed_by_verb ON allowed (verb, at);
CREATE INDEX IF NOT EXISTS allowed_by_device ON allowed (device_id, at);
CREATE INDEX IF NOT EXISTS allowed_by_principal ON allowed (principal, at);
CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY, line BLOB NOT NULL, digest BLOB NOT NULL) STRICT;
"""
CHAINED = 1
"""`user_version` of a file whose records have an audit."""
MOST_COUNTED = 1_000
"""Actions of a rate, to bound what counting costs; of so many or more is said that there are COUNTLESS, beyond every limit."""
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM allowed WHERE {} = ? AND at > ? AND action_id <> ? LIMIT ?))"
_RATES = "SELECT " + ", ".join(_COUNT.format(column) for column in ("verb", "device_id", "principal"))


class SqliteLedger:
    """A `Ledger` in one file; any thread may use it, one at a time. Each call is one transaction."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Raises ValueError for a file that is no ledger, or has what none has."""
        self._clock = clock
        self._decode = msgspec.msgpack.Decoder(Entry).decode
        with _as_ledger(path), ExitStack() as stack:
            self._database = stack.enter_context(closing(Database(path, SCHEMA)))
            if (found := self._database.read(_strange)) is not None:
                raise ValueError(f"{path} has a {found}, which no ledger has")
            self._database.transact(self._begin)
            stack.pop_all()

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin the chain, once; of records of before, with a line that says what they were."""
        if connection.execute("PRAGMA user_version").fetchone()[0] >= CHAINED:
            return
        records = connection.execute("SELECT place, entry FROM history ORDER BY place").fetchall()
        if records:
            _append(connection, audit.beginning(records, recorded_at=self._now), NOTHING)
        for _, raw in records:
            _count(connection, self._decode(raw))
        connection.execute(f"PRAGMA user_version = {CHAINED}")

    @property
    def _now(self) -> Micros:
        return Micros(round(self._clock() * 1e6))

    def head(self) -> Head:
        """The end of the audit."""
        return self._database.read(_head)

    def close(self) -> None:
        self._database.close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._database.read(lambda connection: connection.execute(query, values).fetchall())

    def claim(self, action_id: str, at: Micros) -> bool:
        with self._database.transaction() as connection:
            query = "SELECT entry FROM actions WHERE action_id = ? AND stage = ?"
            row = connection.execute(query, (action_id, Stage.ALLOWED)).fetchone()
            entry = None if row is None else self._decode(row[0])
            if entry is None or entry.stage is not Stage.ALLOWED or entry.claimed_at is not None:
                return False
            claimed = entry.then(Stage.CLAIMED, at, entry.detail, step=Step.CLAIM)
            _write(connection, msgspec.structs.replace(claimed, claimed_at=at), self._now)
            return True

    def record(self, entry: Entry) -> None:
        with self._database.transaction() as connection:
            _write(connection, entry, self._now)

    def entry(self, action_id: str) -> Entry | None:
        rows = self._rows("SELECT entry FROM actions WHERE action_id = ?", action_id)
        return self._decode(rows[0][0]) if rows else None

    def history(self, action_id: str) -> list[Entry]:
        rows = self._rows("SELECT entry FROM history WHERE action_id = ? ORDER BY place", action_id)
        return [self._decode(row[0]) for row in rows]

    def at_stage(self, stage: Stage) -> list[Entry]:
        rows = self._rows("SELECT entry FROM actions WHERE stage = ? ORDER BY rowid", stage)
        return [entry for (raw,) in rows if (entry := self._decode(raw)).stage is stage]

    def newest(self, limit: int) -> list[Entry]:
        """The actions that were asked for last, oldest first."""
        query = "SELECT entry FROM (SELECT rowid AS place, entry FROM actions ORDER BY rowid DESC LIMIT ?) ORDER BY place"
        return [self._decode(row[0]) for row in self._rows(query, limit)]

    def last_claimed(self, verb: str, device_id: DeviceId | None) -> Micros | None:
        query = "SELECT max(claimed_at) FROM actions WHERE verb = ? AND device_id = ?"
        found: Micros | None = self._rows(query, verb, device_id or "")[0][0]
        return found

    def rates(self, action: Action, since: Micros) -> Rates:
        of = (action.verb, action.device_id or "", action.cause.principal)
        values = [value for name in of for value in (name, since, action.action_id, MOST_COUNTED)]
        return Rates(*(COUNTLESS if count >= MOST_COUNTED else count for count in self._rows(_RATES, *values)[0]))


class Kept(NamedTuple):
    """What the tables have of an entry beside itself, for finding and counting: by it alone nothing is ever sent."""

    actions: tuple[object, ...]
    history: tuple[object, ...]
    allowed: tuple[object, ...] | None

    @classmethod
    def of(cls, entry: Entry) -> Kept:
        action, decision = entry.action, entry.decision
        device = action.device_id or ""
        actions = (action.action_id, entry.stage.value, action.verb, device, entry.claimed_at)
        if entry.stage is not Stage.ALLOWED or decision is None:
            return cls(actions, (action.action_id, None, None), None)
        counted = (action.action_id, action.verb, device, action.cause.principal, decision.at)
        return cls(actions, (action.action_id, decision.rule, decision.at), counted)


def _write(connection: sqlite3.Connection, entry: Entry, now: Micros) -> None:
    """Into the tables, and a line of the audit. What was claimed never becomes unclaimed."""
    kept, raw = Kept.of(entry), msgspec.msgpack.encode(entry)
    connection.execute(
        "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (action_id) DO UPDATE SET stage = excluded.stage,"
        " verb = excluded.verb, device_id = excluded.device_id, claimed_at = excluded.claimed_at, entry = excluded.entry"
        " WHERE excluded.claimed_at IS NOT NULL OR actions.claimed_at IS NULL",
        (*kept.actions, raw),
    )
    written = connection.execute("INSERT INTO history VALUES (NULL, ?, ?, ?, ?)", (*kept.history, raw))
    _count(connection, entry)
    head, place = _head(connection), written.lastrowid
    assert place is not None
    _append(connection, audit.line_of(entry, number=head.number + 1, place=place, raw=raw, recorded_at=now), head.digest)


def _count(connection: sqlite3.Connection, entry: Entry) -> None:
    if (counted := Kept.of(entry).allowed) is not None:
        connection.execute("INSERT OR REPLACE INTO allowed VALUES (?, ?, ?, ?, ?)", counted)


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return Head(0, NOTHING) if row is None else Head(*row)


def _append(connection: sqlite3.Connection, line: Line, before: bytes) -> None:
    connection.execute("INSERT INTO audit VALUES (?, ?, ?)", audit.row_of(line, before))


def _strange(connection: sqlite3.Connection) -> str | None:
    """What is neither table nor index: a trigger or a view would change what is written, or what is found."""
    query = "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR rootpage = 0"
    row = connection.execute(query).fetchone()
    return None if row is None else f"{row[0]} {row[1]}"


@contextmanager
def audit_trail(path: Path) -> Iterator[AuditTrail]:
    """The audit in a file. Raises FileNotFoundError, ValueError for a file that has none or is no ledger."""
    with _as_ledger(path), closing(AuditTrail(path)) as trail:
        yield trail


@contextmanager
def _as_ledger(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is no ledger: {error}") from error


class AuditTrail:
    """The audit of a ledger's file, for reading alone, beside a running service too."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, ValueError if it has no audit."""
        if not path.is_file():
            raise FileNotFoundError(f"no ledger at {path}")
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA query_only=1")
        if self._connection.execute("PRAGMA user_version").fetchone()[0] < CHAINED:
            self._connection.close()
            raise ValueError(f"{path} is of a version without an audit; it begins when the service starts on it")
        self._decode = msgspec.msgpack.Decoder(Entry).decode

    def close(self) -> None:
        self._connection.close()

    def head(self) -> Head:
        return _head(self._connection)

    def newest(self, limit: int) -> list[Line]:
        """The last lines, oldest first, unchecked."""
        rows = self._connection.execute("SELECT line FROM audit ORDER BY number DESC LIMIT ?", (limit,))
        return [msgspec.json.decode(raw, type=Line) for (raw,) in reversed(rows.fetchall())]

    def verify(self, head: str | None = None) -> Head:
        """Check the chain, and the ledger's records against it, as of one moment. Raises BrokenError."""
        self._connection.execute("BEGIN")
        try:
            with closing(self._connection.execute("SELECT number, line, digest FROM audit ORDER BY number")) as rows:
                self._hold(line for line, _ in audit.checked((Row(*row) for row in rows), head=head))
            return self.head()
        finally:
            self._connection.execute("ROLLBACK")

    def _hold(self, lines: Iterator[Line]) -> None:
        counted: dict[object, tuple[int, tuple[object, ...]]] = {}
        records = 0

        def seen(number: int, place: int, entry: Entry) -> None:
            nonlocal records
            records += 1
            kept = Kept.of(entry)
            self._hold_filed(number, place, kept)
            if kept.allowed is not None:
                counted[kept.allowed[0]] = (number, kept.allowed)

        newest, place, number = audit.compare(lines, record=self._record, before=self._before, seen=seen, decode=self._decode)
        self._hold_places(place, number + 1, records)
        self._hold_actions(newest, number + 1)
        self._hold_counted(counted, number + 1)
        self._hold_schema(number + 1)

    def _hold_filed(self, number: int, place: int, kept: Kept) -> None:
        row = self._connection.execute("SELECT action_id, rule, allowed_at FROM history WHERE place = ?", (place,)).fetchone()
        whole = number > 1 or not self._continues  # what a version before the audit has filed there is of no use to anybody
        if row != kept.history if whole else row[:1] != kept.history[:1]:
            raise BrokenError(number, f"the record at {place} is filed under what it does not say")

    @cached_property
    def _continues(self) -> bool:
        """Whether the chain began when there were records already."""
        row = self._connection.execute("SELECT line FROM audit WHERE number = 1").fetchone()
        return row is not None and msgspec.json.decode(row[0], type=Line).step == BEGINNING

    def _hold_places(self, last: int, number: int, records: int) -> None:
        select = self._connection.execute
        for which in ("min(place) FROM history WHERE place > ?", "max(place) FROM history WHERE place <= min(?, 0)"):
            if (more := select(f"SELECT {which}", (last,)).fetchone()[0]) is not None:
                raise BrokenError(number, f"is not there, but the record at {more} is")
        if (more := select("SELECT count(*) FROM history").fetchone()[0] - records) != 0:
            raise BrokenError(number, f"there are {more} records among the others that no line is about")

    def _hold_actions(self, newest: dict[str, audit.Newest], number: int) -> None:
        query = "SELECT action_id, stage, verb, device_id, claimed_at, entry FROM actions"
        for *columns, raw in self._connection.execute(query):
            action_id = columns[0]
            held = newest.pop(action_id, None)
            if held is None:
                raise BrokenError(number, f"there is an action {action_id} that no line is about")
            if audit.digest_of_record(raw) != held.record:
                raise BrokenError(held.number, f"action {action_id} is not at the stage that it was brought to")
            if tuple(columns) != Kept.of(self._decode(raw)).actions:
                raise BrokenError(held.number, f"action {action_id} is filed under what its record does not say")
        if newest:
            action_id, held = min(newest.items(), key=lambda item: item[1].number)
            raise BrokenError(held.number, f"action {action_id} is gone")

    def _hold_counted(self, counted: dict[object, tuple[int, tuple[object, ...]]], number: int) -> None:
        for row in self._connection.execute("SELECT action_id, verb, device_id, principal, at FROM allowed"):
            line, expected = counted.pop(row[0], (number, None))
            if row != expected:
                raise BrokenError(line, f"action {row[0]} is not counted as what was allowed")
        if counted:
            line, (action_id, *_) = min(counted.values())
            raise BrokenError(line, f"action {action_id} was allowed, and is not counted")

    def _hold_schema(self, number: int) -> None:
        if (found := _strange(self._connection)) is not None:
            raise BrokenError(number, f"the file has a {found}, which no ledger has")

    def _record(self, place: int) -> bytes | None:
        row = self._connection.execute("SELECT entry FROM history WHERE place = ?", (place,)).fetchone()
        return None if row is None else row[0]

    def _before(self, place: int) -> Iterator[tuple[int, bytes]]:
        yield from self._connection.execute("SELECT place, entry FROM history WHERE place <= ? ORDER BY place", (place,))
