"""Pre-trains the scorer for any tools: `make pretrain-plan SETS=...` writes `shipped/plan.safetensors` with its figures.

A set is three files: tools, requests and truth, in the form of `docs/planning.md`. Of each set a fifth of the tools is held out
with all requests that need one of them; the figures are on those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional

from graph.nn.encoders.e5 import E5Encoder
from graph.nn.encoders.minilm import MiniLMEncoder, packaged
from graph.nn.toolgraph.clauses import clauses
from graph.nn.toolgraph.generic import FORMAT, NAMES, SHIPPED, Described, GenericScorer, Seen, chosen, described, ordered
from graph.nn.toolgraph.grams import Floats

WIDTH, ROUNDS, RATE, DECAY = 16, 60, 5e-3, 1e-3
HELD = 5
MOST_REQUESTS = 600
CREDIT = (
    "UltraTool (Huang et al., Findings of ACL 2024), as prepared by Wu et al. (NeurIPS 2024), MIT licence; and our own sets"
)


@dataclass(frozen=True)
class Case:
    """One request on one tool set: what is seen of each tool, which are right, in which order."""

    part: str
    seen: Seen
    right: tuple[int, ...]
    linked: Any
    held: bool


class Module(nn.Module):
    """`generic.GenericScorer` with gradients."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.mean, self.spread = nn.Parameter(mean, requires_grad=False), nn.Parameter(spread, requires_grad=False)
        self.read, self.write = nn.Linear(len(NAMES), WIDTH), nn.Linear(WIDTH, 1)
        self.skip = nn.Linear(len(NAMES), 1, bias=False)

    def forward(self, table: Tensor) -> Tensor:
        scaled = (table - self.mean) / self.spread
        found: Tensor = (self.write(torch.tanh(self.read(scaled))) + self.skip(scaled))[..., 0]
        return found


def cases(files: Sequence[Path], encoder: Any, seed: int) -> list[Case]:
    """Requests of a set; those that need a tool that is held out are marked, the same for each encoder."""
    rng = np.random.default_rng(seed)
    nodes = json.loads(files[0].read_text(encoding="utf-8"))
    tools, place = nodes["nodes"], {node["id"]: at for at, node in enumerate(nodes["nodes"])}
    truth = {row["id"]: row for row in _rows(files[2])}
    requests = [row for row in _rows(files[1]) if truth[row["id"]]["tasks"]]
    requests = [requests[at] for at in rng.permutation(len(requests))[:MOST_REQUESTS]]
    linked = _linked(nodes, place)
    known = Described(
        [node["id"] for node in tools],
        [node["id"] + " " + node["desc"] for node in tools],
        encoder.encode([described(node["id"], node["desc"]) for node in tools]),
        linked,
    )
    held = set(rng.permutation(len(tools))[: len(tools) // HELD].tolist())
    found = []
    for request in requests:
        parts = clauses(request["instruction"])
        right = tuple(dict.fromkeys(place[task] for task in truth[request["id"]]["tasks"]))
        seen = known.see(parts, encoder.encode(parts))
        found.append(
            Case(f"{files[0].parent.name}/{files[0].stem}/{encoder.name}", seen, right, linked, bool(held & set(right)))
        )
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _linked(nodes: dict[str, Any], place: dict[str, int]) -> Any:
    linked = np.zeros((len(place), len(place)), bool)
    for link in nodes.get("links", []):
        linked[place[link["source"]], place[link["target"]]] = True
    for source in nodes["nodes"]:
        for target in nodes["nodes"]:
            if source is not target and set(source.get("output-type", [])) & set(target.get("input-type", [])):
                linked[place[source["id"]], place[target["id"]]] = True
    return linked


def train(learnt: Sequence[Case], *, seed: int) -> dict[str, Floats]:
    """Weights; each request counts the same, whatever the size of its tool set."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    every = torch.tensor(np.concatenate([case.seen.table for case in learnt]))
    module = Module(every.mean(0), every.std(0) + 1e-3)
    optimizer = torch.optim.AdamW([part for part in module.parameters() if part.requires_grad], lr=RATE, weight_decay=DECAY)
    for round_ in range(ROUNDS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - round_ / ROUNDS)
        order = rng.permutation(len(learnt))
        for begin in range(0, len(order), 16):
            values = [_loss(module, learnt[at]) for at in order[begin : begin + 16]]
            optimizer.zero_grad()
            torch.stack(values).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {name: part.detach().numpy() for name, part in module.state_dict().items()}


def _loss(module: Module, case: Case) -> Tensor:
    marks = torch.zeros(len(case.seen.table))
    marks[list(case.right)] = 1
    return functional.binary_cross_entropy_with_logits(module(torch.tensor(case.seen.table)), marks, reduction="sum")


def figures(scorer: GenericScorer, held: Sequence[Case]) -> dict[str, dict[str, float]]:
    """By set and encoder: F1 of tools and of links."""
    found: dict[str, list[tuple[float, float]]] = {}
    for case in held:
        chain = ordered(chosen(scorer(case.seen.table)), case.seen.clause, case.linked)
        links, right = set(pairwise(chain)), set(pairwise(case.right))
        found.setdefault(case.part, []).append((_f1(set(chain), set(case.right)), _f1(links, right)))
    return {
        part: {
            "requests": len(pairs),
            "node_f1": round(float(np.mean([a for a, _ in pairs])), 3),
            "link_f1": round(float(np.mean([b for _, b in pairs])), 3),
        }
        for part, pairs in found.items()
    }


def _f1(found: set[Any], right: set[Any]) -> float:
    return 2 * len(found & right) / (len(found) + len(right)) if found or right else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs=3, type=Path, action="append", required=True, metavar=("TOOLS", "REQUESTS", "TRUTH"))
    parser.add_argument("--foreign", nargs=3, type=Path, action="append", default=[], help="sets for figures alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = packaged()
    encoders = [E5Encoder(), *([MiniLMEncoder(folder)] if folder is not None else [])]
    found = [case for files in options.set for encoder in encoders for case in cases(files, encoder, options.seed)]
    foreign = [case for files in options.foreign for encoder in encoders for case in cases(files, encoder, options.seed)]
    half = train([case for case in found if not case.held], seed=options.seed)
    known = {"unseenTools": figures(GenericScorer(half), [case for case in found if case.held])}
    weights = train(found, seed=options.seed)
    known["foreignSets"] = figures(GenericScorer(weights), foreign)
    header = {"format": FORMAT, "features": json.dumps(NAMES), "figures": json.dumps(known), "credit": CREDIT}
    save_file(weights, options.out, metadata=header)
    sys.stderr.write(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
