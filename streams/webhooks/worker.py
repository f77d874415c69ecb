"""What serves one endpoint: takes its rows in from the feed and makes its deliveries, for as long as it exists."""

from __future__ import annotations

import asyncio
import logging

from schemas.event import Micros
from streams.feed import Feed
from streams.webhooks.body import Origin
from streams.webhooks.endpoint import WebhookId
from streams.webhooks.log import AGAIN, FIRST, Lane
from streams.webhooks.record import Record
from streams.webhooks.schedule import Clock, later
from streams.webhooks.sender import Sender

logger = logging.getLogger(__name__)


class Worker:
    """Idle while its endpoint is disabled."""

    def __init__(self, name: WebhookId, *, record: Record, feed: Feed, sender: Sender, clock: Clock, origin: Origin) -> None:
        self._name = name
        self._record = record
        self._feed = feed
        self._sender = sender
        self._clock = clock
        self._origin = origin
        self._changed = asyncio.Event()
        self._held_until = Micros(0)

    def wake(self) -> None:
        """Something is different: look again at what there is to do."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_in(), name=f"webhook-{self._name}-feed")
            for lane in (FIRST, AGAIN):
                group.create_task(self._serve(lane), name=f"webhook-{self._name}-{lane.name}")

    async def _take_in(self) -> None:
        async for rows in self._feed.follow(await self._record.position(self._name)):
            changed = self._changed
            while not await self._record.take_in(self._name, rows, origin=self._origin, now=self._clock.now()):
                await changed.wait()
                changed = self._changed
            self.wake()

    async def _serve(self, lane: Lane) -> None:
        free = asyncio.Semaphore(lane.slots)
        flying: set[int] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                number = await self._next(lane, flying)
                flying.add(number)
                group.create_task(self._fly(number, flying, free), name=f"webhook-{self._name}-{number}")

    async def _next(self, lane: Lane, flying: set[int]) -> int:
        """Waits until there is one."""
        while True:
            changed = self._changed
            due = await self._record.following(self._name, lane, flying)
            if due is None:
                await changed.wait()
            elif (at := max(due.at, self._held_until)) > self._clock.now():
                await self._rest(changed, at)
            else:
                return due.number

    async def _rest(self, changed: asyncio.Event, until: Micros) -> None:
        waits = {asyncio.create_task(changed.wait()), asyncio.create_task(self._clock.sleep_until(until))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _fly(self, number: int, flying: set[int], free: asyncio.Semaphore) -> None:
        await self._attempt(number)
        # In this order: who is woken must find it landed.
        flying.discard(number)
        free.release()
        self.wake()

    async def _attempt(self, number: int) -> None:
        now = self._clock.now()
        message = await self._record.message(self._name, number, now)
        outcome = await self._sender.send(message, now)
        now = self._clock.now()
        if outcome.hold:
            # The receiver as a whole is busy, so everything for it waits.
            self._held_until = max(self._held_until, later(now, outcome.hold))
        await self._record.note(self._name, number, outcome, now=now)
        if not outcome.delivered:
            logger.info("webhook delivery %s failed: %s", message.id, outcome.error or outcome.status)
