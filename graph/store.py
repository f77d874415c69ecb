"""The port to a database that keeps the graph over time: what is written to it, and what it can be asked.

Fed by the write-behind in `streams.projection`; asked through `graph.questions`. `graph.sqlite_store` is the embedded one,
`graph.neo4j` the real one; one suite of contracts runs on both. All methods block, so the service calls them in a thread.

Exactly once: in the transaction of a batch's last part a store keeps, for each site, how far it is complete. What is behind
that is known already and writes nothing, what is said again changes nothing, and another origin is fenced off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from graph.claims import EdgeKey
from graph.validity import AlarmRow, DeviceRow, DeviceSpan, EdgeRow, EdgeSpan, FaultRow
from schemas.device import DeviceId, Edge, SignalName
from schemas.event import Micros, micros
from schemas.finding import Fault

NOW = Micros(1 << 62)
"""A time after every event: what is asked for this time is what stands."""

Row = DeviceRow | EdgeRow | AlarmRow | FaultRow
Span = TypeVar("Span", DeviceSpan, EdgeSpan)


class StoreError(Exception):
    """The database did not do what it was asked; asking again may help."""


class StoreAwayError(StoreError):
    """It cannot be reached, or it broke off; the message names the setting."""


class StoreRefusedError(StoreError):
    """It does not let us in: asking again does not help until a setting is changed, which the message names."""


class Position(NamedTuple):
    """How far a site is written. `offset`: the first record of the log that is not; `origin` names that log."""

    origin: str
    offset: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Part of what changed until `through`. `after`: the offset at which the store is believed to be; -1 for not at all.

    Rows of all parts are newer than `through` says, never older. Only the `last` part moves the store's position.
    """

    site: str
    origin: str
    after: int
    through: int
    last: bool
    devices: tuple[DeviceRow, ...] = ()
    edges: tuple[EdgeRow, ...] = ()
    alarms: tuple[AlarmRow, ...] = ()
    faults: tuple[FaultRow, ...] = ()

    def __len__(self) -> int:
        return len(self.devices) + len(self.edges) + len(self.alarms) + len(self.faults)


class Outcome(Enum):
    WRITTEN = "written"
    KNOWN = "known"
    """The store is beyond this batch already."""
    LOST = "lost"
    """The store is not as far as it was believed to be: another one, emptied, or restored from an old copy."""
    FENCED = "fenced"
    """Another log has written this site."""


def verdict(held: Position | None, batch: Batch) -> Outcome:
    """What a store at a position does with a batch; WRITTEN if it is to write it.

    >>> batch = Batch(site="s", origin="log-1", after=5, through=9, last=True)
    >>> [verdict(held, batch).value for held in (None, Position("log-1", 9), Position("log-1", 10), Position("log-2", 1))]
    ['lost', 'written', 'known', 'fenced']
    """
    if held is not None and held.origin != batch.origin:
        return Outcome.FENCED
    offset = -1 if held is None else held.offset
    if offset < batch.after:
        return Outcome.LOST
    # At the same offset the rows may be the newer ones, and if they are not, they change nothing.
    return Outcome.KNOWN if batch.through < offset else Outcome.WRITTEN


class KnownDevice(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A device as it was at the time asked for. `signals`: names of those it declared and of those it was ever seen to send."""

    device_id: DeviceId
    state: str
    type: str = "unknown"
    location: str | None = None
    parent: DeviceId | None = None
    zone: str | None = None
    signals: tuple[SignalName, ...] = ()
    properties: Mapping[str, Any] = {}


class Touched(NamedTuple):
    """Keys of which something began or ended in a stretch of time."""

    devices: set[DeviceId]
    edges: set[EdgeKey]


class GraphStore(Protocol):
    """A database. Every method raises StoreError."""

    def prepare(self) -> None:
        """Make constraints, indexes, tables; before the first write, and harmless again."""
        ...

    def apply(self, batch: Batch) -> Outcome:
        """Write a batch, all of it or nothing."""
        ...

    def position(self, site: str) -> Position | None:
        """How far a site is written; None if it never was."""
        ...

    def clear(self, site: str, progress: Callable[[int], None] = lambda _: None) -> None:
        """Remove all of a site, its position first; `progress` is told how many rows went."""
        ...

    def rows(self, site: str) -> Iterator[Row]:
        """All that is held of a site, with `since` None: for comparing."""
        ...

    def devices(self, site: str, ids: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[KnownDevice]:
        """Devices that existed at a time, by id; of these ids alone unless None."""
        ...

    def edges(self, site: str, ends: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[Edge]:
        """Edges that stood at a time, in the order of their keys; only those that begin or end at these devices unless None."""
        ...

    def edge_spans(self, site: str, keys: Sequence[EdgeKey]) -> dict[EdgeKey, list[EdgeSpan]]:
        """The whole history of some edges."""
        ...

    def touched(self, site: str, after: Micros, until: Micros, *, limit: int) -> Touched:
        """What began or ended after a time, up to and including another one."""
        ...

    def fault(self, site: str, fault_id: str) -> Fault | None:
        """The last state of a fault."""
        ...

    def alarms(self, site: str, at: Micros, *, limit: int) -> list[AlarmRow]:
        """Alarms that had been raised and not cleared at a time, in their last state; newest first."""
        ...

    def close(self) -> None: ...


class Difference(NamedTuple):
    """How to get from spans that are held to those that are wanted."""

    gone: list[Any]
    ended: list[Any]
    new: list[Any]


def difference(held: Sequence[Span], wanted: Sequence[Span]) -> Difference:
    """Spans to remove, spans that only end at another time now, and spans to add."""
    before, after = {span.start: span for span in held}, {span.start: span for span in wanted}
    gone, ended, new = [], [], []
    for start, span in before.items():
        other = after.get(start)
        if other is None:
            gone.append(span)
        elif other[2:] != span[2:]:
            gone.append(span)
            new.append(other)
        elif other.end != span.end:
            ended.append(other)
    new += [span for start, span in after.items() if start not in before]
    return Difference(gone, ended, new)


def when(text: str | None) -> Micros | None:
    """Microseconds of a time as findings write it."""
    if text is None:
        return None
    return micros(datetime.fromisoformat(text))


def known(device_id: DeviceId, seen: str | None, span: Sequence[Any]) -> KnownDevice:
    """A device from the names it was seen to send and the columns of its span, None if it had none."""
    if span[0] is None:
        return KnownDevice(device_id, "placeholder", signals=names_of(seen))
    state, kind, location, parent, zone, signals, properties = span
    names = tuple(sorted({*names_of(signals), *names_of(seen)}))
    return KnownDevice(device_id, state, kind, location, parent, zone, names, msgspec.json.decode(properties))


def names_of(text: str | None) -> tuple[SignalName, ...]:
    """Of signals, from their JSON."""
    return msgspec.json.decode(text or "[]", type=tuple[SignalName, ...])
