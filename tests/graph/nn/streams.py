"""Streams of events for the temporal graph, drawn from a seed: few nodes, so that they often meet."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.nn.tgn import Listeners, TemporalGraph
from graph.nn.weights import Weights

START = 1_767_571_200_000_000
WEIGHTS = Weights.random(7, memory=20, message=5, time=11, heads=2)
NEIGHBOURS = 4


class Stream(NamedTuple):
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    at: NDArray[np.int64]
    message: NDArray[np.float32]

    def part(self, first: int, last: int) -> Stream:
        some = slice(first, last)
        return Stream(self.source[some], self.target[some], self.at[some], self.message[some])


def stream(seed: int, count: int, *, nodes: int = 6, message: int = 5) -> Stream:
    """Self-interactions, equal times and clocks that go back occur."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([0, 1, 1000, 2_000_000, 3_600_000_000, -5_000_000], count)
    said = rng.normal(size=(count, message)).astype(np.float32)
    return Stream(rng.integers(0, nodes, count), rng.integers(0, nodes, count), START + np.cumsum(steps), said)


def audience(seed: int, count: int, *, nodes: int = 6) -> list[list[int]]:
    """Who listens to each event: up to three."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, nodes, rng.integers(0, 4)).tolist() for _ in range(count)]


def listeners(lists: list[list[int]]) -> Listeners:
    offsets = np.cumsum([0, *map(len, lists)])
    return Listeners(offsets, np.array([slot for some in lists for slot in some], dtype=np.int64))


def fresh(nodes: int = 6, weights: Weights = WEIGHTS, neighbours: int = NEIGHBOURS) -> TemporalGraph:
    graph = TemporalGraph(weights, neighbours)
    graph.join(nodes)
    return graph


def statics(seed: int, nodes: int = 6) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(nodes, WEIGHTS.memory)).astype(np.float32)


def everything(graph: TemporalGraph, nodes: Any, at: int) -> tuple[bytes, bytes]:
    """What can be seen of a graph, bit for bit."""
    return graph.memory(nodes).tobytes(), graph.embed(nodes, at).tobytes()
