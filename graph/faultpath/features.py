"""What speaks for each device of a physical network as the origin of a fault, whether or not it has a sensor.

All features are ranks, ratios, logarithms or distances without a unit, so that weights learnt on some networks serve others.
The evidence is a departure for each sampled signal: what it shows beyond what was to be expected from its state before the
fault, in spreads of such forecasts (`Wander`). A device is likely an origin if the departures look like the network's answer to
a disturbance of it (a matched filter; Kay, Detection Theory, 1998, ch. 4), plainly, or with normal departures whitened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.detection.discrete import by_device
from graph.detection.evidence import Sensing
from graph.faultpath.clues import Clues
from graph.faultpath.influence import Influence
from graph.faultpath.network import GROUNDS, PAIR, Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SINCE = 2
"""The row so long before a fault was noticed is taken to be the last without it."""
LATEST = 6
"""Rows over which departures are averaged."""
LARGEST = 30.0
"""Spreads: beyond it a departure is just large."""
SHRUNK = (1.0, 0.1)
"""Shares of a signal's own variance in the noise that patterns are compared in: all (no whitening), and little."""
REACHES = (0.5, 0.75, 0.9)
"""How fast a sensor's word loses weight with each hop."""
MOST = 1e9
"""What is larger, or no number, is taken to be this."""
LEAST_SIZE = 1e-12
LEAST_LEFT = 0.01
WALK_STEPS, WALK_DAMPING = 30, 0.85
OWN = (
    "sensor",
    "departure",
    "departure ratio",
    "departure early",
    "departure late",
    "tail",
    "tail ratio",
    "residual",
    "residual ratio",
    "rough",
    "largest departure",
    "largest tail",
    "largest residual",
    "departure stands out",
    "residual stands out",
    "score",
)
SHAPE = ("link", "leaf", "one end", "two ends", "degree", "rare kind", "sensors near", "conductance", "gives")
PLANT = ("size", "share sensed", "share departed", "concentration", "second departure", "second residual", "steps", "largest")
NAMES = (
    *OWN,
    "walk",
    "walk log",
    "walk of neighbours",
    *(f"{what} within {reach}" for reach in REACHES for what in ("tail", "departure", "residual", "sign")),
    *(f"near {what}" for what in ("first", "second", "third", "largest departure")),
    *(
        f"{what} {scale} {ground} {shrunk}"
        for scale in ("plain", "log")
        for ground in GROUNDS
        for shrunk in SHRUNK
        for what in ("answer", "answer rank", "answer odds", "answer signed")
    ),
    "alike",
    "alike rank",
    *SHAPE,
    *PLANT,
)


@dataclass(frozen=True)
class Evidence:
    """Of s sampled signals that the plant has: the place of their device, and what they showed.

    `departure` (s) is the mean of the latest rows, `early` and `late` those of the first and last ones, `rough` the change from
    row to row beside the usual one. `size` (s) and `together` (s, s) as in `Wander`.
    """

    place: Ints
    quantity: tuple[str, ...]
    departure: Floats
    early: Floats
    late: Floats
    rough: Floats
    size: Floats
    together: Floats

    @classmethod
    def of(cls, influence: Influence, clues: Clues, sensing: Sensing) -> Evidence:
        """What the rows of a fault (at least one) show; signals of devices that show nothing have no departure."""
        listed = [column for column, (device, _) in enumerate(sensing.columns) if device in influence.place]
        keep = np.array(listed, dtype=np.int64)
        wander = sensing.wander
        rows = np.clip(np.nan_to_num(clues.rows), -MOST, MOST)
        since = max(clues.opened - SINCE, 0)
        after = rows[since + 1 :] if len(rows) > since + 1 else rows[-1:]
        departures = np.clip(wander.departures(after, rows[since]), -LARGEST, LARGEST)
        moved = np.sqrt(np.mean(np.diff(rows[max(since - 1, 0) :], axis=0) ** 2, axis=0)) if len(rows) > 1 else wander.rough
        shown = {device for device, numeric in zip(clues.devices, clues.numeric, strict=True) if numeric}
        at_hand = np.array([sensing.columns[column][0] in shown for column in keep], dtype=bool)
        together = wander.together[np.ix_(keep, keep)] if len(wander.together) else np.eye(len(keep))
        return cls(
            place=np.array([influence.place[sensing.columns[column][0]] for column in keep], dtype=np.int64),
            quantity=tuple(sensing.columns[column][1] for column in keep),
            departure=np.where(at_hand, departures[-LATEST:].mean(axis=0)[keep], 0.0),
            early=np.where(at_hand, departures[:2].mean(axis=0)[keep], 0.0),
            late=np.where(at_hand, departures[-2:].mean(axis=0)[keep], 0.0),
            rough=np.where(at_hand, np.log((moved / wander.rough)[keep] + 0.02), 0.0),
            size=wander.size[keep],
            together=together,
        )


