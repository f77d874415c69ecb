"""What `rewiring` hands on: a plant, and runs of it in which it is rebuilt and breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from graph.rehearsal.plant import Floats
from schemas.device import DeviceId, Signal, SignalKind, SignalName
from schemas.event import Connected, Linked, Unlinked


class Change(NamedTuple):
    """At a row the plant is rebuilt: edges that go and edges that come."""

    row: int
    gone: tuple[Unlinked, ...]
    come: tuple[Linked, ...]


@dataclass(frozen=True)
class Incident:
    """A fault in rows `begins` to `ends`; what it did is over at `settled`. `affected` as in `Trial`."""

    kind: str
    origin: DeviceId
    begins: int
    ends: int
    settled: int
    affected: dict[DeviceId, int]


@dataclass(frozen=True)
class Course:
    """A run (rows, sensors) from `start` (micros) with changes of one kind."""

    kind: str
    start: int
    readings: Floats
    changes: tuple[Change, ...]
    incidents: tuple[Incident, ...]


@dataclass(frozen=True)
class Aftermath:
    """Long after everything was rebuilt: new history, and a course whose changes were all made before its first row."""

    history: tuple[Floats, ...]
    history_start: tuple[int, ...]
    course: Course


@dataclass(frozen=True)
class Rewired:
    """A plant as it was in history and at the start of each course. `step` and starts are micros."""

    family: str
    step: int
    devices: tuple[tuple[DeviceId, str, dict[str, float]], ...]
    links: tuple[Linked, ...]
    sensors: tuple[tuple[DeviceId, SignalName], ...]
    history: tuple[Floats, ...]
    history_start: tuple[int, ...]
    courses: tuple[Course, ...]
    aftermaths: tuple[Aftermath, ...]

    def bodies(self) -> Iterator[Connected | Linked]:
        """What the plant says of itself at first."""
        signals: dict[DeviceId, list[Signal]] = {}
        for device, signal in self.sensors:
            signals.setdefault(device, []).append(Signal(signal, SignalKind.NUMERIC))
        for device, kind, properties in self.devices:
            yield Connected(device, kind, signals=tuple(signals.get(device, ())), properties=dict(properties))
        yield from self.links
