"""A network that writes the chain of tools for an instruction, tool by tool, on a tool graph; applied with numpy alone.

It reads the grams and the vector of the instruction, and looks at one vector of each token or clause while it chooses the next
tool, which depends also on those before it and on whether a link of the tool graph leads there. `learning` makes the weights.
What is chosen is not the likeliest chain, but the one whose F1 over tools and links is expected to be highest, given all chains
that were considered (minimum Bayes risk; Kumar and Byrne 2004).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from graph.nn.toolgraph.grams import Floats, Ints

Chain = tuple[int, ...]
LONGEST = 6
MOST_STATES = 96
"""Tokens that are looked at."""
BEAMS = 10
CONSIDERED = 24
NODE_SHARE = 0.5
"""How much of what is maximised is F1 of tools; the rest is F1 of links."""


@dataclass(frozen=True)
class Likely:
    """Chains and how likely each is, likeliest first; shares sum to 1."""

    chains: tuple[Chain, ...]
    shares: Floats

    def having(self, tool: int) -> float:
        """How likely a tool is among the tasks."""
        return float(sum(share for chain, share in zip(self.chains, self.shares, strict=True) if tool in chain))


@dataclass(frozen=True)
class Text:
    """An instruction as networks read it: its grams, its vector (d), and vectors of its tokens or clauses (m, e)."""

    row: tuple[Ints, Floats]
    vector: Floats
    states: Floats


@dataclass(frozen=True)
class Read:
    """What one member made of a text: as a whole (w), and of each of its parts (m, w)."""

    whole: Floats
    parts: Floats


class ChainNetwork:
    """Members that learnt the same from different draws; probabilities of the next tool are averaged.

    `linked` (n + 1, n + 1): 1 where a link leads; the last place stands for the beginning and for the end.
    """

    def __init__(self, weights: Mapping[str, Floats], linked: Floats) -> None:
        parts: defaultdict[str, dict[str, Floats]] = defaultdict(dict)
        for name, part in weights.items():
            number, _, rest = name.partition(".")
            parts[number][rest] = part.astype(np.float32)
        self.members = [Member(parts[number], linked) for number in sorted(parts, key=int)]
        self.end = len(linked) - 1

    def read(self, text: Text) -> list[Read]:
        """What each member makes of an instruction."""
        return [member.read(text) for member in self.members]

    def next_tool(self, read: Sequence[Read], chains: Sequence[Chain]) -> Floats:
        """(chains, n + 1): logs of how likely each tool comes next, or the end."""
        logs = [log_softmax(member.step(one, chains), axis=1) for member, one in zip(self.members, read, strict=True)]
        found: Floats = (logsumexp(logs, axis=0) - np.log(len(logs))).astype(np.float32)
        return found

    def chains(self, read: Sequence[Read]) -> Likely:
        """The likeliest chains, by beam search; no tool stands in a chain twice."""
        open_chains: list[tuple[float, Chain]] = [(0.0, ())]
        ended: list[tuple[float, Chain]] = []
        for length in range(min(LONGEST, self.end) + 1):
            logs = self.next_tool(read, [chain for _, chain in open_chains])
            longer: list[tuple[float, Chain]] = []
            for (before, chain), row in zip(open_chains, logs, strict=True):
                if length:
                    ended.append((before + float(row[self.end]), chain))
                row[[self.end, *chain]] = -np.inf
                best = np.argsort(-row, kind="stable")[:BEAMS]
                longer += [(before + float(row[tool]), (*chain, int(tool))) for tool in best if np.isfinite(row[tool])]
            open_chains = sorted(longer, key=lambda found: (-found[0], found[1]))[:BEAMS]
            if not open_chains:
                break
        ended = sorted(ended, key=lambda found: (-found[0], found[1]))[:CONSIDERED]
        return likely([chain for _, chain in ended], np.array([log for log, _ in ended]))


class Member:
    """One network. Its output matrix joins what it learnt of each tool with what it reads from the tool's description."""

    def __init__(self, weights: Mapping[str, Floats], linked: Floats) -> None:
        self._weights, self._linked = weights, linked * float(weights["link"][0]) - float(weights["link"][0])

    def read(self, text: Text) -> Read:
        weights = self._weights
        states = text.states[:MOST_STATES].astype(np.float32)
        parts = np.tanh(states @ weights["state.weight"].T + weights["state.bias"] + weights["order"][: len(states)])
        return Read(self.whole(text), parts.astype(np.float32))

    def whole(self, text: Text) -> Floats:
        """(w): what the grams and the vector say."""
        weights = self._weights
        places, share = text.row
        seen = share @ weights["gram"][places] + weights["bias"]
        found: Floats = np.tanh(seen + weights["vector.weight"] @ text.vector + weights["vector.bias"]).astype(np.float32)
        return found

    def step(self, read: Read, chains: Sequence[Chain]) -> Floats:
        """(chains, n + 1): logits of the next tool."""
        weights, end = self._weights, len(self._linked) - 1
        last = np.array([chain[-1] if chain else end for chain in chains])
        nothing = np.zeros_like(read.whole)
        bags = np.stack([weights["bag"][list(chain)].sum(axis=0) if chain else nothing for chain in chains])
        places = weights["place"][[len(chain) for chain in chains]]
        whole = np.broadcast_to(read.whole, bags.shape)
        state = np.concatenate([whole, weights["tool"][last], bags, places], axis=1)
        asked = state @ weights["ask.weight"].T + weights["ask.bias"]
        looked = softmax(asked @ read.parts.T / np.sqrt(np.float32(len(read.whole))), axis=1) @ read.parts
        mixed = np.tanh(np.concatenate([state, looked], axis=1) @ weights["mix.weight"].T + weights["mix.bias"])
        out = np.concatenate([whole, mixed, looked], axis=1) @ weights["out.weight"].T + weights["out.bias"]
        found: Floats = out @ weights["write.weight"].T + weights["write.bias"] + self._linked[last]
        return found


