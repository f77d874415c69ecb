"""The same trained network on a frozen and on the live topology, on plants that are rebuilt while they run: F1 and latency.

The model and the tracker are those of the service. Each plant is learnt once, from history before anything was rebuilt; then
the same events go twice through detector and tracker: with the topology as it was at the start of the run, and with the live
one. How faults and rebuilding are simulated: `graph.rehearsal.rewiring`. Times are those of one thread's processor.

What was rebuilt looks strange to a model from before. So there is a second question, of the tracker alone: everything was
rebuilt long ago and the detector (without a network) has learnt anew since; what is it worth that the topology was told?
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.detection.detector import Detector
from graph.detection.model import Model
from graph.detection.training import train
from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker
from graph.nn.finder import GraphFinder
from graph.nn.origins import shipped
from graph.nn.training import fit
from graph.rehearsal.courses import Course, Incident, Rewired
from graph.rehearsal.rewiring import KINDS, rewired
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Body, Event, Linked, Micros, Stamp, Telemetry, Unlinked

PLANTS = (*((family, 400_000 + number) for number in range(4) for family in ("water", "grid")),)
QUICK = ("grid", 400_001)
MODES = ("frozen", "live")
LOOK_AT = 6
"""Steps of five minutes after the alarm at which origins are looked at."""
WARM = 100
"""Steps of each run that no latency is taken of: some of what they call is compiled first."""
DRAWS = 4000
MEASURES = ("F1", "detected", "false/day", "time in alarm", "MRR", "affectedF1")

Bools = NDArray[np.bool_]


@dataclass
class Shown:
    """What one way of running showed of a course: alarm or not at each row, each fault's states, seconds for each step."""

    alarm: Bools
    states: list[FaultState] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """One fault as one way of running told it; `reciprocal` and `affected` are None where no alarm was on during it."""

    after: bool
    detected: bool
    reciprocal: float | None
    affected: float | None


@dataclass(frozen=True)
class Told:
    """A course as judged: of rows whether they are faulty, count at all, and come after the first change."""

    kind: str
    faulty: Bools
    counts: Bools
    after: Bools
    alarm: Bools
    found: tuple[Found, ...]
    relearnt: bool = False


# --- Running ----------------------------------------------------------------------------------------------------------------


class Teller:
    """Makes events of one source in order."""

    def __init__(self) -> None:
        self._sequence = 0

    def __call__(self, at: int, body: Body) -> Event:
        self._sequence += 1
        return Event(Stamp(Micros(at), "plant", 0, self._sequence, str(self._sequence)), body)


def opening(plant: Rewired, at: int, tell: Teller) -> list[Event]:
    return [tell(at, body) for body in plant.bodies()]


def readings(plant: Rewired, at: int, row: NDArray[np.float64], tell: Teller) -> list[Event]:
    values = zip(plant.sensors, row.tolist(), strict=True)
    return [tell(at, Telemetry(device, {signal: value})) for (device, signal), value in values]


def history(plant: Rewired, starts: Sequence[int], runs: Sequence[NDArray[np.float64]]) -> Iterator[list[Event]]:
    for start, rows in zip(starts, runs, strict=True):
        tell = Teller()
        found = opening(plant, start - plant.step, tell)
        for row, values in enumerate(rows):
            found += readings(plant, start + row * plant.step, values, tell)
        yield found


def batches(plant: Rewired, course: Course) -> Iterator[list[Event]]:
    """The opening, and then what each step brings; changes are announced a second before the readings that follow them."""
    tell, changes = Teller(), {change.row: change for change in course.changes}
    yield opening(plant, course.start - plant.step, tell)
    for row, values in enumerate(course.readings):
        at = course.start + row * plant.step
        change = changes.get(row)
        bodies: tuple[Body, ...] = () if change is None else (*change.gone, *change.come)
        yield [tell(at - 1_000_000, body) for body in bodies] + readings(plant, at, values, tell)


def show(plant: Rewired, course: Course, model: Model, *, live: bool) -> Shown:
    """All events through detector and tracker, in the pipeline's order."""
    detector, tracker, topology = Detector(model, live=live), FaultTracker(GraphFinder(shipped())), Topology()
    shown = Shown(np.zeros(len(course.readings), dtype=bool))

    def close(until: int) -> None:
        for step in detector.close(Micros(until), topology):
            shown.states += tracker.update(step, topology)
            row = round((step.at - course.start) / plant.step)
            if 0 <= row < len(shown.alarm):
                shown.alarm[row] |= step.anomalous

    now = None
    for number, batch in enumerate(batches(plant, course)):
        began = time.thread_time()
        for event in batch:
            if event.stamp.at != now:
                close(event.stamp.at - 1)
                now = event.stamp.at
            if live or not number or not isinstance(event.body, Linked | Unlinked):
                topology.merge((event,))
            detector.push(event, topology)
        shown.seconds.append(time.thread_time() - began)
    close(course.start + len(course.readings) * plant.step)
    return shown


