"""The plant as it is seen: its devices, zones, edges and signals, now and as of a time.

What is asked of now is read from the live graph in the thread that owns it, what is asked of the past from the graph's
database; without a live graph (a gateway on Kafka) all comes from there. Used through the control room.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from agents.severity import ASCENDING
from graph import questions
from graph.live import LiveGraph
from graph.questions import MOST, Changed
from graph.store import NOW, GraphStore, KnownDevice
from graph.topology import Topology
from schemas.device import DeviceId, Edge, Relation, SignalName
from schemas.event import Micros, rfc3339
from streams.answers import Condition, DeviceNow, Link, Overview, ReachNow, Route, SignalNow, TopologyNow, Trace, Zone
from streams.traces import Traces

Result = TypeVar("Result")
PATIENCE = 20.0
"""The plant is counted anew after so many times as long as that takes."""
MOST_COUNTED = 1_000_000
"""Devices of a count, and ten times as many edges."""


class UnknownDeviceError(LookupError):
    """Nothing has named this device."""


class NotHereError(LookupError):
    """This process does not have what is asked for."""


class NoWayKnownError(NotHereError):
    """A way was looked for and not found, and there is more than could be looked at."""


class Live(Protocol):
    """The live graph of a site, and the thread that owns it."""

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        """Do short work on the topology."""
        ...

    @property
    def now(self) -> Micros:
        """The event time up to which the plant is known."""
        ...

    @property
    def version(self) -> int:
        """Grows with each change of the topology's structure."""
        ...


@dataclass(frozen=True)
class Census:
    """All devices by id and by zone, and how many edges lead from zone to zone, at a version of the topology."""

    version: int
    devices: list[KnownDevice]
    by_zone: dict[str | None, list[KnownDevice]]
    between: Counter[tuple[str | None, str | None]]


