"""The plant on its grid of steps: the newest value of every sampled signal, a row at the end of each step.

Streaming, and the only way rows are made: the detector feeds it live, the training replays recordings through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.layout import Layout
from graph.detection.readings import Recording
from schemas.device import DeviceId
from schemas.event import Micros

STALE_STEPS = 3
"""A value older than this many steps counts as missing."""
QUIET_STEPS = 600
"""Without any event for so long the grid rests."""

Floats = NDArray[np.float64]


class Row(msgspec.Struct, frozen=True):
    """What is known at the end of a step; NaN where a signal is missing. `fresh`: a sampled signal came in this step."""

    at: Micros
    values: Floats
    fresh: bool


class Table:
    """A step that ends at T holds what came in (T - step, T]."""

    def __init__(self, layout: Layout) -> None:
        self.step = layout.step
        self._aligned = layout.aligned
        self._slack = layout.slack
        self._values = np.full(len(layout.sampled), np.nan)
        self._when = np.zeros(len(layout.sampled), dtype=np.int64)
        self._fresh = False
        self._ends: int | None = None
        self._newest: int | None = None

    def begin(self, at: Micros) -> None:
        """Note that something happened; the first time fixes the grid: it ends a step, or falls into a whole one."""
        self._newest = at if self._newest is None else max(self._newest, at)
        if self._ends is None:
            self._ends = -(-at // self.step) * self.step if self._aligned else at + self._slack

    def set(self, column: int, value: float, at: Micros) -> None:
        if np.isfinite(value):
            self._values[column] = value
            self._when[column] = at
            self._fresh = True

    def stir(self) -> None:
        """Something came in this step that is no column."""
        self._fresh = True

    def due(self, until: Micros, *, inclusive: bool) -> Micros | None:
        """The end of the next step if it lies before `until` (or at it)."""
        if self._ends is None or self._newest is None:
            return None
        if self._ends - self._newest > QUIET_STEPS * self.step:
            missing = (until - self._ends) // self.step
            self._ends += max(0, missing) * self.step  # the grid keeps its phase over the rest
            if self._ends > self._newest + QUIET_STEPS * self.step:
                return None
        return Micros(self._ends) if self._ends < until or (inclusive and self._ends == until) else None

    def take(self) -> Row:
        """Close the step that is due."""
        assert self._ends is not None
        at = self._ends
        values = np.where(at - self._when < STALE_STEPS * self.step, self._values, np.nan)
        row = Row(Micros(at), values, self._fresh)
        self._fresh = False
        self._ends = at + self.step
        return row

    def state(self) -> tuple[object, ...]:
        return (self._values.tobytes(), self._when.tobytes(), self._fresh, self._ends, self._newest)

    def restore(self, state: tuple[bytes, bytes, bool, int | None, int | None]) -> None:
        values, when, self._fresh, self._ends, self._newest = state
        self._values = np.frombuffer(values, dtype=np.float64).copy()
        self._when = np.frombuffer(when, dtype=np.int64).copy()


def rows(recording: Recording, layout: Layout, hear: Callable[[DeviceId, int], None] | None = None) -> Iterator[Row]:
    """The fresh rows of a recording, as the detector would see them. `hear` is told who sends a sampled value, and when."""
    table = Table(layout)
    places = {key: place for place, key in enumerate(layout.sampled)}
    for at, key, value in recording:
        place = places.get(key)
        if place is None or isinstance(value, str):
            continue
        while table.due(at, inclusive=False) is not None:
            row = table.take()
            if row.fresh:
                yield row
        table.begin(at)
        table.set(place, float(value), at)
        if hear is not None:
            hear(DeviceId(key[0]), at)
    while table.due(recording.end, inclusive=True) is not None:
        row = table.take()
        if row.fresh:
            yield row