# --- Judging ----------------------------------------------------------------------------------------------------------------


def told(plant: Rewired, course: Course, shown: Shown, *, relearnt: bool = False) -> Told:
    """Rows after a fault until its traces are gone do not count."""
    rows = np.arange(len(shown.alarm))
    faulty, counts = np.zeros(len(rows), dtype=bool), np.ones(len(rows), dtype=bool)
    for one in course.incidents:
        faulty |= (rows >= one.begins) & (rows < one.ends)
        counts &= (rows < one.ends) | (rows >= one.settled)
    first = course.changes[0].row
    found = tuple(judged(plant, course, one, shown) for one in course.incidents)
    return Told(course.kind, faulty, counts, rows >= first, shown.alarm, found, relearnt)


def judged(plant: Rewired, course: Course, fault: Incident, shown: Shown) -> Found:
    """An alarm that was on already finds nothing; what is said of the fault while it is on counts all the same."""
    during = shown.alarm[fault.begins : fault.ends]
    after = fault.begins >= course.changes[0].row
    detected = bool(during.any()) and not shown.alarm[max(fault.begins - 2, 0) : fault.begins].any()
    if not during.any():
        return Found(after, detected=False, reciprocal=None, affected=None)
    alarm = fault.begins + int(np.argmax(during))
    look = last_state(plant, course, shown, fault, min(alarm + LOOK_AT, fault.ends - 1))
    last = last_state(plant, course, shown, fault, fault.ends - 1)
    named = [device for device, _ in look.origins] if look else []
    rank = named.index(fault.origin) + 1 if fault.origin in named else 0
    sensed = {device for device, _ in plant.sensors}
    true = sensed & fault.affected.keys()
    said: set[DeviceId] = sensed & {device for device, _ in last.affected} if last else set()
    whole = len(true) + len(said)
    return Found(after, detected, 1 / rank if rank else 0.0, 2 * len(true & said) / whole if whole else None)


def last_state(plant: Rewired, course: Course, shown: Shown, fault: Incident, row: int) -> FaultState | None:
    """The newest that was said by a row, from the fault's beginning on; of the fault that was opened last."""
    begins, until = (course.start + at * plant.step for at in (fault.begins, row))
    able = [state for state in shown.states if begins <= state.updated_at <= until]
    return max(able, key=lambda state: (state.updated_at, state.opened_at), default=None)


def measures(listed: Sequence[Told], step: int) -> dict[str, float]:
    """MEASURES over courses, rows of `after` or not being chosen already."""
    if not listed:
        return dict.fromkeys(MEASURES, np.nan)
    faulty, alarm = (np.concatenate([getattr(one, name)[one.counts] for one in listed]) for name in ("faulty", "alarm"))
    begun = sum(int((one.alarm & one.counts & ~one.faulty)[1:][~one.alarm[:-1]].sum()) for one in listed)
    hit = int((faulty & alarm).sum())
    days = (~faulty).sum() * step / 86_400_000_000
    found = [one for course in listed for one in course.found]
    ranks = [one.reciprocal for one in found if one.reciprocal is not None]
    affected = [one.affected for one in found if one.affected is not None]
    values = (
        2 * hit / max(int(faulty.sum() + alarm.sum()), 1),
        float(np.mean([float(one.detected) for one in found] or [np.nan])),
        begun / max(days, 1e-9),
        float(alarm[~faulty].mean()) if (~faulty).any() else np.nan,
        float(np.mean(ranks or [np.nan])),
        float(np.mean(affected or [np.nan])),
    )
    return dict(zip(MEASURES, values, strict=True))


def phase(one: Told, *, after: bool) -> Told:
    """The part of a course before the first change, or from it on."""
    rows, found = one.after == after, tuple(found for found in one.found if found.after == after)
    return Told(one.kind, one.faulty[rows], one.counts[rows], one.after[rows], one.alarm[rows], found)


# --- Tables -----------------------------------------------------------------------------------------------------------------


