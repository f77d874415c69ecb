from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.streams.webhooks.receiver import Receiver, receiving
from tests.streams.webhooks.site import Site, VirtualClock, site


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def plant(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Site]:
    async with site(tmp_path, clock) as made:
        yield made
