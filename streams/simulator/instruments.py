"""What the plant's sensors make of its state: noise, and their own faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from schemas.device import DeviceId, SignalName
from schemas.event import Micros, SignalValue
from streams.simulator.equipment import CONTROLLER, LOAD, SWITCHED, Equipment, Sensor, command, switches
from streams.simulator.faults import SENSOR_FAULTS, Fault, FaultKind
from streams.simulator.network import Floats
from streams.simulator.process import HOUR, Process

GATEWAY_LOAD = 15.0
"""Percent."""
Readings = dict[DeviceId, dict[SignalName, SignalValue]]


class Instruments:
    """All sensors of the plant. The noise of a step does not depend on what is broken."""

    def __init__(self, equipment: Equipment, rng: np.random.Generator) -> None:
        self._sensors = equipment.sensors
        self._noise = np.array([sensor.quantity.noise for sensor in self._sensors])
        self._share = np.array([sensor.quantity.share for sensor in self._sensors])
        self._rng = rng
        self._before: Floats | None = None

    def read(self, process: Process, at: Micros, faults: Sequence[Fault]) -> Readings:
        """What each device sends at `at`."""
        exact = np.array([_exact(sensor, process) for sensor in self._sensors])
        values = exact * (1 + self._share * self._rng.normal(size=len(exact))) + self._noise * self._rng.normal(size=len(exact))
        for fault in faults:
            if fault.kind in SENSOR_FAULTS:
                self._spoil(values, fault, at)
        self._before = values
        return self._named(values.round(2).tolist(), process)

    def _spoil(self, values: Floats, fault: Fault, at: Micros) -> None:
        for column, sensor in enumerate(self._sensors):
            if sensor.device != fault.device:
                continue
            if fault.kind is FaultKind.BIAS:
                values[column] += fault.size
            elif fault.kind is FaultKind.DRIFT:
                values[column] += fault.size * (at - fault.start) / HOUR
            elif self._before is not None:
                values[column] = self._before[column]

    def _named(self, values: Sequence[float], process: Process) -> Readings:
        readings: Readings = defaultdict(dict)
        for sensor, value in zip(self._sensors, values, strict=True):
            readings[sensor.device][sensor.quantity.signal] = value
        for device in SWITCHED:
            readings[device][switches(device)[0]] = process.on[device]
            readings[CONTROLLER][command(device)] = process.commands[device]
        return readings


def _exact(sensor: Sensor, process: Process) -> float:
    """A gauge shows no less than nothing; a cut-off junction has none."""
    if sensor.quantity is LOAD:
        return GATEWAY_LOAD
    if sensor.device in process.network.nodes:
        return max(0.0, process.state.pressure[sensor.device])
    return process.state.flow[sensor.device]
