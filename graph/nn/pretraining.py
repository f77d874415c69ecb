"""Pre-trains the origin network on rehearsed plants: `make pretrain` writes `shipped/origins.safetensors` with its figures.

Whole plants, not faults, are held out: some to stop early, others, looked at once at the end, for the figures. The loss is a
softmax over all devices for the origin (of several, the sum of their shares) and a logistic loss for what is affected and
carries. One thread and one seed give the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from graph.faultpath.features import NAMES
from graph.nn.cases import Example, example, keep, kept
from graph.nn.origins import CLIP, FORMAT, MESSAGES, NORM_EPSILON, OUTPUTS, SHIPPED, Neighbourhood
from graph.rehearsal import FAMILIES, UnsolvableError, rehearse

WIDTH, LAYERS, DROPOUT = 48, 3, 0.15
RATE, LEAST_RATE, DECAY = 3e-3, 0.02, 1e-2
FAULTS_AT_ONCE = 12
TRIALS = 30
TURNS = {"water": 3, "grid": 2}
STOP_EVERY, HELD_FOR_STOP, HELD_FOR_FIGURES = 12, 0, 6
"""Of each so many plants one is held out to stop early, and one for the figures."""
CHECK_EVERY = 500
LABEL_WEIGHTS = (0.5, 0.25, 0.5)
NO_NEIGHBOUR = -1e4
LIKELY = 0.0
LOOKED_AT = 6


@dataclass(frozen=True)
class Batch:
    """The faults of one plant as tensors: tables (f, n, features) and marks (f, n) of each of OUTPUTS."""

    family: str
    kinds: tuple[str, ...]
    early: NDArray[np.bool_]
    final: NDArray[np.bool_]
    tables: Tensor
    marks: Tensor
    sensed: Tensor
    source: Tensor
    target: Tensor

    @classmethod
    def of(cls, found: Example) -> Batch:
        around = Neighbourhood(found.count, found.pairs)
        target = np.repeat(around.reached, np.diff(np.append(around.starts, len(around.source))))
        marks = [np.stack([case.origin, case.already, case.affected, case.carrying], axis=1) for case in found.cases]
        return cls(
            found.family,
            tuple(case.kind for case in found.cases),
            np.array([case.steps == LOOKED_AT or (case.final and case.steps < LOOKED_AT) for case in found.cases]),
            np.array([case.final for case in found.cases]),
            torch.tensor(np.stack([case.table for case in found.cases])),
            torch.tensor(np.stack(marks)),
            torch.tensor(found.sensed),
            torch.tensor(around.source),
            torch.tensor(target),
        )


class Module(nn.Module):
    """The network of `graph.nn.origins` with gradients."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.mean, self.spread = nn.Parameter(mean, requires_grad=False), nn.Parameter(spread, requires_grad=False)
        self.read = nn.Linear(len(NAMES), WIDTH)
        self.mix = nn.ModuleList(nn.Linear(MESSAGES * WIDTH, WIDTH) for _ in range(LAYERS))
        self.norm = nn.ModuleList(nn.LayerNorm(WIDTH, eps=NORM_EPSILON) for _ in range(LAYERS))
        self.write, self.skip = nn.Linear(WIDTH, len(OUTPUTS)), nn.Linear(len(NAMES), len(OUTPUTS))
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, tables: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """(f, n, features) -> (f, n, OUTPUTS); messages go from `source` to `target` (m)."""
        scaled = ((tables - self.mean) / self.spread).clamp(-CLIP, CLIP)
        hidden = functional.gelu(self.read(scaled))
        degree = torch.zeros(tables.shape[1]).index_add(0, target, torch.ones(len(target))).clamp(min=1)[:, None]
        for mix, norm in zip(self.mix, self.norm, strict=True):
            sent = hidden[:, source]
            mean = torch.zeros_like(hidden).index_add(1, target, sent) / degree
            largest = torch.full_like(hidden, NO_NEIGHBOUR).scatter_reduce(
                1, target[None, :, None].expand_as(sent), sent, "amax"
            )
            largest = torch.where(largest == NO_NEIGHBOUR, torch.zeros_like(largest), largest)
            whole = [part.expand_as(hidden) for part in (hidden.mean(1, keepdim=True), hidden.amax(1, keepdim=True))]
            hidden = norm(hidden + self.drop(functional.gelu(mix(torch.cat([hidden, mean, largest, *whole], dim=-1)))))
        found: Tensor = self.write(hidden) + self.skip(scaled)
        return found


