"""Examples to a model: vocabulary, members, how much the neighbours count, and figures on what was held out. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graph.nn.toolgraph.chains import Chain, ChainNetwork, Likely, Text, best, blended, links
from graph.nn.toolgraph.grams import Floats, Vocabulary
from graph.nn.toolgraph.learning import Advance, Lessons, learn
from graph.nn.toolgraph.model import Kept, Learnt, Manifest
from graph.nn.toolgraph.neighbours import Neighbours

MEMBERS, PARTS = 4, 8
"""Of `PARTS` parts each member leaves one out."""
LEAST_TIMES = 3
NEIGHBOUR_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Examples:
    """Instructions, their vectors (n, d), those of their parts, the right chains; `tools` (t, d), `linked` (t + 1, t + 1)."""

    instructions: Sequence[str]
    vectors: Floats
    states: Sequence[Floats]
    chains: Sequence[Chain]
    tools: Floats
    linked: Floats
    digest: str
    encoder: str


def train(examples: Examples, *, seed: int, members: int = MEMBERS, advance: Advance = lambda _: None) -> Learnt:
    """A model. `advance` is told the share of the work that was done. Raises ValueError without examples."""
    if not examples.instructions:
        raise ValueError("there are no examples to learn from")
    torch.set_num_threads(1)
    least = LEAST_TIMES if len(examples.instructions) >= LEAST_TIMES * 100 else 1
    vocabulary = Vocabulary.of(examples.instructions, least=least)
    rows = [vocabulary.row(text) for text in examples.instructions]
    parts = zip(rows, examples.vectors, examples.states, strict=True)
    texts = [Text(row, vector, states) for row, vector, states in parts]
    lessons = Lessons(texts, examples.chains, examples.tools, examples.linked, len(vocabulary))
    held = np.random.default_rng(seed).permutation(len(rows)) % PARTS
    weights: dict[str, NDArray[Any]] = {}
    said: list[tuple[int, Likely, Likely]] = []
    around = Neighbours(rows, examples.vectors, examples.chains, width=len(vocabulary))
    for number in range(members):
        out = held == number if len(rows) >= PARTS else np.zeros(len(rows), bool)
        part = learn(lessons, np.flatnonzero(~out), seed=seed + number, advance=lambda share: advance(share / members))
        network = ChainNetwork({f"0.{name}": values for name, values in part.items()}, examples.linked)
        said += _said(network, around, lessons, out)
        weights |= {f"{number}.{name}": values.astype(np.float16) for name, values in part.items()}
    share, figures = _tuned(said, examples.chains, tools=len(examples.linked) - 1)
    manifest = Manifest(
        seed=seed,
        tools=examples.digest,
        encoder=examples.encoder,
        examples=len(rows),
        neighbours=share,
        figures=figures,
    )
    arrays: dict[str, NDArray[Any]] = {**weights, "grams": vocabulary.weight, "vectors": examples.vectors.astype(np.float16)}
    return Learnt(
        manifest, Kept(list(examples.instructions), [list(c) for c in examples.chains], list(vocabulary.known)), arrays
    )


def _said(
    network: ChainNetwork, around: Neighbours, lessons: Lessons, out: NDArray[np.bool_]
) -> list[tuple[int, Likely, Likely]]:
    """For each example that a member left out: its place, what the member says, what the neighbours say that it knew."""
    found = []
    for place in map(int, np.flatnonzero(out)):
        text = lessons.texts[place]
        found.append((place, network.chains(network.read(text)), around.likely(text.row, text.vector, but=out)))
    return found


def _tuned(
    said: Sequence[tuple[int, Likely, Likely]], chains: Sequence[Chain], *, tools: int
) -> tuple[float, dict[str, float]]:
    """The share of the neighbours that is best on what was held out, and the figures there."""
    if not said:
        return NEIGHBOUR_SHARES[1], {}
    tried = {}
    for share in NEIGHBOUR_SHARES:
        pairs = [(best(blended([(1 - share, one), (share, near)]), tools=tools), chains[at]) for at, one, near in said]
        tried[share] = (_mean_f1(pairs), _mean_f1([(links(a), links(b)) for a, b in pairs]))
    share = max(tried, key=lambda one: (sum(tried[one]), -one))
    node, link = tried[share]
    return share, {"held_out": float(len(said)), "node_f1": round(node, 4), "link_f1": round(link, 4)}


def _mean_f1(pairs: Sequence[tuple[Sequence[object], Sequence[object]]]) -> float:
    return float(np.mean([_f1(set(found), set(wanted)) for found, wanted in pairs]))


def _f1(found: set[object], wanted: set[object]) -> float:
    return 2 * len(found & wanted) / (len(found) + len(wanted)) if found or wanted else 1.0
