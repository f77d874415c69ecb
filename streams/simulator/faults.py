"""What can go wrong in the demo plant, and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.device import DeviceId
from schemas.event import Micros


class FaultKind(StrEnum):
    LEAK = "leak"
    PUMP_TRIP = "pump-trip"
    PIPE_CLOSED = "pipe-closed"
    STUCK = "stuck"
    BIAS = "bias"
    DRIFT = "drift"
    GATEWAY_DARK = "gateway-dark"


SENSOR_FAULTS = frozenset({FaultKind.STUCK, FaultKind.BIAS, FaultKind.DRIFT})


@dataclass(frozen=True)
class Fault:
    """A fault at a device, from `start` until before `end` (for good if None), in event time.

    `size`: a leak's litres per second at 50 m of pressure; a bias in the sensor's unit; a drift in that unit per hour; else
    unused.
    """

    kind: FaultKind
    device: DeviceId
    start: Micros
    end: Micros | None = None
    size: float = 0.0

    def active(self, at: Micros) -> bool:
        return self.start <= at and (self.end is None or at < self.end)
