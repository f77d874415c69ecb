"""A service that ends in order has told each finding once."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from streams.crashpoints import CrashPoints
from streams.findings import FindingStore
from streams.mqtt import Address, EmbeddedBroker, connect
from streams.publisher import SUBSCRIBER, Publisher
from streams.topics import Topics
from tests.agents.plant import alert
from tests.waiting import HUNG

TOPICS = Topics("plant")


class Slow(FindingStore):
    """Notes what was told when it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def tell(self, subscriber: str, number: int) -> None:
        self.asked.set()
        await self.free.wait()
        await super().tell(subscriber, number)


async def test_what_was_begun_when_it_ends_is_noted(tmp_path: Path) -> None:
    async with asyncio.timeout(HUNG), EmbeddedBroker("127.0.0.1", 0) as broker:
        address = Address("127.0.0.1", broker.port)
        with closing(Slow(tmp_path / "findings.db")) as store:
            async with connect(address, "subscriber", [TOPICS.findings("alerts")]) as listening:
                messages = listening.messages()
                publishing = asyncio.create_task(Publisher(TOPICS, address=address, store=store, crash=CrashPoints()).run())
                await store.save([alert()], [])
                await store.asked.wait()
                publishing.cancel()
                assert await anext(messages)
                store.free.set()
                with pytest.raises(asyncio.CancelledError):
                    await publishing
            assert await store.untold(SUBSCRIBER, 10) == []
