"""The temporal graph against PyG's own parts, where both mean the same: single events, times that rise."""

from __future__ import annotations

import numpy as np
import pytest

from graph.nn.tgn import TemporalGraph
from graph.nn.weights import Weights
from tests.graph.nn.streams import START

NODES, EVENTS = 12, 150


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")
def test_agrees_with_pyg() -> None:
    from tests.bench.peers.pyg import PygGraph  # its own imports warn

    rng = np.random.default_rng(1)
    weights = Weights.random(2, memory=100, message=12, time=100)
    source = rng.integers(0, NODES, EVENTS)
    target = (source + rng.integers(1, NODES, EVENTS)) % NODES
    at = START + np.cumsum(rng.integers(1, 3_000_000, EVENTS))
    message = rng.normal(size=(EVENTS, 12)).astype(np.float32)
    peer, graph = PygGraph(weights, NODES, 10, at=at, message=message), TemporalGraph(weights, 10)
    graph.join(NODES)
    first = [at[((source == node) | (target == node)).argmax()] for node in range(NODES)]
    peer.begin(np.array(first))
    expected = [peer.interact(source[event : event + 1], target[event : event + 1], event) for event in range(EVENTS)]
    np.testing.assert_allclose(graph.interact(source, target, at, message), np.concatenate(expected), atol=1e-4)
    np.testing.assert_allclose(graph.memory(np.arange(NODES)), peer.memory.memory.detach().numpy(), atol=1e-4)
