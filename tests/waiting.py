"""Waiting for what happens elsewhere, for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

HUNG = 180
"""Seconds after which a test will not end any more. Not how long something may take: that depends on what runs beside it."""


async def until(true: Callable[[], object]) -> None:
    """Raises TimeoutError if it never is."""
    async with asyncio.timeout(HUNG):
        while not true():
            await asyncio.sleep(0.005)
