"""A graph network that says of each device of a plant whether a fault began there, reaches it, or passes through it.

It reads the features of `graph.faultpath.features` at one time and passes messages over the live topology, so it serves plants
that it was never trained on. Weights are learnt on rehearsed plants (`graph.nn.pretraining`) and ship
with the package; this module only applies them, with numpy, so no torch is loaded in service.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from scipy.sparse import csr_array
from scipy.special import log_softmax

from graph.faultpath.features import NAMES
from graph.nn.activation import gelu

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SHIPPED = Path(__file__).parent / "shipped" / "origins.safetensors"
FORMAT = "openautoglm-origins-2"
CLIP = 8.0
NORM_EPSILON = 1e-5
OUTPUTS = ("origin", "already", "affected", "carrying")
MESSAGES = 5
"""What a layer reads: a device, mean and largest of its neighbours, mean and largest of the plant."""


class WeightsError(Exception):
    """A file of weights cannot be read or does not fit this version."""


class Neighbourhood:
    """Edges of influence, read both ways: what a device's messages come from."""

    def __init__(self, count: int, pairs: Ints) -> None:
        both = np.unique(np.concatenate([pairs, pairs[::-1]], axis=1), axis=1)
        order = np.lexsort((both[0], both[1]))
        self.source, target = both[0][order], both[1][order]
        self.starts = np.flatnonzero(np.diff(target, prepend=-1))
        self.reached = target[self.starts]
        degree = np.bincount(target, minlength=count)
        share = (1 / np.maximum(degree, 1)).astype(np.float32)
        self.mean = csr_array((share[target], (target, self.source)), shape=(count, count))

    def largest(self, hidden: Floats) -> Floats:
        """Of each device's neighbours, the largest of each value; 0 where it has none."""
        found = np.zeros_like(hidden)
        if len(self.source):
            found[self.reached] = np.maximum.reduceat(hidden[self.source], self.starts, axis=0)
        return found


class OriginNetwork:
    """Several networks that learnt the same from different draws, asked together: their mistakes differ.

    `weights` by name as `pretraining.Ensemble` holds them; `figures` say how good they were where.
    """

    def __init__(self, weights: Mapping[str, Floats], figures: Mapping[str, Any]) -> None:
        self.figures = figures
        self.digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest()
        self._members = [Member(part) for part in members(weights)]

    def __call__(self, table: NDArray[Any], neighbourhood: Neighbourhood) -> Floats:
        """(n, features) -> (n, OUTPUTS): logits; the origin's are logs of shares that sum to 1, averaged over the members."""
        logits = [member(table, neighbourhood) for member in self._members]
        for found in logits:
            found[:, 0] = log_softmax(found[:, 0])
        mean: Floats = np.mean(logits, axis=0)
        return mean


def members(weights: Mapping[str, Floats]) -> list[dict[str, Floats]]:
    """The weights of each member, by the number that their names begin with."""
    found: defaultdict[str, dict[str, Floats]] = defaultdict(dict)
    for name, part in weights.items():
        number, _, rest = name.partition(".")
        found[number][rest] = part
    return [found[number] for number in sorted(found)]


class Member:
    """One network."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._weights = weights
        self.layers = sum(name.startswith("mix.") and name.endswith(".weight") for name in weights)

    def __call__(self, table: NDArray[Any], neighbourhood: Neighbourhood) -> Floats:
        """(n, features) -> (n, 4): logits of OUTPUTS; those of an origin are for a softmax over all devices."""
        weights = self._weights
        scaled = np.clip((table - weights["mean"]) / weights["spread"], -CLIP, CLIP).astype(np.float32)
        hidden = gelu(self._linear("read", scaled))
        for layer in range(self.layers):
            whole = [np.broadcast_to(part, hidden.shape) for part in (hidden.mean(axis=0), hidden.max(axis=0))]
            seen = np.concatenate([hidden, neighbourhood.mean @ hidden, neighbourhood.largest(hidden), *whole], axis=1)
            hidden = self._norm(layer, hidden + gelu(self._linear(f"mix.{layer}", seen)))
        found: Floats = self._linear("write", hidden) + self._linear("skip", scaled)
        return found

    def _linear(self, name: str, values: Floats) -> Floats:
        found: Floats = values @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return found

    def _norm(self, layer: int, values: Floats) -> Floats:
        centred = values - values.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + NORM_EPSILON)
        found: Floats = centred / spread * self._weights[f"norm.{layer}.weight"] + self._weights[f"norm.{layer}.bias"]
        return found


@cache
def shipped() -> OriginNetwork:
    """The weights of this package."""
    return load(SHIPPED)


def load(path: Path) -> OriginNetwork:
    """Weights from a file. Raises WeightsError."""
    try:
        with safe_open(path, framework="numpy") as held:
            header = held.metadata() or {}
            weights = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: no weights can be read here: {error}") from error
    if header.get("format") != FORMAT:
        raise WeightsError(f"{path}: format {header.get('format')!r}, this version reads {FORMAT!r}")
    try:
        names, figures = json.loads(header.get("features", "[]")), json.loads(header.get("figures", "{}"))
    except ValueError as error:
        raise WeightsError(f"{path}: its header is no JSON: {error}") from error
    if names != list(NAMES):
        raise WeightsError(f"{path}: made for other features than those of this version")
    whole = [{name: part.shape for name, part in member.items()} == _shapes(member) for member in members(weights)]
    if not whole or not all(whole):
        raise WeightsError(f"{path}: parts of the network are missing or do not fit each other")
    for name, part in weights.items():
        if not np.isfinite(part).all():
            raise WeightsError(f"{path}: {name} holds something that is no finite number")
    return OriginNetwork(weights, figures)


def _shapes(weights: Mapping[str, Floats]) -> dict[str, tuple[int, ...]]:
    """What a network of this width and so many layers consists of."""
    width, inputs, outputs = len(weights.get("read.bias", ())), len(NAMES), len(OUTPUTS)
    shapes: dict[str, tuple[int, ...]] = {"mean": (inputs,), "spread": (inputs,)}
    linear = {"read": (width, inputs), "write": (outputs, width), "skip": (outputs, inputs)}
    for layer in range(sum(name.startswith("norm.") and name.endswith(".weight") for name in weights)):
        linear[f"mix.{layer}"] = (width, MESSAGES * width)
        shapes |= {f"norm.{layer}.weight": (width,), f"norm.{layer}.bias": (width,)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes
