"""Teaches `chains.ChainNetwork` from instructions and the chains that were right for them. Needs torch.

Each member leaves out a part of the examples, another one each, so there are figures on what a member has never seen. One
thread and one seed give the same weights on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from graph.nn.toolgraph.chains import LONGEST, MOST_STATES, Chain, Text
from graph.nn.toolgraph.grams import Floats, Ints

WIDTH, DROPOUT, GRAMS_DROPPED = 192, 0.4, 0.15
RATE, SMOOTHING, DECAY = 3e-3, 0.05, 1e-2
ROUNDS, AT_ONCE = 16, 32
WARM_UP, LEAST_RATE = 0.1, 0.02
VECTOR_SCALE = 4.0
LINK = 4.0
NOTHING = -100

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Lessons:
    """What there is to learn from. `tools` (t, e): vectors of the tools' descriptions; `linked` as in `chains`."""

    texts: Sequence[Text]
    chains: Sequence[Chain]
    tools: Floats
    linked: Floats
    grams: int


@dataclass(frozen=True)
class Batch:
    """Some texts and their chains, padded: b texts, s steps of a chain, m parts of a text."""

    places: Tensor
    weights: Tensor
    starts: Tensor
    vectors: Tensor
    states: Tensor
    present: Tensor
    last: Tensor
    bags: Tensor
    wanted: Tensor

    @classmethod
    def of(cls, lessons: Lessons, chosen: Ints) -> Batch:
        texts, chains = [lessons.texts[at] for at in chosen], [lessons.chains[at] for at in chosen]
        end, most = len(lessons.linked) - 1, max(map(len, chains)) + 1
        parts = min(MOST_STATES, max(len(text.states) for text in texts))
        states = np.zeros((len(texts), parts, texts[0].states.shape[1]), np.float32)
        present = np.zeros((len(texts), parts), bool)
        last, wanted = np.full((len(texts), most), end), np.full((len(texts), most), NOTHING)
        bags = np.zeros((len(texts), most, end + 1), np.float32)
        for number, (text, chain) in enumerate(zip(texts, chains, strict=True)):
            seen = text.states[:parts]
            states[number, : len(seen)], present[number, : len(seen)] = seen, True
            last[number, 1 : len(chain) + 1] = chain
            wanted[number, : len(chain) + 1] = [*chain, end]
            for at, tool in enumerate(chain):
                bags[number, at + 1 :, tool] = 1
        arrays = (
            np.concatenate([text.row[0] for text in texts]),
            np.concatenate([text.row[1] for text in texts]),
            np.cumsum([0, *(len(text.row[0]) for text in texts)])[:-1],
            np.stack([text.vector for text in texts]),
            states,
            present,
            last,
            bags,
            wanted,
        )
        return cls(*map(torch.from_numpy, arrays))


