"""What of a physical network depends on its topology alone: hops between all devices, and how it answers to an inflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_DEVICES = 3000
"""Distances between all pairs and an inverse are affordable up to here."""
FAR = 64
PAIR = 2
"""Neighbours of a device that lies between two others, as a pipe does."""
GROUND = 0.05
"""How well each device is held to its usual state by itself, beside its neighbours."""


class Network:
    """What depends on the topology alone, undirected: hops between all devices, and the response to an inflow at each."""

    def __init__(self, count: int, pairs: Iterable[tuple[int, int]], kinds: Sequence[str]) -> None:
        joined = np.zeros((count, count), dtype=bool)
        for source, target in pairs:
            joined[source, target] = joined[target, source] = True
        self.joined = joined
        self.degree = joined.sum(axis=1)
        self.hops = all_hops(joined)
        laplacian = np.diag(self.degree + GROUND) - joined
        self.response = np.linalg.inv(laplacian)
        self.ends = _ends(joined, self.degree)
        share = Counter(kinds)
        self.rare = -np.log(np.array([share[kind] / count for kind in kinds]))


def all_hops(joined: NDArray[np.bool_]) -> Floats:
    """Hops between all pairs, at most FAR, which is also said where there is no way."""
    hops: Floats = shortest_path(csr_array(joined), directed=False, unweighted=True)
    return np.minimum(hops, FAR)


def _ends(joined: NDArray[np.bool_], degree: Ints) -> Ints:
    """The two neighbours of each device that has two (n, 2), else the device itself twice."""
    ends = np.repeat(np.arange(len(joined))[:, None], 2, axis=1)
    for place in np.flatnonzero(degree == PAIR):
        ends[place] = np.flatnonzero(joined[place])
    return ends
