"""Does the graph earn its place? The networks as they are, with edges shuffled, and without edges, on plants never trained on.

Origins: the shipped network on rehearsed faults. Whatever depends on the graph (features, patterns, messages) is made from the
graph in question. Shuffled means that devices of one type have changed places, so that every count and shape is as before.
Predictor: fitted anew for each hearing, on the first part of history. Shuffled means that signals have changed places.
All intervals are of paired differences over plants (bootstrap, 95 %).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.conditional import DAY_SCALE, Rows, Scale
from graph.detection.conditional import fit as fit_linear
from graph.faultpath.clues import Clues
from graph.faultpath.influence import Influence
from graph.nn.cases import LEAST_SENSORS, LOOKED_AT, Stage
from graph.nn.finder import GraphFinder
from graph.nn.hearing import Hearing
from graph.nn.origins import shipped
from graph.nn.predictor import KINDS, LOUDEST, SOFTEST, Learnt, Predictor
from graph.nn.training import BURN, FREEDOM, fit
from graph.rehearsal import FAMILIES, Rehearsal, Trial, UnsolvableError, rehearse, topology
from schemas.device import DeviceId
from schemas.event import Linked
from tests.bench.dynamic import interval, rounded, say

Floats = NDArray[np.float64]

FIRST_SEED = 200_000
GRAPHS = ("real", "shuffled", "none")
EACH = 12
"""Plants of each family for the origins, and"""
FITTED = {"water": 2, "grid": 2, "process": 1}
"""for the predictor."""
TRIALS = 24
SECONDS = 20.0
"""For each fit."""
HELD = 4
"""One part in so many of each stretch of history is not learnt from."""
TAIL = 0.999
SETTLED = 12
"""Rows of a run before its residuals count."""


# --- Graphs -----------------------------------------------------------------------------------------------------------------


def variants(made: Rehearsal, rng: np.random.Generator) -> dict[str, Rehearsal]:
    """The same plant and faults with each of GRAPHS."""
    by_type: dict[str, list[DeviceId]] = {}
    for name, kind, _ in made.devices:
        by_type.setdefault(kind, []).append(name)
    moved: dict[DeviceId, DeviceId] = {}
    for names in by_type.values():
        moved |= dict(zip(names, (DeviceId(str(name)) for name in rng.permutation(names)), strict=True))
    links = tuple(replaced(link, moved) for link in made.links)
    return dict(zip(GRAPHS, (made, replace(made, links=links), replace(made, links=())), strict=True))


def replaced(link: Linked, moved: dict[DeviceId, DeviceId]) -> Linked:
    return msgspec.structs.replace(link, source=moved[link.source], target=moved[link.target])


def plants(family: str) -> Iterator[tuple[str, Rehearsal]]:
    """Held-out plants with enough sensors, one after the other; the pre-training counts its seeds from 0."""
    for seed in count(FIRST_SEED):
        try:
            made = rehearse(seed, family=family, trials=TRIALS)
        except UnsolvableError:
            continue
        if len(made.sensors) >= LEAST_SENSORS:
            yield f"{family}-{seed}", made


# --- Origins ----------------------------------------------------------------------------------------------------------------


@dataclass
class Scores:
    """Of the faults of one plant with one graph: reciprocal ranks of origins early on, F1 of what is affected at the end."""

    ranks: list[float] = field(default_factory=list)
    physical: list[bool] = field(default_factory=list)
    affected: list[float] = field(default_factory=list)

    def measures(self) -> dict[str, float]:
        plant = [rank for rank, physical in zip(self.ranks, self.physical, strict=True) if physical]
        listed = {"MRR": self.ranks, "hit@1": first(self.ranks)}
        listed |= {"MRR, not sensors": plant, "hit@1, not sensors": first(plant), "affectedF1": self.affected}
        return {name: float(np.mean(values or [np.nan])) for name, values in listed.items()}


def first(ranks: Sequence[float]) -> list[float]:
    return [float(rank == 1) for rank in ranks]


def located(made: Rehearsal, rng: np.random.Generator) -> dict[str, Scores]:
    """By graph; and what it is to name the strangest signal's device, which needs no graph."""
    stage = Stage(made)
    graphs = {name: Influence(topology(one)) for name, one in variants(made, rng).items()}
    finders = {name: GraphFinder(shipped()) for name in GRAPHS}
    scores = {name: Scores() for name in (*GRAPHS, "strangest")}
    for trial in made.trials:
        if trial.ends <= trial.begins:
            continue
        steps = list(stage.steps(rows_of(trial.start, made.step, trial.readings)))
        alarm = next((row for row in range(trial.begins, trial.ends) if steps[row].anomalous), None)
        sensing = steps[0].sensing
        if alarm is None or sensing is None:
            continue
        last_row = trial.ends - 1
        early, late = (stage.clues(steps, alarm, row) for row in (min(alarm + LOOKED_AT, last_row), last_row))
        for one in scores.values():
            one.physical.append(not trial.sensor_fault)
        for name, influence in graphs.items():
            soon, last = (finders[name].judge(influence, clues, sensing) for clues in (early, late))
            assert soon is not None
            assert last is not None
            scores[name].ranks.append(reciprocal(influence, soon.origin, trial))
            scores[name].affected.append(overlap(influence, last.already, trial, made))
        scores["strangest"].ranks.append(reciprocal(graphs["real"], strangest(graphs["real"], early), trial))
    return scores


