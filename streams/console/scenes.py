"""What of the plant is drawn at once: all of a small one; of a large one zones, a zone, a group, or what is around a device.

Never more than `DRAWN` devices of a large plant: what is beyond that is shown as cards with counts, and those with alarms in
full. A scene holds no states: they come after it, as `painted` makes them, so that a change of state moves nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from agents.severity import ASCENDING
from graph.store import KnownDevice
from schemas.device import DeviceId, Edge
from schemas.event import Micros
from schemas.finding import Fault
from streams.answers import Condition, DeviceNow, TopologyNow
from streams.console.layout import GAP, Plan
from streams.controlroom import ControlRoom
from streams.plantview import summed

WHOLE = 400
"""A plant of so many devices is drawn whole."""
DRAWN = 200
"""Devices that are drawn of a larger one."""
FOREMOST = 40
"""Of these at most are with alarms, above the cards of a zone that is not drawn in full."""
MOST_OF_ZONE = 100_000
MOST_CARDS = 300
PLANS = 64
CARD_WIDE, CARD_HIGH = 210, 104

KINDS: Mapping[str, tuple[str, ...]] = {
    "sensor": ("sensor", "meter", "transmitter", "gauge", "probe", "analy", "detector", "camera"),
    "gateway": ("gateway", "router", "switch", "modem"),
    "controller": ("controller", "plc", "rtu", "dcs", "scada"),
    "pump": ("pump", "compressor", "blower"),
    "valve": ("valve", "gate", "damper", "breaker"),
    "tank": ("tank", "reservoir", "vessel", "silo", "boiler", "reactor"),
    "motor": ("motor", "drive", "fan", "generator", "engine", "turbine"),
    "junction": ("junction", "node", "manifold", "tee", "bus"),
    "pipe": ("pipe", "duct", "conveyor", "line", "cable", "hose"),
}


def kind_of(device_type: str) -> str:
    """The symbol for a device's type.

    >>> [kind_of(name) for name in ("Centrifugal pump", "flow-meter", "reservoir", "mill")]
    ['pump', 'sensor', 'tank', 'other']
    """
    name = device_type.casefold()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "other")


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody looks at. `zone` "" stands for devices in none; `group` and `part` say which of a zone's cards is open."""

    zone: str | None = None
    group: str | None = None
    part: int | None = None
    around: DeviceId | None = None
    hops: int = 1
    fault: str | None = None

    @property
    def href(self) -> str:
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None and name != "hops"}
        return f"/?{urlencode(given | ({'hops': self.hops} if self.around is not None else {}))}"


class Node(msgspec.Struct, frozen=True):
    id: DeviceId
    type: str
    kind: str
    x: int
    y: int


class Card(msgspec.Struct, frozen=True):
    """Devices that are not drawn one by one; `types` tells the most frequent."""

    key: str
    title: str
    devices: int
    types: list[tuple[str, int]]
    href: str
    x: int
    y: int


class Area(msgspec.Struct, frozen=True):
    title: str
    x: int
    y: int
    width: int
    height: int


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """`edges`: source, target, relation, directed. `links`: keys of two cards and how many edges lead from one to the other."""

    title: str
    crumbs: list[tuple[str, str]] = []
    note: str = ""
    areas: list[Area] = []
    nodes: list[Node] = []
    edges: list[tuple[DeviceId, DeviceId, str, bool]] = []
    cards: list[Card] = []
    links: list[tuple[str, str, int]] = []
    around: DeviceId | None = None
    hops: int = 1


class Drawn(msgspec.Struct, frozen=True):
    """A scene, and which card stands for a device that is not in it."""

    scene: Scene
    owners: Mapping[DeviceId, str] = {}

    def painted(self, conditions: Mapping[DeviceId, Condition]) -> dict[str, Condition]:
        """The states of nodes and cards that are not normal."""
        nodes, under = {node.id for node in self.scene.nodes}, defaultdict[str, list[Condition]](list)
        for device, condition in conditions.items():
            if (key := self.owners.get(device)) is not None:
                under[key].append(condition)
        paint: dict[str, Condition] = {key: summed(found) for key, found in under.items()}
        return paint | {device: condition for device, condition in conditions.items() if device in nodes}


