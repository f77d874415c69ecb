"""What speaks for each device of a physical network as the origin of a fault, whether or not it has a sensor.

All features are ranks, ratios or distances without a unit, so that weights learnt on one network can serve another
(notes on generic finders: one softmax over all devices). Sums over graph distance have the sensors' density as denominator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph.faultpath.clues import Clues
from graph.faultpath.influence import Influence
from graph.faultpath.network import PAIR, Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REACHES = (0.5, 0.75, 0.9)
"""How fast a sensor's word loses weight with each hop."""
LEAST_SIZE = 1e-12
WALK_STEPS, WALK_DAMPING = 30, 0.85
NAMES = (
    "sensor",
    "own tail",
    "own tail log",
    "own shift",
    "own residual",
    "own is strangest",
    "own stands out",
    "walk",
    "walk log",
    "walk of neighbours",
    *(f"{what} within {reach}" for reach in REACHES for what in ("tail", "shift", "residual", "sign")),
    "hops to first",
    "hops to second",
    "hops to third",
    "hops to largest shift",
    "response to inflow",
    "response to break",
    "inflow rank",
    "break rank",
    "two ends",
    "one end",
    "rare kind",
    "sensor near",
)


def features(influence: Influence, network: Network, clues: Clues) -> Floats:
    """(devices of the graph, len(NAMES))."""
    count = len(influence)
    has = np.array(
        [bool(numeric) and device in influence.place for device, numeric in zip(clues.devices, clues.numeric, strict=True)]
    )
    sensors = np.array(
        [influence.place[device] for device, seen in zip(clues.devices, has, strict=True) if seen], dtype=np.int64
    )
    tail = np.log1p(np.maximum(clues.tail[has], 0.0))
    shift = clues.mean_shift[has]
    residual = np.log1p(clues.conditional[has])
    size = np.log1p(np.abs(shift))
    hops = network.hops[:, sensors]
    own = np.zeros((5, count))
    own[:, sensors] = [np.ones(len(sensors)), _unit(tail), tail, _unit(size), _unit(residual)]
    listed = [*own, *_standing_out(tail, network, sensors, count), *_walks(influence, network, tail, sensors)]
    for reach in REACHES:
        listed += _near(reach**hops, tail, shift, residual)
    order = np.argsort(-tail, kind="stable")
    listed += [_closeness(hops[:, order[min(rank, len(order) - 1)]]) for rank in range(3)]
    listed.append(_closeness(hops[:, int(np.argmax(size))]))
    listed += _responses(network, sensors, shift)
    listed += [network.degree == PAIR, network.degree == 1, network.rare / max(network.rare.max(), 1.0)]
    density = (0.5**hops).sum(axis=1)
    listed.append(np.log1p(density))
    found: Floats = np.stack([np.asarray(column, dtype=float) for column in listed], axis=1)
    return found


def _unit(values: Floats) -> Floats:
    highest = float(values.max(initial=0.0))
    return values / highest if highest > 0 else values


def _standing_out(tail: Floats, network: Network, sensors: Ints, count: int) -> list[Floats]:
    """Whether a device is the strangest, and by how much it is stranger than the sensors near it: a sensor's own fault."""
    strangest, standing = np.zeros(count), np.zeros(count)
    strangest[sensors[int(np.argmax(tail))]] = 1.0
    weights = 0.75 ** network.hops[np.ix_(sensors, sensors)]
    np.fill_diagonal(weights, 0.0)
    near = weights @ tail / np.maximum(weights.sum(axis=1), 1e-9)
    standing[sensors] = tail - near
    return [strangest, standing / max(float(tail.max()), 1e-9)]


def _walks(influence: Influence, network: Network, tail: Floats, sensors: Ints) -> list[Floats]:
    """Where a random walk from strange devices against the direction of influence stays, and the same of the neighbours."""
    start = np.zeros(len(influence))
    start[sensors] = np.expm1(tail)
    rank = random_walk(influence, start)
    rank = rank / max(float(rank.max()), 1e-12)
    near = network.joined @ rank / np.maximum(network.degree, 1)
    return [rank, np.log(rank + 1e-4) / 10, near]


def random_walk(influence: Influence, start: Floats) -> Floats:
    """Personalised PageRank (Page et al. 1999) against the direction of influence; what has no cause stays."""
    total = float(start.sum())
    if total <= 0:
        return np.full(len(start), 1 / max(len(start), 1))
    pairs = np.array([(effect, cause) for effect, causes in enumerate(influence.backward) for cause in causes or (effect,)])
    share = 1 / np.bincount(pairs[:, 0], minlength=len(start))[pairs[:, 0]]
    start = start / total
    rank = start
    for _ in range(WALK_STEPS):
        moved = np.bincount(pairs[:, 1], weights=rank[pairs[:, 0]] * share, minlength=len(start))
        rank = WALK_DAMPING * moved + (1 - WALK_DAMPING) * start
    return rank


def _near(weights: Floats, tail: Floats, shift: Floats, residual: Floats) -> list[Floats]:
    """Averages over the sensors around each device, and how much their shifts agree in sign."""
    density = weights.sum(axis=1) + 1e-9
    size = np.log1p(np.abs(shift))
    bare = weights @ size
    signed = np.abs(weights @ (np.sign(shift) * size)) / (bare + 1e-9)
    return [weights @ _unit(tail) / density, weights @ _unit(size) / density, weights @ _unit(residual) / density, signed]


def _closeness(hops: Floats) -> Floats:
    closeness: Floats = 1 / (1 + hops)
    return closeness


def _responses(network: Network, sensors: Ints, shift: Floats) -> list[Floats]:
    """How well the shifts look like the response to an inflow at each device, or to a break of it, as squared correlation."""
    seen = np.sign(shift) * np.log1p(np.abs(shift))
    inflow = network.response[sensors]
    broken = inflow[:, network.ends[:, 0]] - inflow[:, network.ends[:, 1]]
    alike = [_correlation(seen, part) for part in (inflow, broken)]
    return [*alike, *(np.argsort(np.argsort(part)) / len(part) for part in alike)]


def _correlation(seen: Floats, patterns: Floats) -> Floats:
    size = (seen @ seen) * (patterns**2).sum(axis=0)
    found: Floats = np.where(size > LEAST_SIZE, (seen @ patterns) ** 2 / np.maximum(size, LEAST_SIZE), 0.0)
    return found
