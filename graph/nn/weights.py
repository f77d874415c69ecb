"""What a temporal graph network has learnt, as plain float32 arrays, and the same packed for the kernels.

Shapes: d is the width of a memory, m of a message, t of a time's encoding, o of an embedding (all heads side by side).
"""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.nn.instructions import filled
from graph.nn.tiles import Floats, Matrix, matrix

Doubles = NDArray[np.float64]


class Weights(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Laid out as in torch: a row for each output.

    A time's encoding is cos(frequency * seconds + phase). The memory is a GRU's (rows: reset, update, new) on the node's own
    memory, the other end's, the message and the encoding of the time since the node was last heard (Rossi et al. 2020,
    "Temporal Graph Networks for Deep Learning on Dynamic Graphs"). The embedding is one layer of attention over the recent
    neighbours (Shi et al. 2021, "Masked Label Prediction", PyG's TransformerConv): an edge is [encoding of its age, message].
    """

    frequency: Floats  # (t,), radians a second
    phase: Floats  # (t,)
    gru_input: Floats  # (3d, 2d + m + t)
    gru_input_bias: Floats  # (3d,)
    gru_hidden: Floats  # (3d, d)
    gru_hidden_bias: Floats  # (3d,)
    query: Floats  # (o, d)
    query_bias: Floats  # (o,)
    key: Floats  # (o, d)
    key_bias: Floats  # (o,)
    value: Floats  # (o, d)
    value_bias: Floats  # (o,)
    edge: Floats  # (o, t + m)
    skip: Floats  # (o, d)
    skip_bias: Floats  # (o,)
    heads: int

    def __post_init__(self) -> None:
        d, m, t, o = self.memory, self.message, self.time, self.embedding
        shapes = {
            "phase": (t,), "gru_input": (3 * d, 2 * d + m + t), "gru_input_bias": (3 * d,), "gru_hidden": (3 * d, d),
            "gru_hidden_bias": (3 * d,), "key": (o, d), "key_bias": (o,), "value": (o, d), "value_bias": (o,),
            "query_bias": (o,), "edge": (o, t + m), "skip": (o, d), "skip_bias": (o,),
        }  # fmt: skip
        for name in self.__struct_fields__[:-1]:
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != shapes.get(name, array.shape) or not np.isfinite(array).all():
                raise ValueError(f"{name}: {array.dtype} {array.shape}, not finite float32 of shape {shapes.get(name)}")
        if m < 1 or self.heads < 1 or o % self.heads:
            raise ValueError(f"{self.heads} heads for {o} outputs and messages of {m}")

    @property
    def memory(self) -> int:
        return int(self.query.shape[1])

    @property
    def embedding(self) -> int:
        return int(self.query.shape[0])

    @property
    def time(self) -> int:
        return len(self.frequency)

    @property
    def message(self) -> int:
        return int(self.edge.shape[1]) - self.time

    @classmethod
    def random(cls, seed: int, *, memory: int, message: int, time: int, heads: int = 2) -> Weights:
        """As torch begins, frequencies from a radian a second to one in 30 years (Rossi et al.); as many outputs as memory."""
        rng = np.random.default_rng(seed)
        d, wide = memory, 2 * memory + message + time

        def drawn(*shape: int, inner: int = d) -> Floats:
            return rng.uniform(-1, 1, shape).astype(np.float32) * np.float32(inner**-0.5)

        return cls(
            frequency=(10 ** -np.linspace(0, 9, time)).astype(np.float32),
            phase=drawn(time),
            gru_input=drawn(3 * d, wide),
            gru_input_bias=drawn(3 * d),
            gru_hidden=drawn(3 * d, d),
            gru_hidden_bias=drawn(3 * d),
            query=drawn(d, d),
            query_bias=drawn(d),
            key=drawn(d, d),
            key_bias=drawn(d),
            value=drawn(d, d),
            value_bias=drawn(d),
            edge=drawn(d, time + message, inner=time + message),
            skip=drawn(d, d),
            skip_bias=drawn(d),
            heads=heads,
        )

    def digest(self) -> str:
        """Of all numbers, so that a state never goes on with weights other than its own."""
        digest = hashlib.sha256(f"{self.heads}".encode())
        for name in self.__struct_fields__[:-1]:
            array = getattr(self, name)
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


class Net(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The weights as the kernels want them: inputs split by what they depend on, matrices packed."""

    memory: int
    message: int
    time: int
    embedding: int
    heads: int
    turns: Doubles  # (filled t,), a second
    start: Doubles  # (filled t,)
    own: Matrix  # (d, 4d): reset and update, of input and hidden together; new, of the input; new, of the hidden
    other: Matrix  # (d, 3d): reset, update, new
    said: Matrix  # (m, 3d + o): the same of the message, then what it adds to key and value
    since: Matrix  # (t, 3d): the same of the time since the node was heard
    ask: Matrix  # (d, 2o): query, skip
    recall: Matrix  # (d, 2o): key, value
    wanted: tuple[Matrix, ...]  # for each head (o / heads, t): from a query to what it wants of an encoding of age
    aged: tuple[Matrix, ...]  # for each head (t, o / heads): what encodings of age add to the value


def _turns(radians: Floats) -> Doubles:
    turns = np.zeros(filled(len(radians)))
    turns[: len(radians)] = radians.astype(np.float64) / (2 * np.pi)
    return turns


def packed(weights: Weights) -> Net:
    d, m, t, o = weights.memory, weights.message, weights.time, weights.embedding
    own, other, said, since = np.split(weights.gru_input, np.cumsum([d, d, m]), axis=1)
    hidden, biases = weights.gru_hidden, weights.gru_input_bias + weights.gru_hidden_bias
    age, message = np.split(weights.edge, [t], axis=1)
    by_head = np.split(age, weights.heads)
    join = np.concatenate
    return Net(
        memory=d,
        message=m,
        time=t,
        embedding=o,
        heads=weights.heads,
        turns=_turns(weights.frequency),
        start=_turns(weights.phase),
        own=matrix(
            join([(own + hidden)[: 2 * d], own[2 * d :], hidden[2 * d :]]),
            join([biases[: 2 * d], weights.gru_input_bias[2 * d :], weights.gru_hidden_bias[2 * d :]]),
        ),
        other=matrix(other),
        said=matrix(join([said, message])),
        since=matrix(since),
        ask=matrix(join([weights.query, weights.skip]), join([weights.query_bias, weights.skip_bias])),
        recall=matrix(join([weights.key, weights.value]), join([weights.key_bias, weights.value_bias])),
        wanted=tuple(matrix(head.T) for head in by_head),
        aged=tuple(matrix(head) for head in by_head),
    )