class Scenes:
    """One for all browsers, so that all see each device in the same place."""

    def __init__(self, room: ControlRoom) -> None:
        self._room = room
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._drawing = asyncio.Lock()
        self._held: OrderedDict[tuple[Where, str | None], tuple[int, Drawn]] = OrderedDict()

    async def draw(self, where: Where, *, at: Micros | None = None, fault: Fault | None = None) -> Drawn:
        """The same as long as the graph is the same. Raises UnknownDeviceError, NotHereError, StoreError."""
        key = (where, None if fault is None else fault.updated_at)
        version = (await self._room.plant.census()).version
        held = self._held.get(key)
        if at is None and held is not None and held[0] == version:
            return held[1]
        drawn = await self._draw(where, at=at, fault=fault)
        if at is None:
            self._held[key] = (version, drawn)
            while len(self._held) > PLANS:
                self._held.popitem(last=False)
        return drawn

    async def _draw(self, where: Where, *, at: Micros | None, fault: Fault | None) -> Drawn:
        plant = self._room.plant
        if where.around is not None:
            found = await plant.topology(around=where.around, hops=where.hops, at=at, limit=DRAWN)
            crumbs = [("Plant", "/")]
            title = f"Around {where.around}"
            return await self._nodes(found, key=where.href, title=title, crumbs=crumbs, around=where.around, hops=where.hops)
        if where.zone is not None:
            return await self._zone(where.zone, where, at=at)
        census = await plant.census()
        if len(census.devices) <= WHOLE:
            return await self._nodes(await plant.topology(at=at, limit=2 * WHOLE), key="plant", title=self._room.site)
        if fault is not None:
            found = await plant.among(touched(fault), at=at)
            return await self._nodes(found, key=f"fault {fault.fault_id}", title="Where the fault is", crumbs=[("Plant", "/")])
        return self._zones(census.by_zone, census.between)

    async def _nodes(
        self,
        found: TopologyNow,
        *,
        key: str,
        title: str,
        crumbs: Sequence[tuple[str, str]] = (),
        note: str = "",
        around: DeviceId | None = None,
        hops: int = 1,
    ) -> Drawn:
        async with self._drawing:
            plan = self._plan(key)
            await asyncio.to_thread(plan.extend, found.devices, found.edges)
        if found.cut_short:
            note = note or "There is more than is drawn here."
        zones = {device.zone for device in found.devices}
        areas = [Area(*(_zone_title(region.zone), *region[1:])) for region in plan.regions(zones)]
        nodes = [Node(one.device_id, one.type, kind_of(one.type), *plan.place(one)) for one in found.devices]
        edges = _edges(found.edges, {node.id for node in nodes})
        return Drawn(
            Scene(title=title, crumbs=list(crumbs), note=note, areas=areas, nodes=nodes, edges=edges, around=around, hops=hops)
        )

    def _plan(self, key: str) -> Plan:
        plan = self._plans.setdefault(key, Plan())
        self._plans.move_to_end(key)
        while len(self._plans) > PLANS:
            self._plans.popitem(last=False)
        return plan

    def _zones(
        self, by_zone: Mapping[str | None, Sequence[KnownDevice]], between: Mapping[tuple[str | None, str | None], int]
    ) -> Drawn:
        members = {_key(zone): devices for zone, devices in by_zone.items()}
        hrefs = {_key(zone): Where(zone=zone or "").href for zone in by_zone}
        titles = {_key(zone): _zone_title(zone) for zone in by_zone}
        cards, note = _cards(members, titles, hrefs)
        shown = {card.key for card in cards}
        links = [
            (_key(one), _key(other), count)
            for (one, other), count in between.items()
            if one != other and {_key(one), _key(other)} <= shown
        ]
        owners = {device.device_id: _key(zone) for zone, devices in by_zone.items() for device in devices}
        count = len(owners)
        scene = Scene(
            title=f"{self._room.site}: {count:,} devices in {len(by_zone)} zones", cards=cards, links=links, note=note
        )
        return Drawn(scene, owners)

    async def _zone(self, zone: str, where: Where, *, at: Micros | None) -> Drawn:
        found = await self._room.plant.devices(zone=zone, limit=MOST_OF_ZONE)
        crumbs, title = [("Plant", "/")], _zone_title(zone or None)
        by = _grouping(found)
        if where.group is not None:
            crumbs.append((title, Where(zone=zone).href))
            found, title = [device for device in found if by(device) == where.group], where.group
        if where.part is not None:
            crumbs.append((title, Where(zone=zone, group=where.group).href))
            found = found[where.part * DRAWN : (where.part + 1) * DRAWN]
            title = _span(found)
        if len(found) <= DRAWN:
            inside = await self._room.plant.among([device.device_id for device in found], at=at)
            return await self._nodes(inside, key=where.href, title=f"{title}: {len(found)} devices", crumbs=crumbs)
        if where.group is None:
            groups: dict[str, list[DeviceNow]] = defaultdict(list)
            for device in found:
                groups[by(device)].append(device)
            hrefs = {name: Where(zone=zone, group=name).href for name in groups}
        else:
            parts = [found[start : start + DRAWN] for start in range(0, len(found), DRAWN)]
            groups = {_span(part): part for part in parts}
            hrefs = {_span(part): Where(zone=zone, group=where.group, part=number).href for number, part in enumerate(parts)}
        return await self._grouped(found, groups, hrefs, title=f"{title}: {len(found):,} devices", crumbs=crumbs)

    async def _grouped(
        self,
        found: Sequence[DeviceNow],
        groups: Mapping[str, Sequence[DeviceNow]],
        hrefs: Mapping[str, str],
        *,
        title: str,
        crumbs: Sequence[tuple[str, str]],
    ) -> Drawn:
        """Those with alarms one by one, all in cards beneath."""
        asking = sorted((device for device in found if device.condition.alarms), key=_urgency)[:FOREMOST]
        top, areas, nodes = 0, list[Area](), list[Node]()
        if asking:
            plan = Plan()
            plan.extend(asking, [])
            (region,) = plan.regions({asking[0].zone})
            areas = [Area("With alarms", *region[1:])]
            nodes = [Node(one.device_id, one.type, kind_of(one.type), *plan.place(one)) for one in asking]
            top = region.height + GAP
        cards, note = _cards(groups, {name: name for name in groups}, hrefs, top=top)
        shown = {node.id for node in nodes}
        owners = {
            device.device_id: name for name, devices in groups.items() for device in devices if device.device_id not in shown
        }
        scene = Scene(title=title, crumbs=list(crumbs), note=note, areas=areas, nodes=nodes, cards=cards)
        return Drawn(scene, owners)


