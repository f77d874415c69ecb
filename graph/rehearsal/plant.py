"""What every family of made-up plants offers to the rehearsal, and what the rehearsal hands on.

A plant can be run from any state under any inputs, with and without faults; the difference is the truth (`truth.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.device import DeviceId, SignalName
from schemas.event import Linked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY = 86_400
HOUR = 3_600
SECOND = 1_000_000
"""Micros. Plants reckon in seconds, what they hand on is in micros."""


class UnsolvableError(ArithmeticError):
    """No steady state: a part is cut off, or demand is more than can be had. The caller draws again."""


@dataclass(frozen=True)
class Channel:
    """A quantity of a device. A departure from the twin counts beyond `limit`, or `relative_limit` of the usual size."""

    device: DeviceId
    signal: SignalName
    kind: str
    noise: float
    limit: float
    relative_noise: float = 0.0
    relative_limit: float = 0.0
    decimals: int = 3
    hidden: bool = False


class Fault(NamedTuple):
    """Something that goes wrong in rows `begins` to `ends`, in the family's own measure of `size`, growing over `ramp` rows."""

    kind: str
    device: DeviceId
    begins: int
    ends: int
    size: float = 0.0
    ramp: int = 0

    def shifted(self, rows: int) -> Fault:
        return self._replace(begins=self.begins - rows, ends=self.ends - rows)

    def growth(self, rows: int) -> Floats:
        """How far the fault has grown (rows), 0 outside of it."""
        row = np.arange(rows)
        grown = np.minimum(1.0, (row - self.begins + 1) / (self.ramp + 1))
        return np.where((row >= self.begins) & (row < self.ends), grown, 0.0)


class Run(NamedTuple):
    """Exact channels (rows, channels) and the state (rows, states) that each row began with."""

    values: Floats
    states: Floats


class Plant(Protocol):
    """`kinds` holds the weight of each kind of fault, `types` the names that this plant uses for types of devices."""

    family: str
    step: int
    devices: tuple[tuple[DeviceId, str, dict[str, float]], ...]
    links: tuple[Linked, ...]
    channels: tuple[Channel, ...]
    kinds: Mapping[str, float]

    def inputs(self, rng: np.random.Generator, clock: Ints) -> Floats:
        """What the world demands (rows, inputs) at times of day in seconds (rows)."""

    def start(self, rng: np.random.Generator) -> Floats:
        """A state to warm up from (states)."""

    def draw(self, kind: str, rng: np.random.Generator) -> tuple[DeviceId, float, float]:
        """Where such a fault strikes, how large it is, and the hours that it takes to grow."""

    def simulate(self, inputs: Floats, clock: Ints, state: Floats, faults: Sequence[Fault] = ()) -> Run:
        """Rows from the first on; raises UnsolvableError."""


@dataclass(frozen=True)
class Trial:
    """One run: rows `begins` to `ends` (exclusive) are faulty; in a normal run both are 0.

    `affected` holds the row of onset of every affected device, with sensors or not.
    """

    kind: str
    origins: tuple[DeviceId, ...]
    start: int
    readings: Floats
    begins: int
    ends: int
    affected: dict[DeviceId, int]
    carriers: frozenset[DeviceId]
    path: tuple[tuple[DeviceId, DeviceId], ...]
    sensor_fault: bool


@dataclass(frozen=True)
class Rehearsal:
    """One plant with normal runs (rows, sensors) and trials. `step`, `history_start` and `Trial.start` are micros.

    `draws` says how many faults were drawn until so many could be seen.
    """

    family: str
    step: int
    devices: tuple[tuple[DeviceId, str, dict[str, float]], ...]
    links: tuple[Linked, ...]
    sensors: tuple[tuple[DeviceId, SignalName], ...]
    history: tuple[Floats, ...]
    history_start: tuple[int, ...]
    trials: tuple[Trial, ...]
    draws: int = 0
