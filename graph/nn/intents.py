"""What a part of a sentence asks for, by its vector: multinomial logistic regression on a frozen encoder.

Used by the parser where no cue stands; learnt by `python -m agents.parser.lessons` from labelled parts, and shipped.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Self

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from scipy.optimize import minimize

NOTHING = ""
"""The label of parts that ask for nothing."""
SHIPPED = "intents.safetensors"


class IntentHead:
    """`weights` (labels, dimensions) and `bias` (labels,) of one encoder; labels are tools, or NOTHING.

    Vectors are taken relative to the mean of those that it learnt from: sentences of one encoder all point much the same way.
    """

    def __init__(
        self, labels: tuple[str, ...], weights: NDArray[np.float32], bias: NDArray[np.float32], *, encoder: str
    ) -> None:
        self.labels = labels
        self.encoder = encoder
        self._weights = weights
        self._bias = bias

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, dimensions) -> (n, labels), each row a distribution."""
        return _softmax(vectors.astype(np.float64) @ self._weights.T.astype(np.float64) + self._bias)

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], labels: list[str], *, encoder: str, ridge: float = 0.0001) -> Self:
        """The weights that make the labels most likely; `ridge` is the penalty on their squares, per part.

        >>> head = IntentHead.fit(np.eye(2, dtype=np.float32), ["a", "b"], encoder="e")
        >>> head.probabilities(np.eye(2, dtype=np.float32)).argmax(1).tolist()
        [0, 1]
        """
        names = tuple(sorted(set(labels)))
        wanted = np.zeros((len(labels), len(names)))
        wanted[np.arange(len(labels)), [names.index(label) for label in labels]] = 1.0
        count, dimensions = vectors.shape
        centre = vectors.astype(np.float64).mean(axis=0)
        scale = 1.0 / max(float(np.linalg.norm(vectors - centre, axis=1).mean()), 1e-6)
        inputs = np.hstack([(vectors - centre) * scale, np.ones((count, 1))])

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights = flat.reshape(len(names), dimensions + 1)
            chances = _softmax(inputs @ weights.T)
            penalised = weights.copy()
            penalised[:, -1] = 0.0
            value = -np.log((chances * wanted).sum(1) + 1e-12).mean() + ridge * float((penalised**2).sum())
            return float(value), ((chances - wanted).T @ inputs / count + 2 * ridge * penalised).ravel()

        found = minimize(loss, np.zeros(len(names) * (dimensions + 1)), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        flat = found.x.reshape(len(names), dimensions + 1)
        weights, bias = flat[:, :-1] * scale, flat[:, -1] - flat[:, :-1] @ (centre * scale)
        return cls(names, np.ascontiguousarray(weights, np.float32), bias.astype(np.float32), encoder=encoder)

    def saved(self) -> bytes:
        notes = {"labels": msgspec.json.encode(self.labels).decode(), "encoder": self.encoder}
        return safetensors.numpy.save({"weights": self._weights, "bias": self._bias}, metadata=notes)

    @classmethod
    def loaded(cls, raw: bytes) -> Self:
        length = int.from_bytes(raw[:8], "little")
        notes = msgspec.json.decode(raw[8 : 8 + length])["__metadata__"]
        tensors = safetensors.numpy.load(raw)
        labels = msgspec.json.decode(notes["labels"], type=tuple[str, ...])
        return cls(labels, tensors["weights"], tensors["bias"], encoder=notes["encoder"])


@cache
def shipped_intents() -> IntentHead | None:
    """The head that comes with the service, if it does."""
    path = files("graph.nn") / "shipped" / SHIPPED
    return IntentHead.loaded(path.read_bytes()) if path.is_file() else None


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return chances