def likely(chains: Sequence[Chain], logs: NDArray[np.float64]) -> Likely:
    order = np.argsort(-logs, kind="stable")
    shares = np.exp(logs[order] - logsumexp(logs)) if len(logs) else np.zeros(0)
    return Likely(tuple(chains[place] for place in order), shares.astype(np.float32))


def blended(parts: Sequence[tuple[float, Likely]]) -> Likely:
    """Several opinions, each with a weight."""
    found: defaultdict[Chain, float] = defaultdict(float)
    for weight, part in parts:
        for chain, share in zip(part.chains, part.shares, strict=True):
            found[chain] += weight * float(share)
    order = sorted(found, key=lambda chain: (-found[chain], chain))
    total = sum(found.values()) or 1.0
    return Likely(tuple(order), np.array([found[chain] / total for chain in order], np.float32))


def best(among: Likely, *, tools: int, node_share: float = NODE_SHARE) -> Chain:
    """The chain with the highest F1 to be expected; of equal ones the likelier.

    >>> best(Likely(((0, 1), (0, 2), (3,)), np.array([0.4, 0.35, 0.25], np.float32)), tools=4)
    (0, 1)
    """
    chains = among.chains[: 2 * CONSIDERED]
    if not chains:
        return ()
    nodes = np.zeros((len(chains), tools), np.float32)
    pairs = sorted({pair for chain in chains for pair in links(chain)})
    place = {pair: number for number, pair in enumerate(pairs)}
    edges = np.zeros((len(chains), len(pairs)), np.float32)
    for number, chain in enumerate(chains):
        nodes[number, list(chain)] = 1
        edges[number, [place[pair] for pair in links(chain)]] = 1
    gain = node_share * _f1(nodes) + (1 - node_share) * _f1(edges)
    return chains[int(np.argmax(np.round(gain @ among.shares[: len(chains)], 6)))]


def _f1(marks: Floats) -> Floats:
    """(n, n): F1 of each pair of rows; two empty ones agree."""
    size = marks.sum(axis=1)
    both = size[:, None] + size[None]
    found: Floats = np.where(both > 0, 2 * (marks @ marks.T) / np.maximum(both, 1), 1).astype(np.float32)
    return found


def links(chain: Chain) -> list[tuple[int, int]]:
    return list(pairwise(chain))
