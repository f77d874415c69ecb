"""Plants of any size as events, for all measurements; the same ones each time."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Event, Linked, Micros, Stamp, Telemetry

START = 1_767_571_200_000_000
SOURCE = "/plants/bench/gateways/gw-1"
SECOND = 1_000_000
LEVEL = SignalName("level")


def stamp(number: int, at: int) -> Stamp:
    return Stamp(Micros(at), SOURCE, 1, number, f"e{number}")


def links(edges: int, devices: int, *, first: int = 1) -> list[Event]:
    """Links between devices drawn at random, each pair once; the ids are shared, as those of a decoder are."""
    rng = random.Random(1)
    names = [DeviceId(f"device-{number:06d}") for number in range(devices)]
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < edges:
        pairs.add((rng.randrange(devices), rng.randrange(devices)))
    return [
        Event(stamp(number, START + number // 1000), Linked(names[source], names[target], Relation.FEEDS))
        for number, (source, target) in enumerate(sorted(pairs), first)
    ]


def readings(devices: int, steps: int, *, seed: int, step: int = 60 * SECOND, start: int = START) -> Iterator[Event]:
    """Each device's level at each step: neighbours move together, as in a row of tanks."""
    rng = random.Random(seed)
    names = [DeviceId(f"tank-{number:03d}") for number in range(devices)]
    number = 0
    for at in range(steps):
        base = 10 + 3 * math.sin(at / 20) + rng.gauss(0, 0.3)
        for place, name in enumerate(names):
            number += 1
            value = base * (1 - place / devices / 2) + rng.gauss(0, 0.05)
            yield Event(stamp(number, start + at * step), Telemetry(name, {LEVEL: round(value, 4)}))
