"""How well each tool of any set answers each clause of an instruction: no examples of that set are needed.

A small network reads how near a tool's description is to the instruction and to its best clause, how that compares with the
other tools of the set, which words they share, and whether linked tools are asked for too. Its weights ship with the package
(`pretraining` makes them); they were learnt on other tool sets than those it serves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from scipy.special import expit

from graph.nn.toolgraph.grams import PIECE, Floats, words

SHIPPED = Path(__file__).parent.parent / "shipped" / "plan.safetensors"
FORMAT = "openautoglm-plan-any-1"
MOST_TASKS = 5
LINK_WORTH = 0.75
NAMES = (
    "near_whole",
    "near_clause",
    "raw_clause",
    "rank_clause",
    "margin_clause",
    "best_of_a_clause",
    "words_of_name",
    "words_of_text",
    "words_in_clause",
    "linked_before",
    "linked_after",
    "clauses",
)


class GenericWeightsError(Exception):
    """The file of weights cannot be read, or is for another version."""


@dataclass(frozen=True)
class Seen:
    """Features of all tools for one instruction (t, NAMES), and the clause that each answers best (t)."""

    table: Floats
    clause: NDArray[np.int64]


class Described:
    """A tool set as the scorer reads it: vectors (t, d) of names with descriptions, their words, links (t, t)."""

    def __init__(self, names: Sequence[str], texts: Sequence[str], vectors: Floats, linked: NDArray[np.bool_]) -> None:
        self.vectors, self._linked = vectors, linked
        self._names, self._texts = [pieces(name) for name in names], [pieces(text) for text in texts]
        count = Counter(piece for said in self._texts for piece in said)
        self._rare = {piece: float(np.log(1 + len(texts) / times)) for piece, times in count.items()}

    def see(self, clauses: Sequence[str], vectors: Floats) -> Seen:
        """What there is to know of each tool; `vectors` (c, d) of the clauses."""
        near = vectors @ self.vectors.T
        scaled = _scaled(near)
        whole = vectors.sum(axis=0)
        order = np.argsort(np.argsort(-near, axis=1, kind="stable"), axis=1)
        said = [pieces(clause) for clause in clauses]
        shared = np.array([[self._share(words_, one) for words_ in self._texts] for one in said], np.float32)
        every = frozenset().union(*said)
        strength = scaled + _scaled(shared)
        clause = strength.argmax(axis=0)
        all_tools = np.arange(near.shape[1])
        best = strength.max(axis=0)
        second = np.partition(near, -2, axis=1)[:, -2] if near.shape[1] > 1 else np.zeros(len(near), np.float32)
        rivals = np.where(order == 0, second[:, None], near.max(axis=1, keepdims=True))
        columns = [
            _scaled((whole @ self.vectors.T)[None])[0],
            scaled[clause, all_tools],
            near[clause, all_tools],
            1 / (1 + order[clause, all_tools]),
            (near - rivals)[clause, all_tools] * 10,
            (strength.argmax(axis=1)[:, None] == all_tools).any(axis=0),
            np.array([self._share(name, every) for name in self._names]),
            np.array([self._share(text, every) for text in self._texts]),
            shared[clause, all_tools],
            np.where(self._linked, best[:, None], 0).max(axis=0),
            np.where(self._linked, best, 0).max(axis=1),
            np.full(near.shape[1], np.log(len(clauses))),
        ]
        return Seen(np.stack(columns, axis=1).astype(np.float32), clause)

    def _share(self, tool: frozenset[str], said: frozenset[str]) -> float:
        """How much of a tool's words, the rare ones more, is said."""
        total = sum(self._rare.get(piece, 1.0) for piece in tool)
        shared = sum(self._rare.get(piece, 1.0) for piece in tool & said)
        found: float = shared / total if total else 0.0
        return found


class GenericScorer:
    """The shipped network, or one being tried."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._weights = weights

    def __call__(self, table: Floats) -> Floats:
        """(t, NAMES) -> (t): how likely each tool is asked for."""
        weights = self._weights
        scaled = (table - weights["mean"]) / weights["spread"]
        hidden = np.tanh(scaled @ weights["read.weight"].T + weights["read.bias"])
        logits = hidden @ weights["write.weight"].T + weights["write.bias"] + scaled @ weights["skip.weight"].T
        found: Floats = expit(logits[:, 0]).astype(np.float32)
        return found


def described(name: str, text: str) -> str:
    """A tool as an encoder reads it.

    >>> described("stop_pump", "Stops a pump")
    'stop pump: Stops a pump'
    """
    return f"{name.replace('_', ' ')}: {text}" if text else name.replace("_", " ")


def chosen(shares: Floats) -> list[int]:
    """The likeliest tools, as many as give the highest F1 to be expected; at least one, at most `MOST_TASKS`.

    >>> chosen(np.array([0.1, 0.9, 0.8], np.float32))
    [1, 2]
    """
    order = np.argsort(-shares, kind="stable")[:MOST_TASKS]
    gains = 2 * np.cumsum(shares[order]) / (np.arange(len(order)) + 1 + shares.sum())
    return [int(tool) for tool in order[: int(gains.argmax()) + 1]]


def ordered(tools: Sequence[int], clause: NDArray[np.int64], linked: NDArray[np.bool_]) -> tuple[int, ...]:
    """Tools as their clauses stand, turned round where only that way links lead from each to the next."""

    def strain(chain: tuple[int, ...]) -> float:
        backwards = sum(bool(clause[a] > clause[b]) for place, a in enumerate(chain) for b in chain[place + 1 :])
        return backwards - LINK_WORTH * sum(bool(linked[a, b]) for a, b in pairwise(chain))

    first = tuple(sorted(tools, key=lambda tool: int(clause[tool])))
    return min(permutations(first), key=strain)


def pieces(text: str) -> frozenset[str]:
    """Words by their first letters, so that most forms of a word are one, and pairs of Chinese characters."""
    said = words(text.replace("_", " ").replace("-", " "))
    pairs = [first + second for first, second in pairwise(said) if len(first) == len(second) == 1]
    return frozenset(word[: PIECE + 1] for word in said if len(word) > 2) | frozenset(pairs)  # noqa: PLR2004 - "of", "to"


@cache
def shipped() -> GenericScorer:
    """The weights of this package."""
    return load(SHIPPED)


def load(path: Path) -> GenericScorer:
    """Raises GenericWeightsError."""
    try:
        with safe_open(path, framework="numpy") as held:
            header = held.metadata() or {}
            weights = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise GenericWeightsError(f"{path}: no weights can be read here: {error}") from error
    if header.get("format") != FORMAT or json.loads(header.get("features", "[]")) != list(NAMES):
        raise GenericWeightsError(f"{path}: not for this version, which reads {FORMAT!r}")
    return GenericScorer(weights)


def _scaled(values: Floats) -> Floats:
    """Rows less their mean, in their spread."""
    centred = values - values.mean(axis=-1, keepdims=True)
    found: Floats = (centred / np.maximum(values.std(axis=-1, keepdims=True), 1e-3)).astype(np.float32)
    return found
