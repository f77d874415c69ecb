"""What of a physical network depends on its topology alone: hops between all devices, and how it answers to a disturbance.

The network is read as potentials (pressures, voltages, levels) at places and flows through links. A type of device of which
each has exactly two neighbours is a link, as pipes and lines are; all others are places. An inflow at a place changes all
potentials by the inverse of the grounded Laplacian (Green's function of the graph; Chung and Yau 2000), and the flow of a link
by the difference over its ends times its conductance. A link that breaks acts as an inflow at one end and an outflow at the
other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from scipy.sparse.csgraph import shortest_path
from scipy.sparse.linalg import splu

from schemas.device import Relation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_DEVICES = 3000
"""Distances between all pairs are affordable up to here."""
FAR = 64
PAIR = 2
"""Neighbours of a device that lies between two others, as a pipe does."""
FLOWS = frozenset({Relation.FEEDS, Relation.POWERS})
"""Relations along which something flows; a plant without any is read as if all did."""
GROUNDS = (0.003, 0.1, 1.0)
"""How well each place is held to its usual state by itself, beside its neighbours: loosely to firmly."""
TIGHT = 10.0
"""Conductance of an edge between two places, which has no device of its own."""
WIDTH_POWER, LENGTH_POWER = 2.63, 0.54
"""Flow in a full pipe at a given loss of head (Hazen and Williams 1905)."""
LEAST_CONDUCTANCE, MOST_CONDUCTANCE = 1e-3, 1e3
UNKNOWN_RANK = 0.9
"""Links that do not say what they are (pumps, valves) conduct like the better ones."""


class Network:
    """Devices are numbered; `drawn` are edges (source, target, relation) in the direction in which they were drawn."""

    def __init__(
        self,
        count: int,
        drawn: Sequence[tuple[int, int, Relation]],
        kinds: Sequence[str],
        properties: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.count = count
        flows = [edge for edge in drawn if edge[2] in FLOWS] or list(drawn)
        self.joined = _joined(count, [(one, other) for one, other, _ in drawn])
        self.degree: Ints = self.joined.sum(axis=1)
        self.hops = all_hops(self.joined)
        self._flowing = _joined(count, [(one, other) for one, other, _ in flows])
        self.is_link, self.is_leaf = _roles(self._flowing.sum(axis=1), kinds)
        self._ends = _ends(self._flowing, self.is_link, flows)
        self.gives = _gives(count, drawn)
        self.conductance = _conductance(self.is_link, properties or [{}] * count)
        share = Counter(kinds)
        self.rare = -np.log(np.array([share[kind] / count for kind in kinds]))

    def answers(self, devices: Ints) -> tuple[Floats, ...]:
        """For each of GROUNDS how `devices` (s) answer to a disturbance at each device (s, count)."""
        return tuple(self._answer(devices, ground) for ground in GROUNDS)

    def _answer(self, devices: Ints, ground: float) -> Floats:
        """Green's function is symmetric: what a device shows of all disturbances is what all show of one at it."""
        places, links = np.flatnonzero(~self.is_link), np.flatnonzero(self.is_link)
        start, end = self._ends.T
        shows = np.zeros((self.count, len(devices)))
        column, linked = np.arange(len(devices)), self.is_link[devices]
        shows[devices[~linked], column[~linked]] = 1.0
        np.add.at(shows, (start[devices[linked]], column[linked]), self.conductance[devices[linked]])
        np.add.at(shows, (end[devices[linked]], column[linked]), -self.conductance[devices[linked]])
        found = np.zeros((len(devices), self.count))
        found[:, places] = splu(self._laplacian(places, ground)).solve(shows[places]).T
        found[:, links] = found[:, start[links]] - found[:, end[links]]
        return found

    def _laplacian(self, places: Ints, ground: float) -> csc_array:
        """Grounded, of the places alone."""
        links = np.flatnonzero(self.is_link)
        one, other = np.nonzero(np.triu(self._flowing))
        weight = np.concatenate([np.full(len(one), TIGHT), self.conductance[links]])
        ends = np.concatenate([np.stack([one, other], axis=1), self._ends[links]])
        among = ~self.is_link[ends].any(axis=1) & (ends[:, 0] != ends[:, 1])
        one, other = (np.searchsorted(places, side) for side in ends[among].T)
        weight = weight[among]
        count = len(places)
        degree = np.bincount(one, weight, count) + np.bincount(other, weight, count) + ground
        row, column = np.concatenate([one, other, np.arange(count)]), np.concatenate([other, one, np.arange(count)])
        return csc_array((np.concatenate([-weight, -weight, degree]), (row, column)), shape=(count, count))


