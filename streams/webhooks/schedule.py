"""When a delivery is tried: the schedule of Standard Webhooks 1.0, over three days."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Protocol

from schemas.event import Micros

DELAYS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each attempt, after the last one."""
JITTER = 0.1
LONGEST_HOLD = 3_600.0
"""Seconds that a receiver may ask to be left alone for by Retry-After."""
LONGEST_SLEEP = 60.0
SECOND = 1_000_000


class Clock(Protocol):
    def now(self) -> Micros: ...

    async def sleep_until(self, at: Micros) -> None:
        """Until then, or earlier: who asks looks at the clock again."""


class WallClock:
    def now(self) -> Micros:
        return Micros(time.time_ns() // 1000)

    async def sleep_until(self, at: Micros) -> None:
        # Never long, since the wall clock may be set, or the machine sleep, meanwhile.
        await asyncio.sleep(min(max((at - self.now()) / SECOND, 0.0), LONGEST_SLEEP))


def next_attempt(step: int, now: Micros, *, hold: float = 0.0) -> Micros | None:
    """When to go on after attempt `step` (from 0) has failed, not within `hold` seconds; None: it was the last."""
    if step + 1 >= len(DELAYS):
        return None
    spread = 1 + JITTER * (2 * secrets.SystemRandom().random() - 1)
    return later(now, max(DELAYS[step + 1] * spread, hold))


def later(now: Micros, seconds: float) -> Micros:
    return Micros(now + round(seconds * SECOND))
