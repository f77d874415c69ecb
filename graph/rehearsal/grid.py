"""The family of power grids: lines and transformers that trip, generators that trip, loads that are lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from graph.rehearsal.gridworks import design
from graph.rehearsal.loadflow import Flows, march
from graph.rehearsal.noise import Day, between, memory, slow_noise
from graph.rehearsal.plant import DAY, Bools, Channel, Fault, Floats, Ints, Run
from graph.rehearsal.sensing import Share
from graph.rehearsal.vocabulary import Vocabulary
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Linked

MEGAWATTS = 100.0
LEAST_BUSES, MOST_BUSES = 8, 150
SHARES: dict[str, Share] = {
    "bus": (0.1, 0.7),
    "line": (0.05, 0.5),
    "transformer": (0.2, 0.8),
    "generator": (0.6, 1.0),
    "load": (0.05, 0.4),
}
KINDS = {"line_trip": 0.4, "generator_trip": 0.28, "load_lost": 0.22, "transformer_trip": 0.1}


class PowerGrid:
    """A grid of `gridworks`, with what its consumers do over the day. Raises UnsolvableError if the dice make none."""

    family: str = "grid"
    shares: Mapping[str, Share] = SHARES

    def __init__(self, rng: np.random.Generator, step: int) -> None:
        self.step = step
        self._design = design(rng, round(between(rng, LEAST_BUSES, MOST_BUSES)))
        self._day = [Day.draw(rng, rng.uniform(0.08, 0.3)) for _ in range(2)]
        self._class = rng.choice(2, len(self._design.loads), p=(0.8, 0.2))
        self._common = rng.uniform(0.005, 0.04), memory(rng, step, 2, 12)
        self._own = rng.uniform(0.01, 0.12), memory(rng, step, 0.3, 6)
        self._fitful = rng.choice((0.0, rng.uniform(0.01, 0.1)))
        built, branches = self._design, len(self._design.transformer)
        self._kinds = np.array(
            ["bus"] * len(built.angle)
            + np.where(built.transformer, "transformer", "line").tolist()
            + ["generator"] * len(built.generators)
            + ["load"] * len(built.loads)
        )
        self._first = dict(
            zip(("branch", "generator", "load"), np.cumsum([len(built.angle), branches, len(built.generators)]), strict=True)
        )
        self._slack_known = bool(rng.random() < 0.5)  # noqa: PLR2004
        words = Vocabulary(rng)
        self._names = words.names(self._kinds.tolist())
        self._place = {name: place for place, name in enumerate(self._names)}
        usual = self._settle(rng)
        self.devices = tuple(
            (self._names[place], words.type(str(self._kinds[place])), dict[str, float]()) for place in self._known()
        )
        self.links = tuple(self._linked(rng))
        self.channels = tuple(self._measured(rng, usual))
        self.kinds: Mapping[str, float] = {kind: share for kind, share in KINDS.items() if len(self._candidates(kind))}

    def inputs(self, rng: np.random.Generator, clock: Ints) -> Floats:
        """Factors on loads and then on generators (rows, loads and generators)."""
        rows, built = len(clock), self._design
        course = np.stack([day.at(clock) for day in self._day], axis=1)[:, self._class]
        common = np.exp(self._common[0] * slow_noise(rng, rows, 1, self._common[1]))
        own = np.exp(self._own[0] * slow_noise(rng, rows, len(built.loads), self._own[1]))
        fitful = np.exp(self._fitful * slow_noise(rng, rows, len(built.generators), self._own[1]))
        found: Floats = np.hstack([course * common * own, fitful])
        return found

    def start(self, rng: np.random.Generator) -> Floats:
        """A grid has no memory."""
        del rng
        return np.zeros(0)

    def draw(self, kind: str, rng: np.random.Generator) -> tuple[DeviceId, float, float]:
        """Of a lost load now and then a part stays on."""
        left = rng.uniform(0, 0.5) if kind == "load_lost" and rng.random() < 0.3 else 0.0  # noqa: PLR2004
        return self._names[int(rng.choice(self._candidates(kind)))], left, 0.0

    def simulate(self, inputs: Floats, clock: Ints, state: Floats, faults: Sequence[Fault] = ()) -> Run:
        del clock, state
        built, rows = self._design, len(inputs)
        factors, running = inputs[:, : len(built.loads)].copy(), inputs[:, len(built.loads) :].copy()
        alive = np.ones((rows, len(built.transformer)), dtype=bool)
        for fault in faults:
            self._strike(fault, factors, running, alive)
        flows = march(self._grid, built.schedule(factors, running, alive), built.angle, protected=bool(faults))
        return Run(self._columns(flows, factors), np.zeros((rows, 0)))

    def _strike(self, fault: Fault, factors: Floats, running: Floats, alive: Bools) -> None:
        during, place = fault.growth(len(factors)) > 0, self._place[fault.device]
        match fault.kind:
            case "load_lost":
                factors[during, place - self._first["load"]] *= fault.size
            case "generator_trip":
                running[during, place - self._first["generator"]] = 0.0
            case _:
                alive[during, place - self._first["branch"]] = False

    def _columns(self, flows: Flows, factors: Floats) -> Floats:
        """Channels: voltages, powers of branches, generators and loads, and out of sight the angles in degrees."""
        built = self._design
        drawn = built.active * factors
        bus_load = np.zeros_like(flows.fed)
        bus_load[:, built.loads] = drawn
        made = (flows.fed + bus_load)[:, built.generators]
        shown = np.hstack([flows.size, flows.power * MEGAWATTS, made * MEGAWATTS, drawn * MEGAWATTS])
        return np.hstack([shown[:, self._known()], np.degrees(flows.angle)])

    def _known(self) -> list[int]:
        """The slack, which stands for the rest of the world, is no device of some plants."""
        return [place for place in range(len(self._kinds)) if self._slack_known or place != self._first["generator"]]

    def _settle(self, rng: np.random.Generator) -> Floats:
        """A day's branch powers (rows, branches), from which lines get their ratings: on a usual day none is over it."""
        clock = np.arange(DAY // self.step) * self.step
        inputs = self.inputs(np.random.default_rng(len(clock)), clock)
        built = self._design
        loads = len(built.loads)
        alive = np.ones((len(clock), len(built.transformer)), dtype=bool)
        flows = march(built.grid, built.schedule(inputs[:, :loads], inputs[:, loads:], alive), built.angle, protected=False)
        most = flows.apparent.max(axis=0)
        rating = most * rng.uniform(1.5, 3.0, len(most)) + rng.uniform(0.1, 0.5) * most.mean()
        self._grid = built.grid._replace(rating=np.where(built.transformer, np.inf, rating))
        return flows.power

    def _candidates(self, kind: str) -> Ints:
        """The places at which a kind of fault can strike; the slack never trips."""
        found = np.flatnonzero(self._kinds == kind.partition("_")[0])
        without_slack: Ints = found[found != self._first["generator"]]
        return without_slack

    def _linked(self, rng: np.random.Generator) -> Iterator[Linked]:
        """Power may run both ways; in some plants generators and loads are drawn with the way that it goes."""
        built, arrows = self._design, bool(rng.random() < 0.1)  # noqa: PLR2004
        names, first = self._names, self._first
        for branch, (one, other) in enumerate(zip(built.grid.start, built.grid.end, strict=True)):
            name = names[first["branch"] + branch]
            yield Linked(names[one], name, Relation.POWERS, directed=False)
            yield Linked(name, names[other], Relation.POWERS, directed=False)
        feeding = ((names[first["generator"] + number], names[bus]) for number, bus in enumerate(built.generators))
        drawing = ((names[bus], names[first["load"] + number]) for number, bus in enumerate(built.loads))
        known = {names[place] for place in self._known()}
        for source, target in chain(feeding, drawing):
            if source in known:
                yield Linked(source, target, Relation.POWERS, directed=arrows)

    def _measured(self, rng: np.random.Generator, usual: Floats) -> Iterator[Channel]:
        """Voltages (per unit), powers (MW), and out of sight the angle (degrees) at each bus."""
        volt, typical = between(rng, 2e-4, 2e-3), float(np.median(np.abs(usual))) * MEGAWATTS
        watt, relative = typical * between(rng, 0.001, 0.015), rng.uniform(0.003, 0.02)
        volt_limit = float(np.clip(volt * between(rng, 3, 15), 0.002, 0.02))
        watt_limit, share = min(watt * between(rng, 3, 20), 0.1 * typical), between(rng, 0.05, 0.2)
        volt_digits, watt_digits = (int(np.ceil(-np.log10(size))) + 1 for size in (volt, watt))
        for place in self._known():
            name, kind = self._names[place], str(self._kinds[place])
            if kind == "bus":
                yield Channel(name, SignalName("voltage"), kind, volt, volt_limit, decimals=volt_digits)
            else:
                yield Channel(name, SignalName("power"), kind, watt, watt_limit, relative, share, watt_digits)
        angle = between(rng, 0.3, 2.0)
        for name in self._names[: self._first["branch"]]:
            yield Channel(name, SignalName("angle"), "bus", 0.0, angle, hidden=True)
