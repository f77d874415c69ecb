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
        self._at = Micros(0)
        self._since = 0.0

    def noticed(self, at: Micros) -> None:
        """What is of this time is dealt with, and on disk."""
        if at > self._at:
            self._at, self._since = at, self._monotonic()

    @property
    def now(self) -> Micros:
        """0 before the first event."""
        return Micros(0) if self._at <= 0 else Micros(self._at + round((self._monotonic() - self._since) * 1e6))
