"""Comparing the projection with the live graph, and writing it anew: `openautoglm projection verify|rebuild|status`.

The live graph is the service's checkpoint, or the workers' snapshot of the site. Who runs may be some seconds further than
that, so what differs is looked at again when there is a newer one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple, Protocol

import msgspec

from graph.claims import EdgeKey
from graph.pending import Pending
from graph.store import GraphStore, Outcome, Position, Row, StoreError
from graph.topology import Topology
from graph.validity import AlarmRow, DeviceRow, EdgeRow, device_row, edge_row, splice
from schemas.device import DeviceId
from schemas.finding import Alert, AlertState, Fault
from streams import checkpoint
from streams.findings import FindingStore, Kind
from streams.folder import Folder
from streams.projection import ROWS
from streams.snapshots import pending_of, topology_of

PATIENCE = 30.0
"""Seconds in which a service that runs may make differences go."""
LOOK = 1.0

Key = DeviceId | EdgeKey | str


class NothingThereError(Exception):
    """No service has left a checkpoint in the folder."""


class Live(NamedTuple):
    """What a service's data folder says: the graph, the findings, up to which record, and the rows that wait."""

    topology: Topology
    offset: int
    waiting: int
    everything: bool
    alarms: list[AlarmRow]
    faults: list[Fault]

    @classmethod
    def of(cls, snapshot: bytes, offset: int, alerts: Iterable[bytes], faults: Iterable[bytes]) -> Live:
        """From a pipeline's snapshot, and every state of its findings in the order in which they were made."""
        waiting, everything = pending_of(snapshot)
        newest = {fault.fault_id: fault for body in faults for fault in [msgspec.json.decode(body, type=Fault)]}
        return cls(topology_of(snapshot), offset, waiting, everything, _alarms(alerts), list(newest.values()))


class Difference(msgspec.Struct, frozen=True):
    """A key whose row in the database is not what the live graph says."""

    kind: str
    key: str
    why: str


class Verdict(msgspec.Struct, frozen=True):
    """`waiting`: rows that the service knows are not written yet; differences may be theirs."""

    rows: int
    differences: list[Difference]
    position: Position | None
    offset: int
    waiting: int


def _alarms(bodies: Iterable[bytes]) -> list[AlarmRow]:
    raised: dict[str, str] = {}
    alerts: dict[str, Alert] = {}
    for body in bodies:
        alert = msgspec.json.decode(body, type=Alert)
        alerts[alert.alert_id] = alert
        if alert.state is AlertState.RAISED:
            raised[alert.alert_id] = alert.time
    return [AlarmRow(alert, raised.get(name)) for name, alert in alerts.items()]


class Truth(Protocol):
    """Where the live graph of a site can be read, by whom it is written, and whether they are at it."""

    def live(self) -> Live:
        """Raises DamagedError, DamagedStateError, NothingThereError, ConnectionError."""
        ...

    def origin(self) -> str: ...

    def runs(self) -> bool: ...


class FolderTruth(NamedTuple):
    """What a service has left in its data folder."""

    folder: Folder

    def live(self) -> Live:
        folder = self.folder
        held = checkpoint.load(folder.checkpoint)
        if held is None:
            raise NothingThereError(f"--data {folder.path}: no service has left a checkpoint here")
        if not folder.findings.is_file():
            return Live.of(held.snapshot, held.offset, (), ())
        with closing(FindingStore(folder.findings)) as store:
            return Live.of(held.snapshot, held.offset, store.every(Kind.ALERTS), store.every(Kind.FAULTS))

    def origin(self) -> str:
        return self.folder.identity()

    def runs(self) -> bool:
        return self.folder.in_use


# --- Verify -----------------------------------------------------------------------------------------------------------------


def verify(truth: Truth, site: str, store: GraphStore) -> Verdict:
    """Compare all rows. With a service that runs, a difference counts if it stays."""
    until = time.monotonic() + PATIENCE
    now, position = truth.live(), store.position(site)
    rows, found = _compare(now, store.rows(site))
    while found and truth.runs() and time.monotonic() < until:
        time.sleep(LOOK)
        now, position = truth.live(), store.position(site)
        rows, again = _compare(now, store.rows(site))
        found = {name: difference for name, difference in again.items() if name in found}
    return Verdict(rows, list(found.values()), position, now.offset, now.waiting)


