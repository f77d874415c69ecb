"""Trains the predictor of sampled signals on a plant's own history, without labels: each is to be told from its neighbours.

The network is the one that `graph.nn.predictor` runs, written with gradients for rows at a steady step: windows of history,
all signals at once. The loss is the likelihood of Student's t, so that rare large deviations in history do not rule the fit.
Windows and weights are drawn from the seed and steps are counted, not timed, so equal seeds give equal weights unless the
budget ends first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from graph.detection.conditional import DAY_SCALE, Linear, Rows, Scale
from graph.nn.hearing import NEAR, Hearing
from graph.nn.predictor import KINDS, LARGEST, LOUDEST, SOFTEST, Learnt
from graph.nn.weights import Weights

Progress = Callable[[float, str], None]

WIDTH, HEADS, TIMES = 24, 2, 4
MESSAGE = 2
HIDDEN = (48, 32)
FREEDOM = 5.0
"""Degrees of Student's t."""
WINDOW, BURN = 14, 4
"""Rows of a window, and its first ones that only fill memories and rings."""
SIGNAL_ROWS = 12_000
"""Of a batch, about."""
STEPS, CHECK_EVERY, PATIENCE = 280, 40, 4
RATE, DECAY, WARM_UP = 6e-3, 1e-2, 40
HELD_SHARE = 5
"""One recording in so many tells when to stop."""


@dataclass(frozen=True)
class Passage:
    """A recording as tensors: values (r, n), time of day (r, t), linear expectations (2, r, n), which are at hand (r, n)."""

    values: Tensor
    day: Tensor
    linear: Tensor
    known: Tensor

    @classmethod
    def of(cls, rows: Rows, scale: Scale, linear: Linear) -> Passage:
        now, past, day = scale.features(rows)
        residuals = linear.many(np.concatenate([now, past, day], axis=1))
        expected = np.stack([now - residuals[:, 0], now - residuals[:, 2]])
        values, days, line = (
            torch.tensor(np.clip(part, -LARGEST, LARGEST), dtype=torch.float32) for part in (now, day / DAY_SCALE, expected)
        )
        return cls(values, days, line, torch.tensor(~np.isnan(rows.values)))

    def part(self, begin: int, end: int) -> Passage:
        return Passage(self.values[begin:end], self.day[begin:end], self.linear[:, begin:end], self.known[begin:end])

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Rings:
    """What the rings of n ears hold when all voices speak at each step: whom (n, k), how many steps ago, and whether at all."""

    voice: Tensor
    lag: Tensor
    held: Tensor

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> Rings:
        voice, lag = np.zeros((len(lists), NEAR), dtype=np.int64), np.zeros((len(lists), NEAR), dtype=np.int64)
        for ear, heard in enumerate(lists):
            for place in range(NEAR if heard else 0):
                voice[ear, place] = heard[-1 - place % len(heard)]
                lag[ear, place] = place // len(heard)
        held = np.array([bool(heard) for heard in lists])[:, None].repeat(NEAR, axis=1)
        return cls(torch.tensor(voice), torch.tensor(lag), torch.tensor(held))


