"""Designs a random water network that works: pipes wide enough, tanks where the head is, pumps that fill them.

A network is a tree of pressure zones. Within a zone one head at its inlet fixes all others under mean demand; the design
solves for these once and then places reservoirs, pumps, reducers and tanks where the heads ask for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from graph.rehearsal.hydraulics import PIPE, PUMP, REDUCER, Moment, Rules, Tanks, Waterworks, balance, pipework
from graph.rehearsal.layout import Layout, lay
from graph.rehearsal.noise import between
from graph.rehearsal.plant import HOUR, Bools, Floats, Ints, UnsolvableError

GRAVITY = 9.81
SIZES = np.array([0.05, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0])
"""Nominal diameters, m."""
LITRE = 1e-3
SAME_HEAD = 12.0
"""Metres by which a zone may have more head than it needs before a reducer is built."""
FASTEST = 8.0
"""Metres per second: no real flow is faster."""


class Link(NamedTuple):
    """A link before it has a number; ends count junctions, or tanks and reservoirs by -1 - their number in `extra`."""

    kind: str
    start: int
    end: int
    length: float = 0.0
    diameter: float = 0.0
    resistance: float = 0.0
    minor: float = 0.0
    lift: float = 0.0
    sag: float = 0.0
    droop: float = 0.0
    setting: float = 0.0
    one_way: bool = False


@dataclass
class Draft:
    """A network while it grows. `elevation` and `demand` (m3/s) are of junctions; `stores` are tanks and reservoirs."""

    rng: np.random.Generator
    elevation: list[float]
    demand: list[float]
    head: list[float]
    links: list[Link] = field(default_factory=list)
    reservoirs: list[float] = field(default_factory=list)
    tanks: list[tuple[float, float, float, bool]] = field(default_factory=list)
    stores: list[tuple[str, int]] = field(default_factory=list)
    rules: list[tuple[int, int, float, float, bool]] = field(default_factory=list)
    roughness: float = 110.0

    def junction(self, elevation: float, head: float) -> int:
        self.elevation.append(elevation)
        self.demand.append(0.0)
        self.head.append(head)
        return len(self.elevation) - 1

    def store(self, kind: str, number: int) -> int:
        self.stores.append((kind, number))
        return -len(self.stores)

    def pipe(self, start: int, end: int, length: float, flow: float, gradient: float, *, one_way: bool = False) -> float:
        """Adds a pipe for a flow at about `gradient` (m/m); its loss of head at that flow."""
        rough = self.roughness * self.rng.lognormal(0, 0.08)
        wanted = (10.67 * max(flow, LITRE / 2) ** 1.852 / (rough**1.852 * gradient)) ** (1 / 4.871)
        diameter = float(SIZES[int(np.argmin(np.abs(SIZES - wanted * self.rng.lognormal(0.05, 0.12))))])
        resistance = 10.67 * length / (rough**1.852 * diameter**4.871)
        self.links.append(Link("pipe", start, end, length, diameter, resistance, one_way=one_way))
        return float(resistance * flow**1.852)


@dataclass(frozen=True)
class Design:
    """What was built: the network that runs, what its devices are, and the mean demand of each junction."""

    works: Waterworks
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    elevation: Floats
    length: Floats
    diameter: Floats
    demand: Floats
    start: Floats
    controls: tuple[tuple[int, int], ...]


def relief(rng: np.random.Generator, where: Floats) -> Floats:
    """Heights of a landscape of a few broad waves."""
    span = np.ptp(where, axis=0).max() + 1e-9
    height = np.zeros(len(where))
    for _ in range(4):
        wave = rng.normal(0, 2.5, 2) / span
        height += rng.normal() * np.sin(2 * np.pi * where @ wave / 2 + rng.uniform(0, 2 * np.pi))
    return height * between(rng, 1.5, 20) + rng.normal(0, 0.6, len(where)) + rng.uniform(0, 300)


def consumption(rng: np.random.Generator, count: int) -> Floats:
    """Mean demands in m3/s: most junctions draw a little, some nothing, a few much."""
    demand = rng.lognormal(0, rng.uniform(0.3, 1.0), count) * (rng.random(count) < rng.uniform(0.5, 1.0))
    big = rng.random(count) < rng.uniform(0, 0.05)
    demand = np.where(big, demand * rng.uniform(3, 15), demand)
    demand[rng.integers(count)] += 0.5
    return demand * LITRE * between(rng, 0.15, 3.0)


def solve_zones(layout: Layout, inlet: Ints, demand: Floats, resistance: Floats) -> tuple[Floats, Floats]:
    """Heads (n) below that of each zone's inlet and flows (m) under `demand`, the inlets being held."""
    count = len(layout.where)
    held = np.zeros(count, dtype=bool)
    held[inlet] = True
    order = np.concatenate([np.flatnonzero(~held), np.flatnonzero(held)])
    place = np.argsort(order)
    start, end = place[layout.edges].T
    work = pipework(count - len(inlet), np.ascontiguousarray(start), np.ascontiguousarray(end), resistance=resistance)
    head, flow = np.zeros(count), np.full(len(start), LITRE)
    modes, opening = np.zeros(len(start), dtype=np.int64), np.ones(len(start))
    if not balance(work, Moment(head, flow, demand[order], modes, opening, np.zeros(len(start)))):
        raise UnsolvableError("a zone has no balance")
    return head[place], flow