def chosen(listed: Sequence[Told], name: str) -> list[Told]:
    """The parts of courses that a slice of this name looks at."""
    kind = next((kind for kind in KINDS if kind in name), None)
    courses = [one for one in listed if one.relearnt == ("relearnt" in name) and kind in {None, one.kind}]
    return courses if name in {"all", "relearnt"} else [phase(one, after="before" not in name) for one in courses]


SLICES = ("all", "before", "after", *(f"after, {kind}" for kind in KINDS), "relearnt", *(f"relearnt, {kind}" for kind in KINDS))


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the bounds that 95 % of means of resampled plants lie in (Efron and Tibshirani 1993, ch. 13)."""
    known = np.array([one for one in differences if np.isfinite(one)])
    if not len(known):
        return np.nan, np.nan, np.nan
    drawn = np.random.default_rng(0).choice(known, (DRAWS, len(known))).mean(axis=1)
    return float(known.mean()), float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def rounded(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def tables(runs: Sequence[dict[str, list[Told]]], step: int) -> Iterator[dict[str, Any]]:
    """For each slice and measure the means over plants, and the difference of live and frozen in pairs."""
    for name in SLICES:
        by_mode = {mode: [measures(chosen(run[mode], name), step) for run in runs] for mode in MODES}
        for measure in MEASURES:
            frozen, live = ([one[measure] for one in by_mode[mode]] for mode in MODES)
            mean, low, high = interval([after - before for before, after in zip(frozen, live, strict=True)])
            means = {mode: rounded(interval(values)[0]) for mode, values in zip(MODES, (frozen, live), strict=True)}
            difference = {"difference": rounded(mean), "low": rounded(low), "high": rounded(high)}
            yield {"bench": "dynamic", "slice": name, "measure": measure, **means, **difference}


def latency(mode: str, seconds: Sequence[float]) -> dict[str, Any]:
    """Of the readings of a step through topology, detector and tracker; the first steps compile."""
    p50, p99 = np.quantile(np.array(seconds) * 1000, (0.5, 0.99))
    row = {"bench": "dynamic", "case": f"latency per step, {mode}", "steps": len(seconds)}
    return row | {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Sums:
    """What all plants showed so far."""

    step: int = 1
    runs: list[dict[str, list[Told]]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in MODES})

    def take(self, plant: Rewired, budget: float | None) -> dict[str, Any]:
        """Learn a plant and run its courses."""
        model = train(history(plant, plant.history_start, plant.history), network=fit, budget=budget)
        assert model.predictor is not None
        self.step = plant.step
        self.runs.append({mode: [] for mode in MODES})
        for course in plant.courses:
            self._both(plant, course, model, relearnt=False)
        for later in plant.aftermaths:
            own = train(history(plant, later.history_start, later.history))
            self._both(plant, later.course, own, relearnt=True)
        found = {mode: measures(chosen(self.runs[-1][mode], "all"), plant.step) for mode in MODES}
        return {f"{mode} {name}": rounded(found[mode][name]) for mode in MODES for name in MEASURES}

    def _both(self, plant: Rewired, course: Course, model: Model, *, relearnt: bool) -> None:
        """Which goes first alternates, as the first warms the caches."""
        for mode in MODES if len(self.runs) % 2 else reversed(MODES):
            shown = show(plant, course, model, live=mode == "live")
            self.runs[-1][mode].append(told(plant, course, shown, relearnt=relearnt))
            if not relearnt:
                self.seconds[mode] += shown.seconds[WARM:]


def run(*, quick: bool = False) -> Iterator[dict[str, Any]]:
    sums = Sums()
    for family, seed in [QUICK] if quick else PLANTS:
        began = time.perf_counter()
        plant = rewired(seed, family, kinds=KINDS[:1] if quick else KINDS, history_days=3.0 if quick else 8.0)
        row: dict[str, Any] = {"bench": "dynamic", "plant": f"{family}-{seed}", "devices": len(plant.devices)}
        row |= {"sensors": len(plant.sensors)} | sums.take(plant, 10.0 if quick else None)
        yield row
        say(f"{time.perf_counter() - began:.0f} s: {row}")
    for found in tables(sums.runs, sums.step):
        if found["frozen"] is not None:
            yield found
            say(" | ".join(str(found[name]) for name in ("slice", "measure", *MODES, "difference", "low", "high")))
    for mode in MODES:
        yield latency(mode, sums.seconds[mode])
        say(str(latency(mode, sums.seconds[mode])))