class Patterns:
    """How signals answer to a disturbance at each device, ready to be compared; made once for a topology and its signals.

    `plain[k]` (s, n) are in spreads; `white[k]` is the same after `whitening` (s, s), for each of GROUNDS.
    """

    def __init__(self, network: Network, evidence: Evidence) -> None:
        self.plain = [answer / evidence.size[:, None] for answer in network.answers(evidence.place)]
        shrunk = SHRUNK[1]
        mixed = (1 - shrunk) * evidence.together + shrunk * np.eye(len(evidence.size))
        self.whitening = np.linalg.inv(np.linalg.cholesky(mixed))
        self.white = [self.whitening @ pattern for pattern in self.plain]
        names = sorted(set(evidence.quantity))
        self.groups = [np.array([own == name for own in evidence.quantity]) for name in names]


def features(influence: Influence, network: Network, clues: Clues, evidence: Evidence, patterns: Patterns) -> Floats:
    """(devices of the graph, len(NAMES))."""
    listed = [
        *_own(influence, network, clues, evidence),
        *_walks(influence, network, clues),
        *_around(influence, network, clues, evidence),
        *_answers(evidence, patterns),
        *_alike(network, evidence),
        *_shape(network, evidence),
        *_plant(network, clues, evidence),
    ]
    found: Floats = np.stack([np.asarray(column, dtype=float) for column in listed], axis=1)
    return found


def _own(influence: Influence, network: Network, clues: Clues, evidence: Evidence) -> list[Floats]:
    count, place = network.count, evidence.place
    size = by_device(np.abs(evidence.departure), place, count)
    tail, residual, score = (_spread(influence, clues, part) for part in (clues.tail, clues.conditional, clues.score))
    rough = np.zeros(count)
    rough[place] = evidence.rough
    sensed = np.zeros(count)
    sensed[place] = 1.0
    logs = [np.log1p(np.maximum(part, 0.0)) for part in (size, tail, residual)]
    return [
        sensed,
        logs[0],
        _unit(logs[0]),
        _unit(by_device(np.abs(evidence.early), place, count)),
        _unit(by_device(np.abs(evidence.late), place, count)),
        logs[1],
        _unit(logs[1]),
        logs[2],
        _unit(logs[2]),
        rough,
        *(_largest(part) for part in (size, tail, residual)),
        _standing_out(logs[0], network, place),
        _standing_out(logs[2], network, place),
        np.log1p(score),
    ]


def _spread(influence: Influence, clues: Clues, values: Floats) -> Floats:
    found = np.zeros(len(influence))
    found[[influence.place[device] for device in clues.devices]] = _bounded(values)
    return found


def _bounded(values: Floats) -> Floats:
    return np.clip(np.nan_to_num(values), 0.0, MOST)


def _unit(values: Floats) -> Floats:
    highest = float(values.max(initial=0.0))
    return values / highest if highest > 0 else values


def _largest(values: Floats) -> Floats:
    found = np.zeros(len(values))
    if values.max(initial=0.0) > 0:
        found[int(np.argmax(values))] = 1.0
    return found


def _standing_out(size: Floats, network: Network, place: Ints) -> Floats:
    """By how much a device is stranger than the sensors near it: a sensor's own fault."""
    found = np.zeros(network.count)
    places = np.unique(place)
    weights = 0.75 ** network.hops[np.ix_(places, places)]
    np.fill_diagonal(weights, 0.0)
    near = weights @ size[places] / np.maximum(weights.sum(axis=1), 1e-9)
    found[places] = size[places] - near
    return found


def _walks(influence: Influence, network: Network, clues: Clues) -> list[Floats]:
    """Where a random walk from strange devices against the direction of influence stays, and the same of the neighbours."""
    rank = random_walk(influence, _spread(influence, clues, clues.tail))
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


