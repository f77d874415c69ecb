"""The plant's time between its events: that of the newest event that was dealt with, and what has passed by the wall since.

Event time alone stands still when a plant falls silent; alarms would stay in flood, and actions wait for approval, for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from schemas.event import Micros


class PlantClock:
    """`monotonic` tells seconds that only grow."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._dealt_with = self._arrived = (Micros(0), 0.0)

    def noticed(self, at: Micros) -> None:
        """What is of this time is dealt with, and on disk."""
        if at > self._dealt_with[0]:
            self._dealt_with = (at, self._monotonic())

    def heard(self, at: Micros) -> None:
        """Something of this time has come. It may wait for its turn, until the next event, where a plant speaks seldom."""
        if at > self._arrived[0]:
            self._arrived = (at, self._monotonic())

    @property
    def now(self) -> Micros:
        """0 before the first event."""
        return self._since(*self._dealt_with)

    @property
    def latest(self) -> Micros:
        """What clocks in the plant show by now, as far as events tell: for what must be in time there. Never before `now`."""
        return max(self.now, self._since(*self._arrived))

    def _since(self, at: Micros, then: float) -> Micros:
        return Micros(0) if at <= 0 else Micros(at + round((self._monotonic() - then) * 1e6))
