"""Devices that fall silent: heard in this recording, and since then in none of the last steps in which others reported.

Only devices with sampled signals can be missed; any value that one sends, also a bad one, is a sign of life. What history did
without a fault is no evidence: training counts the silences of each device, and those of devices that have them usually are
passed over. Fed by the detector, row by row; training replays recordings through the same object.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.detection.layout import Layout
from graph.detection.readings import Recording
from graph.detection.table import STALE_STEPS, Row, rows
from schemas.device import DeviceId

NEVER = -1
"""Of what was not heard yet; moments are at least 0."""

Bools = NDArray[np.bool_]


class Silences:
    """One per recording. `silent` says since when each silent device is known to be; `usual` devices are never in it."""

    def __init__(self, layout: Layout, usual: Iterable[str] = ()) -> None:
        self.silent: dict[DeviceId, int] = {}
        names = sorted({device for device, _ in layout.sampled})
        self._step = layout.step
        self._names = tuple(DeviceId(name) for name in names)
        self._place = {name: place for place, name in enumerate(self._names)}
        self._device = np.array([self._place[DeviceId(device)] for device, _ in layout.sampled], dtype=np.int64)
        skipped = frozenset(usual)
        self._watched = np.array([name not in skipped for name in names], dtype=bool)
        self._met = np.zeros(len(names), dtype=bool)
        self._heard = np.full(len(names), NEVER, dtype=np.int64)
        self._ends: deque[int] = deque(maxlen=STALE_STEPS)

    def hear(self, device: DeviceId, at: int) -> None:
        """A sign of life."""
        place = self._place.get(device)
        if place is not None:
            self._heard[place] = at
            self.silent.pop(device, None)

    def look(self, row: Row) -> None:
        """The end of a step in which some device reported."""
        known = np.zeros(len(self._names), dtype=bool)
        np.logical_or.at(known, self._device, ~np.isnan(row.values))
        self._met |= known
        self._ends.append(row.at)
        if len(self._ends) < STALE_STEPS:
            return
        silent = self._met & self._watched & ~known & (self._heard <= self._ends[0] - self._step)
        if silent.any() or self.silent:
            self.silent = {self._names[place]: self.silent.get(self._names[place], row.at) for place in np.flatnonzero(silent)}

    def columns(self) -> Bools:
        """The sampled signals of silent devices."""
        places = [self._place[device] for device in self.silent]
        found: Bools = np.isin(self._device, places)
        return found

    def state(self) -> tuple[object, ...]:
        return (list(self.silent.items()), self._met.tobytes(), self._heard.tobytes(), list(self._ends))

    def restore(self, state: Sequence[Any]) -> None:
        """The inverse of `state`, with the same layout."""
        silent, met, heard, ends = state
        self.silent = dict(silent)
        self._met = np.frombuffer(met, dtype=bool).copy()
        self._heard = np.frombuffer(heard, dtype=np.int64).copy()
        self._ends = deque(ends, maxlen=STALE_STEPS)


def watched(recording: Recording, layout: Layout, found: Counter[str]) -> Iterator[Row]:
    """The fresh rows of a recording. How often each device falls silent meanwhile is added to `found`."""
    known = Silences(layout)
    before: frozenset[DeviceId] = frozenset()
    for row in rows(recording, layout, known.hear):
        known.look(row)
        now = frozenset(known.silent)
        found.update(now - before)
        before = now
        yield row


def usual(per_day: Mapping[str, float], most: float) -> frozenset[str]:
    """Devices whose silences are part of the plant's life: all but the most quiet ones, which together have at most so many."""
    rising = sorted(per_day, key=lambda device: (per_day[device], device))
    together = accumulate(per_day[device] for device in rising)
    return frozenset(device for device, count in zip(rising, together, strict=True) if count > most)