def _around(influence: Influence, network: Network, clues: Clues, evidence: Evidence) -> list[Floats]:
    """Averages over the sensors around each device, how much their departures agree in sign, and where the strangest are."""
    tail, residual = (np.log1p(_spread(influence, clues, part))[evidence.place] for part in (clues.tail, clues.conditional))
    size = np.log1p(np.abs(evidence.departure))
    hops = network.hops[:, evidence.place]
    listed: list[Floats] = []
    for reach in REACHES:
        weights = reach**hops
        density = weights.sum(axis=1) + 1e-9
        signed = np.abs(weights @ (np.sign(evidence.departure) * size)) / (weights @ size + 1e-9)
        listed += [weights @ _unit(part) / density for part in (tail, size, residual)]
        listed.append(signed)
    order = np.argsort(-tail, kind="stable")
    listed += [1 / (1 + hops[:, order[min(rank, len(order) - 1)]]) for rank in range(3)]
    listed.append(1 / (1 + hops[:, int(np.argmax(size))]))
    return listed


def _answers(evidence: Evidence, patterns: Patterns) -> list[Floats]:
    """How well the departures look like the answer to a disturbance of each device: share explained, its rank, its odds.

    Plainly, each quantity has a scale of its own, as nothing is known of units; whitened, one scale must do.
    """
    listed: list[Floats] = []
    for seen in (evidence.departure, np.sign(evidence.departure) * np.log1p(np.abs(evidence.departure))):
        whole = max(float(seen @ seen), LEAST_SIZE)
        white = patterns.whitening @ seen
        for plain, whitened in zip(patterns.plain, patterns.white, strict=True):
            parts = [_explained(seen[group], plain[group]) for group in patterns.groups]
            listed += _ranked(np.abs(parts).sum(axis=0) / whole, np.sum(parts, axis=0) / whole)
            part = _explained(white, whitened) / max(float(white @ white), LEAST_SIZE)
            listed += _ranked(np.abs(part), part)
    return listed


def _explained(seen: Floats, patterns: Floats) -> Floats:
    """Of the squares of what is seen (s), those along each pattern (s, n); negative where an outflow would show so."""
    squares = (patterns**2).sum(axis=0)
    along = seen @ patterns
    found: Floats = np.where(squares > LEAST_SIZE, along * np.abs(along) / np.maximum(squares, LEAST_SIZE), 0.0)
    return found


def _ranked(share: Floats, signed: Floats) -> list[Floats]:
    share = np.clip(share, 0.0, 1.0)
    return [share, _rank(share), -np.log(1 - share + LEAST_LEFT), signed]


def _rank(values: Floats) -> Floats:
    """1 for the largest, falling with the logarithm of the rank."""
    ranks = np.argsort(np.argsort(-values, kind="stable"), kind="stable")
    found: Floats = 1 - np.log1p(ranks) / np.log1p(len(values))
    return found


def _alike(network: Network, evidence: Evidence) -> list[Floats]:
    """The same with the answer taken from history: sensors near a device vary with the others as they would answer to it."""
    weights = 0.6 ** network.hops[:, evidence.place]
    share = np.zeros(network.count)
    whole = max(float(evidence.departure @ evidence.departure), LEAST_SIZE)
    for name in sorted(set(evidence.quantity)):
        group = np.array([own == name for own in evidence.quantity])
        pattern = evidence.together[:, group] @ weights[:, group].T
        share = np.maximum(share, np.abs(_explained(evidence.departure, pattern)) / whole)
    return [share, _rank(share)]


def _shape(network: Network, evidence: Evidence) -> list[Floats]:
    density = (0.5 ** network.hops[:, evidence.place]).sum(axis=1)
    return [
        network.is_link.astype(float),
        network.is_leaf.astype(float),
        (network.degree == 1).astype(float),
        (network.degree == PAIR).astype(float),
        np.log1p(network.degree),
        network.rare / max(float(network.rare.max()), 1.0),
        np.log1p(density),
        np.log(network.conductance) / 5,
        network.gives,
    ]


def _plant(network: Network, clues: Clues, evidence: Evidence) -> list[Floats]:
    """The same for all devices: how large the plant is, and how large and how concentrated the fault."""
    size = np.sort(np.abs(evidence.departure))[::-1]
    residual = np.sort(_bounded(clues.conditional))[::-1]
    whole = max(float((size**2).sum()), LEAST_SIZE)
    values = (
        np.log(network.count) / 5,
        len(np.unique(evidence.place)) / network.count,
        float((size > 3).mean()),  # noqa: PLR2004 - spreads
        float(size.max(initial=0.0) ** 2) / whole,
        _second(size),
        _second(residual),
        np.log1p(clues.steps) / 3,
        np.log1p(float(size.max(initial=0.0))) / 3,
    )
    return [np.full(network.count, value) for value in values]


def _second(ranked: Floats) -> float:
    return float(ranked[1] / max(float(ranked[0]), 1e-9)) if len(ranked) > 1 else 0.0
