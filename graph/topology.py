"""The live graph of one site: devices, their signals, and the typed edges between them.

Fed by the pipeline with valid events in any order; read by the detector, the fault tracker and the API. Its whole state is
the set of events that still matter (`kept`), so a snapshot is a list of events, and restoring, joining two graphs, taking
a time slice and asking for the past are one operation: merge events. Whatever the order, repetition or batching, the same
set of events gives the same graph and the same `digest` (DESIGN 3).

One graph belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any, Self

import msgspec

from graph.changes import Changes
from graph.claims import EdgeKey, claims
from graph.digest import digest
from graph.incidence import Incidence
from graph.registers import Registers
from schemas.device import DeviceId, Edge, Relation, Signal, SignalKind, SignalName
from schemas.event import (
    ActionResult,
    Body,
    Connected,
    ControlAlarm,
    Disconnected,
    Event,
    Image,
    Linked,
    Log,
    Micros,
    Quality,
    SignalValue,
    Stamp,
    Telemetry,
    Unlinked,
)


class DeviceState(StrEnum):
    """A placeholder is named by others but has not introduced itself yet."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    PLACEHOLDER = "placeholder"


class Device(msgspec.Struct, frozen=True):
    """A device as it is known now. `signals` are those it declared and those it was seen to send."""

    device_id: DeviceId
    state: DeviceState
    type: str = "unknown"
    location: str | None = None
    parent: DeviceId | None = None
    zone: str | None = None
    signals: Mapping[SignalName, Signal] = {}
    properties: Mapping[str, Any] = {}


class Reading(msgspec.Struct, frozen=True, gc=False):
    """The newest value of one signal."""

    stamp: Stamp
    value: SignalValue
    quality: Quality


class TooLongAgoError(LookupError):
    """A question about a time before the horizon."""