class Module(nn.Module):
    """A member of `chains.ChainNetwork` with gradients."""

    def __init__(self, lessons: Lessons) -> None:
        super().__init__()
        many, width = len(lessons.linked), WIDTH
        self.gram = nn.EmbeddingBag(lessons.grams, width, mode="sum", sparse=True)
        nn.init.normal_(self.gram.weight, std=0.3)
        self.bias = nn.Parameter(torch.zeros(width))
        self.vector = nn.Linear(len(lessons.texts[0].vector), width)
        self.state = nn.Linear(lessons.texts[0].states.shape[1], width)
        self.order = nn.Parameter(torch.randn(MOST_STATES, width) * 0.1)
        self.tool, self.bag = nn.Embedding(many, width), nn.Embedding(many, width)
        for part in (self.tool, self.bag):
            nn.init.normal_(part.weight, std=0.1)
        self.place = nn.Embedding(LONGEST + 2, width)
        self.ask, self.mix = nn.Linear(4 * width, width), nn.Linear(5 * width, width)
        self.out, self.write = nn.Linear(3 * width, width), nn.Linear(width, many)
        self.described = nn.Linear(lessons.tools.shape[1], width, bias=False)
        self.link = nn.Parameter(torch.tensor([LINK]))
        self.drop, self.drop_little = nn.Dropout(DROPOUT), nn.Dropout(DROPOUT / 2)
        self.register_buffer("texts", torch.tensor(np.vstack([lessons.tools, np.zeros((1, lessons.tools.shape[1]))])).float())
        self.register_buffer("linked", torch.tensor(lessons.linked))
        self.texts: Tensor
        self.linked: Tensor

    def forward(self, batch: Batch) -> Tensor:
        """(b, s, tools + 1): logits of the next tool."""
        seen = self.gram(batch.places, batch.starts, per_sample_weights=functional.dropout(batch.weights, GRAMS_DROPPED))
        whole = self.drop(torch.tanh(seen + self.bias + self.vector(self.drop(batch.vectors * VECTOR_SCALE))))
        states = self.state(self.drop_little(batch.states)) + self.order[: batch.states.shape[1]]
        parts = self.drop(torch.tanh(states))
        steps = batch.last.shape[1]
        whole = whole[:, None].expand(-1, steps, -1)
        places = self.place(torch.arange(steps))[None].expand(len(whole), -1, -1)
        before = self.drop_little(batch.bags @ self.bag.weight)
        state = torch.cat([whole, self.drop_little(self.tool(batch.last)), before, places], -1)
        near = self.ask(state) @ parts.transpose(1, 2) / WIDTH**0.5
        looked = near.masked_fill(~batch.present[:, None], -1e4).softmax(-1) @ parts
        mixed = self.drop(torch.tanh(self.mix(torch.cat([state, looked], -1))))
        out = self.out(torch.cat([whole, mixed, looked], -1))
        written = self.write(out) + out @ self.described(self.texts).T
        found: Tensor = written + self.link * (self.linked[batch.last] - 1)
        return found

    def arrays(self) -> dict[str, Floats]:
        """As `chains.Member` reads them."""
        with torch.no_grad():
            found = {
                "gram": self.gram.weight,
                "bias": self.bias,
                "tool": self.tool.weight,
                "bag": self.bag.weight,
                "place": self.place.weight,
                "link": self.link,
                "mix.weight": self.mix.weight,
                "mix.bias": self.mix.bias,
                "out.weight": self.out.weight,
                "out.bias": self.out.bias,
                "write.weight": self.write.weight + self.described(self.texts),
                "write.bias": self.write.bias,
            }
            for name in ("vector", "state", "ask"):
                layer = getattr(self, name)
                found |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
            found["vector.weight"] = self.vector.weight * VECTOR_SCALE
            found["order"] = self.order
            return {name: part.detach().numpy().astype(np.float32) for name, part in found.items()}


def learn(lessons: Lessons, which: Ints, *, seed: int, advance: Advance = lambda _: None) -> dict[str, Floats]:
    """One member's weights, from those lessons; `advance` is told the share of the work that was done."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = Module(lessons)
    sparse = torch.optim.SparseAdam([module.gram.weight], lr=RATE)
    rest = [part for name, part in module.named_parameters() if name != "gram.weight"]
    dense = torch.optim.AdamW(rest, lr=RATE, weight_decay=DECAY)
    size = min(AT_ONCE, len(which))
    total = ROUNDS * (len(which) // size)
    for step, chosen in enumerate(_draws(which, size, rng)):
        rate = RATE * min(1.0, (step + 1) / (WARM_UP * total)) * max(LEAST_RATE, 1 - step / total)
        sparse.param_groups[0]["lr"], dense.param_groups[0]["lr"] = 2 * rate, rate
        loss = _loss(module, Batch.of(lessons, chosen))
        sparse.zero_grad()
        dense.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        sparse.step()  # type: ignore[no-untyped-call]
        dense.step()
        advance(1 / total)
    return module.eval().arrays()


def _draws(which: Ints, size: int, rng: np.random.Generator) -> list[Ints]:
    found: list[Ints] = []
    for _ in range(ROUNDS):
        order = rng.permutation(which)
        found += [order[begin : begin + size] for begin in range(0, len(order) - size + 1, size)]
    return found


def _loss(module: Module, batch: Batch) -> Tensor:
    logits = module(batch).flatten(0, 1)
    return functional.cross_entropy(logits, batch.wanted.flatten(), ignore_index=NOTHING, label_smoothing=SMOOTHING)
