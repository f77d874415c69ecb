"""Teaches `chains.ChainNetwork`, and layers of an encoder with it, from instructions and the chains that were right for them.

Needs torch. One thread and one seed give the same weights on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from graph.nn.toolgraph.chains import LONGEST, MOST_STATES, Chain, Text
from graph.nn.toolgraph.grams import Floats, Ints
from graph.nn.toolgraph.taught import TaughtLayer

WIDTH, DROPOUT, GRAMS_DROPPED = 192, 0.4, 0.15
RATE, SMOOTHING, DECAY = 3e-3, 0.05, 1e-2
ROUNDS, AT_ONCE = 16, 32
LAYERED_RATE, LAYER_RATE, LAYERED_ROUNDS, LAYERED_AT_ONCE = 1.5e-3, 1.5e-4, 8, 16
"""Where layers of an encoder are taught with it: rounds take ten times as long, and fewer are enough."""
LONGEST_STEP = 1.0
"""Of the layers' gradient."""
NEIGHBOURING = 8
"""So many batches are drawn together and shared out by length: less padding."""
WARM_UP, LEAST_RATE = 0.1, 0.02
VECTOR_SCALE = 4.0
LINK = 4.0
NOTHING = -100


@dataclass(frozen=True)
class Lessons:
    """What there is to learn from. `tools` (t, e): vectors of the tools' descriptions; `linked` as in `chains`.

    `layers`: those of an encoder that go on from the texts' states, and are taught too.
    """

    texts: Sequence[Text]
    chains: Sequence[Chain]
    tools: Floats
    linked: Floats
    grams: int
    layers: Sequence[Mapping[str, Floats]] = ()


@dataclass(frozen=True)
class Taught:
    """A member's weights, and those of the encoder's layers."""

    member: Mapping[str, Floats]
    layers: Sequence[Mapping[str, Floats]]


@dataclass(frozen=True)
class Round:
    """Where learning is: so many rounds of so many are done; `loss` was the mean of the last one."""

    number: int
    of: int
    loss: float


Advance = Callable[[float], None]
Watch = Callable[[Round, Callable[[], Taught]], bool]
"""Called after each round, with what makes the weights as they are; says whether to go on."""


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
        self.layers = nn.ModuleList([TaughtLayer(weights) for weights in lessons.layers])
        self.drop, self.drop_little = nn.Dropout(DROPOUT), nn.Dropout(DROPOUT / 2)
        self.register_buffer("texts", torch.tensor(np.vstack([lessons.tools, np.zeros((1, lessons.tools.shape[1]))])).float())
        self.register_buffer("linked", torch.tensor(lessons.linked))
        self.texts: Tensor
        self.linked: Tensor

    def forward(self, batch: Batch) -> Tensor:
        """(b, s, tools + 1): logits of the next tool."""
        kept = functional.dropout(batch.weights, GRAMS_DROPPED, self.training)
        seen = self.gram(batch.places, batch.starts, per_sample_weights=kept)
        states, vectors = self.read(batch)
        whole = self.drop(torch.tanh(seen + self.bias + self.vector(self.drop(vectors * VECTOR_SCALE))))
        parts = self.drop(torch.tanh(self.state(self.drop_little(states)) + self.order[: states.shape[1]]))
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

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(b, m, e), (b, d): states and vectors; the layers' where there are any."""
        states, vectors = batch.states, batch.vectors
        for layer in self.layers:
            states = layer(states, batch.present)
        if len(self.layers):
            kept = batch.present[..., None]
            vectors = functional.normalize((states * kept).sum(1) / kept.sum(1), dim=1)
        return states, vectors

    def taught(self) -> Taught:
        """As numbers, for numpy."""
        layers = [{name: part.detach().numpy().copy() for name, part in layer.state_dict().items()} for layer in self.layers]
        return Taught(self.arrays(), layers)

    def arrays(self) -> dict[str, Floats]:
        """As `chains.ChainNetwork` reads a member."""
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
            return {name: part.detach().numpy().astype(np.float32, copy=True) for name, part in found.items()}


def learn(
    lessons: Lessons,
    which: Ints,
    *,
    seed: int,
    advance: Advance = lambda _: None,
    watch: Watch = lambda *_: True,
) -> Taught:
    """One member's weights, from those lessons; `advance` is told the share of the work that was done."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = Module(lessons)
    layered = bool(lessons.layers)
    rounds, most = (LAYERED_ROUNDS, LAYERED_AT_ONCE) if layered else (ROUNDS, AT_ONCE)
    size = min(most, len(which))
    steps = _Steps(module, LAYERED_RATE if layered else RATE, rounds * (len(which) // size))
    sizes = np.array([len(text.states) for text in lessons.texts])
    for number in range(rounds):
        losses = []
        for chosen in _draws(which, size, sizes, rng):
            losses.append(steps.take(_loss(module, Batch.of(lessons, chosen))))
            advance(1 / steps.total)
        module.eval()
        go_on = watch(Round(number + 1, rounds, float(np.mean(losses))), module.taught)
        module.train()
        if not go_on:
            break
    return module.eval().taught()


class _Steps:
    """Steps down the loss, short at first and at last."""

    def __init__(self, module: Module, rate: float, total: int) -> None:
        self.total, self._rate, self._taken = total, rate, 0
        self._layers = list(module.layers.parameters())
        rest = [part for name, part in module.named_parameters() if name != "gram.weight" and not name.startswith("layers.")]
        groups = [{"params": rest, "peak": rate}] + ([{"params": self._layers, "peak": LAYER_RATE}] if self._layers else [])
        self._sparse = torch.optim.SparseAdam([module.gram.weight], lr=rate)
        self._dense = torch.optim.AdamW(groups, lr=rate, weight_decay=DECAY)

    def take(self, loss: Tensor) -> float:
        share = min(1.0, (self._taken + 1) / (WARM_UP * self.total)) * max(LEAST_RATE, 1 - self._taken / self.total)
        self._sparse.param_groups[0]["lr"] = 2 * self._rate * share
        for group in self._dense.param_groups:
            group["lr"] = group["peak"] * share
        self._sparse.zero_grad()
        self._dense.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._layers:
            nn.utils.clip_grad_norm_(self._layers, LONGEST_STEP)
        self._sparse.step()  # type: ignore[no-untyped-call]
        self._dense.step()
        self._taken += 1
        return loss.item()


def _draws(which: Ints, size: int, sizes: Ints, rng: np.random.Generator) -> list[Ints]:
    """One round, each lesson once but for a rest, in batches of texts about equally long."""
    order = rng.permutation(which)
    order = order[: len(order) // size * size]
    found: list[Ints] = []
    for begin in range(0, len(order), NEIGHBOURING * size):
        some = order[begin : begin + NEIGHBOURING * size]
        some = some[np.argsort(sizes[some], kind="stable")]
        found += list(some.reshape(-1, size))
    return [found[at] for at in rng.permutation(len(found))]


def _loss(module: Module, batch: Batch) -> Tensor:
    logits = module(batch).flatten(0, 1)
    return functional.cross_entropy(logits, batch.wanted.flatten(), ignore_index=NOTHING, label_smoothing=SMOOTHING)
