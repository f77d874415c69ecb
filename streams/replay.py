"""Replays recordings through the same pipeline as the live service and writes the files of CONTRACT 3."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
import numpy as np

from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.topology import Topology
from schemas.event import Event, rfc3339
from schemas.finding import DeviceScore, Invalid, PlantScore
from streams.pipeline import Pipeline, Reaction
from streams.recordings import Advance, merged
from streams.windows import Lateness

PATIENT = Lateness(allowed=10_000_000, idle=120_000_000)
"""A recording is at hand as a whole, so waiting ten seconds of event time for stragglers costs nothing."""
FILES = ("scores", "alerts", "faults", "invalid")
_ENCODE = msgspec.json.Encoder().encode


class Summary(msgspec.Struct, rename="camel"):
    """What a replay was. `received = accepted + duplicate + invalid`; latencies in milliseconds, of one batch."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    invalid: int = 0
    late: int = 0
    events_per_second: float = 0.0
    latency_p50: float = 0.0
    latency_p99: float = 0.0
    model: str = ""
    model_digest: str = ""
    graph_digest: str = ""
    devices: int = 0
    edges: int = 0
    alarms: int = 0
    faults: int = 0
    seconds: float = 0.0


class Output:
    """The open files of one replay."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, BinaryIO] = {name: (folder / f"{name}.ndjson").open("wb") for name in FILES}
        self.invalid = 0
        self._alerts: set[str] = set()
        self._faults: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files.values():
            file.close()

    def refuse(self, invalid: Invalid) -> None:
        self.invalid += 1
        self._write("invalid", (invalid,))

    def take(self, reaction: Reaction, topology: Topology) -> None:
        for step in reaction.steps:
            self._write("scores", scores(step, topology))
        self._write("alerts", reaction.alerts)
        self._write("faults", [state.finding() for state in reaction.faults])
        self._alerts.update(alert.alert_id for alert in reaction.alerts)
        self._faults.update(state.fault_id for state in reaction.faults)

    def _write(self, name: str, lines: Iterable[msgspec.Struct]) -> None:
        self._files[name].writelines(_ENCODE(line) + b"\n" for line in lines)

    def close(self, summary: Summary) -> None:
        """Write the summary, last of all."""
        summary.alarms, summary.faults = len(self._alerts), len(self._faults)
        (self._folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n")


def scores(step: Step, topology: Topology) -> Iterable[PlantScore | DeviceScore]:
    """The lines of one step: the plant's, then each device's, but of those that only the model's history knows."""
    when = rfc3339(step.at)
    yield PlantScore(time=when, score=step.plant, threshold=step.plant_threshold, anomalous=step.plant > step.plant_threshold)
    for device, score, threshold in zip(step.devices, step.score.tolist(), step.threshold.tolist(), strict=True):
        if topology.knows(device):
            yield DeviceScore(time=when, device_id=device, score=score, threshold=threshold, anomalous=score > threshold)


def replay(
    paths: Sequence[Path], out: Path, *, site: str = "replay", model: Model | None = None, advance: Advance | None = None
) -> Summary:
    """Replay files as fast as possible. Raises UnreadableError."""
    began = time.perf_counter()
    pipeline = Pipeline(site, model=model, lateness=PATIENT)
    latencies: list[float] = []
    with Output(out) as output:
        for batch in merged(paths, output.refuse, advance=advance):
            output.take(_timed(pipeline, batch, latencies), pipeline.topology)
        output.take(pipeline.finish(), pipeline.topology)
        summary = _summary(pipeline, output.invalid, latencies, began)
        output.close(summary)
    return summary


def _timed(pipeline: Pipeline, batch: Sequence[Event], latencies: list[float]) -> Reaction:
    began = time.perf_counter()
    reaction = pipeline(batch)
    latencies.append(time.perf_counter() - began)
    return reaction


def _summary(pipeline: Pipeline, invalid: int, latencies: Sequence[float], began: float) -> Summary:
    counts = pipeline.counts
    received = counts.accepted + counts.duplicate + invalid
    seconds = time.perf_counter() - began
    p50, p99 = (np.percentile(latencies, (50, 99)) * 1000).round(3).tolist() if latencies else (0.0, 0.0)
    return Summary(
        received=received,
        accepted=counts.accepted,
        duplicate=counts.duplicate,
        invalid=invalid,
        late=counts.late,
        events_per_second=round(received / seconds, 1),
        latency_p50=p50,
        latency_p99=p99,
        model=pipeline.model_name,
        model_digest=pipeline.model_digest,
        graph_digest=pipeline.topology.digest(),
        devices=sum(1 for _ in pipeline.topology.devices()),
        edges=sum(1 for _ in pipeline.topology.edges()),
        seconds=round(seconds, 3),
    )
