"""What a gateway keeps until the service has it, and the step that keeps the gateways together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from schemas.device import DeviceId
from schemas.finding import Mark
from streams.simulator.wire import Batch

NO_STEP = 1 << 62
AHEAD = 3
"""Batches that may wait to be sent while there is a connection: the plant keeps to the pace of its uplinks."""


class Spool:
    """One gateway's batches in their order: all above the service's watermark, of which the first `sent` are on their way."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._sent = 0
        self._events = 0

    def __len__(self) -> int:
        """Events that are kept."""
        return self._events

    def put(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._events += len(batch.events)

    def next(self) -> Batch | None:
        """The first that is not sent."""
        return self._batches[self._sent] if self._sent < len(self._batches) else None

    @property
    def unsent(self) -> int:
        """Batches."""
        return len(self._batches) - self._sent

    def step(self) -> int:
        """The step of `next`."""
        batch = self.next()
        return NO_STEP if batch is None else batch.step

    def sent(self, batch: Batch) -> None:
        """`next` was handed over, unless the watermark or a rewind was faster."""
        if batch is self.next():
            self._sent += 1

    def rewind(self) -> None:
        """Send everything again that is not known as safe."""
        self._sent = 0

    def passed(self, mark: Mark) -> None:
        """Forget what the watermark has passed."""
        while self._batches and (self._batches[0].epoch, self._batches[0].sequence) <= (mark.epoch, mark.sequence):
            self._events -= len(self._batches.popleft().events)
            self._sent = max(0, self._sent - 1)


class Spools:
    """All gateways' spools. No gateway sends a step before all others have sent the one before.

    The service orders events in event time and waits for a gateway only so long; far ahead of the others, one would make theirs
    late. `changed` wakes whoever waits for anything here. `away`: gateways that have lost their connection.
    """

    def __init__(self, names: Iterable[DeviceId], *, most: int) -> None:
        self.of = {name: Spool() for name in names}
        self.away: set[DeviceId] = set()
        self._most = most
        self._changed = asyncio.Event()

    def put(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self.of[batch.gateway].put(batch)
        self.change()

    def change(self) -> None:
        """Something has moved: those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        await self._changed.wait()

    async def turn(self, name: DeviceId) -> Batch:
        """The next batch of a gateway, as soon as the others are as far."""
        own = self.of[name]
        while True:
            batch = own.next()
            if batch is not None and batch.step <= min(spool.step() for spool in self.of.values()):
                return batch
            await self.changed()

    async def room(self) -> None:
        """Wait until no spool is full, and none has much to send that could be sent."""
        while any(
            len(spool) >= self._most or (spool.unsent > AHEAD and name not in self.away) for name, spool in self.of.items()
        ):
            await self.changed()

    async def all_safe(self) -> None:
        while self.waiting:
            await self.changed()

    @property
    def waiting(self) -> int:
        """Events that the service has not confirmed."""
        return sum(map(len, self.of.values()))
