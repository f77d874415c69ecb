"""A network that writes the chain of tools for an instruction, tool by tool, on a tool graph; applied with numpy alone.

It reads the grams and the vector of the instruction, and looks at one vector of each token or clause while it chooses the next
tool, which depends also on those before it and on whether a link of the tool graph leads there. `learning` makes the weights.
What is chosen is not the likeliest chain, but the one whose F1 over tools and links is expected to be highest, given all chains
that were considered (minimum Bayes risk; Kumar and Byrne 2004).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from graph.nn.toolgraph.grams import Floats, Ints

Chain = tuple[int, ...]
LONGEST = 6
MOST_STATES = 128
"""Tokens that are looked at."""
BEAMS = 10
HOPELESS = 7.0
"""Chains that are this much less likely than the best, as a log, are not made longer."""
TINY = np.float32(1e-30)
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
    """What the members (k) made of a text: as a whole (k, 1, w), and of each of its parts (k, m, w)."""

    whole: Floats
    parts: Floats


class ChainNetwork:
    """Members that learnt the same from different draws; probabilities of the next tool are averaged.

    `linked` (n + 1, n + 1): 1 where a link leads; the last place stands for the beginning and for the end. All that does not
    depend on the instruction is multiplied out when the network is made, so that a step of a chain costs two products.
    """

    def __init__(self, weights: Mapping[str, Floats], linked: Floats) -> None:
        numbers = sorted({name.partition(".")[0] for name in weights}, key=int)
        names = [name.partition(".")[2] for name in weights if name.startswith(f"{numbers[0]}.")]
        part = {name: np.stack([weights[f"{one}.{name}"].astype(np.float32) for one in numbers]) for name in names}
        self.end, self._width = len(linked) - 1, part["bias"].shape[1]
        self._gram, self._bias = part["gram"], (part["bias"] + part["vector.bias"])[:, None]
        self._vector = _turned(part["vector.weight"])
        self._state, self._order = _turned(part["state.weight"]), part["order"] + part["state.bias"][:, None]
        width = self._width
        ask, mix = _turned(part["ask.weight"]), _turned(part["mix.weight"])
        known = np.concatenate([ask, mix[:, : 4 * width]], axis=2)
        self._whole = np.ascontiguousarray(known[:, :width])
        self._last = part["tool"] @ known[:, width : 2 * width]
        bags = part["bag"] @ known[:, 2 * width : 3 * width]
        self._bag = np.concatenate([bags, np.zeros_like(bags[:, :1])], axis=1)
        added = np.concatenate([part["ask.bias"], part["mix.bias"]], axis=1)[:, None]
        self._place = part["place"] @ known[:, 3 * width :] + added
        self._looked = np.ascontiguousarray(mix[:, 4 * width :])
        written = _turned(part["write.weight"])
        out = _turned(part["out.weight"]) @ written
        self._out_whole, self._out = np.ascontiguousarray(out[:, :width]), np.ascontiguousarray(out[:, width:])
        self._out_bias = part["out.bias"][:, None] @ written + part["write.bias"][:, None]
        self._linked = part["link"][:, :, None] * (linked - 1)

    def read(self, text: Text) -> Read:
        """What each member makes of an instruction."""
        states = text.states[: self._order.shape[1]].astype(np.float32)
        parts = np.tanh(states @ self._state + self._order[:, : len(states)])
        return Read(self.whole(text), parts)

    def whole(self, text: Text) -> Floats:
        """(k, 1, w): what the grams and the vector say."""
        places, share = text.row
        seen = share @ self._gram[:, places] + text.vector.astype(np.float32) @ self._vector
        found: Floats = np.tanh(seen[:, None] + self._bias)
        return found

    def next_tool(self, read: Read, chains: Sequence[Chain]) -> Floats:
        """(chains, n + 1): logs of how likely each tool comes next, or the end. `read.whole` may have a row for each chain."""
        last = [chain[-1] if chain else self.end for chain in chains]
        before = np.full((len(chains), max(map(len, chains), default=0)), self.end + 1)
        for row, chain in zip(before, chains, strict=True):
            row[: len(chain)] = chain
        state = self._last[:, last] + self._place[:, [len(chain) for chain in chains]] + read.whole @ self._whole
        state += self._bag[:, before].sum(axis=2)
        asked, mixed = state[..., : self._width], state[..., self._width :]
        near = asked @ read.parts.transpose(0, 2, 1) / np.float32(self._width**0.5)
        near = np.exp(near - near.max(axis=-1, keepdims=True))
        looked = (near / near.sum(axis=-1, keepdims=True)) @ read.parts
        mixed = np.tanh(mixed + looked @ self._looked)
        logits = np.concatenate([mixed, looked], axis=-1) @ self._out + read.whole @ self._out_whole + self._out_bias
        logits += self._linked[:, last]
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        found: Floats = np.log((shares / shares.sum(axis=-1, keepdims=True)).mean(axis=0) + TINY)
        return found

    def told(self, read: Read, wholes: Floats, chain: Chain) -> Floats:
        """(r, tasks): how likely each task of a chain is, as a log, with each of `wholes` (k, r, w) in place of `read`'s."""
        rows = wholes.shape[1]
        begun = [chain[:at] for at in range(len(chain))] * rows
        logs = self.next_tool(replace(read, whole=np.repeat(wholes, len(chain), axis=1)), begun)
        found: Floats = logs.reshape(rows, len(chain), -1)[:, np.arange(len(chain)), list(chain)]
        return found

    def chains(self, read: Read) -> Likely:
        """The likeliest chains, by beam search; no tool stands in a chain twice."""
        open_chains: list[tuple[float, Chain]] = [(0.0, ())]
        ended: list[tuple[float, Chain]] = []
        for length in range(min(LONGEST, self.end) + 1):
            logs = self.next_tool(read, [chain for _, chain in open_chains])
            if length:
                over = logs[:, self.end]
                ended += [(before + float(log), chain) for (before, chain), log in zip(open_chains, over, strict=True)]
            for (_, chain), row in zip(open_chains, logs, strict=True):
                row[[self.end, *chain]] = -np.inf
            order = np.argsort(-logs, axis=1, kind="stable")[:, :BEAMS]
            longer = [
                (before + float(row[tool]), (*chain, int(tool)))
                for (before, chain), row, tools in zip(open_chains, logs, order, strict=True)
                for tool in tools
                if np.isfinite(row[tool])
            ]
            open_chains = sorted(longer, key=lambda found: (-found[0], found[1]))[:BEAMS]
            likeliest = max((log for log, _ in ended), default=-np.inf)
            if not open_chains or open_chains[0][0] < likeliest - HOPELESS:
                break
        ended = sorted(ended, key=lambda found: (-found[0], found[1]))[:CONSIDERED]
        return likely([chain for _, chain in ended], np.array([log for log, _ in ended]))


def _turned(weights: Floats) -> Floats:
    """(k, out, in) -> (k, in, out), so that rows are multiplied from the left."""
    return np.ascontiguousarray(weights.transpose(0, 2, 1))


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