class PlantView:
    """`live` is None where the process has no live graph, `database` where there is none to ask."""

    def __init__(
        self,
        site: str,
        *,
        live: Live | None,
        database: GraphStore | None,
        traces: Traces,
        conditions: Callable[[], Mapping[DeviceId, Condition]],
    ) -> None:
        self.site = site
        self._live = live
        self._database = database
        self._traces = traces
        self._conditions = conditions
        self._census: Census | None = None
        self._count_after = 0.0
        self._counting = asyncio.Lock()

    @property
    def now(self) -> Micros | None:
        """The event time up to which the plant is known."""
        return None if self._live is None or self._live.now <= 0 else self._live.now

    async def ask(self, question: Callable[[questions.Source], Result], *, at: Micros | None = None) -> Result:
        """Put a question to the live graph, or to its database as of a time. Raises NotHereError, StoreError."""
        if at is None and self._live is not None:
            return await self._live.read(lambda topology: question(LiveGraph(topology)))
        if self._database is None:
            raise NotHereError("there is no database of the graph here")
        return await asyncio.to_thread(question, self._database)

    async def census(self) -> Census:
        """The plant counted; anew when it has changed and the last count is old enough for what it costs."""
        async with self._counting:
            held, version = self._census, self._live.version if self._live is not None else -1
            if held is not None and (time.monotonic() < self._count_after or (held.version == version and version >= 0)):
                return held
            began = time.monotonic()
            devices, edges = await self.ask(
                lambda source: (
                    source.devices(self.site, None, NOW, limit=MOST_COUNTED),
                    source.edges(self.site, None, NOW, limit=10 * MOST_COUNTED),
                )
            )
            self._census = await asyncio.to_thread(_counted, version, devices, edges)
            self._count_after = time.monotonic() + PATIENCE * (time.monotonic() - began)
            return self._census

    async def overview(self) -> Overview:
        census, conditions = await self.census(), self._conditions()
        zones = [
            Zone(
                name=name,
                devices=len(devices),
                types=dict(Counter(device.type for device in devices).most_common()),
                condition=summed(conditions[device.device_id] for device in devices if device.device_id in conditions),
            )
            for name, devices in sorted(census.by_zone.items(), key=lambda item: item[0] or "\uffff")
        ]
        links = [Link(source=one, target=other, edges=count) for (one, other), count in census.between.items() if one != other]
        now = self.now
        return Overview(
            site=self.site,
            plant_time=None if now is None else rfc3339(now),
            devices=len(census.devices),
            edges=census.between.total(),
            zones=zones,
            links=links,
        )

    async def devices(
        self, *, zone: str | None = None, kind: str | None = None, text: str = "", after: str = "", limit: int = 100
    ) -> list[DeviceNow]:
        """By id, behind `after`; `text` is looked for in the id, regardless of case. `zone` "" stands for those in none."""
        census, conditions, needle = await self.census(), self._conditions(), text.casefold()
        among = census.devices if zone is None else census.by_zone.get(zone or None, [])
        found: list[DeviceNow] = []
        for device in among:
            name = device.device_id
            if name > after and kind in (None, device.type) and needle in name.casefold():
                found.append(self._now_of(device, conditions))
                if len(found) == limit:
                    break
        return found

    async def device(self, name: DeviceId, *, at: Micros | None = None) -> DeviceNow:
        """Raises UnknownDeviceError."""
        found = await self.ask(lambda source: source.devices(self.site, [name], NOW if at is None else at, limit=1), at=at)
        if not found:
            raise UnknownDeviceError(f"no device {name}" if at is None else f"no device {name} at {rfc3339(at)}")
        return self._now_of(found[0], self._conditions())

    async def topology(
        self, *, around: DeviceId | None = None, hops: int = 1, at: Micros | None = None, limit: int = MOST
    ) -> TopologyNow:
        """The graph from the first device on, or the part of it around a device. Raises UnknownDeviceError."""
        if around is None and at is None:
            return await self._first(limit)
        when = NOW if at is None else at
        found = await self.ask(
            lambda source: questions.as_of(source, self.site, when, around=around, hops=hops, limit=limit), at=at
        )
        if around is not None and not found.devices:
            raise UnknownDeviceError(f"no device {around}")
        conditions = self._conditions() if at is None else {}
        devices = [self._now_of(device, conditions) for device in found.devices]
        return TopologyNow(
            at=None if at is None else rfc3339(at), devices=devices, edges=found.edges, cut_short=found.cut_short
        )

    async def _first(self, limit: int) -> TopologyNow:
        """The first devices of the last count, so that a large plant costs what is shown of it."""
        every = (await self.census()).devices
        found = await self.among([device.device_id for device in every[:limit]])
        return msgspec.structs.replace(found, cut_short=found.cut_short or len(every) > limit)

    async def among(self, names: Collection[DeviceId], *, at: Micros | None = None) -> TopologyNow:
        """These devices and the edges between them."""
        ids, when = sorted(names), NOW if at is None else at

        def question(source: questions.Source) -> tuple[list[KnownDevice], list[Edge]]:
            return (
                source.devices(self.site, ids, when, limit=len(ids)),
                source.edges(self.site, ids, when, limit=questions.MOST_EDGES),
            )

        devices, edges = await self.ask(question, at=at)
        conditions, inside = self._conditions() if at is None else {}, set(names)
        return TopologyNow(
            at=None if at is None else rfc3339(at),
            devices=[self._now_of(device, conditions) for device in devices],
            edges=[edge for edge in edges if edge.source in inside and edge.target in inside],
            cut_short=len(edges) >= questions.MOST_EDGES,
        )

    async def neighbours(
        self,
        name: DeviceId,
        *,
        hops: int = 1,
        relations: Collection[Relation] = tuple(Relation),
        at: Micros | None = None,
        limit: int = MOST,
    ) -> ReachNow:
        """Raises UnknownDeviceError."""
        await self.device(name, at=at)
        when = NOW if at is None else at
        reach = await self.ask(
            lambda source: questions.neighbours(source, self.site, name, hops=hops, relations=relations, at=when, limit=limit),
            at=at,
        )
        return ReachNow(device_id=name, near=reach.near, cut_short=reach.cut_short)

    async def impact(self, name: DeviceId, *, hops: int | None = None, at: Micros | None = None, limit: int = MOST) -> ReachNow:
        """What a device takes down. Raises UnknownDeviceError."""
        await self.device(name, at=at)
        when = NOW if at is None else at
        reach = await self.ask(lambda source: questions.impact(source, self.site, name, hops=hops, at=when, limit=limit), at=at)
        return ReachNow(device_id=name, near=reach.near, cut_short=reach.cut_short)

    async def route(self, start: DeviceId, end: DeviceId, *, onward: bool = True, at: Micros | None = None) -> Route | None:
        """A shortest way, as influence runs or along any edge, if there is one. Raises UnknownDeviceError, NoWayKnownError."""
        for name in (start, end):
            await self.device(name, at=at)
        when = NOW if at is None else at

        def question(source: questions.Source) -> list[Edge] | None:
            return questions.route(source, self.site, start, end, onward=onward, at=when)

        try:
            edges = await self.ask(question, at=at)
        except questions.TooFarError as error:
            raise NoWayKnownError(str(error)) from error
        return None if edges is None else Route(source=start, target=end, edges=edges)

    async def changed(self, after: Micros, until: Micros, *, limit: int = MOST) -> Changed:
        """What is otherwise at the second time. Raises NotHereError, StoreError."""
        database = self._database
        if database is None:
            raise NotHereError("there is no database of the graph here")
        return await asyncio.to_thread(questions.changed, database, self.site, after, until, limit=limit)

    async def signals(self, name: DeviceId) -> list[SignalNow]:
        """Raises UnknownDeviceError, NotHereError."""
        if self._live is None:
            raise NotHereError("readings are not kept here: this process has no live graph")
        found = await self._live.read(lambda topology: _signals(topology, name))
        if found is None:
            raise UnknownDeviceError(f"no device {name}")
        newest = ((signal, self._traces.of(name, signal.name, limit=1)) for signal in found)
        return [msgspec.structs.replace(signal, expected=points[-1]) if points else signal for signal, points in newest]

    def trace(self, name: DeviceId, signal: SignalName, *, limit: int = 720) -> Trace:
        """What a signal showed lately beside what was expected; empty where the model does not watch it."""
        return Trace(device_id=name, signal=signal, points=self._traces.of(name, signal, limit=limit))

    def _now_of(self, device: KnownDevice, conditions: Mapping[DeviceId, Condition]) -> DeviceNow:
        return DeviceNow.of(device, conditions.get(device.device_id, Condition()))


