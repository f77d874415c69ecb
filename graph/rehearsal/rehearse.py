"""Makes up a plant, runs it for days without a fault, and then spoils it again and again.

    python -m graph.rehearsal --seed 3

A trial branches off a normal stretch, the twin: what differs is the truth. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from graph.rehearsal.grid import PowerGrid
from graph.rehearsal.plant import DAY, HOUR, SECOND, Fault, Floats, Ints, Plant, Rehearsal, Run, Trial, UnsolvableError
from graph.rehearsal.process import Process
from graph.rehearsal.sensing import SENSOR_FAULTS, Instruments, Share, place, spread_by_hour
from graph.rehearsal.truth import CARRIES, VISIBLE_SPREADS, carrying, lasting, limits, onsets, onward, ways
from graph.rehearsal.water import Water
from graph.topology import Topology
from schemas.device import DeviceId, Signal, SignalKind
from schemas.event import Connected, Event, Linked, Micros, Stamp

STEPS = (60, 120, 180, 300, 600, 900)
STEP_SHARES = (0.03, 0.03, 0.04, 0.7, 0.1, 0.1)
MONDAY = 1_767_571_200
"""Seconds: the first Monday of 2026."""
NORMAL_SHARE, SENSOR_SHARE, DOUBLE_SHARE = 0.1, 0.2, 0.05
DESIGNS, STRETCHES, DRAWS = 60, 5, 6
PLANTS = 20
LEAD_ROWS = (36, 84)
WARM_UP_HOURS = 18
LEAST_FAULT_ROWS, MOST_FAULT_ROWS, MOST_TAIL_ROWS = 6, 240, 36


class Family(Plant, Protocol):
    shares: Mapping[str, Share]


FAMILIES: dict[str, Callable[[np.random.Generator, int], Family]] = {"water": Water, "grid": PowerGrid, "process": Process}
FAMILY_SHARES = {"water": 0.6, "grid": 0.25, "process": 0.15}


def rehearse(seed: int, *, family: str | None = None, trials: int = 40, history_days: float = 8.0) -> Rehearsal:
    """The plant of a seed, of a family drawn at random where none is named."""
    rng = np.random.default_rng(seed)
    chosen = family or str(rng.choice(list(FAMILIES), p=_shares(FAMILY_SHARES, FAMILIES)))
    for _ in range(PLANTS):
        try:
            return _Stage(rng, chosen, history_days).play(trials)
        except UnsolvableError:
            continue
    raise UnsolvableError(f"no plant of family {chosen} runs for {history_days} days")


def _shares(weights: Mapping[str, float], among: Mapping[str, object]) -> Floats:
    listed = np.array([weights[name] for name in among])
    found: Floats = listed / listed.sum()
    return found


def _build(rng: np.random.Generator, family: str) -> Family:
    step = int(rng.choice(STEPS, p=STEP_SHARES))
    for _ in range(DESIGNS):
        try:
            return FAMILIES[family](rng, step)
        except UnsolvableError:
            continue
    raise UnsolvableError(f"no sound plant of family {family} in {DESIGNS} designs")


@dataclass(frozen=True)
class _Stretch:
    """A normal stretch of time: the twin of faults in rows `begins` to `ends`."""

    first: int
    inputs: Floats
    clock: Ints
    twin: Run
    begins: int
    ends: int


class _Stage:
    """A plant with its instruments and its history."""

    def __init__(self, rng: np.random.Generator, family: str, days: float) -> None:
        self._rng = rng
        self._draws = 0
        self._plant = _build(rng, family)
        runs = [
            self._normal(round(days * DAY / count / self._plant.step))
            for count in [int(rng.integers(2, 6))]
            for _ in range(count)
        ]
        self._states = [(first, run.states) for first, run in runs]
        exact = np.concatenate([run.values for _, run in runs])
        sent = place(rng, self._plant.channels, self._plant.shares)
        hour = np.concatenate([(first + np.arange(len(run.values)) * self._plant.step) % DAY // HOUR for first, run in runs])
        self._instruments = Instruments.of(rng, self._plant, sent, spread_by_hour(exact[:, sent], hour))
        self._near = onward(self._plant.links)
        self._history = tuple(self._instruments.read(rng, run.values) for _, run in runs)
        self._starts = tuple(first for first, _ in runs)

    def play(self, trials: int) -> Rehearsal:
        plant, channels = self._plant, self._plant.channels
        return Rehearsal(
            plant.family,
            plant.step * SECOND,
            plant.devices,
            plant.links,
            tuple((channels[column].device, channels[column].signal) for column in self._instruments.sent),
            self._history,
            tuple(first * SECOND for first in self._starts),
            tuple(self._trials(trials)),
            self._draws,
        )

    def _trials(self, count: int) -> Iterator[Trial]:
        """Kinds in their shares, rare ones too: each comes in turn rather than by luck."""
        rng = self._rng
        normal, sensor = round(NORMAL_SHARE * count), round(SENSOR_SHARE * count)
        physical = list(self._plant.kinds)
        wanted = np.array([self._plant.kinds[kind] for kind in physical])
        plan = [""] * normal + [SENSOR_FAULTS[number % len(SENSOR_FAULTS)] for number in range(sensor)]
        given = np.zeros(len(wanted))
        for _ in range(count - normal - sensor):
            next_one = int(np.argmax(wanted / wanted.sum() * (given.sum() + 1) - given + rng.uniform(0, 0.3, len(wanted))))
            given[next_one] += 1
            plan.append(physical[next_one])
        for kind in rng.permutation(plan).tolist():
            yield self._trial(str(kind))

    def _trial(self, kind: str) -> Trial:
        if not kind:
            return self._quiet()
        double = bool(self._rng.random() < DOUBLE_SHARE)
        for wanted in (kind, kind, *self._rng.permutation(list(self._plant.kinds)).tolist(), SENSOR_FAULTS[0]):
            for _ in range(STRETCHES if wanted == kind else 2):
                stretch = self._stretch()
                for _ in range(DRAWS):
                    trial = self._attempt(str(wanted), stretch, double=double)
                    if trial:
                        return trial
        return self._quiet()

    def _normal(self, rows: int) -> tuple[int, Run]:
        """A normal run from a random time on, warmed up: the second of its first row, and the run."""
        plant, rng = self._plant, self._rng
        warm = WARM_UP_HOURS * HOUR // plant.step
        for _ in range(DESIGNS):
            first = MONDAY + int(rng.integers(90 * DAY // plant.step)) * plant.step
            clock = (first + (np.arange(warm + rows) - warm) * plant.step) % DAY
            try:
                run = plant.simulate(plant.inputs(rng, clock), clock, plant.start(rng))
            except UnsolvableError:
                continue
            return first, Run(run.values[warm:], run.states[warm:])
        raise UnsolvableError("the plant does not run without faults")

    def _stretch(self) -> _Stretch:
        """A new stretch that begins in a state that history was in at that time of day."""
        plant, rng = self._plant, self._rng
        for _ in range(DESIGNS):
            start, states = self._states[rng.integers(len(self._states))]
            row = int(rng.integers(len(states)))
            first = start + row * plant.step + int(rng.integers(100, 200)) * DAY
            begins = int(rng.integers(*LEAD_ROWS))
            lasts = int(np.clip(rng.uniform(1, 6) * HOUR // plant.step, LEAST_FAULT_ROWS, MOST_FAULT_ROWS))
            tail = min(MOST_TAIL_ROWS, int(rng.uniform(0.25, 1.5) * HOUR // plant.step) + 2)
            clock = (first + np.arange(begins + lasts + tail) * plant.step) % DAY
            inputs = plant.inputs(rng, clock)
            try:
                twin = plant.simulate(inputs, clock, states[row])
            except UnsolvableError:
                continue
            return _Stretch(first, inputs, clock, twin, begins, begins + lasts)
        raise UnsolvableError("no normal stretch")

    def _quiet(self) -> Trial:
        stretch = self._stretch()
        readings = self._instruments.read(self._rng, stretch.twin.values)
        return Trial("normal", (), stretch.first * SECOND, readings, 0, 0, {}, frozenset(), (), sensor_fault=False)

    def _attempt(self, kind: str, stretch: _Stretch, *, double: bool) -> Trial | None:
        """A trial, if the fault can be simulated and seen; of two faults each must be seen without the other."""
        self._draws += 1
        faults = [self._drawn(kind, stretch)]
        if double:
            faults.append(self._drawn(str(self._rng.choice([*self._plant.kinds, SENSOR_FAULTS[0]])), stretch))
            if len({fault.device for fault, _ in faults}) < len(faults) or not all(
                self._tried(stretch, [one]) for one in faults
            ):
                return None
        return self._tried(stretch, faults)

    def _tried(self, stretch: _Stretch, faults: list[tuple[Fault, int]]) -> Trial | None:
        physical = [fault for fault, column in faults if column < 0]
        try:
            exact = self._spoilt(stretch, physical)
        except UnsolvableError:
            return None
        return self._judged(stretch, faults, exact)

    def _drawn(self, kind: str, stretch: _Stretch) -> tuple[Fault, int]:
        """A fault and, for a sensor's own, the place of its sensor among all that are sent (else -1)."""
        rng, plant, tools = self._rng, self._plant, self._instruments
        if kind not in SENSOR_FAULTS:
            device, size, hours = plant.draw(kind, rng)
            return Fault(kind, device, stretch.begins, stretch.ends, size, int(hours * HOUR / plant.step)), -1
        sensor = int(rng.integers(len(tools.sent)))
        channel = plant.channels[tools.sent[sensor]]
        limit = limits(plant.channels, stretch.twin.values)[tools.sent[sensor]]
        size = rng.choice((-1, 1)) * rng.uniform(2.5, 9) * max(limit, tools.spread[sensor])
        ramp = stretch.ends - stretch.begins if kind == "sensor_drift" else 0
        return Fault(kind, channel.device, stretch.begins, stretch.ends, float(size), ramp), sensor

    def _spoilt(self, stretch: _Stretch, faults: list[Fault]) -> Floats:
        """Exact channels with physical faults; before them nothing differs from the twin."""
        begins = stretch.begins
        if not faults:
            return stretch.twin.values.copy()
        later = [fault.shifted(begins) for fault in faults]
        run = self._plant.simulate(stretch.inputs[begins:], stretch.clock[begins:], stretch.twin.states[begins], later)
        return np.concatenate([stretch.twin.values[:begins], run.values])

    def _judged(self, stretch: _Stretch, faults: list[tuple[Fault, int]], exact: Floats) -> Trial | None:
        plant, tools = self._plant, self._instruments
        readings = tools.read(self._rng, exact)
        for fault, sensor in faults:
            if sensor >= 0:
                tools.spoil(exact, int(tools.sent[sensor]), fault)
                tools.spoil(readings, sensor, fault)
        during = slice(stretch.begins, stretch.ends)
        departed, limit = np.abs(exact - stretch.twin.values)[during], limits(plant.channels, stretch.twin.values)
        origins = tuple(fault.device for fault, _ in faults)
        physical = tuple(fault.device for fault, sensor in faults if sensor < 0)
        affected, carriers, path = dict.fromkeys(origins, 0), frozenset(origins), tuple[tuple[DeviceId, DeviceId], ...]()
        if physical:
            affected = onsets(plant.channels, lasting(departed > limit)) | affected
            carriers |= carrying(plant.channels, lasting(departed > CARRIES * limit))
            path = ways(self._near, physical, carriers, affected)
        shown = np.maximum(limit[tools.sent], VISIBLE_SPREADS * tools.spread)
        seen = lasting(departed[:, tools.sent] > shown).any(axis=0)
        reached = {other for _, other in path} | set(origins)
        if not any(plant.channels[column].device in reached for column in tools.sent[seen]):
            return None
        return Trial(
            "+".join(fault.kind for fault, _ in faults),
            origins,
            stretch.first * SECOND,
            tools.rounded(readings),
            stretch.begins,
            stretch.ends,
            {device: stretch.begins + row for device, row in sorted(affected.items(), key=lambda item: item[1])},
            carriers,
            path,
            sensor_fault=not physical,
        )


def topology(rehearsal: Rehearsal) -> Topology:
    """The plant's live graph, as its gateway would announce it."""
    signals: dict[DeviceId, list[Signal]] = {}
    for device, signal in rehearsal.sensors:
        signals.setdefault(device, []).append(Signal(signal, SignalKind.NUMERIC))
    bodies: list[Connected | Linked] = [
        Connected(device, kind, signals=tuple(signals.get(device, ())), properties=dict(properties))
        for device, kind, properties in rehearsal.devices
    ]
    bodies += rehearsal.links
    return Topology().merge(
        Event(Stamp(Micros(0), "rehearsal", 0, number, str(number)), body) for number, body in enumerate(bodies)
    )
