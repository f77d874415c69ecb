"""The live graph as rows with validity times: what a database keeps of it, so that it can be asked for the past.

A row is the whole state of one key, computed from the live graph alone: the spans of time in which a device or an edge was in
one state, as far as the graph still keeps its past. Writing the same row again changes nothing, and a later row makes up for
any number of earlier ones that were never written. Spans that the graph has let go of stay where they were written (`splice`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from graph.claims import EdgeKey, claims
from graph.topology import DeviceState, Topology
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Connected, Disconnected, Event, Linked, Micros, Stamp
from schemas.finding import Alert, Fault

_JSON = msgspec.json.Encoder(order="sorted")


class DeviceSpan(NamedTuple):
    """A device was in this state from `start` until before `end`, or still is. `signals` and `properties` are JSON."""

    start: Micros
    end: Micros | None
    state: str
    type: str
    location: str | None
    parent: DeviceId | None
    zone: str | None
    signals: str
    properties: str


class EdgeSpan(NamedTuple):
    """An edge stood so from `start` until before `end`, or still does. `properties` is JSON."""

    start: Micros
    end: Micros | None
    directed: bool
    weight: float | None
    properties: str


Span = TypeVar("Span", DeviceSpan, EdgeSpan)


class DeviceRow(msgspec.Struct, frozen=True):
    """`spans` say all from `since` on (None: from the beginning).

    `seen`: the oldest message that is kept of it; a device that never introduced itself exists from then on. `signals`: the
    names of those it was seen to send.
    """

    device_id: DeviceId
    since: Micros | None
    spans: tuple[DeviceSpan, ...]
    seen: Micros | None = None
    signals: tuple[SignalName, ...] = ()


class EdgeRow(msgspec.Struct, frozen=True):
    """`spans` say all from `since` on (None: from the beginning)."""

    key: EdgeKey
    since: Micros | None
    spans: tuple[EdgeSpan, ...]


class AlarmRow(msgspec.Struct, frozen=True):
    """The last state of one alarm; `raised_at` is None where only a later state is at hand."""

    alert: Alert
    raised_at: str | None

    @property
    def alert_id(self) -> str:
        return self.alert.alert_id


FaultRow = Fault
"""A fault says everything in each of its states."""


def splice(held: Sequence[Span], since: Micros | None, spans: Sequence[Span]) -> list[Span]:
    """What a database must hold after it was told a row: `held`, in order, until `since`; from then on `spans`.

    >>> old, new = EdgeSpan(Micros(1), None, True, None, "{}"), EdgeSpan(Micros(5), Micros(9), True, None, "{}")
    >>> [(span.start, span.end) for span in splice([old], Micros(5), [new])]
    [(1, 9)]
    """
    if since is None:
        return list(spans)
    kept: list[Span] = [span for span in held if span.start < since]
    if kept and _reaches(kept[-1], since):
        last = kept.pop()
        if spans and spans[0].start == since and spans[0][2:] == last[2:]:
            kept.append(spans[0]._replace(start=last.start))
            spans = spans[1:]
        else:
            kept.append(last._replace(end=since))
    kept.extend(spans)
    return kept


def _reaches(span: DeviceSpan | EdgeSpan, since: Micros) -> bool:
    return span.end is None or span.end >= since


def edge_row(topology: Topology, key: EdgeKey) -> EdgeRow:
    """The whole state of an edge: what links or unlinks it, and what claims it. Unknown edges have no spans."""
    stated = topology.links.history(key)
    claiming = [topology.descriptions.history(device) for device in dict.fromkeys(key[:2])] if _is_claimable(key) else []
    since, histories = _within(topology.forgotten, [stated, *claiming])
    told = _EdgeStory(key)
    points = ((event.stamp.at, told.after(event)) for event in _in_order(histories))
    return EdgeRow(key, since, tuple(EdgeSpan(*span) for span in _spans(points, since)))


def device_row(topology: Topology, device_id: DeviceId) -> DeviceRow:
    """The whole state of a device: what it said of itself, and whether it was there. Unknown devices have no spans."""
    histories = [topology.descriptions.history(device_id), topology.presence.history(device_id)]
    since, histories = _within(topology.forgotten, histories)
    told = _DeviceStory()
    points = ((event.stamp.at, told.after(event)) for event in _in_order(histories))
    spans = tuple(DeviceSpan(*span) for span in _spans(points, since))
    return DeviceRow(device_id, since, spans, topology.seen(device_id), tuple(sorted(topology.readings(device_id))))


def _is_claimable(key: EdgeKey) -> bool:
    return key[2] is Relation.CONTAINS


def _within(forgotten: Micros | None, histories: list[list[Event]]) -> tuple[Micros | None, list[list[Event]]]:
    """What counts of each register, and from when on all of them together are known.

    Before the horizon a register keeps its last event alone; what else is still there of older ones is chance.
    """
    if forgotten is None:
        return None, histories
    begun: list[Micros] = []
    for place, history in enumerate(histories):
        old = sum(event.stamp.at <= forgotten for event in history)
        if old:
            histories[place] = history[old - 1 :]
            begun.append(history[old - 1].stamp.at)
    return max(begun, default=forgotten), histories


def _in_order(histories: list[list[Event]]) -> list[Event]:
    filled = [history for history in histories if history]
    if len(filled) == 1:
        return filled[0]
    return sorted({event.stamp: event for history in filled for event in history}.values(), key=_stamp)


def _stamp(event: Event) -> Stamp:
    return event.stamp


def _spans(points: Iterable[tuple[Micros, tuple[Any, ...] | None]], since: Micros | None) -> list[tuple[Any, ...]]:
    """Stretches of equal state from states after each event; at one time the last event counts, before `since` too."""
    last = {at if since is None or at > since else since: state for at, state in points}
    spans: list[tuple[Any, ...]] = []
    current: tuple[Any, ...] | None = None
    start = Micros(0)
    for at, state in last.items():
        if state == current:
            continue
        if current is not None:
            spans.append((start, at, *current))
        current, start = state, at
    if current is not None:
        spans.append((start, None, *current))
    return spans


class _EdgeStory:
    """The state of one edge as its events are told in order; the same rule as `Topology.edge`."""

    def __init__(self, key: EdgeKey) -> None:
        self._key = key
        self._stated: tuple[Any, ...] | None = None
        self._stated_at: Stamp | None = None
        self._claims: dict[DeviceId, Stamp] = {}

    def after(self, event: Event) -> tuple[Any, ...] | None:
        body = event.body
        if isinstance(body, Connected):
            self._claims.pop(body.device_id, None)
            if self._key in claims(body):
                self._claims[body.device_id] = event.stamp
        else:
            self._stated_at = event.stamp
            self._stated = (body.directed, body.weight, _json(body.properties)) if isinstance(body, Linked) else None
        if self._stated_at is not None and (not self._claims or self._stated_at > max(self._claims.values())):
            return self._stated
        return (True, None, "{}") if self._claims else None


class _DeviceStory:
    """The state of one device as its events are told in order; the same rule as `Topology.device`."""

    def __init__(self) -> None:
        self._described: tuple[Any, ...] | None = None
        self._gone = False

    def after(self, event: Event) -> tuple[Any, ...]:
        body = event.body
        if isinstance(body, Connected):
            signals = _json([signal.name for signal in body.signals])
            self._described = (body.type, body.location, body.parent, body.zone, signals, _json(body.properties))
        self._gone = isinstance(body, Disconnected)
        state = DeviceState.DISCONNECTED if self._gone else DeviceState.CONNECTED
        return (state.value, *(self._described or ("unknown", None, None, None, "[]", "{}")))


def _json(value: object) -> str:
    return _JSON.encode(value).decode() if value else ("[]" if isinstance(value, list) else "{}")
