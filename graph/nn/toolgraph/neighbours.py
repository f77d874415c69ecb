"""Earlier instructions that resemble a new one, and the chains that were right for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from graph.nn.toolgraph.chains import Chain, Likely, blended
from graph.nn.toolgraph.grams import Floats, Ints

NEAREST = 12
SHARPNESS = 1.0
GRAMS_WEIGHT = 0.5


@dataclass(frozen=True)
class Near:
    """Places of examples, nearest first, and what their chains say."""

    places: Ints
    likely: Likely


class Neighbours:
    """Instructions by their grams and vectors, and their chains."""

    def __init__(self, rows: Sequence[tuple[Ints, Floats]], vectors: Floats, chains: Sequence[Chain], *, width: int) -> None:
        self.chains, self._vectors, self._width = tuple(chains), vectors, width
        self._rows = _stacked(rows, width)

    def near(self, row: tuple[Ints, Floats], vector: Floats, *, but: NDArray[np.bool_] | None = None) -> Near:
        """The most similar, the nearer the likelier. `but`: marks those that are not to be looked at."""
        similar = self._similar(row, vector, but)
        order = np.argsort(-similar, kind="stable")[:NEAREST]
        near = similar[order]
        share = np.exp(SHARPNESS * (near - near.max(initial=0)) / max(float(near[np.isfinite(near)].std()), 1e-6))
        alone = np.ones(1, np.float32)
        chains = [(float(weight), Likely((self.chains[at],), alone)) for at, weight in zip(order, share, strict=True)]
        return Near(order, blended(chains))

    def _similar(self, row: tuple[Ints, Floats], vector: Floats, but: NDArray[np.bool_] | None) -> Floats:
        similar = GRAMS_WEIGHT * _scaled(self._rows @ _dense(row, self._width)) + _scaled(self._vectors @ vector)
        found: Floats = similar if but is None else np.where(but, -np.inf, similar)
        return found


def _stacked(rows: Sequence[tuple[Ints, Floats]], width: int) -> csr_array:
    starts = np.cumsum([0, *(len(places) for places, _ in rows)])
    places = np.concatenate([places for places, _ in rows]) if rows else np.zeros(0, np.int64)
    weights = np.concatenate([weights for _, weights in rows]) if rows else np.zeros(0, np.float32)
    return csr_array((weights, places, starts), shape=(len(rows), width))


def _dense(row: tuple[Ints, Floats], width: int) -> Floats:
    found = np.zeros(width, np.float32)
    found[row[0]] = row[1]
    return found


def _scaled(values: Floats) -> Floats:
    found: Floats = ((values - values.mean()) / max(float(values.std()), 1e-6)).astype(np.float32)
    return found
