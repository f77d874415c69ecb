"""A site with a record of findings, its feed and webhooks, over one folder: made twice, it is one that died and came back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from schemas.alarm import Alarm, AlarmId, AlarmState, Transition, Verb
from schemas.device import DeviceId
from schemas.event import Micros, Severity
from schemas.finding import Alert, AlertState, Explanation
from streams.feed import Feed, Told
from streams.findings import Finding, FindingStore
from streams.webhooks.body import Origin
from streams.webhooks.book import Webhooks
from streams.webhooks.endpoint import WebhookId
from streams.webhooks.guard import Allowed, GuardedNetwork, SystemResolver
from streams.webhooks.log import Delivery
from streams.webhooks.record import KEPT, Record
from streams.webhooks.schedule import later
from streams.webhooks.sender import Sender
from tests.waiting import HUNG

LOOPBACK = ("127.0.0.0/8",)
ORIGIN = Origin("plant", "https://console.example")
TIME = "2026-01-05T00:00:00Z"


class VirtualClock:
    """Begins now, since receivers refuse what is old; goes on only when it is told to."""

    def __init__(self) -> None:
        self._now = Micros(time.time_ns() // 1000)
        self._ticked = asyncio.Event()

    def now(self) -> Micros:
        return self._now

    async def sleep_until(self, at: Micros) -> None:
        while self._now < at:
            await self._ticked.wait()

    def advance(self, seconds: float) -> None:
        self._now = later(self._now, seconds)
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()


class Site:
    def __init__(self, folder: Path, clock: VirtualClock, *, kept: int, patience: float) -> None:
        self.store = FindingStore(folder / "findings.db")
        self.feed = Feed(self.store)
        self.clock = clock
        self.record = Record(folder / "webhooks.db", kept=kept)
        allowed = Allowed(LOOPBACK)
        sender = Sender(GuardedNetwork(SystemResolver(), allowed), timeout=patience)
        self.webhooks = Webhooks(self.record, feed=self.feed, sender=sender, allowed=allowed, origin=ORIGIN, clock=clock)

    async def add(self, *rows: Transition | Alert) -> None:
        await self.store.add(rows)


@asynccontextmanager
async def site(folder: Path, clock: VirtualClock, *, kept: int = KEPT, patience: float = 15.0) -> AsyncIterator[Site]:
    made = Site(folder, clock, kept=kept, patience=patience)
    tasks = [asyncio.create_task(made.feed.run()), asyncio.create_task(made.webhooks.run())]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        made.webhooks.close()
        made.store.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def told(folder: Path, *rows: Finding) -> list[Told]:
    """Rows as a feed tells them, from a record that keeps no more than them."""
    with closing(FindingStore(folder / "findings.db")) as store:
        feed = Feed(store)
        running = asyncio.create_task(feed.run())
        try:
            await store.add(rows)
            return await feed.behind(0)
        finally:
            running.cancel()


async def logged(at: Site, webhook: WebhookId, states: Sequence[str], *, attempts: int = 0) -> list[Delivery]:
    """The log, as soon as it says this, and that the newest has been tried so often."""
    async with asyncio.timeout(HUNG):
        while True:
            log = await at.webhooks.deliveries(webhook, limit=1000)
            if [line.state for line in log] == list(states) and log[-1].attempts >= attempts:
                return log
            await asyncio.sleep(0.005)


def transition(
    version: int = 1,
    device: str = "pump-1",
    *,
    verb: Verb = Verb.RAISE,
    before: AlarmState = AlarmState.NORMAL,
    state: AlarmState = AlarmState.UNACKNOWLEDGED,
    active: bool = True,
    severity: Severity = Severity.HIGH,
    parent: str | None = None,
) -> Transition:
    alarm = Alarm(
        alarm_id=AlarmId(f"alarm-{device}"),
        device_id=DeviceId(device),
        condition="anomaly",
        severity=severity,
        state=state,
        active=active,
        acknowledged=False,
        alert=alert(device, severity=severity, parent=parent),
        raised_at=TIME,
        version=version,
    )
    return Transition(alarm=alarm, verb=verb, before=before, time=TIME, recorded_at=TIME, actor="plant")


def alert(device: str = "pump-1", *, severity: Severity = Severity.HIGH, parent: str | None = None) -> Alert:
    return Alert(
        alert_id=f"alert-{device}",
        time=TIME,
        device_id=DeviceId(device),
        condition="anomaly",
        severity=severity,
        state=AlertState.RAISED,
        score=4.0,
        fault_id="fault-1",
        suppressed_by=parent,
        explanation=Explanation(),
    )


def transitions(count: int) -> list[Transition]:
    return [transition(version, verb=Verb.UPDATE, before=AlarmState.UNACKNOWLEDGED) for version in range(1, count + 1)]
