"""Predicts each sampled signal from what its neighbours show now, and from what controls it and the time of day, with a spread.

Each signal has a voice and two ears in a `TemporalGraph`. The voice remembers what the signal did. The ears remember nothing:
one hears the voices near it, the other only those that control it, so what the signal itself shows never enters its own
prediction, and a deviation that its neighbours explain (an affected device) is told apart from one that they do not (an
origin). Residuals are in spreads that the network predicts as well: a pump's neighbours are hard to predict when it may
switch.

Trained by `graph.nn.training`; this module needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.nn.activation import gelu
from graph.nn.hearing import NEAR, Hearing
from graph.nn.tgn import Listeners, TemporalGraph
from graph.nn.weights import Weights

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

KINDS = ("near", "causes")
"""The two ears, and the two predictions."""
LARGEST = 8.0
"""Spreads from its mean beyond which a signal's value is just large."""
LOUDEST, SOFTEST = 3.0, -4.5
"""Log of the spreads that may be predicted."""
SETTLING = 4
"""Steps after which the voices have something to say."""


class Learnt(msgspec.Struct, frozen=True, eq=False):
    """Of n signals: the graph network, static vectors of voices (n, d) and ears (2, n, d), and for each of KINDS

    the layers of the head that turns an embedding, the time of day and a linear prediction into a correction and a log spread.
    """

    weights: Weights
    voices: NDArray[np.float32]
    ears: NDArray[np.float32]
    heads: tuple[tuple[NDArray[np.float32], ...], ...]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """By name, as safetensors and snapshots hold them."""
        names = [name for name in self.weights.__struct_fields__ if name != "heads"]
        found = {f"graph.{name}": getattr(self.weights, name) for name in names} | {"voices": self.voices, "ears": self.ears}
        for kind, layers in zip(KINDS, self.heads, strict=True):
            found |= {f"head.{kind}.{number}": layer for number, layer in enumerate(layers)}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], heads: int) -> Learnt:
        """The inverse of `arrays`. Raises KeyError for one that is missing, ValueError for one that does not fit."""
        names = [name for name in Weights.__struct_fields__ if name != "heads"]
        weights = Weights(**{name: arrays[f"graph.{name}"] for name in names}, heads=heads)
        layers = [sorted((name for name in arrays if name.startswith(f"head.{kind}.")), key=_number) for kind in KINDS]
        found = cls(weights, arrays["voices"], arrays["ears"], tuple(tuple(arrays[name] for name in part) for part in layers))
        count, width = found.voices.shape
        if found.ears.shape != (len(KINDS), count, width) or width != weights.memory:
            raise ValueError(f"voices {found.voices.shape} and ears {found.ears.shape} do not fit a memory of {weights.memory}")
        return found


def _number(name: str) -> int:
    return int(name.rpartition(".")[2])


class Predictor:
    """Of one site; steps come in the order of time. Missing signals, and all in the first SETTLING steps, have no residual."""

    def __init__(self, learnt: Learnt, hearing: Hearing) -> None:
        self._learnt = learnt
        self._count = len(learnt.voices)
        self._graph = TemporalGraph(learnt.weights, NEAR)
        self._voices = self._graph.join(self._count, learnt.voices)
        self._ears = self._graph.join(2 * self._count, learnt.ears.reshape(2 * self._count, -1))
        self._before: Floats | None = None
        self._steps = 0
        self._hearing = hearing
        self._lists()

    def _lists(self) -> None:
        """Whom each voice reaches: the ears that listen to it."""
        listening: list[list[int]] = [[] for _ in range(self._count)]
        for kind, lists in enumerate((self._hearing.near, self._hearing.causes)):
            for ear, heard in enumerate(lists):
                for voice in heard:
                    listening[voice].append(int(self._ears[kind * self._count + ear]))
        self._listening = [np.array(part, dtype=np.int64) for part in listening]

    def listen(self, hearing: Hearing) -> None:
        """The topology has changed: ears that hear others than before begin anew."""
        if hearing == self._hearing:
            return
        before = (*self._hearing.near, *self._hearing.causes)
        changed = [ear for ear, heard in enumerate((*hearing.near, *hearing.causes)) if heard != before[ear]]
        if changed:
            self._graph.leave(self._ears[changed])
            self._ears[changed] = self._graph.join(len(changed), self._learnt.ears.reshape(2 * self._count, -1)[changed])
        self._hearing = hearing
        self._lists()

    def follow(self, at: int, now: Floats, known: Bools, day: Floats, linear: Floats) -> Floats:
        """Residuals (2, n) of standardised signals (n) at a time (micros), by KINDS; those not `known` say nothing.

        `day` encodes the time of day, `linear` (2, n) is what linear models given all else and given the time of day expect.
        """
        now = np.clip(now, -LARGEST, LARGEST)
        self._speak(at, now, known)
        self._steps += 1
        if self._steps <= SETTLING:
            return np.zeros((len(KINDS), self._count))
        heard = self._graph.embed(self._ears, at).reshape(len(KINDS), self._count, -1)
        linear = np.clip(linear, -LARGEST, LARGEST)
        residuals = []
        for kind, layers in enumerate(self._learnt.heads):
            moved, spread = self._head(layers, heard[kind], day, linear[kind]).T.astype(float)
            residuals.append((now - linear[kind] - moved) * np.exp(-np.clip(spread, SOFTEST, LOUDEST)))
        found: Floats = np.where(known, np.array(residuals), 0.0)
        return found

    def _speak(self, at: int, now: Floats, known: Bools) -> None:
        before = now if self._before is None else self._before
        speaking = np.flatnonzero(known)
        self._before = np.where(known, now, before)
        if not len(speaking):
            return
        said = np.stack([now, np.where(known, now - before, 0.0)], axis=1)[speaking]
        reached = [self._listening[voice] for voice in speaking]
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in reached])])
        slots = np.concatenate(reached)
        self._graph.hear(self._voices[speaking], np.full(len(speaking), at), said, Listeners(offsets, slots), read=False)

    def _head(self, layers: tuple[NDArray[np.float32], ...], heard: Floats, day: Floats, linear: Floats) -> NDArray[np.float32]:
        days = np.broadcast_to(day, (self._count, len(day)))
        hidden = np.concatenate([heard, days, linear[:, None]], axis=1).astype(np.float32)
        for place in range(0, len(layers), 2):
            hidden = hidden @ layers[place].T + layers[place + 1]
            if place + 2 < len(layers):
                hidden = gelu(hidden)
        return hidden

    # --- State ------------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All that is remembered, bit-exact; not what was learnt."""
        before = None if self._before is None else self._before.tobytes()
        slots = (self._voices.tobytes(), self._ears.tobytes())
        return msgspec.msgpack.encode((self._graph.snapshot(), before, self._steps, slots, self._hearing))

    @classmethod
    def restored(cls, learnt: Learnt, state: bytes) -> Predictor:
        """Goes on where a snapshot of the same signals and weights was taken. Raises ValueError."""
        graph, before, steps, slots, hearing = msgspec.msgpack.decode(
            state, type=tuple[bytes, bytes | None, int, tuple[bytes, bytes], Hearing]
        )
        self = cls(learnt, hearing)
        self._graph.restore(graph)
        self._before = None if before is None else np.frombuffer(before, dtype=np.float64).copy()
        self._steps = steps
        self._voices, self._ears = (np.frombuffer(part, dtype=np.int64).copy() for part in slots)
        self._lists()
        return self
