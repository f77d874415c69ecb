"""History and recordings of the demo plant, without MQTT: to train on, to replay, to test with."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.event import Event, Micros
from schemas.wire import WRITER, WireEvent
from streams.simulator.faults import Fault
from streams.simulator.network import STEP
from streams.simulator.plant import SITE, START, Plant
from streams.simulator.process import HOUR


def history(hours: float, *, seed: int = 0, site: str = SITE, end: Micros = START) -> Iterator[Event]:
    """Normal operation up to before `end`, in the order of time: what to train on before the live plant begins there."""
    begin = Micros(end - round(hours * HOUR))
    return (wire.event() for wire in _wires(hours, seed=seed, site=site, start=begin, faults=()))


def events(
    hours: float, faults: Iterable[Fault] = (), *, seed: int = 0, site: str = SITE, start: Micros = START
) -> Iterator[Event]:
    """What the plant sends from `start` on, with these faults, in the order of time."""
    return (wire.event() for wire in _wires(hours, seed=seed, site=site, start=start, faults=faults))


def write_recording(
    path: Path, *, hours: float, seed: int = 0, faults: Iterable[Fault] = (), site: str = SITE, start: Micros = START
) -> int:
    """The same as NDJSON, packed if the name ends in `.gz`; the number of events. The same arguments give the same bytes."""
    count = 0
    with path.open("wb") as raw:
        file = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        for wire in _wires(hours, seed=seed, site=site, start=start, faults=faults):
            file.write(WRITER.encode(wire) + b"\n")
            count += 1
        if isinstance(file, gzip.GzipFile):
            file.close()
    return count


def _wires(hours: float, *, seed: int, site: str, start: Micros, faults: Iterable[Fault]) -> Iterator[WireEvent]:
    plant = Plant(site, seed=seed, start=start)
    for fault in faults:
        plant.inject(fault)
    for _ in range(round(hours * 3600 / STEP)):
        for batch in plant.step():
            yield from batch.events