def touched(fault: Fault) -> list[DeviceId]:
    """The devices of a fault, as many as are drawn: where it began, its path, what is hit, what is next."""
    names = dict.fromkeys(origin.device_id for origin in fault.origins[:10])
    names |= dict.fromkeys(end for step in fault.path for end in (step.source, step.target))
    names |= dict.fromkeys(part.device_id for part in fault.affected)
    names |= dict.fromkeys(next_one.device_id for next_one in fault.forecast)
    return list(names)[:DRAWN]


def _edges(edges: Iterable[Edge], inside: set[DeviceId]) -> list[tuple[DeviceId, DeviceId, str, bool]]:
    return [
        (edge.source, edge.target, edge.relation.value, edge.directed)
        for edge in edges
        if edge.source in inside and edge.target in inside
    ]


def _grouping(devices: Sequence[DeviceNow]) -> Callable[[DeviceNow], str]:
    """By parent where most have one and it is not the same for all, else by type."""
    parents = Counter(device.parent for device in devices)
    told = len(devices) - parents[None]
    if told * 2 > len(devices) and 1 < len(parents) <= MOST_CARDS:
        return lambda device: device.parent or "no parent"
    return lambda device: device.type


def _cards(
    groups: Mapping[str, Sequence[KnownDevice | DeviceNow]],
    titles: Mapping[str, str],
    hrefs: Mapping[str, str],
    *,
    top: int = 0,
) -> tuple[list[Card], str]:
    """In rows, in the order of their names."""
    names = sorted(groups, key=lambda name: (titles[name] == NO_ZONE, titles[name]))
    columns = max(1, math.ceil(math.sqrt(min(len(names), MOST_CARDS))))
    cards = []
    for number, name in enumerate(names[:MOST_CARDS]):
        types = Counter(device.type for device in groups[name]).most_common(3)
        x, y = number % columns * (CARD_WIDE + GAP), top + number // columns * (CARD_HIGH + GAP)
        cards.append(Card(name, titles[name], len(groups[name]), types, hrefs[name], x, y))
    left = len(names) - len(cards)
    return cards, f"{left:,} more are not drawn; search for a device to find it." if left else ""


def _span(devices: Sequence[DeviceNow]) -> str:
    return f"{devices[0].device_id} … {devices[-1].device_id}" if devices else "nothing"


def _urgency(device: DeviceNow) -> tuple[int, str]:
    severity = device.condition.severity
    return (-ASCENDING.index(severity) if severity is not None else 1, device.device_id)


NO_ZONE = "No zone"


def _zone_title(zone: str | None) -> str:
    return zone or NO_ZONE


def _key(zone: str | None) -> str:
    return f"zone:{zone or ''}"
