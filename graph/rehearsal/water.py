"""The family of water networks: leaks, shut and blocked pipes, pumps that trip or wear, valves and controls that stick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from graph.rehearsal.hydraulics import Schedule, march
from graph.rehearsal.noise import Day, between, memory, slow_noise
from graph.rehearsal.plant import DAY, HOUR, Bools, Channel, Fault, Floats, Ints, Run, UnsolvableError
from graph.rehearsal.sensing import Share
from graph.rehearsal.vocabulary import Vocabulary
from graph.rehearsal.waterworks import design
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Linked

LITRES = 1000.0
LEAST_JUNCTIONS, MOST_JUNCTIONS = 10, 250
LOWEST_PRESSURE, LEAST_MARGIN, HIGHEST_PRESSURE = -15.0, 3.0, 250.0
"""Metres: below the first a part of the network counts as cut off; between the others a design is sound."""
DRAWS = 60
EMPTY_SHARE = 0.05
SHARES: dict[str, Share] = {
    "junction": (0.05, 0.6),
    "tank": (0.8, 1.0),
    "pipe": (0.03, 0.4),
    "pump": (0.7, 1.0),
    "valve": (0.3, 1.0),
}
KINDS = {
    "leak": 0.38,
    "pipe_closed": 0.18,
    "pump_trip": 0.2,
    "pipe_blocked": 0.06,
    "pump_worn": 0.05,
    "valve_closed": 0.06,
    "control_stuck": 0.04,
    "tank_leak": 0.03,
}


class Water:
    """A network of `Design`, with what its consumers do over the day. Raises UnsolvableError if the dice make none."""

    family: str = "water"
    shares: Mapping[str, Share] = SHARES

    def __init__(self, rng: np.random.Generator, step: int) -> None:
        self.step = step
        self._design = design(rng, round(between(rng, LEAST_JUNCTIONS, MOST_JUNCTIONS)))
        self._day = [Day.draw(rng, rng.uniform(0.15, 0.5)) for _ in range(3)]
        self._class = rng.choice(3, len(self._design.demand), p=(0.75, 0.15, 0.1))
        self._common = rng.uniform(0.01, 0.1), memory(rng, step, 2, 12)
        self._own = rng.uniform(0.03, 0.3), memory(rng, step, 0.3, 6)
        kinds = [*self._design.nodes, *self._design.links]
        words = Vocabulary(rng)
        self._names = words.names(kinds)
        self._place = {name: place for place, name in enumerate(self._names)}
        self.devices = tuple(self._describe(rng, words))
        self.links = tuple(self._linked(rng))
        self.channels = tuple(self._measured(rng))
        self.kinds: Mapping[str, float] = {kind: share for kind, share in KINDS.items() if len(self._candidates(kind))}
        self._begin = self._settle()

    def inputs(self, rng: np.random.Generator, clock: Ints) -> Floats:
        """Demands (rows, junctions and tanks) in m3/s: the day, noise of all and noise of each."""
        rows, demand = len(clock), self._design.demand
        course = np.stack([day.at(clock) for day in self._day], axis=1)[:, self._class]
        common = np.exp(self._common[0] * slow_noise(rng, rows, 1, self._common[1]))
        own = np.exp(self._own[0] * slow_noise(rng, rows, len(demand), self._own[1]))
        into_tanks = np.zeros((rows, len(self._design.works.tanks.area)))
        found: Floats = np.hstack([demand * course * common * own, into_tanks])
        return found

    def start(self, rng: np.random.Generator) -> Floats:
        """Tank levels of a usual day, and controls as they stood."""
        found: Floats = self._begin[rng.integers(len(self._begin))].copy()
        return found

    def draw(self, kind: str, rng: np.random.Generator) -> tuple[DeviceId, float, float]:
        place = int(rng.choice(self._candidates(kind)))
        total = self._design.demand.sum()
        match kind:
            case "leak":
                size, hours = total * between(rng, 0.02, 0.2), rng.choice((0.0, rng.uniform(0.2, 2.0)))
            case "tank_leak":
                area, height = self._design.works.tanks.area, self._design.works.tanks.height
                tank = place - self._design.works.work.junctions
                size, hours = area[tank] * height[tank] / HOUR / rng.uniform(2, 8), 0.0
            case "pipe_blocked":
                size, hours = between(rng, 0.05, 0.4), rng.choice((0.0, 1.0))
            case "pump_worn":
                size, hours = rng.uniform(0.6, 0.9), rng.uniform(0, 2)
            case _:
                size, hours = 0.0, 0.0
        return self._names[place], float(size), float(hours)

    def simulate(self, inputs: Floats, clock: Ints, state: Floats, faults: Sequence[Fault] = ()) -> Run:
        rows, links = len(inputs), len(self._design.links)
        drawn, opening, held = inputs, np.ones((rows, links)), np.zeros((rows, links), dtype=bool)
        for fault in faults:
            drawn = self._strike(fault, drawn, opening, held)
        plan = Schedule(drawn, opening, held, clock, float(self.step))
        heads, flows, states = march(self._design.works, plan, state)
        work, tanks = self._design.works.work, self._design.works.tanks
        ground = np.concatenate([self._design.elevation, tanks.bottom, self._design.works.reservoirs])
        pressure = heads - ground
        if pressure[:, : work.junctions].min() < LOWEST_PRESSURE:
            raise UnsolvableError("a part of the network is cut off")
        shown = pressure[:, : work.junctions + len(tanks.area)]
        within = (pressure[:, work.start] + pressure[:, work.end]) / 2
        return Run(np.hstack([shown, flows * LITRES, within]), states)

    def _strike(self, fault: Fault, drawn: Floats, opening: Floats, held: Bools) -> Floats:
        """Brings a fault into `opening` and `held`; returns what is drawn."""
        grown, place = fault.growth(len(drawn)), self._place[fault.device]
        link = place - len(self._design.nodes)
        match fault.kind:
            case "leak" | "tank_leak":
                drawn = drawn.copy()
                drawn[:, place] += fault.size * grown
            case "control_stuck":
                held[:, link] |= grown > 0
            case _:
                opening[:, link] = np.minimum(opening[:, link], 1 - (1 - fault.size) * grown)
        return drawn

    def _candidates(self, kind: str) -> Ints:
        """The places at which a kind of fault can strike."""
        nodes, links = np.array(self._design.nodes), np.array(self._design.links)
        match kind:
            case "leak":
                return np.flatnonzero(nodes == "junction")
            case "tank_leak":
                return np.flatnonzero(nodes == "tank")
            case "control_stuck":
                return len(nodes) + np.unique(self._design.works.rules.link)
            case _:
                return len(nodes) + np.flatnonzero(links == kind.partition("_")[0])

    def _settle(self) -> Floats:
        """States of a second usual day. Raises UnsolvableError if pressures or tanks are not what a designer would accept."""
        rows = 2 * DAY // self.step
        clock = np.arange(rows) * self.step % DAY
        run = self.simulate(self.inputs(np.random.default_rng(rows), clock), clock, self._design.start)
        pressure = run.values[:, : self._design.works.work.junctions]
        if pressure.min() < LEAST_MARGIN or pressure.max() > HIGHEST_PRESSURE:
            raise UnsolvableError("no designer would accept these pressures")
        if ((run.states[:, : len(self._design.works.tanks.area)] <= 0).mean(axis=0) > EMPTY_SHARE).any():
            raise UnsolvableError("a tank runs dry")
        return run.states[rows // 2 :]

    def _describe(self, rng: np.random.Generator, words: Vocabulary) -> Iterator[tuple[DeviceId, str, dict[str, float]]]:
        built, nodes = self._design, len(self._design.nodes)
        known = {name: rng.uniform(0.8, 1.0) * (rng.random() < 0.8) for name in ("elevation", "length", "diameter")}  # noqa: PLR2004
        columns = {"length": built.length, "diameter": built.diameter}
        for place, (name, kind) in enumerate(zip(self._names, [*built.nodes, *built.links], strict=True)):
            found: dict[str, float] = {}
            if kind == "junction" and rng.random() < known["elevation"]:
                found["elevation"] = round(float(built.elevation[place]), 2)
            for key, column in columns.items():
                if place >= nodes and column[place - nodes] > 0 and rng.random() < known[key]:
                    found[key] = round(float(column[place - nodes]), 3)
            yield name, words.type(kind), found

    def _linked(self, rng: np.random.Generator) -> Iterator[Linked]:
        """Pipes join both ways; in some plants pumps and valves are drawn with the way that they push."""
        arrows = rng.random() < 0.1  # noqa: PLR2004
        work, nodes = self._design.works.work, len(self._design.nodes)
        for link, kind in enumerate(self._design.links):
            name, directed = self._names[nodes + link], bool(arrows and kind != "pipe")
            yield Linked(self._names[work.start[link]], name, Relation.FEEDS, directed=directed)
            yield Linked(name, self._names[work.end[link]], Relation.FEEDS, directed=directed)
        for node, link in dict.fromkeys(self._design.controls):
            yield Linked(self._names[node], self._names[nodes + link], Relation.CONTROLS)

    def _measured(self, rng: np.random.Generator) -> Iterator[Channel]:
        """Pressures (m), levels (m), flows (L/s), and out of sight the pressure within each link."""
        noise = {"pressure": between(rng, 0.05, 0.6), "level": between(rng, 0.005, 0.05), "flow": between(rng, 0.01, 0.2)}
        limit = {signal: size * between(rng, 3, 15) for signal, size in noise.items()}
        limit["pressure"] = float(np.clip(limit["pressure"], 0.4, 3.0))
        digits = {signal: int(np.ceil(-np.log10(size))) + 1 for signal, size in noise.items()}
        relative, share = rng.uniform(0.003, 0.03), between(rng, 0.05, 0.2)
        built = self._design
        for name, kind in zip(self._names, [*built.nodes, *built.links], strict=True):
            signal = {"junction": "pressure", "tank": "level"}.get(kind, "flow")
            if kind == "reservoir":
                continue
            channel = Channel(name, SignalName(signal), kind, noise[signal], limit[signal], decimals=digits[signal])
            if signal == "flow":
                channel = Channel(name, SignalName("flow"), kind, noise["flow"], limit["flow"], relative, share, digits["flow"])
            yield channel
        for name, kind in zip(self._names[len(built.nodes) :], built.links, strict=True):
            yield Channel(name, SignalName("pressure"), kind, 0.0, limit["pressure"], hidden=True)
