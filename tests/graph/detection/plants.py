"""Small plants for the tests: a line of sampled sensors that follow one another, and a machine that reports changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.topology import Topology
from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import (
    Connected,
    ControlAlarm,
    Disconnected,
    Event,
    Linked,
    Micros,
    SignalValue,
    Stamp,
    Telemetry,
)

MINUTE = 60_000_000
SECOND = 1_000_000
SENSORS = tuple(DeviceId(f"sensor-{letter}") for letter in "abcde")


class Writer:
    """Makes events with stamps that grow."""

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.events: list[Event] = []

    def add(self, at: int, body: Connected | Linked | Telemetry | ControlAlarm | Disconnected) -> None:
        number = len(self.events)
        self.events.append(Event(Stamp(Micros(self.start + at), "/test", 0, number, str(number)), body))

    def device(self, device: str, kind: SignalKind | None, type_: str = "sensor") -> None:
        signals = (Signal(SignalName("value"), kind),) if kind else ()
        self.add(0, Connected(DeviceId(device), type_, signals=signals))

    def link(self, source: str, target: str, *, directed: bool = True) -> None:
        self.add(0, Linked(DeviceId(source), DeviceId(target), Relation.AFFECTS, directed=directed))

    def value(self, at: int, device: str, value: SignalValue) -> None:
        self.add(at, Telemetry(DeviceId(device), {SignalName("value"): value}))


def sampled(seed: int, rows: int, *, start: int = 0, bias: Sequence[tuple[str, int, float]] = ()) -> list[Event]:
    """Five sensors a minute apart that all follow one slow wave, with noise; `bias` adds to a sensor from a row on."""
    rng = np.random.default_rng(seed)
    writer = Writer(start)
    for device in SENSORS:
        writer.device(device, SignalKind.NUMERIC)
    for one, other in pairwise(SENSORS):
        writer.link(one, other, directed=False)
    wave = 0.0
    for row in range(rows):
        wave = 0.95 * wave + rng.normal()
        for place, device in enumerate(SENSORS):
            added = sum(size for name, since, size in bias if name == device and row >= since)
            writer.value(row * MINUTE, device, float((1 + place) * wave + 0.2 * rng.normal() + added))
    return writer.events


def machine(seed: int, cycles: int, *, stuck: bool = False, start: int = 0) -> list[Event]:
    """A valve opens for ten seconds twice a minute and a switch follows half a second later, unless it is stuck at last."""
    rng = np.random.default_rng(seed)
    writer = Writer(start)
    for device in ("valve", "switch"):
        writer.device(device, SignalKind.BINARY)
    writer.device("hidden", None)
    writer.link("hidden", "valve")
    writer.link("valve", "switch")
    writer.value(0, "valve", value=False)
    writer.value(0, "switch", value=False)
    for cycle in range(cycles):
        follows = not (stuck and cycle >= cycles - 4)
        for begin, value in ((5, True), (15, False), (35, True), (45, False)):
            at = cycle * MINUTE + begin * SECOND + int(rng.integers(0, SECOND))
            writer.value(at, "valve", value=value)
            if follows:
                writer.value(at + SECOND // 2, "switch", value=value)
    return writer.events


def steps(model: Model | None, events: Sequence[Event], *, every: int = 1, until: int | None = None) -> list[Step]:
    """What a detector says of the events, closed after every so many of them."""
    return list(scored(Detector(model), Topology(), events, every=every, until=until))


def scored(
    detector: Detector, topology: Topology, events: Iterable[Event], *, every: int = 1, until: int | None = None
) -> Iterator[Step]:
    last = Micros(0)
    for number, event in enumerate(events, 1):
        if number % every == 0 and event.stamp.at > last:
            yield from detector.close(last, topology)
        topology.merge([event])
        detector.push(event, topology)
        last = event.stamp.at
    yield from detector.close(last if until is None else Micros(until), topology)