def _compare(now: Live, held: Iterable[Row]) -> tuple[int, dict[tuple[str, Key], Difference]]:
    devices, edges = now.topology.keys()
    rows: dict[tuple[str, Key], Row | None] = {("device", name): None for name in devices}
    rows |= {("edge", key): None for key in edges}
    rows |= {("alarm", row.alert_id): None for row in now.alarms}
    rows |= {("fault", fault.fault_id): None for fault in now.faults}
    rows |= {_name(row): row for row in held}
    alarms = {row.alert_id: row for row in now.alarms}
    faults = {fault.fault_id: fault for fault in now.faults}
    found = {}
    for (kind, key), row in rows.items():
        match kind:
            case "device":
                why = _device(now.topology, DeviceId(str(key)), row)
            case "edge":
                why = _edge(now.topology, key, row)  # type: ignore[arg-type]
            case "alarm":
                why = _finding(alarms.get(str(key)), row)
            case _:
                why = _finding(faults.get(str(key)), row)
        if why:
            found[kind, key] = Difference(kind, key if isinstance(key, str) else f"{key[0]} {key[2]} {key[1]}", why)
    return len(rows), found


def _name(row: Row) -> tuple[str, Key]:
    match row:
        case DeviceRow():
            return "device", row.device_id
        case EdgeRow():
            return "edge", row.key
        case AlarmRow():
            return "alarm", row.alert_id
        case Fault():
            return "fault", row.fault_id


def _device(topology: Topology, name: DeviceId, row: Row | None) -> str:
    """A device that only edges name is in the database for their sake."""
    wanted = device_row(topology, name)
    held = row if isinstance(row, DeviceRow) else DeviceRow(name, None, ())
    if (wanted.seen is None) != (held.seen is None) or wanted.signals != held.signals:
        return "its messages or signals"
    return _spans(held, wanted)


def _edge(topology: Topology, key: EdgeKey, row: Row | None) -> str:
    return _spans(row if isinstance(row, EdgeRow) else EdgeRow(key, None, ()), edge_row(topology, key))


def _spans(held: DeviceRow | EdgeRow, wanted: DeviceRow | EdgeRow) -> str:
    if list(held.spans) == splice(held.spans, wanted.since, wanted.spans):  # type: ignore[type-var]
        return ""
    if not held.spans:
        return "missing in the database"
    if not wanted.spans:
        return "not in the live graph"
    return "another state or another time"


def _finding(wanted: AlarmRow | Fault | None, held: Row | None) -> str:
    if wanted == held:
        return ""
    return "missing in the database" if held is None else "not on disk" if wanted is None else "another state"


# --- Rebuild ----------------------------------------------------------------------------------------------------------------


def rebuild(
    truth: Truth, site: str, store: GraphStore, *, cleared: Callable[[int], None], written: Callable[[int], None]
) -> int:
    """Write a site anew from the live graph; how many rows. A service that runs notices, and goes on from there by itself."""
    now = truth.live()
    pending = Pending(now.topology, everything=True)
    pending.found_rows(now.alarms, now.faults)
    store.prepare()
    store.clear(site, cleared)
    count = 0
    for size in _written(pending, truth.origin(), site, store, now.offset):
        count += size
        written(size)
    return count


def _written(pending: Pending, origin: str, site: str, store: GraphStore, offset: int) -> Iterator[int]:
    while (batch := pending.take(site=site, origin=origin, offset=offset, limit=ROWS)) is not None:
        outcome = store.apply(batch)
        pending.done(batch, outcome)
        if outcome is Outcome.KNOWN:
            return  # A service that runs has written everything meanwhile.
        if outcome is Outcome.FENCED:
            raise StoreError(f"site {site}: another service wrote it while this was going on")
        yield len(batch)
