"""The family of processes with directed flow: units that weaken, leaks, blocked connections, drives that stick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from graph.rehearsal.flowline import Line, Spoilt, march
from graph.rehearsal.noise import Day, between, memory, slow_noise
from graph.rehearsal.plant import Channel, Fault, Floats, Ints, Run, UnsolvableError
from graph.rehearsal.sensing import Share
from graph.rehearsal.vocabulary import Vocabulary
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Linked

LEAST_UNITS, MOST_UNITS = 10, 120
LONGEST_DELAY = 6
SETTLING = 600
"""Rows after which a plant no longer remembers how it was started."""
SHARES: dict[str, Share] = {
    "supply": (0.4, 1.0),
    "unit": (0.1, 0.7),
    "exchanger": (0.3, 0.9),
    "buffer": (0.2, 0.8),
    "connection": (0.03, 0.4),
    "actuator": (0.4, 1.0),
}
KINDS = {"unit_weak": 0.27, "unit_leak": 0.25, "connection_blocked": 0.27, "drive_stuck": 0.21}


class Process:
    """Units in stages, with by-passes, side streams and now and then a return; half of the plants name their connections."""

    family: str = "process"
    shares: Mapping[str, Share] = SHARES

    def __init__(self, rng: np.random.Generator, step: int) -> None:
        self.step = step
        count = round(between(rng, LEAST_UNITS, MOST_UNITS))
        ends = _ends(rng, count)
        self._sources = np.setdiff1d(np.arange(count), ends[:, 1])
        self._line, self._supply = _line(rng, ends, count, self._sources)
        self._warm = rng.uniform(10, 60, count)
        self._day = Day.draw(rng, rng.uniform(0.0, 0.25))
        self._noise = rng.uniform(0.01, 0.08), memory(rng, step, 0.5, 8)
        self._warm_noise = rng.uniform(0.2, 2.0), memory(rng, step, 0.5, 8)
        driven = np.flatnonzero(self._line.tuning)
        self._driven = driven
        self._named = bool(rng.random() < 0.6)  # noqa: PLR2004
        kinds = [*self._unit_kinds(rng, count), *["actuator"] * len(driven), *["connection"] * (len(ends) * self._named)]
        words = Vocabulary(rng)
        self._names = words.names(kinds)
        self._place = {name: place for place, name in enumerate(self._names)}
        self.devices = tuple(
            (name, words.type(kind), dict[str, float]()) for name, kind in zip(self._names, kinds, strict=True)
        )
        self.links = tuple(self._linked())
        self.channels = tuple(self._measured(rng, kinds))
        self.kinds: Mapping[str, float] = {kind: share for kind, share in KINDS.items() if len(self._candidates(kind))}
        self._begin = self._settle()

    def inputs(self, rng: np.random.Generator, clock: Ints) -> Floats:
        """What comes from outside (rows, flows then temperatures of units); nothing but at sources."""
        rows, units = len(clock), len(self._line.nominal)
        supply, warmth = np.zeros((rows, units)), np.zeros((rows, units))
        noise = self._noise[0] * slow_noise(rng, rows, len(self._sources), self._noise[1])
        supply[:, self._sources] = self._supply * self._day.at(clock)[:, None] * np.exp(noise)
        drift = self._warm_noise[0] * slow_noise(rng, rows, len(self._sources), self._warm_noise[1])
        warmth[:, self._sources] = self._warm[self._sources] + drift
        return np.hstack([supply, warmth])

    def start(self, rng: np.random.Generator) -> Floats:
        del rng
        return self._begin.copy()

    def draw(self, kind: str, rng: np.random.Generator) -> tuple[DeviceId, float, float]:
        """Sizes: what is left of a unit's strength or flow, or how far a connection is open."""
        place = int(rng.choice(self._candidates(kind)))
        size = {"unit_weak": rng.uniform(0.1, 0.7), "unit_leak": rng.uniform(0.5, 0.93), "drive_stuck": 0.0}
        hours = rng.choice((0.0, rng.uniform(0.2, 2)))
        return self._names[place], float(size.get(kind, rng.choice((0.0, rng.uniform(0.05, 0.6))))), float(hours)

    def simulate(self, inputs: Floats, clock: Ints, state: Floats, faults: Sequence[Fault] = ()) -> Run:
        del clock
        rows, units = len(inputs), len(self._line.nominal)
        shapes = (units, units, len(self._line.start), units)
        spoilt = Spoilt(*(np.ones((rows, columns)) for columns in shapes))
        for fault in faults:
            self._strike(fault, spoilt, rows)
        out, states = march(self._line, inputs[:, :units].copy(), inputs[:, units:].copy(), spoilt, state)
        if not np.isfinite(out).all():
            raise UnsolvableError("the process ran away")
        drives, passed = 100 * out[:, 2 * units + self._driven], out[:, 3 * units :]
        shown = [out[:, : 2 * units], drives] + ([passed] if self._named else [])
        return Run(np.hstack(shown), states)

    def _strike(self, fault: Fault, spoilt: Spoilt, rows: int) -> None:
        left, place = 1 - (1 - fault.size) * fault.growth(rows), self._place[fault.device]
        units = len(self._line.nominal)
        match fault.kind:
            case "unit_weak":
                spoilt.strength[:, place] *= left
            case "unit_leak":
                spoilt.kept[:, place] *= left
            case "connection_blocked":
                spoilt.open[:, place - units - len(self._driven)] *= left
            case _:
                spoilt.stuck[fault.growth(rows) > 0, self._driven[place - units]] = 0.0

    def _candidates(self, kind: str) -> Ints:
        units, driven = len(self._line.nominal), len(self._driven)
        match kind:
            case "unit_weak":
                return np.flatnonzero(self._line.gain)
            case "unit_leak":
                return np.arange(units)
            case "connection_blocked":
                return np.arange(units + driven, len(self._names))
            case _:
                return np.arange(units, units + driven)

    def _settle(self) -> Floats:
        """The state after a long usual time."""
        line, units = self._line, len(self._line.nominal)
        clock = np.arange(SETTLING) * self.step
        heat = np.full(units, 40.0)
        state = np.concatenate([line.nominal, heat, np.full(units, 0.5), np.zeros(2 * len(line.start) * LONGEST_DELAY)])
        run = self.simulate(self.inputs(np.random.default_rng(units), clock), clock, state)
        found: Floats = run.states[-1]
        return found

    def _unit_kinds(self, rng: np.random.Generator, count: int) -> list[str]:
        kinds = np.where(self._line.gain > 0, "exchanger", np.where(rng.random(count) < 0.2, "buffer", "unit"))  # noqa: PLR2004
        kinds[self._sources] = "supply"
        return [str(kind) for kind in kinds]

    def _linked(self) -> Iterator[Linked]:
        names, units, driven = self._names, len(self._line.nominal), len(self._driven)
        for number, (one, other) in enumerate(zip(self._line.start, self._line.end, strict=True)):
            if self._named:
                name = names[units + driven + number]
                yield Linked(names[one], name, Relation.FEEDS)
                yield Linked(name, names[other], Relation.FEEDS)
            else:
                yield Linked(names[one], names[other], Relation.FEEDS)
        for number, unit in enumerate(self._driven):
            yield Linked(names[units + number], names[unit], Relation.CONTROLS)
            yield Linked(names[unit], names[units + number], Relation.AFFECTS)

    def _measured(self, rng: np.random.Generator, kinds: Sequence[str]) -> Iterator[Channel]:
        """Flows, temperatures, drives in percent, flows of connections. Of a unit each may be sent without the other."""
        units, driven = len(self._line.nominal), len(self._driven)
        typical = float(np.median(self._line.nominal))
        noise = {
            "flow": typical * between(rng, 0.002, 0.02),
            "temperature": between(rng, 0.05, 0.5),
            "drive": rng.uniform(0.1, 1),
        }
        limit = {signal: size * between(rng, 3, 15) for signal, size in noise.items()}
        limit["drive"] = max(limit["drive"], 2.0)
        relative, share = rng.uniform(0.002, 0.02), between(rng, 0.03, 0.15)
        digits = {signal: int(np.ceil(-np.log10(size))) + 1 for signal, size in noise.items()}
        places = [("flow", place) for place in range(units)] + [("temperature", place) for place in range(units)]
        places += [("drive", units + number) for number in range(driven)]
        places += [("flow", place) for place in range(units + driven, len(self._names))]
        for signal, place in places:
            parts = (relative, share) if signal == "flow" else (0.0, 0.0)
            name = SignalName(signal)
            yield Channel(self._names[place], name, kinds[place], noise[signal], limit[signal], *parts, digits[signal])


