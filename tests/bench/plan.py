"""Milliseconds for one plan after loading, on tool sets of our own: with each encoder, without a model and with one.

`cpu` is the processor's time over all threads, `wall` what passed: on a busy machine they differ.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agents.encoder import E5, MINILM, Encoder, open_encoder
from agents.planfiles import matched, requests, truths
from agents.planlearning import learn
from agents.planner import Planner, digest, framed, linked, read
from agents.toolset import ToolSet
from graph.nn.toolgraph.model import load, save

SETS = Path(__file__).parents[1] / "agents" / "toolsets"
ROUNDS = 3


def timed(work: Callable[[str], object], texts: list[str]) -> dict[str, float]:
    work(texts[0])
    wall: list[float] = []
    cpu: list[float] = []
    for text in texts * ROUNDS:
        began, spent = time.perf_counter(), time.process_time()
        work(text)
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - spent))
    ranked = sorted(wall)
    return {
        "wall_ms_p50": round(statistics.median(wall), 1),
        "wall_ms_p95": round(ranked[int(0.95 * len(ranked))], 1),
        "cpu_ms_p50": round(statistics.median(cpu), 1),
    }


def run() -> Iterator[dict[str, Any]]:
    for name in ("plant", "media"):
        tools = ToolSet.load(SETS / f"{name}.json")
        lines = (SETS / f"{name}.ndjson").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["instruction"] for line in lines]
        for wanted in (E5, MINILM):
            encoder = open_encoder(wanted)
            planner = Planner(tools, encoder)
            row = {"bench": "plan", "tools": name, "encoder": encoder.name}
            yield row | {"case": "plan without a model"} | timed(planner.plan, texts)
            learnt = {"case": "plan with a model learnt from these requests"}
            yield row | learnt | timed(_learnt(name, tools, encoder).plan, texts)
            alone = {"case": "the encoder alone, all its layers"}
            yield row | alone | timed(partial(read, encoder), texts)


def _learnt(name: str, tools: ToolSet, encoder: Encoder) -> Planner:
    file = SETS / f"{name}.ndjson"
    with TemporaryDirectory() as folder:
        save(learn(tools, matched(requests(file), truths(file, tools)), encoder, seed=0), Path(folder))
        model = load(Path(folder), tools=digest(tools), linked=framed(linked(tools)))
    return Planner(tools, encoder, model=model)
