"""The graph store in Neo4j 5: the only file that knows its driver. The Cypher stands in `graph/cypher`.

Devices are nodes, with what is known of them now; what they were before hangs on them as states. Edges are relationships with
`validFrom` and `validTo` (null: still so). A site is part of every key, so many sites share one database. Only the types of
`Relation` are ever put into the text of a query; all else is a parameter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from neo4j import Driver, GraphDatabase, ManagedTransaction, unit_of_work
from neo4j.exceptions import AuthError, ClientError, ConfigurationError, DriverError, Forbidden, Neo4jError

from graph.claims import EdgeKey
from graph.store import (
    Batch,
    Difference,
    KnownDevice,
    Outcome,
    Position,
    Row,
    StoreAwayError,
    StoreRefusedError,
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

SCHEMES = ("bolt", "neo4j")
QUESTION_SECONDS = 30.0
WRITE_SECONDS = 120.0
RETRY_SECONDS = 5.0
"""For deadlocks and the like; whoever writes tries again anyway."""
CLEARED_AT_ONCE = 10_000
# Its own accounts of retries come in dozens; what is wrong is said once, by whoever writes.
logging.getLogger("neo4j").setLevel(logging.CRITICAL)
NO_STATE = ("placeholder", "unknown", None, None, None, "[]", "{}")

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Access:
    """Where the database is and who we are; the settings `neo4j_uri`, `neo4j_username`, `neo4j_password`, `neo4j_database`."""

    uri: str
    username: str
    password: str = field(repr=False)
    database: str | None = None


@cache
def cypher(name: str) -> str:
    """A query by the name of its file."""
    return (files("graph") / "cypher" / f"{name}.cypher").read_text(encoding="utf-8")


def _of(name: str, relation: Relation) -> str:
    """A query about edges of one relation; the files are written for FEEDS, so that they can be tried as they are."""
    return cypher(name).replace(":FEEDS", f":{relation.value}")


class Neo4jStore:
    """`GraphStore` in a Neo4j database. Any thread may use it. Nothing is connected before it is needed."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._opened: Driver | None = None

    @property
    def _driver(self) -> Driver:
        if self._opened is None:
            if not self._access.uri.startswith(SCHEMES):
                raise StoreRefusedError(f"neo4j_uri {self._access.uri}: must begin with {' or '.join(SCHEMES)}")
            self._opened = GraphDatabase.driver(
                self._access.uri,
                auth=(self._access.username, self._access.password),
                connection_timeout=5.0,
                connection_acquisition_timeout=10.0,
                max_transaction_retry_time=RETRY_SECONDS,
                notifications_min_severity="OFF",
                user_agent="openautoglm",
            )
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What the driver raises, as the port has it."""
        access = self._access
        try:
            yield
        except (AuthError, Forbidden) as error:
            told = f"neo4j_username and neo4j_password: {access.uri} refuses {access.username!r}: {error.message}"
            raise StoreRefusedError(told) from error
        except ConfigurationError as error:
            raise StoreRefusedError(f"neo4j_uri {access.uri}: {error}") from error
        except ClientError as error:
            if str(error.code).startswith("Neo.ClientError.Security"):
                told = f"neo4j_username and neo4j_password: {access.uri} refuses {access.username!r}: {error.message}"
                raise StoreRefusedError(told) from error
            if str(error.code).startswith("Neo.ClientError.Database"):
                raise StoreRefusedError(f"neo4j_database {access.database!r}: {error.message}") from error
            raise StoreAwayError(f"neo4j_uri {access.uri}: {error.message}") from error
        except (Neo4jError, DriverError, OSError) as error:
            raise StoreAwayError(f"neo4j_uri {access.uri}: {error}") from error
        except ValueError as error:
            raise StoreRefusedError(f"neo4j_uri {access.uri}: {error}") from error

    def _write(self, work: Callable[[ManagedTransaction], Any]) -> Any:
        with self._errors(), self._driver.session(database=self._access.database) as session:
            return session.execute_write(unit_of_work(timeout=WRITE_SECONDS)(work))

    def _ask(self, name: str, **values: object) -> list[tuple[Any, ...]]:
        """In a read transaction with a time limit."""

        def work(transaction: ManagedTransaction) -> list[tuple[Any, ...]]:
            return _run(transaction, cypher(name), values)

        with self._errors(), self._driver.session(database=self._access.database) as session:
            found: list[tuple[Any, ...]] = session.execute_read(unit_of_work(timeout=QUESTION_SECONDS)(work))
            return found

    # --- Write ---------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        with self._errors(), self._driver.session(database=self._access.database) as session:
            for statement in filter(str.strip, cypher("constraints").split(";\n")):
                session.run(statement).consume()

    def apply(self, batch: Batch) -> Outcome:
        def work(transaction: ManagedTransaction) -> Outcome:
            writer = _Writer(transaction, batch.site)
            outcome = verdict(writer.lock(), batch)
            if outcome is Outcome.WRITTEN:
                writer.graph(batch.devices, batch.edges)
                writer.findings(batch.alarms, batch.faults)
                if batch.last:
                    writer.run(cypher("move_position"), origin=batch.origin, next=batch.through)
            return outcome

        outcome: Outcome = self._write(work)
        return outcome

    def clear(self, site: str, progress: Callable[[int], None] = lambda _: None) -> None:
        self._write(lambda transaction: _run(transaction, cypher("forget_position"), {"site": site}))
        for name in ("clear_findings", "clear_edges", "clear_states", "clear_devices"):
            values = {"site": site, "limit": CLEARED_AT_ONCE}
            work = partial(_run, query=cypher(name), values=values)
            gone = CLEARED_AT_ONCE
            while gone == CLEARED_AT_ONCE:
                gone = self._write(work)[0][0]
                progress(gone)

    # --- Read ----------------------------------------------------------------------------------------------------------

    def position(self, site: str) -> Position | None:
        rows = self._ask("position", site=site)
        return Position(*rows[0]) if rows else None

    def devices(self, site: str, ids: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[KnownDevice]:
        rows = self._ask("devices_all" if ids is None else "devices_some", site=site, ids=ids, at=at, limit=limit)
        return [known(DeviceId(row[0]), row[1], row[2:]) for row in rows]

    def edges(self, site: str, ends: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[Edge]:
        rows = self._ask("edges_all" if ends is None else "edges_some", site=site, ids=ends, at=at, limit=limit)
        return [
            Edge(source, target, Relation(relation), directed, weight, msgspec.json.decode(properties))
            for source, target, relation, directed, weight, properties in rows
        ]

    def edge_spans(self, site: str, keys: Sequence[EdgeKey]) -> dict[EdgeKey, list[EdgeSpan]]:
        found: dict[EdgeKey, list[EdgeSpan]] = {key: [] for key in keys}
        asked = [(source, target, relation.value) for source, target, relation in keys]
        for source, target, relation, *span in self._ask("edge_spans", site=site, keys=asked):
            found[source, target, Relation(relation)].append(EdgeSpan(*span))
        return found

    def touched(self, site: str, after: Micros, until: Micros, *, limit: int) -> Touched:
        values: dict[str, object] = {"site": site, "after": after, "until": until, "limit": limit}
        edges = {(row[0], row[1], Relation(row[2])) for row in self._ask("touched_edges", **values)}
        return Touched({DeviceId(row[0]) for row in self._ask("touched_devices", **values)}, edges)

    def fault(self, site: str, fault_id: str) -> Fault | None:
        rows = self._ask("fault", site=site, id=fault_id)
        return msgspec.json.decode(rows[0][0], type=Fault) if rows else None

    def alarms(self, site: str, at: Micros, *, limit: int) -> list[AlarmRow]:
        return [_alarm(row) for row in self._ask("alarms", site=site, at=at, limit=limit)]

    def rows(self, site: str) -> Iterator[Row]:
        for (name, seen_from, seen), rows in groupby(self._ask("all_states", site=site), lambda row: row[:3]):
            spans = tuple(DeviceSpan(*row[3:]) for row in rows if row[3] is not None)
            yield DeviceRow(name, None, spans, seen_from, names_of(seen or "[]"))
        for (source, target, relation), rows in groupby(self._ask("all_edges", site=site), lambda row: row[:3]):
            yield EdgeRow((source, target, Relation(relation)), None, tuple(EdgeSpan(*row[3:]) for row in rows))
        yield from (_alarm(row) for row in self._ask("all_alarms", site=site))
        yield from (msgspec.json.decode(row[0], type=Fault) for row in self._ask("all_faults", site=site))


class _DeviceChanges(NamedTuple):
    """States to remove, to end and to add; and each device as it is `now`."""

    gone: list[str]
    ended: list[Any]
    new: list[Any]
    now: list[Any]


class _Writer:
    """One site in one transaction."""

    def __init__(self, transaction: ManagedTransaction, site: str) -> None:
        self._transaction = transaction
        self._site = site

    def run(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Nothing is asked of the database where there is nothing to write."""
        if any(value == [] for value in values.values()):
            return []
        return _run(self._transaction, query, {"site": self._site, **values})

    def _read(self, query: str, **values: object) -> list[Any]:
        """The query collects all into one list: thousands of records cost the driver and the database twice as much."""
        rows = self.run(query, **values)
        return rows[0][0] if rows else []

    def lock(self) -> Position | None:
        origin, offset = self.run(cypher("lock_position"))[0]
        return None if origin is None else Position(origin, offset)

    def graph(self, devices: Sequence[DeviceRow], edges: Sequence[EdgeRow]) -> None:
        """All is read before anything is written: to look into what a transaction has not committed yet takes Neo4j long."""
        states = self._device_changes(devices)
        ends = {end for row in edges for end in row.key[:2]}
        elements = dict(self._read(cypher("known_devices"), ids=sorted(ends)))
        spans = {relation: self._edge_changes(relation, rows, elements) for relation, rows in _by_relation(edges)}
        self._write_devices(states)
        elements |= self._name(ends - elements.keys())
        for relation, change in spans.items():
            self.run(_of("remove_edges", relation), elements=change.gone)
            self.run(_of("end_edges", relation), rows=change.ended)
            new = [(elements[source], elements[target], *span) for source, target, *span in change.new]
            self.run(_of("write_edges", relation), rows=new)

    def _device_changes(self, rows: Sequence[DeviceRow]) -> _DeviceChanges:
        held: dict[str, list[DeviceSpan]] = {}
        elements: dict[tuple[str, int], str] = {}
        for name, element, *span in self._read(cypher("held_states"), rows=[(row.device_id, row.since) for row in rows]):
            held.setdefault(name, []).append(DeviceSpan(*span))
            elements[name, span[0]] = element
        found = _DeviceChanges([], [], [], [])
        for row in rows:
            name, before = row.device_id, held.get(row.device_id, [])
            wanted = splice(before, row.since, row.spans)
            change = difference(before, wanted)
            found.gone.extend(elements[name, span.start] for span in change.gone)
            found.ended.extend((elements[name, span.start], span.end) for span in change.ended)
            found.new.extend((name, *span) for span in change.new)
            state = wanted[-1][2:] if wanted and wanted[-1].end is None else NO_STATE
            found.now.append((name, row.seen, msgspec.json.encode(row.signals).decode(), *state))
        return found

    def _write_devices(self, change: _DeviceChanges) -> None:
        self.run(cypher("write_devices"), rows=change.now)
        self.run(cypher("remove_states"), elements=change.gone)
        self.run(cypher("end_states"), rows=change.ended)
        self.run(cypher("write_states"), rows=change.new)

    def _edge_changes(self, relation: Relation, rows: Sequence[EdgeRow], nodes: Mapping[str, str]) -> Difference:
        """An edge between `nodes` that are not there yet is not looked for."""
        held: dict[int, list[EdgeSpan]] = {}
        elements: dict[tuple[int, int], str] = {}
        asked = [
            (place, nodes[row.key[0]], nodes[row.key[1]], row.since)
            for place, row in enumerate(rows)
            if row.key[0] in nodes and row.key[1] in nodes
        ]
        for place, element, *span in self._read(_of("held_edges", relation), rows=asked):
            held.setdefault(place, []).append(EdgeSpan(*span))
            elements[place, span[0]] = element
        found = Difference([], [], [])
        for place, row in enumerate(rows):
            before = held.get(place, [])
            change = difference(before, splice(before, row.since, row.spans))
            found.gone.extend(elements[place, span.start] for span in change.gone)
            found.ended.extend((elements[place, span.start], span.end) for span in change.ended)
            found.new.extend((*row.key[:2], *span) for span in change.new)
        return found

    def _name(self, devices: set[DeviceId]) -> dict[str, str]:
        """Nodes by device, also of those of which nothing else is known; in order, so that writers cannot block each other."""
        return dict(self._read(cypher("name_devices"), ids=sorted(devices)))

    def findings(self, alarms: Sequence[AlarmRow], faults: Sequence[FaultRow]) -> None:
        self._name({row.alert.device_id for row in alarms} | {end for fault in faults for end in _named(fault)})
        self.run(cypher("write_alarms"), rows=[_alarm_values(row) for row in alarms])
        ids = [fault.fault_id for fault in faults]
        self.run(cypher("write_faults"), rows=[_fault_values(fault) for fault in faults])
        self.run(cypher("remove_fault_parts"), ids=ids)
        self.run(cypher("remove_fault_path"), ids=ids)
        origins, affected, path = [], [], []
        for fault in faults:
            name = fault.fault_id
            origins += [(name, o.device_id, place, o.probability) for place, o in enumerate(fault.origins)]
            affected += [(name, a.device_id, place, when(a.onset)) for place, a in enumerate(fault.affected)]
            path += [
                (name, s.source, s.target, place, s.relation.value, s.lag_seconds, s.probability)
                for place, s in enumerate(fault.path)
            ]
        self.run(cypher("write_origins"), rows=origins)
        self.run(cypher("write_affected"), rows=affected)
        self.run(cypher("write_path"), rows=path)


