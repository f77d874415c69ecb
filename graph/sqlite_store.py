"""The embedded graph store: one SQLite file in the data folder. Any thread may use it; questions do not wait for writes."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from graph.claims import EdgeKey
from graph.store import (
    Batch,
    KnownDevice,
    Outcome,
    Position,
    Row,
    StoreAwayError,
    Touched,
    difference,
    known,
    names_of,
    verdict,
    when,
)
from graph.validity import AlarmRow, DeviceRow, DeviceSpan, EdgeRow, EdgeSpan, FaultRow, splice
from schemas.device import DeviceId, Edge, Relation
from schemas.event import Micros
from schemas.finding import Alert, AlertState, Fault

SCHEMA = """
CREATE TABLE IF NOT EXISTS position (site TEXT PRIMARY KEY, origin TEXT NOT NULL, next INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (
    site TEXT, id TEXT, seen INTEGER, signals TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (site, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device_span (
    site TEXT, id TEXT, start INTEGER, "end" INTEGER, state TEXT NOT NULL, type TEXT NOT NULL, location TEXT, parent TEXT,
    zone TEXT, signals TEXT NOT NULL, properties TEXT NOT NULL, PRIMARY KEY (site, id, start)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edge_span (
    site TEXT, source TEXT, target TEXT, relation TEXT, start INTEGER, "end" INTEGER, directed INTEGER NOT NULL, weight REAL,
    properties TEXT NOT NULL, PRIMARY KEY (site, source, target, relation, start)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS edge_by_target ON edge_span (site, target);
CREATE TABLE IF NOT EXISTS alarm (
    site TEXT, id TEXT, device TEXT NOT NULL, raised INTEGER, raised_at TEXT, cleared INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (site, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fault (site TEXT, id TEXT, body BLOB NOT NULL, PRIMARY KEY (site, id)) STRICT, WITHOUT ROWID;
"""
KEYS = {
    "position": "site",
    "alarm": "site, id",
    "fault": "site, id",
    "edge_span": "site, source, target, relation, start",
    "device_span": "site, id, start",
    "device": "site, id",
}
QUESTION_SECONDS = 30.0
TICKS = 100_000
"""Steps of SQLite's machine between two looks at the clock."""
CLEARED_AT_ONCE = 50_000

_STANDS = '{0}.start <= :at AND ({0}."end" IS NULL OR {0}."end" > :at)'
_DEVICES = f"""
SELECT d.id, d.signals, s.state, s.type, s.location, s.parent, s.zone, s.signals, s.properties
FROM device d LEFT JOIN device_span s ON s.site = d.site AND s.id = d.id AND {_STANDS.format("s")}
WHERE d.site = :site AND {{which}} AND (s.start IS NOT NULL OR d.seen <= :at
    OR EXISTS (SELECT 1 FROM edge_span e WHERE e.site = d.site AND e.source = d.id AND {_STANDS.format("e")})
    OR EXISTS (SELECT 1 FROM edge_span e WHERE e.site = d.site AND e.target = d.id AND {_STANDS.format("e")}))
ORDER BY d.id LIMIT :limit
"""  # noqa: S608 - of our own parts; all that comes from outside is a parameter
_EDGES = f"""
SELECT source, target, relation, directed, weight, properties FROM edge_span e
WHERE site = :site AND {_STANDS.format("e")} AND {{which}} ORDER BY source, target, relation LIMIT :limit
"""  # noqa: S608 - ours
_LISTED = "(SELECT value FROM json_each(:ids))"
_WITHIN = 'site = :site AND ((start > :after AND start <= :until) OR ("end" > :after AND "end" <= :until)) LIMIT :limit'
_ALARM = """
INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET device = excluded.device,
    raised = coalesce(excluded.raised, raised), raised_at = coalesce(excluded.raised_at, raised_at),
    cleared = excluded.cleared, body = excluded.body
"""


class SqliteGraphStore:
    """`GraphStore` in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._until = 0.0

    def prepare(self) -> None:
        with self._errors(), self._writing:
            self._write_connection()

    def _write_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(SCHEMA)
            self._writer = connection
        return self._writer

    def close(self) -> None:
        with self._writing, self._reading:
            for connection in (self._writer, self._reader):
                if connection is not None:
                    connection.close()
            self._writer = self._reader = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreAwayError(f"{self._path}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._writing:
            connection = self._write_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    # --- Write ---------------------------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> Outcome:
        with self._transaction() as connection:
            outcome = verdict(_position(connection, batch.site), batch)
            if outcome is Outcome.WRITTEN:
                _write_devices(connection, batch.site, batch.devices)
                _write_edges(connection, batch.site, batch.edges)
                _write_findings(connection, batch.site, batch.alarms, batch.faults)
                if batch.last:
                    upsert = "INSERT INTO position VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next"
                    connection.execute(upsert, (batch.site, batch.origin, batch.through))
            return outcome

    def clear(self, site: str, progress: Callable[[int], None] = lambda _: None) -> None:
        for table, key in KEYS.items():
            some = f"SELECT {key} FROM {table} WHERE site = ? LIMIT {CLEARED_AT_ONCE}"  # noqa: S608 - ours
            gone = CLEARED_AT_ONCE
            while gone == CLEARED_AT_ONCE:
                with self._transaction() as connection:
                    gone = connection.execute(f"DELETE FROM {table} WHERE ({key}) IN ({some})", (site,)).rowcount  # noqa: S608
                progress(gone)

    # --- Read ----------------------------------------------------------------------------------------------------------

    def _ask(self, query: str, **values: object) -> list[Any]:
        """In a connection of its own, which sees what was committed; not for longer than `QUESTION_SECONDS`."""
        with self._errors(), self._reading:
            if self._reader is None:
                self.prepare()
                self._reader = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
                self._reader.execute("PRAGMA query_only=1")
                self._reader.execute("PRAGMA busy_timeout=10000")
                self._reader.set_progress_handler(lambda: time.monotonic() > self._until, TICKS)
            self._until = time.monotonic() + QUESTION_SECONDS
            return self._reader.execute(query, values).fetchall()

    def position(self, site: str) -> Position | None:
        rows = self._ask("SELECT origin, next FROM position WHERE site = :site", site=site)
        return Position(*rows[0]) if rows else None

    def devices(self, site: str, ids: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[KnownDevice]:
        which = "TRUE" if ids is None else f"d.id IN {_LISTED}"
        rows = self._ask(_DEVICES.format(which=which), site=site, at=at, limit=limit, ids=_listed(ids))
        return [known(DeviceId(row[0]), row[1], row[2:]) for row in rows]

    def edges(self, site: str, ends: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[Edge]:
        values: dict[str, object] = {"site": site, "at": at, "limit": limit, "ids": _listed(ends)}
        if ends is None:
            return [_edge(row) for row in self._ask(_EDGES.format(which="TRUE"), **values)]
        # Two questions, since each then goes by its own index.
        rows = self._ask(_EDGES.format(which=f"source IN {_LISTED}"), **values)
        rows += self._ask(_EDGES.format(which=f"target IN {_LISTED}"), **values)
        return [_edge(row) for row in sorted({row[:3]: row for row in rows}.values(), key=lambda row: row[:3])[:limit]]

    def edge_spans(self, site: str, keys: Sequence[EdgeKey]) -> dict[EdgeKey, list[EdgeSpan]]:
        query = f"SELECT {_EDGE_COLUMNS} FROM edge_span WHERE {_EDGE_IS} ORDER BY start"  # noqa: S608 - parts of ours
        found = {}
        for key in keys:
            source, target, relation = key
            rows = self._ask(query, site=site, source=source, target=target, relation=relation.value)
            found[key] = [_edge_span(row) for row in rows]
        return found

    def touched(self, site: str, after: Micros, until: Micros, *, limit: int) -> Touched:
        values: dict[str, object] = {"site": site, "after": after, "until": until, "limit": limit}
        edges = self._ask(f"SELECT DISTINCT source, target, relation FROM edge_span WHERE {_WITHIN}", **values)  # noqa: S608 - ours
        devices = self._ask(f"SELECT DISTINCT id FROM device_span WHERE {_WITHIN}", **values)  # noqa: S608 - ours
        seen = "SELECT id FROM device WHERE site = :site AND seen > :after AND seen <= :until LIMIT :limit"
        devices += self._ask(seen, **values)
        return Touched({DeviceId(row[0]) for row in devices}, {(row[0], row[1], Relation(row[2])) for row in edges})

    def fault(self, site: str, fault_id: str) -> Fault | None:
        rows = self._ask("SELECT body FROM fault WHERE site = :site AND id = :id", site=site, id=fault_id)
        return msgspec.json.decode(rows[0][0], type=Fault) if rows else None

    def alarms(self, site: str, at: Micros, *, limit: int) -> list[AlarmRow]:
        query = (
            "SELECT body, raised_at FROM alarm WHERE site = :site AND coalesce(raised, 0) <= :at "
            "AND (cleared IS NULL OR cleared > :at) ORDER BY raised DESC, id LIMIT :limit"
        )
        return [_alarm(row) for row in self._ask(query, site=site, at=at, limit=limit)]

    def rows(self, site: str) -> Iterator[Row]:
        spans: dict[str, list[DeviceSpan]] = {}
        query = f"SELECT id, {_DEVICE_COLUMNS} FROM device_span WHERE site = :site ORDER BY id, start"  # noqa: S608 - ours
        for name, *rest in self._ask(query, site=site):
            spans.setdefault(name, []).append(DeviceSpan(*rest))
        for name, seen, signals in self._ask("SELECT id, seen, signals FROM device WHERE site = :site ORDER BY id", site=site):
            yield DeviceRow(name, None, tuple(spans.get(name, ())), seen, names_of(signals))
        edges: dict[EdgeKey, list[EdgeSpan]] = {}
        query = f"SELECT source, target, relation, {_EDGE_COLUMNS} FROM edge_span WHERE site = :site"  # noqa: S608 - ours
        for source, target, relation, *rest in self._ask(query + " ORDER BY source, target, relation, start", site=site):
            edges.setdefault((source, target, Relation(relation)), []).append(_edge_span(rest))
        for key, held in edges.items():
            yield EdgeRow(key, None, tuple(held))
        for row in self._ask("SELECT body, raised_at FROM alarm WHERE site = :site ORDER BY id", site=site):
            yield _alarm(row)
        for row in self._ask("SELECT body FROM fault WHERE site = :site ORDER BY id", site=site):
            yield msgspec.json.decode(row[0], type=Fault)


_DEVICE_COLUMNS = 'start, "end", state, type, location, parent, zone, signals, properties'
_EDGE_COLUMNS = 'start, "end", directed, weight, properties'
_EDGE_IS = "site = :site AND source = :source AND target = :target AND relation = :relation"


def _listed(ids: Sequence[str] | None) -> str:
    return msgspec.json.encode(ids or ()).decode()


def _edge(row: Sequence[Any]) -> Edge:
    source, target, relation, directed, weight, properties = row
    return Edge(source, target, Relation(relation), bool(directed), weight, msgspec.json.decode(properties))


def _edge_span(row: Sequence[Any]) -> EdgeSpan:
    start, end, directed, weight, properties = row
    return EdgeSpan(start, end, bool(directed), weight, properties)


def _alarm(row: Sequence[Any]) -> AlarmRow:
    return AlarmRow(msgspec.json.decode(row[0], type=Alert), row[1])


def _position(connection: sqlite3.Connection, site: str) -> Position | None:
    row = connection.execute("SELECT origin, next FROM position WHERE site = ?", (site,)).fetchone()
    return Position(*row) if row else None


def _write_devices(connection: sqlite3.Connection, site: str, rows: Sequence[DeviceRow]) -> None:
    upsert = (
        "INSERT INTO device VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET signals = excluded.signals,"
        " seen = coalesce(min(seen, excluded.seen), seen, excluded.seen)"
    )
    names = [(site, row.device_id, row.seen, msgspec.json.encode(row.signals).decode()) for row in rows]
    connection.executemany(upsert, names)
    query = (
        f"SELECT {_DEVICE_COLUMNS} FROM device_span WHERE site = ? AND id = ?"  # noqa: S608 - ours
        ' AND ("end" IS NULL OR "end" >= ?) ORDER BY start'
    )
    gone: list[tuple[Any, ...]] = []
    new: list[tuple[Any, ...]] = []
    for row in rows:
        since = row.since if row.since is not None else -(1 << 62)
        held = [DeviceSpan(*span) for span in connection.execute(query, (site, row.device_id, since))]
        change = difference(held, splice(held, row.since, row.spans))
        gone += [(site, row.device_id, span.start) for span in (*change.gone, *change.ended)]
        new += [(site, row.device_id, *span) for span in (*change.ended, *change.new)]
    connection.executemany("DELETE FROM device_span WHERE site = ? AND id = ? AND start = ?", gone)
    connection.executemany("INSERT INTO device_span VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", new)


def _write_edges(connection: sqlite3.Connection, site: str, rows: Sequence[EdgeRow]) -> None:
    ends = {(site, end) for row in rows for end in row.key[:2]}
    connection.executemany("INSERT OR IGNORE INTO device (site, id) VALUES (?, ?)", sorted(ends))
    query = (
        f"SELECT {_EDGE_COLUMNS} FROM edge_span WHERE site = ? AND source = ? AND target = ? AND relation = ?"  # noqa: S608
        ' AND ("end" IS NULL OR "end" >= ?) ORDER BY start'
    )
    gone: list[tuple[Any, ...]] = []
    new: list[tuple[Any, ...]] = []
    for row in rows:
        key = (site, *row.key[:2], row.key[2].value)
        since = row.since if row.since is not None else -(1 << 62)
        held = [_edge_span(span) for span in connection.execute(query, (*key, since))]
        change = difference(held, splice(held, row.since, row.spans))
        gone += [(*key, span.start) for span in (*change.gone, *change.ended)]
        new += [(*key, *span) for span in (*change.ended, *change.new)]
    where = "site = ? AND source = ? AND target = ? AND relation = ? AND start = ?"
    connection.executemany(f"DELETE FROM edge_span WHERE {where}", gone)  # noqa: S608 - ours
    connection.executemany("INSERT INTO edge_span VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", new)


def _write_findings(connection: sqlite3.Connection, site: str, alarms: Sequence[AlarmRow], faults: Sequence[FaultRow]) -> None:
    encode = msgspec.json.encode
    for row in alarms:
        alert = row.alert
        cleared = when(alert.time) if alert.state is AlertState.CLEARED else None
        raised = when(row.raised_at)
        connection.execute(_ALARM, (site, row.alert_id, alert.device_id, raised, row.raised_at, cleared, encode(alert)))
    upsert = "INSERT INTO fault VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
    connection.executemany(upsert, [(site, fault.fault_id, encode(fault)) for fault in faults])