def all_hops(joined: Bools) -> Floats:
    """Hops between all pairs, at most FAR, which is also said where there is no way."""
    hops: Floats = shortest_path(csr_array(joined), directed=False, unweighted=True)
    return np.minimum(hops, FAR)


def _joined(count: int, pairs: Iterable[tuple[int, int]]) -> Bools:
    joined = np.zeros((count, count), dtype=bool)
    for one, other in pairs:
        joined[one, other] = joined[other, one] = True
    np.fill_diagonal(joined, val=False)
    return joined


def _roles(degree: Ints, kinds: Sequence[str]) -> tuple[Bools, Bools]:
    """Which devices are links, and which hang on one other device: by type, as a junction may have two neighbours by chance."""
    degrees: defaultdict[str, set[int]] = defaultdict(set)
    for kind, number in zip(kinds, degree.tolist(), strict=True):
        degrees[kind].add(number)
    links = np.array([degrees[kind] == {PAIR} for kind in kinds], dtype=bool)
    if links.all():
        links[:] = False
    return links, np.array([degrees[kind] <= {0, 1} for kind in kinds], dtype=bool)


def _ends(flowing: Bools, is_link: Bools, drawn: Sequence[tuple[int, int, Relation]]) -> Ints:
    """(count, 2): the two places a link joins, in the direction in which it was drawn; a place twice for itself.

    Two links in a row have no place between them: such a one is no end, its neighbour is left out.
    """
    ends = np.repeat(np.arange(len(flowing))[:, None], 2, axis=1)
    for link in np.flatnonzero(is_link):
        ends[link] = np.flatnonzero(flowing[link])
    for source, target, _ in drawn:
        if is_link[source] and ends[source, 0] == target:
            ends[source] = ends[source, ::-1]
        elif is_link[target] and ends[target, 1] == source:
            ends[target] = ends[target, ::-1]
    return ends


def _gives(count: int, drawn: Sequence[tuple[int, int, Relation]]) -> Floats:
    """1 for a device from which all its edges were drawn, as from a generator to its bus; -1 for one that only takes."""
    balance, edges = np.zeros(count), np.zeros(count)
    for source, target, _ in drawn:
        balance[[source, target]] += (1.0, -1.0)
        edges[[source, target]] += 1.0
    return balance / np.maximum(edges, 1.0)


def _conductance(is_link: Bools, properties: Sequence[Mapping[str, Any]]) -> Floats:
    """(count,): of links by length and diameter where they say so, the median being 1."""
    found = np.full(len(is_link), np.nan)
    for link in np.flatnonzero(is_link).tolist():
        length, diameter = (_positive(properties[link].get(name)) for name in ("length", "diameter"))
        if length and diameter:
            found[link] = diameter**WIDTH_POWER / length**LENGTH_POWER
    known = found[~np.isnan(found)]
    if not len(known):
        return np.ones(len(is_link))
    found = np.where(np.isnan(found), np.quantile(known, UNKNOWN_RANK), found) / np.median(known)
    clipped: Floats = np.clip(found, LEAST_CONDUCTANCE, MOST_CONDUCTANCE)
    return clipped


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < np.inf else None
