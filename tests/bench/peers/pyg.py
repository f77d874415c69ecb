"""PyG's parts of a temporal graph network, put together as in its own example (`examples/tgn.py`), without gradients.

Two things are ours: an edge's encoding is of its own age, where the example takes the time since the neighbour was last heard;
and `begin` may say when nodes are first heard, where the example begins at 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.nn import TGNMemory, TransformerConv  # type: ignore[import-untyped]
from torch_geometric.nn.models.tgn import (  # type: ignore[import-untyped]
    IdentityMessage,
    LastAggregator,
    LastNeighborLoader,
)

from graph.nn.weights import Weights

SECOND = 1e-6


class PygGraph:
    """Over one log of events, all arrays (n,) or (n, m): the loader names events by their place in it."""

    def __init__(self, weights: Weights, nodes: int, neighbours: int, *, at: NDArray[np.int64], message: Any) -> None:
        torch.set_num_threads(1)  # two are slower at these sizes
        w, d, m, t = weights, weights.memory, weights.message, weights.time
        self.at, self.message = torch.from_numpy(at), torch.from_numpy(message)
        self.memory = TGNMemory(nodes, m, d, t, IdentityMessage(m, d, t), LastAggregator())
        self.loader = LastNeighborLoader(nodes, neighbours)
        self.attention = TransformerConv(d, w.embedding // w.heads, heads=w.heads, edge_dim=t + m)
        self.place = torch.empty(nodes, dtype=torch.long)
        parts: list[tuple[Any, Any]] = [
            (self.memory.time_enc.lin.weight, w.frequency[:, None] * np.float32(SECOND)),
            (self.memory.time_enc.lin.bias, w.phase),
            (self.memory.gru.weight_ih, w.gru_input),
            (self.memory.gru.bias_ih, w.gru_input_bias),
            (self.memory.gru.weight_hh, w.gru_hidden),
            (self.memory.gru.bias_hh, w.gru_hidden_bias),
            (self.attention.lin_edge.weight, w.edge),
        ]
        for name in ("query", "key", "value", "skip"):
            layer = getattr(self.attention, f"lin_{name}")
            parts += [(layer.weight, getattr(w, name)), (layer.bias, getattr(w, f"{name}_bias"))]
        with torch.no_grad():
            for parameter, value in parts:
                parameter.copy_(torch.from_numpy(value))
        self.memory.eval()
        self.attention.eval()
        self.memory.reset_state()  # `eval` has put all memories through the GRU

    def begin(self, first: NDArray[np.int64]) -> None:
        """When each node is first heard."""
        self.memory.last_update.copy_(torch.from_numpy(first))

    @torch.no_grad()
    def interact(self, source: NDArray[np.int64], target: NDArray[np.int64], first: int) -> NDArray[np.float32]:
        """The events of the log from `first`: embeddings (n, 2, o) from before them, then memory and loader take them in."""
        ends = torch.from_numpy(np.concatenate([source, target]))
        one, other = ends[: len(source)], ends[len(source) :]
        some = slice(first, first + len(source))
        when = self.at[some]
        known, edges, events = self.loader(torch.from_numpy(np.unique(np.concatenate([source, target]))))
        self.place[known] = torch.arange(known.size(0))
        memory, _ = self.memory(known)
        age = self.memory.time_enc((when[-1] - self.at[events]).to(memory.dtype))
        found = self.attention(memory, edges, torch.cat([age, self.message[events]], dim=-1))
        out: NDArray[np.float32] = torch.stack([found[self.place[one]], found[self.place[other]]], dim=1).numpy()
        self.memory.update_state(one, other, when, self.message[some])
        self.loader.insert(one, other)
        return out
