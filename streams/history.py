"""Readings of all numeric signals by time, as far back as memory allows: for instructions that ask for a stretch of the past.

Fed with the events of each batch in the model thread, and after a start from the newest records of the log, beside the stream.
A reading is sixteen bytes. Signals share what there is: each has a ring that grows to its part and then forgets its oldest.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.device import DeviceId, SignalName
from schemas.event import Event, Micros, Quality, Telemetry
from schemas.frame import unpack
from streams.broker import Broker, Record

logger = logging.getLogger(__name__)
READINGS = 4_000_000
"""64 MB."""
FIRST = 32
"""Readings that a new signal has room for; beyond `READINGS` over this many signals, further ones are not kept."""
RECORDS, AT_ONCE = 20_000, 200
"""Records of the log that are looked at after a start."""
SECONDS = 30.0
"""And how long that may take."""
Key = tuple[DeviceId, SignalName]


class Stretch(NamedTuple):
    """Readings in the order of their times, each time once. `since`: of the oldest reading that is kept of the signal."""

    at: NDArray[np.int64]
    value: NDArray[np.float64]
    since: Micros | None


EMPTY = Stretch(np.zeros(0, dtype=np.int64), np.zeros(0), None)


class _Ring:
    __slots__ = ("at", "count", "value")

    def __init__(self, size: int) -> None:
        self.at = np.zeros(size, dtype=np.int64)
        self.value = np.zeros(size)
        self.count = 0

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """In the order in which they came."""
        size, begin = len(self.at), self.count % len(self.at)
        if self.count <= size:
            return self.at[: self.count], self.value[: self.count]
        return np.roll(self.at, -begin), np.roll(self.value, -begin)

    def resize(self, size: int, at: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Hold the last `size` of these."""
        at, value = at[-size:], value[-size:]
        self.at, self.value = np.zeros(size, dtype=np.int64), np.zeros(size)
        self.at[: len(at)], self.value[: len(at)] = at, value
        self.count = len(at)


class History:
    """Of one site. For use by several threads."""

    def __init__(self, readings: int = READINGS) -> None:
        self._most = readings
        self._room = 0
        self._rings: dict[Key, _Ring] = {}
        self._lock = threading.Lock()

    def observe(self, events: Iterable[Event]) -> None:
        """Take in a batch. What is said to be bad, and what is no number, is passed over."""
        with self._lock:
            for device, name, at, value in _numbers(events):
                self._add((device, name), at, value)

    def observe_older(self, events: Iterable[Event]) -> None:
        """The same of events that are older than all that is known, as far as there is room."""
        found: dict[Key, tuple[list[int], list[float]]] = {}
        for device, name, at, value in _numbers(events):
            times, values = found.setdefault((device, name), ([], []))
            times.append(at)
            values.append(value)
        with self._lock:
            for key, (times, values) in found.items():
                self._prepend(key, np.array(times, dtype=np.int64), np.array(values))

    def read(self, device: DeviceId, signal: SignalName, start: Micros, end: Micros) -> Stretch:
        """From `start` until before `end`; of several readings of one time the one that came last."""
        with self._lock:
            ring = self._rings.get((device, signal))
            if ring is None or not ring.count:
                return EMPTY
            at, value = ring.rows()
            at, value = at.copy(), value.copy()
        times, last = np.unique(at[::-1], return_index=True)
        values = value[::-1][last]
        begin, stop = np.searchsorted(times, (start, end))
        return Stretch(times[begin:stop], values[begin:stop], Micros(int(times[0])))

    @property
    def held(self) -> int:
        """Readings that there is room for."""
        return self._room

    # --- Room -------------------------------------------------------------------------------------------------------------

    @property
    def _share(self) -> int:
        """What each signal may have: a power of two, so that it changes seldom as signals are added."""
        share = self._most // max(len(self._rings), 1)
        return 1 << (share.bit_length() - 1) if share else 0

    def _add(self, key: Key, at: int, value: float) -> None:
        ring = self._rings.get(key) or self._begun(key)
        if ring is None:
            return
        size = len(ring.at)
        if ring.count >= size and size < self._share:
            self._resize(ring, min(2 * size, self._share), *ring.rows())
        place = ring.count % len(ring.at)
        ring.at[place], ring.value[place] = at, value
        ring.count += 1

    def _begun(self, key: Key) -> _Ring | None:
        if (len(self._rings) + 1) * FIRST > self._most:
            return None
        ring = self._rings[key] = _Ring(FIRST)
        self._room += FIRST
        if self._room > self._most:
            self._level()
        return ring

    def _level(self) -> None:
        """No ring keeps more than its share."""
        share = self._share
        for ring in self._rings.values():
            if len(ring.at) > share:
                self._room += share - len(ring.at)
                ring.resize(share, *ring.rows())

    def _prepend(self, key: Key, at: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        ring = self._rings.get(key) or self._begun(key)
        if ring is None:
            return
        held = ring.rows()
        wanted = min(len(at) + len(held[0]), self._share)
        size = max(len(ring.at), min(1 << (wanted - 1).bit_length(), self._share) if wanted else 0)
        self._resize(ring, size, np.concatenate([at, held[0]]), np.concatenate([value, held[1]]))

    def _resize(self, ring: _Ring, size: int, at: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        if self._room + size - len(ring.at) > self._most:
            self._level()
        self._room += size - len(ring.at)
        ring.resize(size, at, value)


def _numbers(events: Iterable[Event]) -> Iterator[tuple[DeviceId, SignalName, int, float]]:
    for event in events:
        body = event.body
        if isinstance(body, Telemetry) and body.quality is not Quality.BAD:
            at = event.stamp.at
            for name, value in body.values.items():
                if not isinstance(value, str):
                    yield body.device_id, name, at, float(value)


async def refill(history: History, log: Broker, topic: str, *, before: int, records: int = RECORDS) -> int:
    """Once, after a start: the newest records before the first that the stream will bring; how many were taken in."""
    began, upper, lowest = time.monotonic(), before, max(before - records, 0)
    while upper > lowest and time.monotonic() - began < SECONDS:
        lower = max(upper - AT_ONCE, lowest)
        found = [record for record in await log.read(topic, lower, limit=upper - lower) if record.offset < upper]
        if not found:
            break
        await asyncio.to_thread(_take, history, found)
        upper = lower
    logger.debug("readings of %d records of the log are at hand", before - upper)
    return before - upper


def _take(history: History, records: Sequence[Record]) -> None:
    history.observe_older(event for record in records for event in unpack(record.value))