def _run(transaction: ManagedTransaction, query: str, values: Values) -> list[tuple[Any, ...]]:
    return [tuple(record.values()) for record in transaction.run(query, dict(values))]


def _by_relation(rows: Sequence[EdgeRow]) -> Iterator[tuple[Relation, list[EdgeRow]]]:
    for relation in Relation:
        of_it = [row for row in rows if row.key[2] is relation]
        if of_it:
            yield relation, of_it


def _named(fault: Fault) -> Iterator[DeviceId]:
    yield from (origin.device_id for origin in fault.origins)
    yield from (affected.device_id for affected in fault.affected)
    yield from (end for step in fault.path for end in (step.source, step.target))


def _alarm_values(row: AlarmRow) -> Values:
    alert = row.alert
    return {
        "alertId": row.alert_id,
        "raisedAt": row.raised_at,
        "raised": when(row.raised_at),
        "values": {
            "deviceId": alert.device_id,
            "condition": alert.condition,
            "severity": alert.severity.value,
            "state": alert.state.value,
            "score": alert.score,
            "faultId": alert.fault_id,
            "suppressedBy": alert.suppressed_by,
            "cleared": when(alert.time) if alert.state is AlertState.CLEARED else None,
            "body": msgspec.json.encode(alert).decode(),
        },
    }


def _fault_values(fault: Fault) -> Values:
    return {
        "faultId": fault.fault_id,
        "values": {
            "opened": when(fault.opened_at),
            "updated": when(fault.updated_at),
            "closed": when(fault.closed_at),
            "body": msgspec.json.encode(fault).decode(),
        },
    }


def _alarm(row: Sequence[Any]) -> AlarmRow:
    return AlarmRow(msgspec.json.decode(row[0], type=Alert), row[1])