def summed(conditions: Iterable[Condition]) -> Condition:
    """The worst of several, and how many alarms there are in all."""
    among = list(conditions)
    told = [one for one in among if one.severity is not None]
    worst = max(told, key=lambda one: ASCENDING.index(one.severity or ASCENDING[0]), default=Condition())
    return Condition(
        severity=worst.severity,
        state=worst.state,
        alarms=sum(one.alarms for one in among),
        hidden=sum(one.hidden for one in among),
        suppressed=sum(one.suppressed for one in among),
    )


def _counted(version: int, devices: list[KnownDevice], edges: list[Edge]) -> Census:
    zone_of = {device.device_id: device.zone for device in devices}
    by_zone: dict[str | None, list[KnownDevice]] = defaultdict(list)
    for device in devices:
        by_zone[device.zone].append(device)
    between = Counter((zone_of.get(edge.source), zone_of.get(edge.target)) for edge in edges)
    return Census(version, devices, dict(by_zone), between)


def _signals(topology: Topology, name: DeviceId) -> list[SignalNow] | None:
    device = topology.device(name)
    if device is None:
        return None
    readings = topology.readings(name)
    found = []
    for signal in device.signals.values():
        told = SignalNow(name=signal.name, kind=signal.kind, unit=signal.unit, min=signal.min, max=signal.max)
        if (reading := readings.get(signal.name)) is not None:
            at = rfc3339(reading.stamp.at)
            told = msgspec.structs.replace(told, value=reading.value, quality=reading.quality, at=at)
        found.append(told)
    return sorted(found, key=lambda signal: signal.name)
