"""Layers of BERT (Devlin et al. 2019), applied with numpy. MiniLM has such, `graph.nn.toolgraph.taught` teaches them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HEAD = 32
"""Width of a head of attention."""
TINY = np.float32(1e-12)
ERROR_FUNCTION = tuple(np.float32(part) for part in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
"""Abramowitz and Stegun 7.1.26: within 2e-7, and four times as fast as scipy's."""
MAPS = {"ask": (3, 1), "hear": (1, 1), "wide": (4, 1), "narrow": (1, 4)}
"""Out and in, in widths of the layer."""
NORMS = ("hear_norm", "out_norm")


class Layer:
    """What tokens hear from each other, and what each makes of it.

    `weights`: a weight and a bias of each of `MAPS` and `NORMS`.
    """

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        """Raises KeyError, ValueError where parts are missing or do not fit."""
        part = {name: values.astype(np.float32) for name, values in weights.items()}
        self.width = width = len(part["out_norm.bias"])
        sizes: dict[str, tuple[int, ...]] = {
            f"{name}.weight": (out * width, into * width) for name, (out, into) in MAPS.items()
        }
        sizes |= {f"{name}.bias": (out * width,) for name, (out, _) in MAPS.items()}
        sizes |= {f"{name}.{end}": (width,) for name in NORMS for end in ("weight", "bias")}
        if strange := [name for name, size in sizes.items() if part[name].shape != size or width % HEAD]:
            raise ValueError(f"{strange[0]} does not fit a layer of width {width}")
        self._ask, self._hear, self._wide, self._narrow = (
            (np.ascontiguousarray(part[f"{name}.weight"].T), part[f"{name}.bias"]) for name in MAPS
        )
        self._hear_norm, self._out_norm = ((part[f"{name}.weight"], part[f"{name}.bias"]) for name in NORMS)

    def __call__(self, states: Floats) -> Floats:
        """(m, width) of the tokens of one text."""
        many, width = states.shape
        query, key, value = _mapped(states, self._ask).reshape(many, 3, width // HEAD, HEAD).transpose(1, 2, 0, 3)
        near: Floats = query @ key.transpose(0, 2, 1)
        near -= near.max(axis=-1, keepdims=True)
        np.exp(near, out=near)
        near /= near.sum(axis=-1, keepdims=True)
        said: Floats = (near @ value).transpose(1, 0, 2).reshape(many, width)
        heard = _mapped(said, self._hear)
        heard += states
        states = normed(heard, *self._hear_norm)
        found = _mapped(gelu(_mapped(states, self._wide)), self._narrow)
        found += states
        return normed(found, *self._out_norm)


def fused(weights: Mapping[str, Floats], name: str) -> dict[str, Floats]:
    """A layer as `Layer` reads it, from one as BERT's files hold it: the root of a head's width is in the questions."""
    names = {
        "hear": "attention.output.dense",
        "hear_norm": "attention.output.LayerNorm",
        "wide": "intermediate.dense",
        "narrow": "output.dense",
        "out_norm": "output.LayerNorm",
    }
    found = {f"{ours}.{end}": weights[f"{name}.{theirs}.{end}"] for ours, theirs in names.items() for end in ("weight", "bias")}
    for end in ("weight", "bias"):
        query, key, value = (weights[f"{name}.attention.self.{one}.{end}"] for one in ("query", "key", "value"))
        found[f"ask.{end}"] = np.concatenate([query * np.float32(HEAD**-0.5), key, value])
    return found


def gelu(values: Floats) -> Floats:
    """Each value times the normal distribution function of it (Hendrycks and Gimpel 2016).

    >>> [round(float(value), 4) for value in gelu(np.array([-1, 0, 1], np.float32))]
    [-0.1587, 0.0, 0.8413]
    """
    size = np.abs(values)
    scaled = size * np.float32(0.5**0.5)
    inner = np.reciprocal(np.float32(0.3275911) * scaled + 1)
    tail = ERROR_FUNCTION[0] * inner
    for part in ERROR_FUNCTION[1:]:
        tail += part
        tail *= inner
    scaled *= scaled
    tail *= np.exp(-scaled)
    tail *= np.float32(0.5)
    tail *= size
    found: Floats = np.maximum(values, 0) - tail
    return found


def normed(values: Floats, weight: Floats, bias: Floats) -> Floats:
    values = values - values.mean(axis=1, keepdims=True)
    values /= np.sqrt((values * values).mean(axis=1, keepdims=True) + TINY)
    values *= weight
    values += bias
    return values


def _mapped(values: Floats, by: tuple[Floats, Floats]) -> Floats:
    found: Floats = values @ by[0]
    found += by[1]
    return found
