"""Plants that are rebuilt while they run, rightly and announced, with faults before and after: what is a live topology worth?

Three kinds of rebuilding, each in a course of its own: a link is taken out and a spare one put in for it, a link is cut, a
sensor is moved to another place. What is in service is simulated, so a rebuilt plant behaves otherwise without being faulty.
Used by `tests/bench/dynamic.py`; everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from graph.rehearsal.courses import Aftermath, Change, Course, Incident, Rewired
from graph.rehearsal.plant import DAY, HOUR, SECOND, Channel, Fault, Floats, Ints, Run, UnsolvableError
from graph.rehearsal.rehearse import DESIGNS, FAMILIES, MONDAY, PLANTS, WARM_UP_HOURS, Family
from graph.rehearsal.rings import Rings, ends_of
from graph.rehearsal.sensing import SENSOR_FAULTS, Instruments, place, spread_by_hour
from graph.rehearsal.truth import VISIBLE_SPREADS, lasting, limits, onsets
from schemas.device import DeviceId, Relation
from schemas.event import Linked, Unlinked

KINDS = ("rerouted", "moved", "cut")
STEP = 300
RUNS = 3
LINKS: Mapping[str, str] = {"water": "pipe", "grid": "line"}
"""By family, what can be taken out of service."""
PLACES: Mapping[str, tuple[str, Relation, float]] = {
    "water": ("junction", Relation.FEEDS, 0.0),
    "grid": ("bus", Relation.POWERS, 0.8),
}
"""By family, where sensors can be moved to, how they are joined to it, and the least that they read in a plant at work."""
LOGGERS = 4
CHANGES = 3
"""Of each course; a quarter of its faults come before, between and after them."""
SENSOR_SHARE = 0.25
LEAD, GAP, LASTS, REST = 60, (40, 64), (24, 49), 36
"""Rows before all, between faults, of a fault, and after it."""
DRAWS = 30


def rewired(seed: int, family: str, *, kinds: Sequence[str] = KINDS, faults: int = 8, history_days: float = 8.0) -> Rewired:
    """A plant of a family of LINKS with a course of so many faults for each of `kinds`. Raises UnsolvableError."""
    rng = np.random.default_rng(seed)
    for _ in range(PLANTS * DESIGNS):
        try:
            stage = _Stage(rng, FAMILIES[family](rng, STEP), history_days)
            return stage.play(kinds, faults)
        except UnsolvableError:
            continue
    raise UnsolvableError(f"no plant of family {family} can be rebuilt")


class _Rebuilt(NamedTuple):
    """A course before it is run: its changes, which links are out in which rows, which column each logger reads from when."""

    changes: tuple[Change, ...]
    out: tuple[Fault, ...]
    moves: tuple[tuple[int, int, int], ...] = ()
    """(row, logger, column)."""


class _Stage:
    """A plant with spare links that are out, loggers that can be moved, and its history."""

    def __init__(self, rng: np.random.Generator, plant: Family, days: float) -> None:
        self._rng, self._plant = rng, plant
        self._kind, self._relation, self._least = PLACES[plant.family]
        sent = place(rng, plant.channels, plant.shares)
        measured = {plant.channels[column].device for column in sent}
        able = {channel.device for channel in plant.channels if channel.kind == LINKS[plant.family]}
        self._rings = Rings(rng, ends_of(plant.links, able), measured)
        self._pairs = self._rings.pairs(CHANGES)
        self._spares = tuple(spare for _, spare in self._pairs)
        self._loggers = self._drawn_loggers(sent)
        self._rows = round(days * DAY / RUNS / STEP)
        runs = [self._normal(self._spares) for _ in range(RUNS)]
        self._states = [(first, run.states) for first, run in runs]
        exact = np.concatenate([run.values for _, run in runs])
        hour = np.concatenate([(first + np.arange(len(run.values)) * STEP) % DAY // HOUR for first, run in runs])
        self._tools = Instruments.of(rng, plant, sent, spread_by_hour(exact[:, sent], hour))
        self._history = tuple(self._tools.read(rng, run.values) for _, run in runs)
        self._starts = tuple(first * SECOND for first, _ in runs)

    def play(self, kinds: Sequence[str], faults: int) -> Rewired:
        plant, channels = self._plant, self._plant.channels
        devices = [*plant.devices, *((name, "logger", dict[str, float]()) for name in self._loggers.values())]
        sensors = [
            (self._loggers.get(number, channels[column].device), channels[column].signal)
            for number, column in enumerate(self._tools.sent)
        ]
        taps = [self._tap(number, int(self._tools.sent[number])) for number in self._loggers]
        links = [link for link in plant.links if not {link.source, link.target} & set(self._spares)]
        courses = tuple(self._course(kind, faults) for kind in kinds)
        later = tuple(self._later(kind, faults) for kind in kinds)
        parts = tuple(devices), tuple(links + taps), tuple(sensors)
        return Rewired(plant.family, STEP * SECOND, *parts, self._history, self._starts, courses, later)

    # --- What is rebuilt --------------------------------------------------------------------------------------------------

    def _drawn_loggers(self, sent: Ints) -> dict[int, DeviceId]:
        """Some of the sensors at places, by their number, are devices of their own."""
        able = [number for number, column in enumerate(sent) if self._plant.channels[column].kind == self._kind]
        chosen = sorted(self._rng.permutation(able)[:LOGGERS].tolist())
        if len(chosen) < CHANGES:
            raise UnsolvableError("too few sensors can be moved")
        return {number: DeviceId(f"logger-{count}") for count, number in enumerate(chosen, 1)}

    def _tap(self, logger: int, column: int) -> Linked:
        return Linked(self._plant.channels[column].device, self._loggers[logger], self._relation)

    def _rebuilt(self, kind: str, rows: Sequence[int], last: int) -> _Rebuilt:
        """Draws what changes at `rows` of a course that ends at `last`."""
        spares = {spare: Fault("out", spare, 0, last) for spare in self._spares}
        if kind == "moved":
            return self._moved(rows, tuple(spares.values()))
        changes, out = [], list[Fault]()
        for row, (link, spare) in zip(rows, self._pairs, strict=True) if kind == "rerouted" else ():
            changes.append(Change(row, self._unlinked(link), self._linked(spare)))
            spares[spare] = spares[spare]._replace(ends=row)
            out.append(Fault("out", link, row, last))
        for row, link in zip(rows, self._rings.cuts(CHANGES, self._spares), strict=True) if kind == "cut" else ():
            changes.append(Change(row, self._unlinked(link), ()))
            out.append(Fault("out", link, row, last))
        return _Rebuilt(tuple(changes), (*spares.values(), *out))

    def _moved(self, rows: Sequence[int], out: tuple[Fault, ...]) -> _Rebuilt:
        channels = self._plant.channels
        able = [
            column
            for column, channel in enumerate(channels)
            if channel.kind == self._kind and not channel.hidden and column not in self._tools.sent
        ]
        if len(able) < len(rows):
            raise UnsolvableError("no places to move sensors to")
        goals = self._rng.permutation(able)[: len(rows)].tolist()
        loggers = self._rng.permutation(list(self._loggers))[: len(rows)].tolist()
        changes, moves = [], []
        for row, logger, goal in zip(rows, loggers, goals, strict=True):
            old, new = self._tap(logger, int(self._tools.sent[logger])), self._tap(logger, goal)
            changes.append(Change(row, (Unlinked(old.source, old.target, old.relation),), (new,)))
            moves.append((row, logger, goal))
        return _Rebuilt(tuple(changes), out, tuple(moves))

    def _linked(self, link: DeviceId) -> tuple[Linked, ...]:
        return tuple(one for one in self._plant.links if link in {one.source, one.target})

    def _unlinked(self, link: DeviceId) -> tuple[Unlinked, ...]:
        return tuple(Unlinked(one.source, one.target, one.relation) for one in self._linked(link))

    # --- Running it -------------------------------------------------------------------------------------------------------

    def _normal(self, without: Collection[DeviceId]) -> tuple[int, Run]:
        """A normal run from a random time on, warmed up: the second of its first row, and the run."""
        plant, rng, rows = self._plant, self._rng, self._rows
        warm = WARM_UP_HOURS * HOUR // STEP
        first = MONDAY + int(rng.integers(90 * DAY // STEP)) * STEP
        clock = (first + (np.arange(warm + rows) - warm) * STEP) % DAY
        out = [Fault("out", link, 0, warm + rows) for link in without]
        run = plant.simulate(plant.inputs(rng, clock), clock, plant.start(rng), out)
        self._check(run.values, out)
        return first, Run(run.values[warm:], run.states[warm:])

    def _check(self, values: Floats, out: Sequence[Fault]) -> None:
        """Raises UnsolvableError where protection took something out by itself, or a place is starved."""
        gone = np.zeros(len(values), dtype=bool)
        for column, channel in enumerate(self._plant.channels):
            if channel.hidden:
                continue
            if channel.kind == self._kind and values[:, column].min() < self._least:
                raise UnsolvableError("no operator would rebuild the plant so")
            if channel.kind == LINKS[self._plant.family]:
                gone[:] = False
                for fault in out:
                    if fault.device == channel.device:
                        gone[max(fault.begins, 0) : max(fault.ends, 0)] = True
                if ((values[:, column] == 0) & ~gone).any():
                    raise UnsolvableError("a line was overloaded")

    def _course(self, kind: str, count: int) -> Course:
        """Changes between the faults."""
        for _ in range(DRAWS):
            try:
                slots, changes = self._slots(count)
                return self._tried(kind, slots, self._rebuilt(kind, changes, slots[-1][1] + REST), self._states)
            except UnsolvableError:
                continue
        raise UnsolvableError(f"no sound course with what is {kind}")

    def _later(self, kind: str, count: int) -> Aftermath:
        """All changes are made, and a new history begins."""
        for _ in range(DRAWS):
            try:
                slots, _ = self._slots(count)
                rows = slots[-1][1] + REST
                rebuilt = self._rebuilt(kind, [0] * CHANGES, rows)
                without = [fault.device for fault in rebuilt.out if fault.ends == rows]
                runs = [self._normal(without) for _ in range(RUNS)]
                history = tuple(self._tools.read(self._rng, self._seen(run.values, rebuilt, 0)) for _, run in runs)
                course = self._tried(kind, slots, rebuilt, [(first, run.states) for first, run in runs])
                return Aftermath(history, tuple(first * SECOND for first, _ in runs), course)
            except UnsolvableError:
                continue
        raise UnsolvableError(f"the plant does not run with what is {kind}")

    def _tried(
        self, kind: str, slots: Sequence[tuple[int, int]], rebuilt: _Rebuilt, known: Sequence[tuple[int, Floats]]
    ) -> Course:
        """Row by row through quiet times and faults, each from the state that the one before left; begins in a `known` one."""
        rng, plant, rows = self._rng, self._plant, slots[-1][1] + REST
        start, states = known[int(rng.integers(len(known)))]
        row = int(rng.integers(len(states)))
        first = start + row * STEP + int(rng.integers(100, 200)) * DAY
        clock = (first + np.arange(rows) * STEP) % DAY
        run = _Run(plant, plant.inputs(rng, clock), clock, rebuilt.out)
        self._check(run.quiet(states[row], 0, rows).values, rebuilt.out)
        parts, incidents, spoilt = list[Floats](), list[Incident](), list[tuple[int, Fault]]()
        now, at = states[row], 0
        for begins, ends in slots:
            lead = run.quiet(now, at, begins + 1)
            parts.append(lead.values[:-1])
            incident, faulty, sensor = self._struck(run, rebuilt, lead.states[-1], (begins, ends))
            parts.append(faulty.values[:-1])
            incidents.append(incident)
            spoilt += sensor
            now, at = faulty.states[-1], ends
        parts.append(run.quiet(now, at, rows).values)
        exact = self._seen(np.concatenate(parts), rebuilt, 0)
        readings = self._tools.read(rng, exact)
        for number, fault in spoilt:
            self._tools.spoil(readings, number, fault)
        return Course(kind, first * SECOND, self._tools.rounded(readings), rebuilt.changes, tuple(incidents))

    def _slots(self, count: int) -> tuple[list[tuple[int, int]], list[int]]:
        """Rows of faults, and those of changes, each after a third of them."""
        slots, changes, at = list[tuple[int, int]](), list[int](), LEAD
        for number in range(count):
            if number and number % -(-count // (CHANGES + 1)) == 0:
                changes.append(at + REST)
                at += REST + GAP[1]
            begins = at + int(self._rng.integers(*GAP))
            slots.append((begins, begins + int(self._rng.integers(*LASTS))))
            at = slots[-1][1] + REST
        return slots, changes

    def _struck(
        self, run: _Run, rebuilt: _Rebuilt, state: Floats, during: tuple[int, int]
    ) -> tuple[Incident, Run, list[tuple[int, Fault]]]:
        """A fault that sensors can see: the run through it and a row on, and, if it is a sensor's, its number."""
        begins, ends = during
        draw = self._drawn_sensor if self._rng.random() < SENSOR_SHARE else self._drawn
        for _ in range(DRAWS):
            try:
                fault, sensor = draw(run, state, during)
                twin = run.quiet(state, begins, ends + REST)
                faulty = run.quiet(state, begins, ends + REST) if sensor >= 0 else run.spoilt(state, fault, ends + REST)
            except UnsolvableError:
                continue
            incident = self._judged(rebuilt, fault, sensor, twin.values, faulty.values)
            if incident is not None:
                kept = Run(faulty.values[: ends - begins + 1], faulty.states[: ends - begins + 1])
                return incident, kept, [(sensor, fault)] if sensor >= 0 else []
        raise UnsolvableError("no fault can be seen")

    def _drawn_sensor(self, run: _Run, state: Floats, during: tuple[int, int]) -> tuple[Fault, int]:
        rng, channels, tools = self._rng, self._plant.channels, self._tools
        sensor = int(rng.integers(len(tools.sent)))
        kind, column = str(rng.choice(SENSOR_FAULTS)), tools.sent[sensor]
        limit = limits(channels, run.quiet(state, *during).values)[column]
        size = rng.choice((-1, 1)) * rng.uniform(2.5, 9) * max(limit, tools.spread[sensor])
        ramp = during[1] - during[0] if kind == "sensor_drift" else 0
        return Fault(kind, self._loggers.get(sensor, channels[column].device), *during, float(size), ramp), sensor

    def _drawn(self, run: _Run, state: Floats, during: tuple[int, int]) -> tuple[Fault, int]:
        del state
        rng, plant = self._rng, self._plant
        kinds = list(plant.kinds)
        weights = np.array([plant.kinds[kind] for kind in kinds])
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        device, size, hours = plant.draw(kind, rng)
        if any(one.device == device and one.begins < during[1] and during[0] < one.ends for one in run.out):
            raise UnsolvableError("what is out of service cannot break")
        return Fault(kind, device, *during, size, int(hours * HOUR / STEP)), -1

    def _judged(self, rebuilt: _Rebuilt, fault: Fault, sensor: int, twin: Floats, faulty: Floats) -> Incident | None:
        """What a fault did to `twin` rows from its beginning on; None where no sensor could show it."""
        tools, begins, lasts = self._tools, fault.begins, fault.ends - fault.begins
        channels, limit = self._all_channels(), limits(self._plant.channels, twin)
        usual, seen = self._seen(twin, rebuilt, begins), self._seen(faulty, rebuilt, begins)
        if sensor >= 0:
            tools.spoil(seen, int(tools.sent[sensor]), fault.shifted(begins))
        shown = np.maximum(limit[tools.sent], VISIBLE_SPREADS * tools.spread)
        visible = lasting(np.abs(seen - usual)[:, tools.sent] > shown)
        if not visible[:lasts].any():
            return None
        affected: dict[DeviceId, int] = {}
        if sensor < 0:
            read = [int(tools.sent[logger]) for logger in self._loggers]
            departed = np.hstack([np.abs(faulty - twin), np.abs(seen - usual)[:, read]])
            affected = onsets(channels, lasting(departed > np.concatenate([limit, limit[read]]))[:lasts])
        affected |= {fault.device: 0}
        after = np.flatnonzero(visible[lasts:].any(axis=1))
        settled = fault.ends + (int(after[-1]) + 1 if len(after) else 0)
        listed = sorted(affected.items(), key=lambda item: (item[1], item[0]))
        return Incident(fault.kind, fault.device, begins, fault.ends, settled, {name: begins + row for name, row in listed})

    def _all_channels(self) -> list[Channel]:
        channels = self._plant.channels
        taps = [replace(channels[self._tools.sent[logger]], device=name) for logger, name in self._loggers.items()]
        return [*channels, *taps]

    def _seen(self, exact: Floats, rebuilt: _Rebuilt, begins: int) -> Floats:
        """Exact channels from a row on with what loggers read in the columns that they read at first."""
        found = exact.copy()
        for row, logger, column in rebuilt.moves:
            found[max(row - begins, 0) :, self._tools.sent[logger]] = exact[max(row - begins, 0) :, column]
        return found


class _Run(NamedTuple):
    """A plant in a world, with what is out of service."""

    plant: Family
    inputs: Floats
    clock: Ints
    out: tuple[Fault, ...]

    def quiet(self, state: Floats, begins: int, ends: int) -> Run:
        """Rows from a state on, without a fault."""
        return self._go(state, begins, ends, self.out)

    def spoilt(self, state: Floats, fault: Fault, ends: int) -> Run:
        """The same with a fault, from its beginning on."""
        return self._go(state, fault.begins, ends, (*self.out, fault))

    def _go(self, state: Floats, begins: int, ends: int, faults: Sequence[Fault]) -> Run:
        shifted = [fault.shifted(begins) for fault in faults]
        return self.plant.simulate(self.inputs[begins:ends], self.clock[begins:ends], state, shifted)
