"""A recording through the whole pipeline, with a model and without, beside decoding it alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graph.detection.model import Model
from graph.detection.training import train
from streams.recordings import chunks
from streams.replay import replay
from tests.bench.plant import readings
from tests.streams.plant import line

DEVICES = 50
STEPS = 1000
TRAINED_ON = 400
"""Steps of each of the two recordings that the model learns from."""


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of one core."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def row(case: str, work: Callable[[], object]) -> dict[str, Any]:
    wall, cpu = timed(work)
    return {
        "bench": "replay",
        "case": case,
        "devices": DEVICES,
        "events_per_second": round(DEVICES * STEPS / wall),
        "events_per_cpu_second": round(DEVICES * STEPS / cpu),
    }


def model() -> Model:
    return train([readings(DEVICES, TRAINED_ON, seed=seed) for seed in (2, 3)])


def run() -> list[dict[str, Any]]:
    trained = model()
    with TemporaryDirectory() as scratch:
        path, out = Path(scratch) / "plant.ndjson", Path(scratch) / "out"
        path.write_bytes(b"".join(line(event) + b"\n" for event in readings(DEVICES, STEPS, seed=1)))
        return [
            row("decode alone", lambda: sum(len(decoded.events) for decoded in chunks(path))),
            row("replay with a model", lambda: replay([path], out, model=trained)),
            row("replay without a model", lambda: replay([path], out)),
        ]