class Module(nn.Module):
    """The predictor with gradients; `step` in seconds."""

    def __init__(self, hearing: Hearing, step: float, days: int) -> None:
        super().__init__()
        count = len(hearing.near)
        self.step = step
        self.rings = [Rings.of(hearing.near), Rings.of(hearing.causes)]
        self.voices = nn.Parameter(0.1 * torch.randn(count, WIDTH))
        self.ears = nn.Parameter(0.1 * torch.randn(len(KINDS), count, WIDTH))
        self.frequency = nn.Parameter(10 ** -torch.linspace(1, 4, TIMES), requires_grad=False)
        self.phase = nn.Parameter(torch.zeros(TIMES))
        self.gru = nn.GRU(MESSAGE + TIMES, WIDTH, batch_first=True)
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.skip = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.edge = nn.Linear(TIMES + MESSAGE, WIDTH, bias=False)
        self.heads = nn.ModuleList(_head(WIDTH + days + 1) for _ in KINDS)

    def forward(self, values: Tensor, day: Tensor, linear: Tensor) -> Tensor:
        """(b, r, n), (b, r, t), (2, b, r, n) -> means and log spreads (2, b, r, n, 2)."""
        before = torch.cat([values[:, :1], values[:, :-1]], dim=1)
        said = torch.stack([values, values - before], dim=-1)
        memory = self._remember(said) + self.voices
        keys, contents = self.key(memory), self.value(memory)
        found = []
        for kind, rings in enumerate(self.rings):
            heard = self._hear(self.ears[kind], rings, keys, contents, said)
            days = day[:, :, None].expand(*values.shape, day.shape[-1])
            moved, spread = self.heads[kind](torch.cat([heard, days, linear[kind][..., None]], dim=-1)).unbind(-1)
            found.append(torch.stack([linear[kind] + moved, spread.clamp(SOFTEST, LOUDEST)], dim=-1))
        return torch.stack(found)

    def _encoded(self, seconds: Tensor) -> Tensor:
        return torch.cos(seconds[..., None] * self.frequency + self.phase)

    def _remember(self, said: Tensor) -> Tensor:
        """Memories of voices after each row (b, r, n, d)."""
        batch, rows, count, _ = said.shape
        since = torch.full((rows,), self.step)
        since[0] = 0.0
        encoded = self._encoded(since)[None, :, None].expand(batch, rows, count, TIMES)
        told = torch.cat([said, encoded], dim=-1).permute(0, 2, 1, 3).reshape(batch * count, rows, -1)
        memory, _ = self.gru(told)
        found: Tensor = memory.view(batch, count, rows, WIDTH).permute(0, 2, 1, 3)
        return found

    def _hear(self, ears: Tensor, rings: Rings, keys: Tensor, contents: Tensor, said: Tensor) -> Tensor:
        """Attention of ears (n, d) over their rings at each row: (b, r, n, d)."""
        batch, rows, count, _ = said.shape
        longest = int(rings.lag.max())
        spoken = functional.pad(functional.linear(said, self.edge.weight[:, TIMES:]), (0, 0, 0, 0, longest, 0))
        row = torch.arange(rows)[:, None, None] + longest - rings.lag
        age = functional.linear(self._encoded(rings.lag * self.step), self.edge.weight[:, :TIMES])
        edge = spoken[:, row, rings.voice.expand(rows, count, NEAR)] + age
        split = (batch, rows, count, NEAR, HEADS, WIDTH // HEADS)
        key, content = ((part[:, :, rings.voice] + edge).view(split) for part in (keys, contents))
        asked = self.query(ears).view(1, 1, count, 1, HEADS, WIDTH // HEADS)
        weight = (asked * key).sum(-1) / (WIDTH / HEADS) ** 0.5
        held = rings.held[None, None, :, :, None]
        weight = weight.masked_fill(~held, -1e9).softmax(3) * held
        heard = (weight[..., None] * content).sum(3).reshape(batch, rows, count, WIDTH)
        found: Tensor = heard + self.skip(ears)
        return found

    @torch.no_grad()
    def learnt(self) -> Learnt:
        """The weights as the predictor wants them."""

        def plain(tensor: Tensor) -> NDArray[np.float32]:
            return tensor.detach().numpy().astype(np.float32).copy()

        blank = torch.zeros(3 * WIDTH, 2 * WIDTH)
        lines = {"query": self.query, "key": self.key, "value": self.value, "skip": self.skip}
        gru = dict(self.gru.named_parameters())
        weights = Weights(
            frequency=plain(self.frequency),
            phase=plain(self.phase),
            gru_input=plain(torch.cat([blank, gru["weight_ih_l0"]], dim=1)),
            gru_input_bias=plain(gru["bias_ih_l0"]),
            gru_hidden=plain(gru["weight_hh_l0"]),
            gru_hidden_bias=plain(gru["bias_hh_l0"]),
            edge=plain(self.edge.weight),
            heads=HEADS,
            **{name: plain(line.weight) for name, line in lines.items()},
            **{f"{name}_bias": plain(line.bias) for name, line in lines.items()},
        )
        heads = tuple(tuple(plain(part) for part in head.parameters()) for head in self.heads)
        return Learnt(weights, plain(self.voices), plain(self.ears), heads)


def _head(inputs: int) -> nn.Sequential:
    first, second = HIDDEN
    last = nn.Linear(second, 2)
    last.weight.data *= 0.1  # begins as the linear prediction
    return nn.Sequential(nn.Linear(inputs, first), nn.GELU(), nn.Linear(first, second), nn.GELU(), last)


def loss(module: Module, examples: Sequence[Passage]) -> Tensor:
    """Mean of what known values cost, over rows after the first BURN of equally long examples."""
    values, day = (torch.stack([getattr(one, name) for one in examples]) for name in ("values", "day"))
    known = torch.stack([one.known for one in examples])[:, BURN:]
    mean, spread = module(values, day, torch.stack([one.linear for one in examples], dim=1)).unbind(-1)
    off = ((values - mean) * torch.exp(-spread))[:, :, BURN:]
    cost = spread[:, :, BURN:] + (FREEDOM + 1) / 2 * torch.log1p(off**2 / FREEDOM)
    found: Tensor = (cost * known).sum() / known.sum().clamp(min=1)
    return found


def fit(
    parts: Sequence[Rows],
    scale: Scale,
    linear: Linear,
    hearing: Hearing,
    *,
    step: int,
    seed: int,
    seconds: float | None = None,
    progress: Progress | None = None,
    steps: int = STEPS,
) -> Learnt | None:
    """Learn from recordings at a step in micros; `seconds` end it early. None where no recording is as long as a window."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    examples = [Passage.of(part, scale, linear) for part in parts if len(part) > WINDOW]
    if not examples:
        return None
    held, examples = _held(examples)
    module = Module(hearing, step / 1e6, examples[0].day.shape[1])
    optimizer = torch.optim.AdamW([part for part in module.parameters() if part.requires_grad], lr=RATE, weight_decay=DECAY)
    shape = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, steps))
    size = int(np.clip(SIGNAL_ROWS // (WINDOW * len(hearing.near)), 2, 16))
    began, best, waited = time.monotonic(), np.inf, 0
    kept = module.learnt()
    for number in range(1, steps + 1):
        value = loss(module, [_window(examples, rng) for _ in range(size)])
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        shape.step()
        late = seconds is not None and time.monotonic() - began > seconds
        if number % CHECK_EVERY == 0 or number == steps or late:
            now = _held_loss(module, held)
            best, kept, waited = (now, module.learnt(), 0) if now < best else (best, kept, waited + 1)
            if progress is not None:
                progress(number / steps, f"step {number}: {now:.3f} on what was held out")
            if late or waited == PATIENCE:
                break
    return kept


def _rate(steps: int, step: int) -> float:
    return min(1.0, (step + 1) / WARM_UP) * max(0.02, 1 - step / steps)


def _held(examples: Sequence[Passage]) -> tuple[list[Passage], list[Passage]]:
    """What tells when to stop, and what is learnt from: recordings, or the last part of a single one."""
    if len(examples) > 1:
        count = max(1, len(examples) // HELD_SHARE)
        return list(examples[:count]), list(examples[count:])
    cut = max(len(examples[0]) * (HELD_SHARE - 1) // HELD_SHARE, WINDOW)
    return [examples[0].part(min(cut, len(examples[0]) - WINDOW), len(examples[0]))], [examples[0].part(0, cut)]


def _window(examples: Sequence[Passage], rng: np.random.Generator) -> Passage:
    chosen = examples[int(rng.integers(len(examples)))]
    begin = int(rng.integers(len(chosen) - WINDOW + 1))
    return chosen.part(begin, begin + WINDOW)


@torch.no_grad()
def _held_loss(module: Module, held: Sequence[Passage]) -> float:
    return float(np.mean([loss(module, [one.part(0, 1000)]).item() for one in held]))