def design(rng: np.random.Generator, count: int) -> Design:
    """A network of about `count` junctions. Raises UnsolvableError where the dice make none."""
    layout = lay(rng, count)
    elevation, demand = relief(rng, layout.where), consumption(rng, len(layout.where))
    zones = int(layout.zone.max()) + 1
    through = np.bincount(layout.zone, demand, zones)
    drawn = demand.copy()
    parent = {int(layout.zone[other]): (int(one), int(other)) for one, other in layout.gates}
    for zone in sorted(parent, reverse=True):
        gate = parent[zone][0]
        through[layout.zone[gate]] += through[zone]
        drawn[gate] += through[zone]
    first = rng.permutation(np.flatnonzero(layout.zone == 0))[: int(rng.integers(1, 4))]
    inlet = np.array([first[0], *(parent[zone][1] for zone in range(1, zones))], dtype=np.int64)
    for source in first[1:]:
        drawn[source] -= through[0] * rng.uniform(0.15, 0.85) / len(first)
    draft = Draft(rng, elevation.tolist(), demand.tolist(), [], roughness=rng.uniform(80, 145))
    below, flows = lay_pipes(draft, layout, inlet, drawn)
    margin = rng.uniform(18, 45)
    needs = [float(np.max(elevation[at] + margin - below[at])) for at in (layout.zone == zone for zone in range(zones))]
    top = _zone_heads(rng, needs, parent, layout.zone, below)
    draft.head = (below + top[layout.zone]).tolist()
    shares = np.concatenate(
        [[through[0] + drawn[first[1:]].sum() - demand[first[1:]].sum()], demand[first[1:]] - drawn[first[1:]]]
    )
    _sources(draft, layout, first, np.maximum(shares, 0.05 * through[0]))
    for zone in range(1, zones):
        _gate(draft, layout, *parent[zone], float(through[zone]))
    return finish(draft, flows, float(demand.sum()))


def lay_pipes(draft: Draft, layout: Layout, inlet: Ints, drawn: Floats) -> tuple[Floats, Floats]:
    """Sizes the pipes for the flows that a first guess of equal gradients gives; heads below the inlets, and flows."""
    rng = draft.rng
    length = np.linalg.norm(layout.where[layout.edges[:, 0]] - layout.where[layout.edges[:, 1]], axis=1)
    length = np.maximum(length / length.mean() * between(rng, 60, 700) * rng.lognormal(0, 0.2, len(length)), 5.0)
    _, guess = solve_zones(layout, inlet, drawn, length * rng.lognormal(0, 0.6, len(length)))
    peak, gradient = rng.uniform(1.3, 2.5), between(rng, 0.0008, 0.006)
    for (one, other), long, flow in zip(layout.edges.tolist(), length.tolist(), np.abs(guess).tolist(), strict=True):
        draft.pipe(one, other, long, flow * peak, gradient * rng.lognormal(0, 0.3))
    return solve_zones(layout, inlet, drawn, np.array([link.resistance for link in draft.links]))


