"""Draws a fault that an engineer at the plant would call clearly visible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from schemas.device import DeviceId
from schemas.event import Micros
from streams.simulator.equipment import LAKE_PUMP, LEVEL, PRESSURE, RIVER_PUMP, ZONES, Equipment, Quantity
from streams.simulator.faults import Fault, FaultKind
from streams.simulator.network import load_network
from streams.simulator.process import LAKE_HOURS, hour_of_day

LEAK = (40.0, 80.0)
"""L/s at 50 m, where the whole plant takes 600 to 800."""
LEAKY = tuple(DeviceId(f"junction-{name}") for name in (15, 101, 109, 111, 131, 139, 145, 151, 213, 215, 219, 231))
"""Junctions with a gauge that 60 L/s lower by 1.5 m and more, ten times its noise; the others are too near to a tank."""
CLOSABLE = tuple(map(DeviceId, ("pipe-109", "pipe-153", "pipe-239", "pipe-305", "pipe-333")))
"""Pipes with a flow meter that carry much and may be shut without cutting anything off."""
BIAS = (1.5, 2.5)
DRIFT = (0.6, 1.2)
"""Times what is clearly visible of the quantity; a drift has grown to it in about an hour."""
Draw = Callable[[Equipment, np.random.Generator, Micros], tuple[DeviceId, float]]


def draw(
    kind: FaultKind, rng: np.random.Generator, *, start: Micros, end: Micros | None = None, equipment: Equipment | None = None
) -> Fault:
    """A fault of this kind from `start` until before `end`, at a device where it shows.

    A pump is the lake's in its hours, else the river's, which runs mostly from 22 to 6 o'clock.
    """
    device, size = DRAWS[kind](equipment or Equipment(load_network()), rng, start)
    return Fault(kind, device, start, end, size)


def _leak(_equipment: Equipment, rng: np.random.Generator, _start: Micros) -> tuple[DeviceId, float]:
    return _one(LEAKY, rng), round(float(rng.uniform(*LEAK)), 1)


def _trip(_equipment: Equipment, _rng: np.random.Generator, start: Micros) -> tuple[DeviceId, float]:
    lake = LAKE_HOURS[0] <= hour_of_day(start) < LAKE_HOURS[1] - 1
    return LAKE_PUMP if lake else RIVER_PUMP, 0.0


def _closed(_equipment: Equipment, rng: np.random.Generator, _start: Micros) -> tuple[DeviceId, float]:
    return _one(CLOSABLE, rng), 0.0


def _stuck(equipment: Equipment, rng: np.random.Generator, _start: Micros) -> tuple[DeviceId, float]:
    return _sensor(equipment, rng)[0], 0.0


def _bias(equipment: Equipment, rng: np.random.Generator, _start: Micros) -> tuple[DeviceId, float]:
    device, quantity = _sensor(equipment, rng)
    return device, round(float(quantity.swing * rng.uniform(*BIAS) * rng.choice((-1, 1))), 2)


def _drift(equipment: Equipment, rng: np.random.Generator, _start: Micros) -> tuple[DeviceId, float]:
    device, quantity = _sensor(equipment, rng)
    return device, round(float(quantity.swing * rng.uniform(*DRIFT) * rng.choice((-1, 1))), 2)


def _dark(_equipment: Equipment, rng: np.random.Generator, _start: Micros) -> tuple[DeviceId, float]:
    return _one([DeviceId(name) for name in ZONES], rng), 0.0


def _sensor(equipment: Equipment, rng: np.random.Generator) -> tuple[DeviceId, Quantity]:
    """A pressure or a level, but not beside a pump, where it stands still for hours."""
    links = equipment.network.links
    beside = {end for pump in (LAKE_PUMP, RIVER_PUMP) for end in (links[pump].start, links[pump].end)}
    usable = [sensor for sensor in equipment.sensors if sensor.quantity in {PRESSURE, LEVEL} and sensor.device not in beside]
    chosen = usable[int(rng.integers(len(usable)))]
    return chosen.device, chosen.quantity


def _one(devices: Sequence[DeviceId], rng: np.random.Generator) -> DeviceId:
    return devices[int(rng.integers(len(devices)))]


DRAWS: Mapping[FaultKind, Draw] = {
    FaultKind.LEAK: _leak,
    FaultKind.PUMP_TRIP: _trip,
    FaultKind.PIPE_CLOSED: _closed,
    FaultKind.STUCK: _stuck,
    FaultKind.BIAS: _bias,
    FaultKind.DRIFT: _drift,
    FaultKind.GATEWAY_DARK: _dark,
}
