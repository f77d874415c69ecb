"""What operators ask of the graph over time, the same on every store: around a device, what it takes down, as of, what changed.

Asked by the command line. Each question goes to the store in a few bounded steps, so that a hub costs its edges and no more;
as Cypher to paste they are in docs/queries.md. Where a limit cut an answer short, it says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from graph.claims import EdgeKey
from graph.store import NOW, GraphStore, KnownDevice
from graph.validity import EdgeSpan
from schemas.device import DeviceId, Edge, Relation
from schemas.event import Micros

Thing = TypeVar("Thing", KnownDevice, Edge)
MOST = 10_000
"""Devices, and changes, of one answer, if not told otherwise."""
MOST_EDGES = 100_000
INFLUENCE = tuple(relation for relation in Relation if relation not in (Relation.CONTAINS, Relation.NETWORK))
"""As `graph.faultpath.influence`: what contains or connects a device does not change its values."""


class TooFarError(LookupError):
    """Nothing was found as far as was looked, and there is more behind."""


class Source(Protocol):
    """What is asked: a database of the graph over time, or the live graph."""

    def devices(self, site: str, ids: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[KnownDevice]: ...

    def edges(self, site: str, ends: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[Edge]: ...


class Near(msgspec.Struct, frozen=True, rename="camel"):
    """A device, how far away, and the edge by which it was first reached."""

    device_id: DeviceId
    hops: int
    source: DeviceId
    target: DeviceId
    relation: Relation


class Reach(msgspec.Struct, frozen=True, rename="camel"):
    near: list[Near]
    cut_short: bool = False


class Graph(msgspec.Struct, frozen=True, rename="camel"):
    devices: list[KnownDevice]
    edges: list[Edge]
    cut_short: bool = False


class ChangeKind(StrEnum):
    APPEARED = "appeared"
    WENT = "went"
    CHANGED = "changed"


class Change(msgspec.Struct, Generic[Thing], frozen=True, omit_defaults=True):
    """A device or an edge that is not at the second time as it was at the first."""

    kind: ChangeKind
    before: Thing | None
    after: Thing | None


class Changed(msgspec.Struct, frozen=True, rename="camel"):
    devices: list[Change[KnownDevice]]
    edges: list[Change[Edge]]
    cut_short: bool = False


def neighbours(
    store: Source,
    site: str,
    device: DeviceId,
    *,
    hops: int = 1,
    relations: Collection[Relation] = tuple(Relation),
    at: Micros = NOW,
    limit: int = MOST,
) -> Reach:
    """What is around a device, along edges of these relations in either direction, nearest first."""
    return _walk(store, site, device, hops=hops, relations=relations, at=at, limit=limit, onward=False)


def impact(
    store: Source, site: str, device: DeviceId, *, hops: int | None = None, at: Micros = NOW, limit: int = MOST
) -> Reach:
    """What a device takes down when it fails: where influence from it can get, nearest first.

    Influence runs from source to target, both ways where an edge is not directed, and not along CONTAINS and NETWORK.
    """
    return _walk(store, site, device, hops=hops, relations=INFLUENCE, at=at, limit=limit, onward=True)


def route(
    store: Source, site: str, start: DeviceId, end: DeviceId, *, onward: bool = True, at: Micros = NOW, limit: int = MOST
) -> list[Edge] | None:
    """A shortest way along edges from one device to another; None if there is none.

    `onward`: only the way that influence takes (as `impact`); else along any edge in either direction. Looked for from both
    ends at once, from the end with the fewer devices, so that a large plant costs what lies between the two. Raises TooFarError
    where that is more than `limit` devices, or more than MOST_EDGES edges in one step.
    """
    sides = (_Side(start, forth=True), _Side(end, forth=False))
    meeting = start if start == end else None
    while meeting is None and all(side.front for side in sides):
        if sum(len(side.by) for side in sides) > limit:
            raise TooFarError(
                f"no way from {start} to {end} among the {limit} devices nearest to them; there may be a longer one"
            )
        side, other = sorted(sides, key=lambda side: len(side.front))
        edges = store.edges(site, side.front, at, limit=MOST_EDGES + 1)
        meeting = side.grow(edges, other, onward=onward)
        if meeting is None and len(edges) > MOST_EDGES:
            raise TooFarError(f"no way from {start} to {end} along {MOST_EDGES} edges; there are more than can be followed")
    if meeting is None:
        return None
    return [*reversed(sides[0].way(meeting)), *sides[1].way(meeting)]


class _Side:
    """One end of a search, and the edge by which each device was first reached from it."""

    def __init__(self, start: DeviceId, *, forth: bool) -> None:
        self.front = [start]
        self.by: dict[DeviceId, tuple[DeviceId, Edge] | None] = {start: None}
        self._forth = forth

    def grow(self, edges: Iterable[Edge], other: _Side, *, onward: bool) -> DeviceId | None:
        """One step outward; where it meets the other side, if it does."""
        here, fresh = set(self.front), list[DeviceId]()
        for edge in edges:
            for near in _ends(edge, here, forth=self._forth, onward=onward):
                if near not in self.by:
                    self.by[near] = (edge.target if near == edge.source else edge.source, edge)
                    fresh.append(near)
        self.front = sorted(fresh)
        return next((device for device in self.front if device in other.by), None)

    def way(self, device: DeviceId) -> list[Edge]:
        """The edges from a device back to where this side began."""
        edges = []
        while (step := self.by[device]) is not None:
            device, edge = step
            edges.append(edge)
        return edges


def _ends(edge: Edge, here: Collection[DeviceId], *, forth: bool, onward: bool) -> list[DeviceId]:
    """Where an edge leads from these devices; against it when the search comes from the far end."""
    if onward and edge.relation not in INFLUENCE:
        return []
    both = not onward or not edge.directed
    ends = [edge.target] if edge.source in here and (forth or both) else []
    if edge.target in here and (not forth or both):
        ends.append(edge.source)
    return ends


def as_of(
    store: Source,
    site: str,
    at: Micros,
    *,
    around: DeviceId | None = None,
    hops: int = 1,
    limit: int = MOST,
) -> Graph:
    """The graph as it stood at a time; whole, or around one device."""
    if around is None:
        devices = store.devices(site, None, at, limit=limit + 1)
        edges = store.edges(site, None, at, limit=MOST_EDGES + 1)
        return Graph(devices[:limit], edges[:MOST_EDGES], len(devices) > limit or len(edges) > MOST_EDGES)
    reach = neighbours(store, site, around, hops=hops, at=at, limit=limit)
    names = [around, *(found.device_id for found in reach.near)]
    devices = store.devices(site, names, at, limit=len(names))
    inside = set(names)
    edges = [edge for edge in store.edges(site, names, at, limit=MOST_EDGES) if edge.source in inside and edge.target in inside]
    return Graph(devices, edges, reach.cut_short or len(edges) >= MOST_EDGES)


def changed(store: GraphStore, site: str, after: Micros, until: Micros, *, limit: int = MOST) -> Changed:
    """What appeared, went or is otherwise between two times; what changed and changed back is not in it."""
    touched = store.touched(site, after, until, limit=limit + 1)
    cut_short = len(touched.devices) > limit or len(touched.edges) > limit
    keys = sorted(touched.edges)[:limit]
    spans = store.edge_spans(site, keys)
    names = sorted(touched.devices | {end for key in keys for end in key[:2]})
    before = {device.device_id: device for device in store.devices(site, names, after, limit=len(names))}
    now = {device.device_id: device for device in store.devices(site, names, until, limit=len(names))}
    return Changed(
        _changes((before.get(name), now.get(name)) for name in names),
        _changes((_standing(key, spans[key], after), _standing(key, spans[key], until)) for key in keys),
        cut_short,
    )


def _changes(pairs: Iterable[tuple[Thing | None, Thing | None]]) -> list[Change[Thing]]:
    found = []
    for before, after in pairs:
        if before != after:
            kind = ChangeKind.APPEARED if before is None else ChangeKind.WENT if after is None else ChangeKind.CHANGED
            found.append(Change(kind, before, after))
    return found


def _standing(key: EdgeKey, spans: Sequence[EdgeSpan], at: Micros) -> Edge | None:
    for span in spans:
        if span.start <= at and (span.end is None or at < span.end):
            return Edge(*key, span.directed, span.weight, msgspec.json.decode(span.properties))
    return None


def _walk(
    store: Source,
    site: str,
    start: DeviceId,
    *,
    hops: int | None,
    relations: Collection[Relation],
    at: Micros,
    limit: int,
    onward: bool,
) -> Reach:
    """Breadth first, a question for each step. `onward`: only the way that influence takes."""
    known, front, found = {start}, [start], list[Near]()
    while front and (hops is None or found[-1].hops < hops if found else hops != 0):
        edges = store.edges(site, front, at, limit=MOST_EDGES + 1)
        fresh: dict[DeviceId, Near] = {}
        distance = found[-1].hops + 1 if found else 1
        here = set(front)
        for edge in edges:
            if edge.relation in relations:
                for near in _steps(edge, here, onward=onward):
                    if near not in known and near not in fresh:
                        fresh[near] = Near(near, distance, edge.source, edge.target, edge.relation)
        front = sorted(fresh)
        known |= fresh.keys()
        found += [fresh[name] for name in front]
        if len(found) > limit or len(edges) > MOST_EDGES:
            return Reach(found[:limit], cut_short=True)
    return Reach(found)


def _steps(edge: Edge, here: Collection[DeviceId], *, onward: bool) -> list[DeviceId]:
    """Where an edge leads from the devices that were reached last."""
    ends = [edge.target] if edge.source in here else []
    if edge.target in here and not (onward and edge.directed):
        ends.append(edge.source)
    return ends