def _zone_heads(
    rng: np.random.Generator, needs: list[float], parent: dict[int, tuple[int, int]], zone_of: Ints, below: Floats
) -> Floats:
    """The head at each zone's inlet: what it needs, or what its parent has where that is little more."""
    top = np.array(needs)
    for zone in sorted(parent):
        gate = parent[zone][0]
        offered = below[gate] + top[zone_of[gate]]
        if needs[zone] <= offered <= needs[zone] + SAME_HEAD * rng.uniform(0.5, 2):
            top[zone] = offered
        elif needs[zone] > offered:
            top[zone] = max(needs[zone], offered + rng.uniform(5, 15))
    return top


def _sources(draft: Draft, layout: Layout, first: Ints, shares: Floats) -> None:
    """Feeds zone 0: each source by gravity or by pumps, and with pumps at least one tank."""
    rng = draft.rng
    pumped = rng.random(len(first)) < rng.choice((0.0, 0.5, 1.0), p=(0.25, 0.25, 0.5))
    tanks: list[int] = []
    if pumped.any() or rng.random() < 0.4:  # noqa: PLR2004
        nodes = rng.permutation(np.flatnonzero(layout.zone == 0))[: int(rng.integers(1, 4))]
        tanks = [_tank(draft, int(node), float(shares.sum()) / len(nodes)) for node in nodes]
    for node, share, pump in zip(first.tolist(), shares.tolist(), pumped.tolist(), strict=True):
        if pump:
            wet = draft.elevation[node] + rng.uniform(-20, 2)
            draft.reservoirs.append(min(wet, draft.head[node] - 12))
            source = draft.store("reservoir", len(draft.reservoirs) - 1)
            _pumps(draft, (source, node), lift=draft.head[node] - draft.reservoirs[-1], share=share, tanks=tanks)
            continue
        draft.reservoirs.append(0.0)
        source = draft.store("reservoir", len(draft.reservoirs) - 1)
        lost = draft.pipe(source, node, between(rng, 30, 3000), share, between(rng, 0.0005, 0.003))
        draft.reservoirs[-1] = draft.head[node] + lost


def _tank(draft: Draft, node: int, share: float) -> int:
    """A tank that floats on a junction's mean head and feeds about `share` of m3/s; its number."""
    rng = draft.rng
    height = rng.uniform(2, 8)
    area = max(share, LITRE) * HOUR * between(rng, 2, 10) / height
    bottom = draft.head[node] - height * rng.uniform(0.35, 0.75)
    draft.tanks.append((area, bottom, height, bool(rng.random() < 0.3)))  # noqa: PLR2004
    store = draft.store("tank", len(draft.tanks) - 1)
    draft.pipe(node, store, between(rng, 10, 800), 1.5 * share, between(rng, 0.0008, 0.006))
    return len(draft.tanks) - 1


def _pumps(draft: Draft, ends: tuple[int, int], *, lift: float, share: float, tanks: list[int]) -> None:
    """Parallel pumps that raise the mean flow by `lift`, switched by a tank's level, by the clock, or never."""
    rng, (start, end) = draft.rng, ends
    count = int(rng.choice((1, 2, 3), p=(0.4, 0.4, 0.2)))
    capacity = share * rng.uniform(1.25, 2.2) if tanks else share * 1.2
    if rng.random() < 0.6:  # noqa: PLR2004
        outlet = draft.junction(draft.elevation[end] + rng.normal(0, 1), draft.head[end])
        lift += draft.pipe(outlet, end, between(rng, 10, 500), capacity, between(rng, 0.0008, 0.004))
        end = outlet
    lift += 0.5
    tank = int(rng.choice(tanks)) if tanks else -1
    for number in range(count):
        each, sagging = capacity / count, rng.uniform(0, 0.5)
        drop = lift * rng.uniform(0.2, 0.45)
        sag, droop = drop * sagging / each, drop * (1 - sagging) / each**2
        draft.links.append(Link("pump", start, end, lift=lift + drop, sag=sag, droop=droop))
        if tank >= 0:
            _pump_rule(draft, tank, number, last=number == count - 1)


