"""Waiting for what happens elsewhere, for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streams.analysis import Analysis

HUNG = 600
"""Seconds after which a test will not end any more. Not how long something may take: that depends on what runs beside it."""


async def until(true: Callable[[], object]) -> None:
    """Raises TimeoutError if it never is."""
    async with asyncio.timeout(HUNG):
        while not true():
            await asyncio.sleep(0.005)


async def taken_in(analysis: Analysis, events: int) -> None:
    """Until that many events are in the graph and what follows from them is on record: it counts them before that."""
    counts = analysis.pipeline.counts
    await until(lambda: counts.accepted >= events and not analysis.busy)
