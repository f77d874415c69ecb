"""What signals showed lately beside what was expected of them: for pages that draw it. In memory alone, and bounded.

Fed with each step of the pipeline; read by the control room. Whoever wants the past for good keeps the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.detection.evidence import Outlook, Step
from schemas.device import DeviceId, SignalName
from schemas.event import Micros
from streams.answers import Point

MOST_CELLS = 8_000_000
"""Numbers that are kept: 32 MB."""
MOST_STEPS, LEAST_STEPS = 720, 30
SERIES = ("value", "expected", "width", "surprise")


class _Ring(NamedTuple):
    at: NDArray[np.int64]
    cells: NDArray[np.float32]
    """(steps, series, columns)"""


class Traces:
    """Of one site; a model of other signals begins anew."""

    def __init__(self) -> None:
        self._columns: tuple[tuple[str, str], ...] = ()
        self._place: dict[tuple[str, str], int] = {}
        self._ring = _Ring(np.zeros(0, dtype=np.int64), np.zeros((0, 0, 0), dtype=np.float32))
        self._count = 0

    def observe(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.outlook is not None:
                self._add(step.at, step.outlook)

    def _add(self, at: Micros, outlook: Outlook) -> None:
        if outlook.columns is not self._columns:
            self._begin(outlook.columns)
        row = self._count % len(self._ring.at)
        self._ring.at[row] = at
        for place, name in enumerate(SERIES):
            self._ring.cells[row, place] = getattr(outlook, name)
        self._count += 1

    def _begin(self, columns: tuple[tuple[str, str], ...]) -> None:
        size = int(np.clip(MOST_CELLS // (len(SERIES) * max(len(columns), 1)), LEAST_STEPS, MOST_STEPS))
        self._columns, self._count = columns, 0
        self._place = {key: place for place, key in enumerate(columns)}
        self._ring = _Ring(np.zeros(size, dtype=np.int64), np.zeros((size, len(SERIES), len(columns)), dtype=np.float32))

    def watches(self, device: DeviceId, signal: SignalName) -> bool:
        """Whether the model expects anything of a signal."""
        return (device, signal) in self._place

    def of(self, device: DeviceId, signal: SignalName, *, limit: int = MOST_STEPS) -> list[Point]:
        """The newest points of a signal, oldest first; none where the model does not watch it."""
        column = self._place.get((device, signal))
        if column is None:
            return []
        size = len(self._ring.at)
        rows = [number % size for number in range(max(0, self._count - min(size, limit)), self._count)]
        return [_point(Micros(int(self._ring.at[row])), self._ring.cells[row, :, column].astype(float)) for row in rows]


def _point(at: Micros, cells: NDArray[np.float64]) -> Point:
    value, expected, width, surprise = (None if np.isnan(cell) else float(cell) for cell in cells)
    if expected is None or width is None:
        return Point(at, value, None, None, None, surprise)
    return Point(at, value, expected, expected - width, expected + width, surprise)
