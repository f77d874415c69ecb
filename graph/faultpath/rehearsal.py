"""Learns what the origins of faults look like from random physical networks that it makes up itself.

    python -m graph.faultpath.rehearsal      # prints the weights of `prior.py`

A network is a random set of junctions joined by links, with sources that hold a level and consumers that draw by the hour; the
flow is linear (a resistor network: slow water, direct-current power flow). Each fault (a leak, a broken link, a source or
consumer that trips, a wrong sensor) runs through the real detector; a softmax over all devices learns to name its origin
(conditional logit; McFadden 1974). No public network and no file is involved.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from graph.detection.conditional import Rows
from graph.detection.judge import Findings, Judge
from graph.detection.layout import Layout
from graph.detection.model import Model
from graph.detection.numeric import Follower, train_numeric
from graph.detection.table import Row
from graph.faultpath.clues import Clues
from graph.faultpath.features import NAMES, features
from graph.faultpath.influence import Influence
from graph.faultpath.network import Network
from graph.topology import Topology
from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import Connected, Event, Linked, Micros, Stamp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP = 300_000_000
ROWS = 864
BEFORE = 36
PENALTY = 1e-3
SENSOR_FAULTS, LEAF_FAULTS = 0.2, 0.3
EXTRA_LINKS, CONSUMING = 0.5, 0.6
"""Shares of faults and of places."""
LEAST_SENSORS = 6
NOTICED = 5.0
"""Mean excesses: a fault below it would have raised no alarm."""


@dataclass
class Made:
    """A random network: links join places, the last of which are leaves that feed or draw."""

    ends: Ints
    conductance: Floats
    held: NDArray[np.bool_]
    leaf: NDArray[np.bool_]
    base: Floats
    sensed: Ints
    noise: Floats


def make(rng: np.random.Generator) -> Made:
    """Junctions in the plane, joined to near ones; sources and, on some networks, consumers hang on as leaves."""
    count = int(rng.integers(25, 90))
    where = rng.random((count, 2))
    near = np.asarray(cKDTree(where).query(where, k=3)[1])
    links = {(min(one, other), max(one, other)) for one in range(1, count) for other in [_nearest(where, one)]}
    for one in range(count):
        for other in near[one, 1:3].tolist():
            if rng.random() < EXTRA_LINKS:
                links.add((min(one, other), max(one, other)))
    sources = int(rng.integers(2, 7))
    consumers = int(rng.integers(0, 2) * count // 2)
    hung = [(int(rng.integers(count)), count + number) for number in range(sources + consumers)]
    ends = np.array([*sorted(links), *hung], dtype=np.int64)
    places = count + sources + consumers
    held, leaf = np.zeros(places, dtype=bool), np.zeros(places, dtype=bool)
    held[count : count + sources] = True
    leaf[count:] = True
    base = np.where(leaf, 0.0, rng.lognormal(0, 1, places) * (rng.random(places) < CONSUMING))
    if consumers:
        base[:count] = 0.0
        base[count + sources :] = rng.lognormal(0, 0.7, consumers)
    channels = places + len(ends)
    share = np.where(np.arange(channels) < places, rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.4))
    sensed = np.flatnonzero(rng.random(channels) < share)
    return Made(ends, rng.lognormal(0, 0.8, len(ends)), held, leaf, base, sensed, rng.uniform(0.01, 0.05, channels))


def _nearest(where: Floats, one: int) -> int:
    """The nearest of the earlier junctions: all of them together hang together."""
    return int(np.argmin(((where[:one] - where[one]) ** 2).sum(axis=1)))


def solve(made: Made, conductance: Floats, drawn: Floats, level: Floats) -> Floats:
    """Levels of places and flows of links (n, channels) from what is drawn (n, places) and the levels of sources."""
    places = len(made.base)
    matrix = np.zeros((places, places))
    one, other = made.ends.T
    np.add.at(matrix, (one, other), -conductance)
    np.add.at(matrix, (other, one), -conductance)
    matrix[np.arange(places), np.arange(places)] = -matrix.sum(axis=1) + 1e-6
    free = ~made.held
    right = -drawn[:, free] - level[:, made.held] @ matrix[np.ix_(made.held, free)]
    levels = level.copy()
    levels[:, free] = np.linalg.solve(matrix[np.ix_(free, free)], right.T).T
    return np.concatenate([levels, (levels[:, one] - levels[:, other]) * conductance], axis=1)


def drift(rng: np.random.Generator, rows: int, columns: int, memory: float) -> Floats:
    """Autoregressive noise of unit variance."""
    values = rng.normal(size=(rows, columns))
    for row in range(1, rows):
        values[row] = memory * values[row - 1] + np.sqrt(1 - memory**2) * values[row]
    return values


def loads(made: Made, rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """What is drawn, and the levels of sources, over time."""
    day = 1 + 0.4 * np.sin(2 * np.pi * np.arange(rows) * STEP / 86_400_000_000)
    drawn = made.base * np.maximum(day[:, None] * (1 + 0.15 * drift(rng, rows, len(made.base), 0.8)), 0)
    level = np.where(made.held, 100 + 3 * drift(rng, rows, len(made.base), 0.98), 0.0)
    return drawn, level


@dataclass
class Case:
    """A fault: where it was, as a place in the graph, and the features of all devices."""

    origin: int
    table: Floats


def cases(seed: int, faults: int) -> Iterator[Case]:
    """The faults of one random network."""
    rng = np.random.default_rng(seed)
    made = make(rng)
    if len(made.sensed) < LEAST_SENSORS:
        return
    drawn, level = loads(made, rng, ROWS)
    usual = solve(made, made.conductance, drawn, level)
    noise = made.noise * usual.std(axis=0) + 1e-6
    read = (usual + noise * rng.normal(size=usual.shape))[:, made.sensed]
    at = np.arange(ROWS, dtype=np.int64) * STEP
    numeric = train_numeric([Rows(at, read)], STEP, 3)
    names, topology = describe(made)
    layout = Layout(STEP, False, 0, tuple((names[channel], "value") for channel in made.sensed), (), ())
    model = Model(layout, numeric)
    influence = Influence(topology)
    network = Network(len(influence), influence.relations, influence.kinds)
    spread = usual.std(axis=0)
    for _ in range(faults):
        found = draw(made, rng, spread)
        if found is None:
            continue
        origin, before, during = found
        readings = np.concatenate([before, during]) + noise * rng.normal(size=(len(before) + len(during), len(noise)))
        clues = watch(model, readings[:, made.sensed], len(before))
        if clues.tail.max() > NOTICED:
            yield Case(influence.place[DeviceId(names[origin])], features(influence, network, clues))


def draw(made: Made, rng: np.random.Generator, spread: Floats) -> tuple[int, Floats, Floats] | None:
    """A fault that shows: the channel it is in, and exact channels before and during it."""
    rows = BEFORE + int(rng.integers(6, 36))
    drawn, level = loads(made, rng, rows)
    usual = solve(made, made.conductance, drawn, level)
    spoilt, conductance = drawn.copy(), made.conductance.copy()
    places = len(made.base)
    if rng.random() < SENSOR_FAULTS:
        origin = int(rng.choice(made.sensed))
        faulty = usual.copy()
        faulty[:, origin] += rng.choice((-1, 1)) * rng.uniform(4, 8) * max(spread[origin], 1e-6)
        return origin, usual[:BEFORE], faulty[BEFORE:]
    origin = int(rng.integers(places + len(conductance)))
    if rng.random() < LEAF_FAULTS:
        origin = int(rng.choice(np.flatnonzero(made.leaf)))
    if origin >= places:
        conductance[origin - places] *= 1e-6
    elif made.held[origin]:
        conductance[(made.ends == origin).any(axis=1)] *= 1e-6
    elif made.leaf[origin]:
        spoilt[:, origin] = 0.0
    else:
        spoilt[:, origin] += rng.uniform(0.5, 4.0) * made.base[made.base > 0].mean()
    faulty = solve(made, conductance, spoilt, level)
    shows = np.abs(faulty - usual)[BEFORE:, made.sensed] > 2 * spread[made.sensed]
    return (origin, usual[:BEFORE], faulty[BEFORE:]) if shows.any() and np.isfinite(faulty).all() else None


def describe(made: Made) -> tuple[list[str], Topology]:
    """The network as a graph of devices, links being devices of their own; names and kinds tell nothing of what happens."""
    places = len(made.base)
    kinds = ["source" if held else "consumer" if leaf else "junction" for held, leaf in zip(made.held, made.leaf, strict=True)]
    names = [f"d{channel:04d}" for channel in range(places + len(made.ends))]
    sensed = set(made.sensed.tolist())
    bodies: list[Connected | Linked] = []
    for channel, name in enumerate(names):
        signals = (Signal(SignalName("value"), SignalKind.NUMERIC),) if channel in sensed else ()
        kind = kinds[channel] if channel < places else "link"
        bodies.append(Connected(DeviceId(name), kind, signals=signals))
    for number, (one, other) in enumerate(made.ends):
        link = DeviceId(names[places + number])
        bodies += [
            Linked(DeviceId(names[one]), link, Relation.FEEDS, directed=False),
            Linked(link, DeviceId(names[other]), Relation.FEEDS, directed=False),
        ]
    events = [Event(Stamp(Micros(0), "rehearsal", 0, number, str(number)), body) for number, body in enumerate(bodies)]
    return names, Topology().merge(events)


def watch(model: Model, readings: Floats, before: int) -> Clues:
    """What the detector and the tracker make of it."""
    assert model.numeric is not None
    follower, judge = Follower(model.numeric), Judge(model)
    clues, level = None, np.zeros(0)
    for number, values in enumerate(readings):
        row = Row(Micros(number * STEP), values, fresh=True)
        findings = Findings(row.at, {}, (), strangeness=follower.follow(row), known=np.ones(len(values), dtype=bool))
        step = judge.step(findings)
        level = np.zeros(len(step.devices)) if not number else level
        if number < before:
            level = level + 0.05 * (step.shift - level)
            continue
        clues = clues or Clues.begin(step, level)
        clues.add(step)
    assert clues is not None
    return clues


def learn(listed: Sequence[Case]) -> Floats:
    """Weights (len(NAMES)) that make the true origins most probable."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, slope = 0.0, np.zeros(len(weights))
        for case in listed:
            scores = case.table @ weights
            raised = np.exp(scores - scores.max())
            likely = raised / raised.sum()
            total -= float(np.log(likely[case.origin] + 1e-300))
            slope += likely @ case.table - case.table[case.origin]
        return total / len(listed) + PENALTY * float(weights @ weights), slope / len(listed) + 2 * PENALTY * weights

    found: Floats = minimize(loss, np.zeros(len(NAMES)), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found


def mean_reciprocal_rank(listed: Sequence[Case], weights: Floats) -> float:
    ranks = [1 + int((case.table @ weights > case.table[case.origin] @ weights).sum()) for case in listed]
    return float(np.mean([1 / rank for rank in ranks]))


def main(networks: int = 100, faults: int = 40) -> None:
    listed = [case for seed in range(networks) for case in cases(seed, faults)]
    unseen = [case for seed in range(1000, 1016) for case in cases(seed, faults)]
    weights = learn(listed)
    sys.stdout.write(f"# {len(listed)} faults; MRR {mean_reciprocal_rank(listed, weights):.3f}, ")
    sys.stdout.write(f"on unseen networks {mean_reciprocal_rank(unseen, weights):.3f}\n")
    sys.stdout.writelines(f'    "{name}": {weight:.4f},\n' for name, weight in zip(NAMES, weights, strict=True))


if __name__ == "__main__":
    main()