class Ensemble(nn.ModuleList):
    """Members that learnt from different draws: mean logs of shares for the origin, mean logits for the rest."""

    def forward(self, tables: Tensor, source: Tensor, target: Tensor) -> Tensor:
        logits = torch.stack([member(tables, source, target) for member in self])
        origin = logits[..., 0].log_softmax(-1)
        return torch.cat([origin[..., None], logits[..., 1:]], dim=-1).mean(0)


def loss(logits: Tensor, marks: Tensor) -> Tensor:
    """Of some faults of one plant."""
    likely = logits[..., 0].log_softmax(1)
    found = -torch.logsumexp(likely.masked_fill(~marks[..., 0], -torch.inf), 1).mean()
    for output, weight in enumerate(LABEL_WEIGHTS, 1):
        found = found + weight * functional.binary_cross_entropy_with_logits(logits[..., output], marks[..., output].float())
    return found


def train(batches: Sequence[Batch], held: Sequence[Batch], *, steps: int, seed: int) -> Module:
    """Learn; the weights that did best on the held-out plants."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    seen = torch.cat([batch.tables[::4].reshape(-1, len(NAMES)) for batch in batches])
    module = Module(seen.mean(0), seen.std(0) + 1e-3)
    optimizer = torch.optim.AdamW([part for part in module.parameters() if part.requires_grad], lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=steps, pct_start=0.1, final_div_factor=1 / LEAST_RATE
    )
    best, kept_weights = np.inf, module.state_dict()
    for step in range(1, steps + 1):
        batch = batches[int(rng.integers(len(batches)))]
        chosen = torch.tensor(rng.choice(len(batch.kinds), min(FAULTS_AT_ONCE, len(batch.kinds)), replace=False))
        module.train()
        value = loss(module(batch.tables[chosen], batch.source, batch.target), batch.marks[chosen])
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % CHECK_EVERY == 0 or step == steps:
            now = held_loss(module, held)
            say(f"step {step} of {steps}: loss on held-out plants {now:.3f}")
            if now < best:
                best, kept_weights = now, {name: part.clone() for name, part in module.state_dict().items()}
    module.load_state_dict(kept_weights)
    return module


@torch.no_grad()
def held_loss(module: nn.Module, held: Sequence[Batch]) -> float:
    module.eval()
    return float(np.mean([loss(module(batch.tables, batch.source, batch.target), batch.marks).item() for batch in held]))


@torch.no_grad()
def figures(module: nn.Module, held: Sequence[Batch]) -> dict[str, dict[str, float]]:
    """By family: mean reciprocal rank of the origin as early as the kit looks, F1 of the affected that send data, at the end;

    and how much surer or less sure the network is of its first choice than it is right (expected calibration error, ten bins).
    """
    module.eval()
    ranks: defaultdict[str, list[float]] = defaultdict(list)
    matches: defaultdict[str, list[float]] = defaultdict(list)
    sure: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
    for batch in held:
        logits = module(batch.tables, batch.source, batch.target)
        for number, fault in enumerate(logits):
            origin, marks = fault[:, 0], batch.marks[number]
            if batch.early[number]:
                rank = 1 + int((origin > origin[marks[:, 0]].max()).sum())
                ranks[batch.family].append(1 / rank)
                sure[batch.family].append((float(origin.softmax(0).max()), rank == 1))
            if batch.final[number]:
                named, true = (fault[:, 1] > LIKELY) & batch.sensed, marks[:, 1] & batch.sensed
                matches[batch.family].append(2 * int((named & true).sum()) / max(int(named.sum() + true.sum()), 1))
    return {
        family: {
            "faults": float(len(ranks[family])),
            "mrr": round(float(np.mean(ranks[family])), 3),
            "hit1": round(float(np.mean([right for _, right in sure[family]])), 3),
            "affectedF1": round(float(np.mean(matches[family])), 3),
            "calibrationError": round(calibration_error(sure[family]), 3),
        }
        for family in sorted(ranks)
    }


def calibration_error(sure: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Guo et al. 2017, eq. 5."""
    shares = np.array([share for share, _ in sure])
    right = np.array([found for _, found in sure], dtype=float)
    place = np.minimum((shares * bins).astype(int), bins - 1)
    gaps = [abs(shares[place == one].mean() - right[place == one].mean()) * (place == one).mean() for one in np.unique(place)]
    return float(sum(gaps))


