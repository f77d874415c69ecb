"""Examples to a model: vocabulary, members, how much the neighbours count, and figures on what was held out. Needs torch.

Where the encoder lets its layers be taught, one member is learnt together with them; else a few members beside each other.
Each leaves out a part of the examples, another one each, so there are figures on what a member has never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graph.nn.toolgraph.chains import Chain, ChainNetwork, Likely, Text, best, blended, links
from graph.nn.toolgraph.grams import Floats, Ints, Vocabulary
from graph.nn.toolgraph.learning import Advance, Lessons, Round, Taught, learn
from graph.nn.toolgraph.model import Kept, Learnt, Manifest, went_on
from graph.nn.toolgraph.neighbours import Neighbours

MEMBERS, PARTS, LAYERED_PARTS = 4, 8, 12
"""Of so many parts each member leaves one out."""
LEAST_TIMES = 3
NEIGHBOUR_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
PATIENCE = 3
"""Rounds that may pass without being better on what is held out."""

Figures = tuple[float, float]
Told = Callable[[int, Round, Figures | None], None]
"""Called after each round of a member: its number, where it is, and F1 of tools and links on what it leaves out."""


@dataclass(frozen=True)
class Examples:
    """Instructions, their vectors (n, d), those of their parts, the right chains; `tools` (t, d), `linked` (t + 1, t + 1).

    `layers`: those that an encoder goes on with from the parts, where they may be taught, after `below` others.
    """

    instructions: Sequence[str]
    vectors: Floats
    states: Sequence[Floats]
    chains: Sequence[Chain]
    tools: Floats
    linked: Floats
    digest: str
    encoder: str
    below: int = 0
    layers: Sequence[Mapping[str, Floats]] = ()


@dataclass(frozen=True)
class _Said:
    """What a member and its neighbours say of an example (its place) that the member left out."""

    place: int
    own: Likely
    near: Likely


def train(
    examples: Examples,
    *,
    seed: int,
    advance: Advance = lambda _: None,
    told: Told = lambda *_: None,
) -> Learnt:
    """A model. `advance` is told the share of the work that was done. Raises ValueError without examples."""
    if not examples.instructions:
        raise ValueError("there are no examples to learn from")
    torch.set_num_threads(1)
    lessons, vocabulary = _lessons(examples)
    members, parts = (1, LAYERED_PARTS) if examples.layers else (MEMBERS, PARTS)
    many = len(lessons.texts)
    held = np.random.default_rng(seed).permutation(many) % parts
    arrays: dict[str, NDArray[Any]] = {"grams": vocabulary.weight}
    said: list[_Said] = []
    for number in range(members):
        out = held == number if many >= parts else np.zeros(many, bool)
        watched = _Watched(lessons, np.flatnonzero(out), partial(told, number))
        last = learn(
            lessons,
            np.flatnonzero(~out),
            seed=seed + number,
            advance=lambda share: advance(share / members),
            watch=watched.after,
        )
        taught = watched.best or last
        texts = went_on(lessons.texts, taught.layers)
        said += _said(taught, lessons, texts, out)
        arrays |= {f"{number}.{name}": values.astype(np.float16) for name, values in taught.member.items()}
        for at, layer in enumerate(taught.layers):
            arrays |= {f"layer.{at}.{name}": values.astype(np.float16) for name, values in layer.items()}
    arrays["vectors"] = np.stack([text.vector for text in texts]).astype(np.float16)
    share, figures = _tuned(said, examples.chains, tools=len(examples.linked) - 1)
    manifest = Manifest(
        seed=seed,
        tools=examples.digest,
        encoder=examples.encoder,
        examples=many,
        below=examples.below,
        layers=len(examples.layers),
        neighbours=share,
        figures=figures,
    )
    kept = Kept(list(examples.instructions), [list(chain) for chain in examples.chains], list(vocabulary.known))
    return Learnt(manifest, kept, arrays)


def _lessons(examples: Examples) -> tuple[Lessons, Vocabulary]:
    least = LEAST_TIMES if len(examples.instructions) >= LEAST_TIMES * 100 else 1
    vocabulary = Vocabulary.of(examples.instructions, least=least)
    parts = zip(examples.instructions, examples.vectors, examples.states, strict=True)
    texts = [Text(vocabulary.row(words), vector, states) for words, vector, states in parts]
    lessons = Lessons(texts, examples.chains, examples.tools, examples.linked, len(vocabulary), examples.layers)
    return lessons, vocabulary


class _Watched:
    """Keeps the weights that were best on what is held out. Only layers are looked at while they are taught: it takes time."""

    def __init__(self, lessons: Lessons, held: Ints, told: Callable[[Round, Figures | None], None]) -> None:
        self.best: Taught | None = None
        self._lessons, self._held, self._told = lessons, held, told
        self._most, self._since = 0.0, 0

    def after(self, at: Round, taught: Callable[[], Taught]) -> bool:
        """Whether to go on."""
        if not self._lessons.layers or not len(self._held) or 2 * at.number < at.of:
            self._told(at, None)
            return True
        now = taught()
        network = ChainNetwork({f"0.{name}": values for name, values in now.member.items()}, self._lessons.linked)
        texts = went_on([self._lessons.texts[place] for place in self._held], now.layers)
        chains = [best(network.chains(network.read(text)), tools=network.end) for text in texts]
        figures = _figures(chains, [self._lessons.chains[place] for place in self._held])
        self._told(at, figures)
        if sum(figures) > self._most:
            self.best, self._most, self._since = now, sum(figures), 0
        else:
            self._since += 1
        return self._since < PATIENCE


def _said(taught: Taught, lessons: Lessons, texts: Sequence[Text], out: NDArray[np.bool_]) -> list[_Said]:
    network = ChainNetwork({f"0.{name}": values for name, values in taught.member.items()}, lessons.linked)
    rows, vectors = [text.row for text in texts], np.stack([text.vector for text in texts])
    around = Neighbours(rows, vectors, lessons.chains, width=lessons.grams)
    found = []
    for place in map(int, np.flatnonzero(out)):
        text = texts[place]
        near = around.near(text.row, text.vector, but=out).likely
        found.append(_Said(place, network.chains(network.read(text)), near))
    return found


def _tuned(said: Sequence[_Said], chains: Sequence[Chain], *, tools: int) -> tuple[float, dict[str, float]]:
    """The share of the neighbours that is best on what was held out, and the figures there."""
    if not said:
        return NEIGHBOUR_SHARES[1], {}
    right = [chains[one.place] for one in said]
    tried = {}
    for share in NEIGHBOUR_SHARES:
        tried[share] = _figures([best(blended([(1 - share, one.own), (share, one.near)]), tools=tools) for one in said], right)
    share = max(tried, key=lambda one: (sum(tried[one]), -one))
    node, link = tried[share]
    return share, {"held_out": float(len(said)), "node_f1": round(node, 4), "link_f1": round(link, 4)}


def _figures(found: Sequence[Chain], right: Sequence[Chain]) -> Figures:
    pairs = list(zip(found, right, strict=True))
    nodes = [_f1(set(one), set(other)) for one, other in pairs]
    return float(np.mean(nodes)), float(np.mean([_f1(set(links(one)), set(links(other))) for one, other in pairs]))


def _f1(found: set[Any], wanted: set[Any]) -> float:
    return 2 * len(found & wanted) / (len(found) + len(wanted)) if found or wanted else 1.0
