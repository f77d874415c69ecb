"""The figures' page: how well alarms serve those who watch them, beside what ISA-18.2 recommends."""

from __future__ import annotations

import time
from typing import Any

from schemas.alarm import Kpis
from schemas.event import Micros, rfc3339
from schemas.finding import Finding
from streams.console.frame import Console, View, Visit

HOUR = 3600 * 1_000_000
WINDOWS = {"1 h": HOUR, "8 h": 8 * HOUR, "24 h": 24 * HOUR, "7 d": 7 * 24 * HOUR}
EVERY = 10.0
"""Seconds between two counts."""


class Figure(Finding, frozen=True, kw_only=True, omit_defaults=False):
    """A number beside its target; `good` None where there is no target."""

    name: str
    value: float
    unit: str
    target: str
    good: bool | None


class FiguresView(View, component="static/figures.js"):
    """See `figures.js`."""


def figures(kpis: Kpis) -> list[Figure]:
    """Targets for one operator (ISA-18.2, clause 16): acceptable on average, and what no stretch should pass."""

    def at_most(name: str, value: float, most: float, unit: str, target: str) -> Figure:
        return Figure(name=name, value=value, unit=unit, target=target, good=value <= most)

    return [
        at_most("Alarms in an hour, on average", kpis.per_hour, 6, "", "at most 6, manageable up to 12"),
        at_most("Alarms in an hour, at most", kpis.peak_per_hour, 12, "", "at most 12"),
        at_most("Alarms in 10 minutes, on average", kpis.per_ten_minutes, 1, "", "at most 1, manageable up to 2"),
        at_most("Alarms in 10 minutes, at most", kpis.peak_per_ten_minutes, 10, "", "at most 10"),
        at_most("Time in flood", 100 * kpis.flood_share, 1, "%", "less than 1 %"),
        at_most("Chattering alarms", len(kpis.chattering), 0, "", "none"),
        at_most("Stale alarms", len(kpis.stale), 5, "", "less than 5"),
    ]


class FiguresPage:
    """One browser's figures."""

    def __init__(self, console: Console) -> None:
        self.visit = Visit(console, here="figures")
        self._console = console
        self._window = "8 h"
        self._counted = -EVERY
        with self.visit.shell:
            self._view = FiguresView(windows=list(WINDOWS), window=self._window)
        self.visit.on(self._view, "window", self._choose)

    async def begin(self) -> None:
        self.visit.refresh = self._refresh
        await self.visit.begin()

    async def _choose(self, asked: dict[str, Any]) -> None:
        if asked.get("window") in WINDOWS:
            self._window, self._counted = asked["window"], -EVERY
            await self._refresh()

    async def _refresh(self) -> None:
        now = self._console.watch.now
        if now is None or time.monotonic() - self._counted < EVERY:
            return
        self._counted = time.monotonic()
        # The newest alarms have the newest time, and the end is left out.
        kpis = await self._console.room.kpis(Micros(now - WINDOWS[self._window]), Micros(now + 1))
        stale = {alarm.alarm_id: alarm.device_id for alarm in (await self._console.watch.look()).alarms}
        self._view.show(
            window=self._window,
            kpis=kpis,
            figures=figures(kpis),
            stale=[{"id": name, "deviceId": stale.get(name)} for name in kpis.stale],
            now=rfc3339(now),
        )