# --- Plants -----------------------------------------------------------------------------------------------------------------


def rehearsed(names: Sequence[tuple[str, int]], folder: Path, jobs: int) -> Iterator[Example]:
    """Examples of plants by family and seed; what the folder holds already is read."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        for number, found in enumerate(pool.map(partial(_rehearsed, folder), names), 1):
            if number % 10 == 0 or number == len(names):
                say(f"{number} of {len(names)} plants after {time.monotonic() - began:.0f} s")
            if found is not None:
                yield found


def _rehearsed(folder: Path, name: tuple[str, int]) -> Example | None:
    family, seed = name
    path = folder / f"{family}-{seed}.npz"
    if path.exists():
        return kept(path)
    try:
        found = example(rehearse(seed, family=family, trials=TRIALS), np.random.default_rng(seed))
    except UnsolvableError:
        return None
    if found is None or not found.cases:
        return None
    keep(found, path)
    return kept(path)  # in half precision, as a later run will read it


def drawn(plants: int) -> list[tuple[str, int]]:
    """Families in turn, some oftener: water has the most kinds of faults, then grids."""
    order = [family for family in FAMILIES for _ in range(TURNS.get(family, 1))]
    return [(order[number % len(order)], number) for number in range(plants)]


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def split(found: Iterable[Example]) -> tuple[list[Batch], list[Batch], list[Batch]]:
    """Plants to learn from, to stop by, and for the figures."""
    parts: tuple[list[Batch], list[Batch], list[Batch]] = ([], [], [])
    counts: defaultdict[str, int] = defaultdict(int)
    for one in found:
        turn = counts[one.family] % STOP_EVERY
        counts[one.family] += 1
        parts[1 if turn == HELD_FOR_STOP else 2 if turn == HELD_FOR_FIGURES else 0].append(Batch.of(one))
    return parts


def write(module: Ensemble, path: Path, known: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: part.contiguous() for name, part in module.state_dict().items()}
    header = {"format": FORMAT, "features": json.dumps(NAMES), "figures": json.dumps(known, sort_keys=True)}
    save_file(weights, path, metadata=header)


def facts(plants: int, seed: int, module: Ensemble, last: Sequence[Batch]) -> dict[str, object]:
    """What the file of weights says of itself."""
    return {"plants": plants, "seed": seed, "members": len(module), "heldOut": figures(module, last)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plants", type=int, default=660, help="plants to rehearse on")
    parser.add_argument("--steps", type=int, default=12_000, help="steps of the optimiser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--members", type=int, default=2, help="networks that are asked together")
    parser.add_argument("--jobs", type=int, default=2, help="processes that rehearse")
    parser.add_argument("--folder", type=Path, default=Path("build/rehearsals"), help="where examples are kept")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    learnt, held, last = split(rehearsed(drawn(options.plants), options.folder, options.jobs))
    say(f"{len(learnt)} plants with {sum(len(batch.kinds) for batch in learnt)} looks at faults to learn from")
    members = [train(learnt, held, steps=options.steps, seed=options.seed + number) for number in range(options.members)]
    module = Ensemble(members)
    write(module, options.out, known := facts(options.plants, options.seed, module, last))
    say(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