def _ends(rng: np.random.Generator, count: int) -> Ints:
    """Connections (m, 2), nearly all forward: each unit is fed by units a little before it, a few sources by none."""
    reach = int(rng.integers(2, max(3, min(12, count // 3))))
    sources = int(rng.integers(1, max(2, min(5, count // 5)) + 1))
    found = set()
    for unit in range(1, count):
        if unit < sources:
            continue
        for _ in range(1 if rng.random() < 0.75 else 2):  # noqa: PLR2004
            found.add((int(rng.integers(max(0, unit - reach), unit)), unit))
    found |= {(source, int(rng.integers(sources, min(count, sources + reach)))) for source in range(sources)}
    for _ in range(int(rng.integers(0, 3))):
        late = int(rng.integers(count // 2, count))
        found.add((late, int(rng.integers(sources, max(sources + 1, late - 1)))))
    return np.array(sorted(found), dtype=np.int64)


def _line(rng: np.random.Generator, ends: Ints, count: int, sources: Ints) -> tuple[Line, Floats]:
    """Splits, delays, inertias and drives; and what the sources supply."""
    start, end = np.ascontiguousarray(ends[:, 0]), np.ascontiguousarray(ends[:, 1])
    backward = end <= start
    weight = rng.uniform(0.3, 1.0, len(ends)) * np.where(backward, 0.15, 1.0)
    split = weight / np.maximum(np.bincount(start, weight, count), 1e-9)[start]
    supply = rng.lognormal(1, 0.4, len(sources))
    flows = np.eye(count)
    np.add.at(flows, (end, start), -np.where(backward & (split > 0.5), 0.5, split))  # noqa: PLR2004
    split = np.where(backward, np.minimum(split, 0.5), split)
    feed = np.zeros(count)
    feed[sources] = supply
    nominal = np.linalg.solve(flows, feed).astype(np.float64)
    if nominal.min() < 1e-4:  # noqa: PLR2004
        raise UnsolvableError("a unit gets nothing")
    heated = rng.random(count) < rng.uniform(0.15, 0.5)
    gain = np.where(heated, rng.uniform(10, 50, count), 0.0)
    line = Line(
        start,
        end,
        rng.integers(1, LONGEST_DELAY + 1, len(ends)) if rng.random() < 0.7 else np.ones(len(ends), dtype=np.int64),  # noqa: PLR2004
        split,
        nominal,
        1 + rng.exponential(rng.uniform(0.2, 3), count),
        1 + rng.exponential(rng.uniform(0.5, 8), count),
        gain,
        rng.uniform(0.0, 0.15, count),
        rng.uniform(40, 80, count),
        np.where(heated & (rng.random(count) < 0.8), rng.uniform(0.0005, 0.004, count), 0.0),  # noqa: PLR2004
    )
    return line, supply
