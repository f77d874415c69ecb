"""From a checkpoint of a million edges and a short log to the first scored event, beside reading the edges alone."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import networkx as nx

from graph.detection.model import Model
from schemas.event import Event, Linked
from schemas.frame import pack, unpack
from streams import checkpoint
from streams.analysis import made_to_stay
from streams.checkpoint import Checkpoint
from streams.crashpoints import CrashPoints
from streams.pipeline import Pipeline
from tests.bench import replay
from tests.bench.merge import DEVICES, EDGES, timed
from tests.bench.plant import SECOND, START, links, readings

SITE = "bench"
TAIL = 40
"""Frames of the log that came after the checkpoint, each one step of the sensors."""
AT_ONCE = 10_000
LATER = START + 600 * SECOND


def row(case: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {"bench": "restart", "case": case, "edges": EDGES, "devices": DEVICES, "cpu_seconds": round(seconds, 2), **more}


def prepared(path: Path, model: Model, events: list[Event]) -> list[bytes]:
    """Writes the checkpoint; the log that is left."""
    steps = list(readings(replay.DEVICES, TAIL * 2, seed=5, start=LATER))
    half = len(steps) // 2
    pipeline = Pipeline(SITE, model=model)
    for at in range(0, len(events), AT_ONCE):
        pipeline(events[at : at + AT_ONCE])
    pipeline(steps[:half])
    checkpoint.save(Checkpoint(0, pipeline.snapshot()), path, CrashPoints())
    return [pack(steps[at : at + replay.DEVICES]) for at in range(half, len(steps), replay.DEVICES)]


def restart(path: Path, model: Model, frames: list[bytes]) -> float:
    """As the service does it, until there is a score; seconds on the wall."""
    began = time.perf_counter()
    held = checkpoint.load(path)
    assert held is not None
    pipeline = Pipeline(SITE, model=model)
    with made_to_stay():
        pipeline.restore(held.snapshot)
    for frame in frames:
        if pipeline(unpack(frame)).steps:
            return time.perf_counter() - began
    raise AssertionError("nothing was scored")


def peers(folder: Path, events: list[Event]) -> list[dict[str, Any]]:
    """The edges alone: no clock, no readings, no model."""
    edges = [(body.source, body.target, body.relation.value) for event in events if isinstance(body := event.body, Linked)]
    graph: Any = nx.MultiDiGraph()
    graph.add_edges_from(edges)
    pickled, written = folder / "graph.pickle", folder / "edges.json"
    pickled.write_bytes(pickle.dumps(graph))
    written.write_text(json.dumps(edges))
    del graph, edges
    works: list[tuple[str, Path, Callable[[], object]]] = [
        ("networkx from pickle", pickled, lambda: pickle.loads(pickled.read_bytes())),
        ("networkx from json", written, lambda: nx.MultiDiGraph(json.loads(written.read_text()))),
    ]
    return [row(case, timed(work), megabytes=round(path.stat().st_size / 1e6, 1)) for case, path, work in works]


def run() -> list[dict[str, Any]]:
    model, events = replay.model(), links(EDGES, DEVICES)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "checkpoint.bin"
        frames = prepared(path, model, events)
        walls: list[float] = []
        cpu = timed(lambda: walls.append(restart(path, model, frames)))
        size = round(path.stat().st_size / 1e6, 1)
        found = [row("checkpoint to first score", cpu, wall_seconds=round(walls[0], 2), megabytes=size)]
        return found + peers(Path(scratch), events)