class Topology:
    """The graph. `version` grows with every change of structure, so what is derived from it can be cached.

    `changes` notes which keys changed, for whoever keeps a copy elsewhere; None where nobody does.
    """

    def __init__(self) -> None:
        self.version = 0
        self.changes: Changes | None = None
        self.forgotten: Micros | None = None
        self.descriptions: Registers[DeviceId] = Registers()
        self.presence: Registers[DeviceId] = Registers()
        self.links: Registers[EdgeKey] = Registers()
        self._alarms: Registers[tuple[DeviceId, str]] = Registers()
        self._readings: dict[DeviceId, dict[SignalName, Reading]] = {}
        self._mentions: dict[DeviceId, Event] = {}
        self._claims: dict[EdgeKey, dict[DeviceId, Stamp]] = {}
        self._incident = Incidence()
        self._merge_by_type = {
            Connected: self._connected,
            Disconnected: self._disconnected,
            Telemetry: self._telemetry,
            Linked: self._linked,
            Unlinked: self._linked,
            ControlAlarm: self._alarm,
            Log: self._mentioned,
            Image: self._mentioned,
            ActionResult: self._mentioned,
        }

    # --- Merge ---------------------------------------------------------------------------------------------------------

    def merge(self, events: Iterable[Event]) -> Self:
        """Take events in, O(1) each. Repetition and order do not matter."""
        by_type = self._merge_by_type
        for event in events:
            by_type[type(event.body)](event)
        return self

    def _connected(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, Connected)
        device = body.device_id
        held = self.descriptions.newest.get(device)
        if self.changes is not None:
            self.changes.described(event, self.descriptions.before(device, event.stamp), self.links.newest)
        if self.descriptions.write(device, event):
            if held is None or held.body != body:
                self.version += 1
            if held is not None:
                assert isinstance(held.body, Connected)
                self._withdraw(device, held.body)
            self._claim(event.stamp, body)
        self._be_present(device, event)

    def _disconnected(self, event: Event) -> None:
        assert isinstance(event.body, Disconnected)
        self._be_present(event.body.device_id, event)

    def _be_present(self, device: DeviceId, event: Event) -> None:
        held = self.presence.newest.get(device)
        if self.changes is not None:
            self.changes.appeared(device, event, self.presence.before(device, event.stamp))
        if self.presence.write(device, event) and (held is None or type(held.body) is not type(event.body)):
            self.version += 1

    def _linked(self, event: Event) -> None:
        # No isinstance: on a union it would cost a quarter of the merge, and the table of handlers has chosen by type already.
        body: Linked | Unlinked = event.body  # type: ignore[assignment]
        key = (body.source, body.target, body.relation)
        held = self.links.newest.get(key)
        if self.links.write(key, event):
            if held is None:
                self.version += 1
                if key not in self._claims:
                    self._incident.add(key)
            elif held.body != body:
                self.version += 1
            elif key[2] is not Relation.CONTAINS:
                return  # Said again: nothing is different. A containment may stand against a description once more.
        if self.changes is not None and (held is None or held.stamp != event.stamp):
            self.changes.edges.add(key)

    def _telemetry(self, event: Event) -> None:
        stamp, body = event.stamp, event.body
        assert isinstance(body, Telemetry)
        if not body.values:
            self._mentioned(event)
            return
        readings = self._readings.get(body.device_id)
        if readings is None:
            readings = self._readings[body.device_id] = {}
        quality = body.quality
        for name, value in body.values.items():
            held = readings.get(name)
            if held is None:
                self.version += 1
                if self.changes is not None:
                    self.changes.devices.add(body.device_id)
            elif stamp <= held.stamp:
                continue
            readings[name] = Reading(stamp, value, quality)

    def _alarm(self, event: Event) -> None:
        assert isinstance(event.body, ControlAlarm)
        self._alarms.write((event.body.device_id, event.body.alarm), event)
        self._mentioned(event)

    def _mentioned(self, event: Event) -> None:
        """A device that is only ever named exists all the same; the newest mention stands for all of them."""
        stamp, body = event.stamp, event.body
        assert isinstance(body, ControlAlarm | Log | Image | ActionResult | Telemetry)
        held = self._mentions.get(body.device_id)
        if held is None or stamp > held.stamp:
            self._mentions[body.device_id] = Event(stamp, Log(body.device_id, ""))
            self.version += held is None
            if held is None and self.changes is not None:
                self.changes.devices.add(body.device_id)

    def _claim(self, stamp: Stamp, body: Connected) -> None:
        for key in claims(body):
            if key not in self._claims and key not in self.links.newest:
                self._incident.add(key)
            self._claims.setdefault(key, {})[body.device_id] = stamp

    def _withdraw(self, device: DeviceId, body: Connected) -> None:
        for key in claims(body):
            del self._claims[key][device]
            if not self._claims[key]:
                del self._claims[key]
                if key not in self.links.newest:
                    self._incident.remove(key)

    # --- Read ----------------------------------------------------------------------------------------------------------

    def device(self, device_id: DeviceId) -> Device | None:
        """What is known of a device; None if nothing has named it."""
        described = self.descriptions.newest.get(device_id)
        present = self.presence.newest.get(device_id)
        if described is None:
            if present is not None:
                return Device(device_id, DeviceState.DISCONNECTED, signals=self._signals(device_id, ()))
            if not self._is_named(device_id):
                return None
            return Device(device_id, DeviceState.PLACEHOLDER, signals=self._signals(device_id, ()))
        body = described.body
        assert isinstance(body, Connected)
        gone = present is not None and isinstance(present.body, Disconnected)
        return Device(
            device_id,
            DeviceState.DISCONNECTED if gone else DeviceState.CONNECTED,
            body.type,
            body.location,
            body.parent,
            body.zone,
            self._signals(device_id, body.signals),
            body.properties,
        )

    def zone_of(self, device_id: DeviceId) -> str | None:
        """As the device said it; safe in any thread."""
        described = self.descriptions.newest.get(device_id)
        return described.body.zone if described is not None and isinstance(described.body, Connected) else None

    def knows(self, device_id: DeviceId) -> bool:
        """Whether anything has named this device."""
        return device_id in self.presence.newest or self._is_named(device_id)

    def devices(self) -> Iterator[Device]:
        """Every device that is known or named, in no order."""
        return (device for device_id in self._named() if (device := self.device(device_id)) is not None)

    def edges(self) -> Iterator[Edge]:
        """Every edge that stands, those from `parent` and `children` included."""
        claimed = (key for key in self._claims if key not in self.links.newest)
        return (edge for key in chain(self.links.newest, claimed) if (edge := self.edge(key)) is not None)

    def edge(self, key: EdgeKey) -> Edge | None:
        """The edge of this key, if it stands: the newest of what links, unlinks or claims it decides."""
        said = self._said_of(key)
        if isinstance(said, Linked):
            return Edge(*key, directed=said.directed, weight=said.weight, properties=said.properties)
        return Edge(*key) if said is None and key in self._claims else None

    def leads(self, key: EdgeKey, here: DeviceId) -> bool:
        """Whether the edge of this key stands, and influence takes it from this end."""
        said = self._said_of(key)
        if isinstance(said, Linked):
            return key[0] == here or not said.directed
        return said is None and key[0] == here and key in self._claims

    def _said_of(self, key: EdgeKey) -> Body | None:
        """What links or unlinks the edge; None where nothing is newer than its claims."""
        stated = self.links.newest.get(key)
        if stated is None:
            return None
        claims = self._claims.get(key)
        return stated.body if claims is None or stated.stamp > max(claims.values()) else None

    def edges_of(self, device_id: DeviceId) -> Iterator[Edge]:
        """The edges that begin or end at a device."""
        return (edge for key in self._incident.of(device_id) if (edge := self.edge(key)) is not None)

    def keys_of(self, device_id: DeviceId) -> Sequence[EdgeKey]:
        """Of the edges at a device that stand or have stood; `edge` says which do."""
        return self._incident.of(device_id)

    def readings(self, device_id: DeviceId) -> Mapping[SignalName, Reading]:
        """The newest value of each signal of a device."""
        return self._readings.get(device_id, {})

    def active_alarms(self) -> Iterator[Event]:
        """The control system's own alarms that are on."""
        for event in self._alarms.newest.values():
            assert isinstance(event.body, ControlAlarm)
            if event.body.active:
                yield event

    def seen(self, device_id: DeviceId) -> Micros | None:
        """The oldest message of a device that is kept, if any is: it exists even if it never introduces itself."""
        at = [reading.stamp.at for reading in self._readings.get(device_id, {}).values()]
        mention = self._mentions.get(device_id)
        return min(at + ([mention.stamp.at] if mention else []), default=None)

    def keys(self) -> tuple[list[DeviceId], list[EdgeKey]]:
        """Every device and every edge of which anything is kept."""
        devices = self.presence.newest.keys() | self._readings.keys() | self._mentions.keys()
        claimed = {key: None for event in self.descriptions.kept() for key in claims(event.body)}  # type: ignore[arg-type]
        return list(devices), [*self.links.newest, *(key for key in claimed if key not in self.links.newest)]

    def _signals(self, device_id: DeviceId, declared: Iterable[Signal]) -> dict[SignalName, Signal]:
        signals = {signal.name: signal for signal in declared}
        for name, reading in self._readings.get(device_id, {}).items():
            if name not in signals:
                signals[name] = Signal(name, _kind_of(reading.value))
        return signals

    def _named(self) -> Iterator[DeviceId]:
        seen = self.presence.newest.keys() | self._readings.keys() | self._mentions.keys()
        yield from seen
        for device_id in self._incident.devices():
            if device_id not in seen and self._is_named(device_id):
                yield device_id

    def _is_named(self, device_id: DeviceId) -> bool:
        return device_id in self._readings or device_id in self._mentions or any(True for _ in self.edges_of(device_id))

    # --- State as a set of events --------------------------------------------------------------------------------------

    def kept(self) -> Iterator[Event]:
        """The events that make this graph: merged into an empty one, they give this one again."""
        yield from self.descriptions.kept()
        for event in self.presence.kept():
            if isinstance(event.body, Disconnected):
                yield event
        yield from self.links.kept()
        yield from self._alarms.kept()
        yield from self._mentions.values()
        for device_id, readings in self._readings.items():
            for name, reading in readings.items():
                yield Event(reading.stamp, Telemetry(device_id, {name: reading.value}, reading.quality))

    def as_of(self, at: Micros) -> Topology:
        """The graph as it stood at a recent time, without readings from after it. Raises TooLongAgoError."""
        if self.forgotten is not None and at < self.forgotten:
            raise TooLongAgoError("the graph of that time is no longer kept")
        return Topology().merge(event for event in self.kept() if event.stamp.at <= at)

    def window(self, start: Micros, end: Micros) -> Topology:
        """The subgraph of one time slice: what was said from `start` until before `end` and is still kept."""
        return Topology().merge(event for event in self.kept() if start <= event.stamp.at < end)

    def join(self, other: Topology) -> Self:
        """Merge a whole graph into this one, a window's for example."""
        return self.merge(other.kept())

    def forget(self, before: Micros) -> None:
        """Let go of the past before a time, tombstones included: memory follows the plant, not its history.

        An event older than this that comes even later may bring back an edge that was removed.
        """
        self.forgotten = max(before, self.forgotten or before)
        for registers in (self.descriptions, self.presence, self._alarms):
            registers.forget(before)
        self.links.forget(before)
        for key, event in list(self.links.newest.items()):
            if isinstance(event.body, Unlinked) and event.stamp.at < before and not self._was_claimed(key):
                self.links.drop(key)
                self._incident.remove(key)

    def _was_claimed(self, key: EdgeKey) -> bool:
        """Whether a description that is still kept claims an edge, so that what unlinked it is still needed."""
        if key in self._claims:
            return True
        if key[2] is not Relation.CONTAINS:
            return False
        return any(key in claims(event.body) for device in key[:2] for event in self.descriptions.history(device))  # type: ignore[arg-type]

    def digest(self) -> str:
        """A fingerprint of all that stands now, the same for equal graphs however they came about."""
        return digest(self._standing())

    def _standing(self) -> Iterator[tuple[object, ...]]:
        for kind, registers in (("device", self.descriptions), ("presence", self.presence), ("alarm", self._alarms)):
            for event in registers.newest.values():
                yield (kind, event)
        for edge in self.edges():
            yield ("edge", edge)
        for device_id, readings in self._readings.items():
            for name, reading in readings.items():
                yield ("reading", device_id, name, reading)
        for device_id in self._mentions:
            yield ("mention", device_id)


def _kind_of(value: SignalValue) -> SignalKind:
    match value:
        case bool():
            return SignalKind.BINARY
        case str():
            return SignalKind.CATEGORICAL
        case _:
            return SignalKind.NUMERIC
