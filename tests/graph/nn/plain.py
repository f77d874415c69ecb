"""The temporal graph network event by event in plain numpy and float64: no batches, no caches. What is meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.nn.weights import Weights

Doubles = NDArray[np.float64]
SECOND = 1e-6


def sigmoid(x: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-x))


@dataclass
class Node:
    memory: Doubles
    static: Doubles
    heard: int | None = None
    ring: list[tuple[Node, int, Doubles]] = field(default_factory=list)
    gone: bool = False


class PlainGraph:
    def __init__(self, weights: Weights, neighbours: int) -> None:
        w = weights
        self.weights, self.neighbours = weights, neighbours
        self.frequency, self.phase = w.frequency.astype(np.float64), w.phase.astype(np.float64)
        self.gru_input, self.gru_hidden = w.gru_input.astype(np.float64), w.gru_hidden.astype(np.float64)
        self.query, self.key, self.value, self.skip, self.edge = (
            part.astype(np.float64) for part in (w.query, w.key, w.value, w.skip, w.edge)
        )
        self.nodes: dict[int, Node] = {}

    def join(self, slots: Any, static: Any = None) -> None:
        d = self.weights.memory
        for place, slot in enumerate(slots):
            self.nodes[int(slot)] = Node(
                np.zeros(d), np.zeros(d) if static is None else np.array(static[place], dtype=np.float64)
            )

    def leave(self, slots: Any) -> None:
        for slot in slots:
            self.nodes.pop(int(slot)).gone = True

    def interact(self, source: Any, target: Any, at: Any, message: Any) -> Doubles:
        out = []
        for s, t, now, said in zip(source, target, at, message, strict=True):
            ends = self.nodes[int(s)], self.nodes[int(t)]
            out.append([self.embedding(end, int(now)) for end in ends])
            self.update(ends[0], ends[1], int(now), said)
        return np.array(out)

    def update(self, source: Node, target: Node, now: int, said: Doubles) -> None:
        new = self.step(source, target.memory, now, said), self.step(target, source.memory, now, said)
        source.memory, target.memory = new
        source.heard = target.heard = now
        self.put(source, target, now, said)
        self.put(target, source, now, said)

    def hear(self, node: Any, at: Any, message: Any, listeners: list[list[int]]) -> Doubles:
        out = []
        for slot, now, said, others in zip(node, at, message, listeners, strict=True):
            own = self.nodes[int(slot)]
            out.append(self.embedding(own, int(now)))
            own.memory, own.heard = self.step(own, np.zeros(self.weights.memory), int(now), said), int(now)
            for other in others:
                self.put(self.nodes[other], own, int(now), said)
        return np.array(out)

    def put(self, owner: Node, about: Node, now: int, said: Doubles) -> None:
        owner.ring = [*owner.ring, (about, now, said)][-self.neighbours :]

    def encoding(self, ticks: int) -> Doubles:
        seconds = np.float64(np.float32(max(ticks, 0) * SECOND))
        encoded: Doubles = np.cos(self.frequency * seconds + self.phase)
        return encoded

    def step(self, own: Node, other: Doubles, now: int, said: Doubles) -> Doubles:
        w = self.weights
        gap = 0 if own.heard is None else now - own.heard
        inputs = np.concatenate([own.memory, other, said, self.encoding(gap)])
        from_input = np.split(self.gru_input @ inputs + w.gru_input_bias, 3)
        from_hidden = np.split(self.gru_hidden @ own.memory + w.gru_hidden_bias, 3)
        reset, update = sigmoid(from_input[0] + from_hidden[0]), sigmoid(from_input[1] + from_hidden[1])
        new = np.tanh(from_input[2] + reset * from_hidden[2])
        stepped: Doubles = (1 - update) * new + update * own.memory
        return stepped

    def embedding(self, node: Node, now: int) -> Doubles:
        w = self.weights
        x = node.memory + node.static
        query = (self.query @ x + w.query_bias).reshape(w.heads, -1)
        out: Doubles = self.skip @ x + w.skip_bias
        keys, values = [], []
        for about, at, said in node.ring:
            if not about.gone:
                other = about.memory + about.static
                edge = self.edge @ np.concatenate([self.encoding(now - at), said])
                keys.append((self.key @ other + w.key_bias + edge).reshape(w.heads, -1))
                values.append((self.value @ other + w.value_bias + edge).reshape(w.heads, -1))
        if not keys:
            return out
        scores = np.einsum("hc,nhc->nh", query, np.array(keys)) / np.sqrt(query.shape[1])
        shares = np.exp(scores - scores.max(axis=0))
        shares /= shares.sum(axis=0)
        out += np.einsum("nh,nhc->hc", shares, np.array(values)).reshape(-1)
        return out