def _pump_rule(draft: Draft, tank: int, number: int, *, last: bool) -> None:
    rng, link = draft.rng, len(draft.links) - 1
    height = draft.tanks[tank][2]
    if last and number and rng.random() < 0.25:  # noqa: PLR2004
        begins = rng.uniform(0, 24)
        draft.rules.append((link, -1, begins * HOUR, (begins + rng.uniform(6, 18)) % 24 * HOUR, False))
    elif number or rng.random() < 0.85:  # noqa: PLR2004
        low, high = height * (rng.uniform(0.25, 0.65) - 0.08 * number), height * (rng.uniform(0.75, 0.97) - 0.05 * number)
        draft.rules.append((link, tank, max(low, 0.1 * height), high, False))


def _gate(draft: Draft, layout: Layout, one: int, other: int, share: float) -> None:
    """Joins a zone to its parent by whatever the heads ask for."""
    rng = draft.rng
    gain = draft.head[other] - draft.head[one]
    members = np.flatnonzero(layout.zone == layout.zone[other])
    if gain > 1:
        count = 1 if rng.random() < 0.7 else 2  # noqa: PLR2004
        tanks = [_tank(draft, int(node), share / count) for node in rng.permutation(members)[:count]]
        _pumps(draft, (one, other), lift=gain, share=share, tanks=tanks)
        return
    if rng.random() < 0.25:  # noqa: PLR2004
        _tank(draft, int(rng.choice(members)), share)
    if gain < -SAME_HEAD / 2 and rng.random() < 0.7:  # noqa: PLR2004
        setting = draft.head[other]
        draft.links.append(Link("valve", one, other, minor=1 / (50 * share) ** 2, setting=setting, one_way=True, diameter=0.2))
    elif gain < -1 or rng.random() < 0.3:  # noqa: PLR2004
        draft.links.append(Link("valve", one, other, minor=max(-gain, 0.3) / share**2, diameter=0.2))
    else:
        draft.pipe(one, other, between(rng, 30, 1500), 1.5 * share, between(rng, 0.0005, 0.003))


def finish(draft: Draft, flows: Floats, total: float) -> Design:
    """Numbers everything: junctions, tanks, reservoirs, and links in the order in which they were drawn."""
    links, junctions = draft.links, len(draft.elevation)
    offset = {"tank": junctions, "reservoir": junctions + len(draft.tanks)}

    def node(end: int) -> int:
        return end if end >= 0 else offset[draft.stores[-1 - end][0]] + draft.stores[-1 - end][1]

    ends = np.array([(node(link.start), node(link.end)) for link in links], dtype=np.int64)
    names = ("resistance", "minor", "lift", "sag", "droop", "setting")
    parts: dict[str, Any] = {name: np.array([getattr(link, name) for link in links]) for name in names}
    kind = np.array([PUMP if link.kind == "pump" else REDUCER if link.setting else PIPE for link in links], dtype=np.int64)
    one_way: Bools = np.array([link.one_way for link in links])
    width = np.array([link.diameter or 0.6 for link in links])
    most = np.where(width > 0, FASTEST * np.pi / 4 * width**2, 10.0) + 2 * total
    work = pipework(junctions, *np.ascontiguousarray(ends.T), kind=kind, one_way=one_way, most=most, **parts)
    area, bottom, height, spills = (
        (np.array(column) for column in zip(*draft.tanks, strict=True)) if draft.tanks else [np.zeros(0)] * 4
    )
    tanks = Tanks(area, bottom, height, spills.astype(bool))
    columns = list(zip(*draft.rules, strict=True)) if draft.rules else [(), (), (), (), ()]
    types = (np.int64, np.int64, np.float64, np.float64, np.bool_)
    rules = Rules(*(np.array(column, dtype=kind) for column, kind in zip(columns, types, strict=True)))
    guess = np.full(len(links), total / 10)
    guess[: len(flows)] = np.where(flows == 0, LITRE, flows)
    level = [0.6 * tank[2] for tank in draft.tanks]
    return Design(
        Waterworks(work, tanks, rules, np.array(draft.reservoirs), guess),
        ("junction",) * junctions + ("tank",) * len(draft.tanks) + ("reservoir",) * len(draft.reservoirs),
        tuple(link.kind for link in links),
        np.array(draft.elevation),
        np.array([link.length for link in links]),
        np.array([link.diameter for link in links]),
        np.array(draft.demand),
        np.array(level + [1.0] * len(draft.rules)),
        tuple((junctions + rule[1], rule[0]) for rule in draft.rules if rule[1] >= 0),
    )
