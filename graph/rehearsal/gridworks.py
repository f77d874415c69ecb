"""Designs a random transmission grid that works: lines, transformers between two levels, generators, loads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graph.rehearsal.layout import LEAST_DISTRICT, Layout, districts, one_zone, refine
from graph.rehearsal.loadflow import Grid, Schedule, march
from graph.rehearsal.noise import between
from graph.rehearsal.plant import Bools, Floats, Ints, UnsolvableError

LOWEST, HIGHEST = 0.9, 1.1
"""Per unit: what an operator accepts at mean load."""
TRIES = 8
MOST_CHARGING = 1.2


@dataclass(frozen=True)
class Design:
    """A grid, which of its branches are transformers, and what is fed in (per unit) at mean load.

    `generators` and `loads` are buses; the slack is the first generator; `share` is what each generator has of the total.
    """

    grid: Grid
    transformer: Bools
    generators: Ints
    share: Floats
    loads: Ints
    active: Floats
    reactive: Floats
    angle: Floats

    def schedule(self, factors: Floats, running: Floats, alive: Bools) -> Schedule:
        """What is fed in at `factors` (rows, loads) and `running` (rows, generators) of the mean.

        A generator at 0 is off: the others take over, and its bus no longer holds its voltage.
        """
        rows, count = len(factors), len(self.angle)
        active, reactive = np.zeros((rows, count)), np.zeros((rows, count))
        active[:, self.loads] = -self.active * factors
        reactive[:, self.loads] = -self.reactive * factors
        weight = self.share * running
        weight /= weight.sum(axis=1, keepdims=True)
        active[:, self.generators] -= active.sum(axis=1, keepdims=True) * weight
        holds = np.zeros((rows, count), dtype=bool)
        holds[:, self.generators] = running > 0
        return Schedule(active, reactive, holds, alive)


def lay(rng: np.random.Generator, count: int) -> Layout:
    """A meshed grid of one or several areas; areas hang together by more than one tie."""
    surplus, spurs = rng.uniform(0.2, 0.6), round(count * rng.uniform(0, 0.25))
    core = max(2 * LEAST_DISTRICT, count - spurs)
    if rng.random() < 0.6:  # noqa: PLR2004
        return refine(rng, one_zone(rng, core, surplus), series=0, spurs=spurs)
    layout = districts(rng, core, surplus)
    edges = [layout.edges, layout.gates]
    for one, other in layout.gates:
        for _ in range(int(rng.integers(0, 3))):
            here, there = (np.flatnonzero(layout.zone == layout.zone[bus]) for bus in (one, other))
            edges.append(np.array([[rng.choice(here), rng.choice(there)]], dtype=np.int64))
    joined = np.unique(np.sort(np.concatenate(edges), axis=1), axis=0)
    return refine(rng, Layout(layout.where, joined, layout.zone, layout.gates), series=0, spurs=spurs)


def design(rng: np.random.Generator, count: int) -> Design:
    """A grid of about `count` buses. Raises UnsolvableError where the dice make none."""
    layout = lay(rng, count)
    grid, transformer = _branches(rng, layout)
    buses = len(layout.where)
    chosen = rng.permutation(buses)[: max(2, round(buses * rng.uniform(0.1, 0.4)))]
    share = rng.lognormal(0, rng.uniform(0.2, 0.8), len(chosen))
    loads = np.sort(rng.permutation(buses)[: max(3, round(buses * rng.uniform(0.4, 0.8)))])
    active = rng.lognormal(0, rng.uniform(0.3, 1.0), len(loads))
    reactive = active * rng.uniform(0.05, 0.4, len(loads))
    order = np.argsort(-share)
    built = Design(grid, transformer, chosen[order], share[order] / share.sum(), loads, active, reactive, np.zeros(buses))
    return _loaded(rng, built)


def _branches(rng: np.random.Generator, layout: Layout) -> tuple[Grid, Bools]:
    """Lines by their length; transformers where two levels of voltage meet and, in some grids, at dead ends."""
    start, end = (np.ascontiguousarray(column) for column in layout.edges.T)
    branches, buses = len(start), len(layout.where)
    tilt = layout.where @ rng.normal(size=2) + rng.normal(0, 0.05, buses) * layout.where.std()
    low = tilt < np.quantile(tilt, rng.choice((0.0, rng.uniform(0.2, 0.6))))
    ends = np.bincount(np.concatenate([start, end]), minlength=buses) == 1
    transformer = (low[start] != low[end]) | ((ends[start] | ends[end]) & bool(rng.random() < 0.5))  # noqa: PLR2004
    length = np.linalg.norm(layout.where[start] - layout.where[end], axis=1)
    reactance = length / length.mean() * between(rng, 0.02, 0.2) * rng.lognormal(0, 0.3, branches)
    reactance = np.where(transformer, rng.uniform(0.02, 0.25, branches), np.maximum(reactance, 2e-3))
    resistance = reactance * np.where(
        transformer, rng.uniform(0, 0.04), rng.uniform(0.08, 0.4) * rng.lognormal(0, 0.2, branches)
    )
    charging = np.where(transformer, 0.0, np.minimum(reactance * between(rng, 0.2, 6), MOST_CHARGING))
    tap = np.where(transformer, rng.uniform(0.95, 1.05, branches), 1.0)
    shunt = np.where(rng.random(buses) < rng.uniform(0, 0.15), 1j * rng.uniform(0, 0.3, buses), 0j)
    voltage = rng.uniform(1.0, 1.03) + rng.uniform(-0.02, 0.03, buses)
    rating = np.full(branches, np.inf)
    return Grid(start, end, 1 / (resistance + 1j * reactance), charging, tap, shunt, rating, voltage, 0), transformer


def _loaded(rng: np.random.Generator, built: Design) -> Design:
    """Loads the grid until its angles spread like a real grid's, or less where its voltages would not stand it."""
    grid = built.grid._replace(slack=int(built.generators[0]))
    buses, branches = len(built.angle), len(grid.start)
    feed = np.zeros(buses)
    feed[built.generators] += built.share
    feed[built.loads] -= built.active / built.active.sum()
    matrix = np.zeros((buses, buses))
    for one, other, weight in zip(grid.start, grid.end, 1 / (1 / grid.series).imag, strict=True):
        matrix[one, other] -= weight
        matrix[other, one] -= weight
        matrix[one, one] += weight
        matrix[other, other] += weight
    free = np.arange(buses) != grid.slack
    angle = np.zeros(buses)
    angle[free] = np.linalg.solve(matrix[np.ix_(free, free)], feed[free])
    total = np.radians(rng.uniform(15, 55)) / np.ptp(angle)
    for _ in range(TRIES):
        scale = total / built.active.sum()
        reactive = built.reactive * scale
        tried = Design(
            grid, built.transformer, built.generators, built.share, built.loads, built.active * scale, reactive, angle * total
        )
        one = np.ones((1, len(built.loads))), np.ones((1, len(built.share))), np.ones((1, branches), dtype=bool)
        try:
            size = march(grid, tried.schedule(*one), angle * total, protected=False).size
        except UnsolvableError:
            size = np.zeros(1)
        if size.min() >= LOWEST and size.max() <= HIGHEST:
            return tried
        total *= 0.8
    raise UnsolvableError("no load at which the voltages hold")