def reciprocal(influence: Influence, likely: Floats, trial: Trial) -> float:
    """Of the best of the true origins; of equals half come before it."""
    best = max(likely[influence.place[device]] for device in trial.origins)
    return float(1 / (1 + (likely > best).sum() + ((likely == best).sum() - 1) / 2))


def strangest(influence: Influence, clues: Clues) -> Floats:
    found = np.zeros(len(influence))
    found[[influence.place[device] for device in clues.devices]] = clues.tail
    return found


def overlap(influence: Influence, already: Floats, trial: Trial, made: Rehearsal) -> float:
    """F1 of the devices that send data and are affected."""
    sensed = {device for device, _ in made.sensors}
    said = {device for device in sensed if already[influence.place[device]] >= 0.5}
    true = sensed & trial.affected.keys()
    return 2 * len(said & true) / max(len(said) + len(true), 1)


def rows_of(start: int, step: int, values: Floats) -> Rows:
    return Rows(start + step * np.arange(len(values), dtype=np.int64), values)


# --- Predictor --------------------------------------------------------------------------------------------------------------


def hearings(made: Rehearsal, rng: np.random.Generator) -> dict[str, Hearing]:
    real = Hearing.live(topology(made), made.sensors)
    to = rng.permutation(len(made.sensors))
    back = np.argsort(to)

    def moved(lists: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(int(to[heard]) for heard in lists[back[ear]]) for ear in range(len(lists)))

    none = tuple(() for _ in made.sensors)
    return dict(zip(GRAPHS, (real, Hearing(moved(real.near), moved(real.causes)), Hearing(none, none)), strict=True))


class Open(Predictor):
    """Keeps the spreads that it predicted."""

    spreads: list[Floats]

    def _head(self, *parts: Any) -> NDArray[np.float32]:
        found = super()._head(*parts)
        self.spreads.append(np.clip(found[:, 1].astype(float), SOFTEST, LOUDEST))
        return found


@dataclass(frozen=True)
class Fitted:
    """A predictor and what it needs to look at rows."""

    learnt: Learnt
    hearing: Hearing
    scale: Scale
    linear: Any

    def look(self, rows: Rows) -> tuple[Floats, Floats]:
        """Residuals and costs (n, 2, d) of rows from SETTLED on."""
        predictor = Open(self.learnt, self.hearing)
        now, past, day = self.scale.features(rows)
        expected = now[:, None] - self.linear.many(np.concatenate([now, past, day], axis=1))[:, [0, 2]]
        known = ~np.isnan(rows.values)
        residuals, spreads = [], []
        for row, at in enumerate(rows.at):
            predictor.spreads = []
            found = predictor.follow(int(at), now[row], known[row], day[row] / DAY_SCALE, expected[row])
            if row >= SETTLED:
                residuals.append(found)
                spreads.append(np.stack(predictor.spreads))
        off = np.array(residuals)
        return np.abs(off), np.array(spreads) + (FREEDOM + 1) / 2 * np.log1p(off**2 / FREEDOM)


def predicted(made: Rehearsal, seed: int, seconds: float) -> dict[str, dict[str, float]]:
    """By graph and measure; faults are those of the trials, normal rows are held out or come before the faults."""
    runs = [rows_of(start, made.step, values) for start, values in zip(made.history_start, made.history, strict=True)]
    learnt_from = [run.part(0, len(run) * (HELD - 1) // HELD) for run in runs]
    held = [run.part(len(run) * (HELD - 1) // HELD, len(run)) for run in runs]
    scale = Scale.learn(learnt_from)
    linear = fit_linear(learnt_from, scale)
    found = {}
    for name, hearing in hearings(made, np.random.default_rng(seed)).items():
        learnt = fit(learnt_from, scale, linear, hearing, step=made.step, seed=seed, seconds=seconds)
        if learnt is not None:
            found[name] = judged(Fitted(learnt, hearing, scale, linear), held, made)
    return found


def judged(fitted: Fitted, held: Sequence[Rows], made: Rehearsal) -> dict[str, float]:
    normal, costs, peaks = [], [], []
    for run in held:
        if len(run) > max(SETTLED, BURN):
            residuals, cost = fitted.look(run)
            normal.append(residuals.max(axis=2))
            costs.append(cost)
    for trial in made.trials:
        residuals, _ = fitted.look(rows_of(trial.start, made.step, trial.readings))
        highest = residuals.max(axis=2)
        if trial.ends > trial.begins:
            peaks.append(highest[trial.begins - SETTLED : trial.ends - SETTLED].max(axis=0))
            highest = highest[: trial.begins - SETTLED]
        normal.append(highest)
    mark, cost = np.quantile(np.concatenate(normal), TAIL, axis=0), np.concatenate(costs).mean(axis=(0, 2))
    over = (np.array(peaks) > mark).mean(axis=0)
    likelihood = {f"log-likelihood, {kind}": -float(cost[number]) for number, kind in enumerate(KINDS)}
    return likelihood | {f"faults seen, {kind}": float(over[number]) for number, kind in enumerate(KINDS)}


# --- Tables -----------------------------------------------------------------------------------------------------------------

Found = dict[str, dict[str, float]]
"""By graph and measure, of one plant."""


def compared(part: str, found: Sequence[Found], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Means over plants of each graph, and how much better the real one is."""
    say(f"{part}: {len(found)} plants\nmeasure | " + " | ".join((*names, *(f"real - {name}" for name in names[1:]))))
    for measure in next(iter(found))["real"]:
        row: dict[str, Any] = {"bench": "ablation", "part": part, "measure": measure, "plants": len(found)}
        cells = []
        for name in names:
            values = [one[name][measure] for one in found]
            row[name] = rounded(interval(values)[0])
            cells.append(f"{row[name]}")
        for name in names[1:]:
            bounds = [rounded(value) for value in interval([one["real"][measure] - one[name][measure] for one in found])]
            row[f"real - {name}"] = bounds
            cells.append("{} [{}, {}]".format(*bounds))
        say(" | ".join((measure, *cells)))
        yield row


def run(*, quick: bool = False) -> Iterator[dict[str, Any]]:
    origins: list[Found] = []
    fits: list[Found] = []
    for family in ("process",) if quick else FAMILIES:
        for number, (name, made) in enumerate(islice(plants(family), 1 if quick else EACH)):
            began = time.perf_counter()
            scores = located(made, np.random.default_rng(number))
            found = {graph: one.measures() for graph, one in scores.items()}
            if scores["real"].ranks:
                origins.append(found)
                yield {"bench": "ablation", "plant": name, "faults": len(scores["real"].ranks), **flat(found)}
            if number < FITTED[family]:
                fits.append(predicted(made, number, 2.0 if quick else SECONDS))
                yield {"bench": "ablation", "plant": name, "part": "predictor", **flat(fits[-1])}
            say(f"{name}: {time.perf_counter() - began:.0f} s; {len(scores['real'].ranks)} faults; {flat(found)}")
    yield from compared("origins", origins, (*GRAPHS, "strangest"))
    yield from compared("predictor", [one for one in fits if len(one) == len(GRAPHS)], GRAPHS)


def flat(found: Found) -> dict[str, float | None]:
    return {f"{graph} {measure}": rounded(value) for graph, one in found.items() for measure, value in one.items()}
