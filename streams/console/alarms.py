"""The alarms' page: what asks for an operator first, what hangs under a fault beneath it, and the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.severity import ASCENDING, at_least
from graph.store import StoreError
from schemas.alarm import Alarm, AlarmState
from schemas.event import Severity, rfc3339
from streams.console.desk import Desk
from streams.console.frame import Console, View, Visit
from streams.plantview import NotHereError

SHOWN = 200
STATES: Mapping[str, Callable[[Alarm], bool]] = {
    "asking": lambda alarm: alarm.annunciated,
    "unacknowledged": lambda alarm: alarm.annunciated and not alarm.acknowledged,
    "aside": lambda alarm: alarm.state in {AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE},
    "all": lambda _: True,
}
"""Filters by state."""


class AlarmsView(View, component="static/alarms.js"):
    """See `alarms.js`."""


class AlarmsPage:
    """One browser's list of alarms."""

    def __init__(self, console: Console) -> None:
        self.visit = Visit(console, here="alarms")
        self._console = console
        self._state, self._least, self._text = "all", ASCENDING[0], ""
        with self.visit.shell:
            self._view = AlarmsView(rows=[], total=0, most=SHOWN)
        self._desk = Desk(self.visit, self._view)
        self.visit.on(self._view, "filter", self._filter)

    async def begin(self) -> None:
        self.visit.refresh = self._refresh
        await self.visit.begin()

    async def _filter(self, asked: dict[str, Any]) -> None:
        state = str(asked.get("state"))
        self._state = state if state in STATES else "all"
        self._least = Severity(str(asked.get("severity")))
        self._text = str(asked.get("text", "")).strip().casefold()
        await self._refresh()

    async def _refresh(self) -> None:
        look = await self._console.watch.look()
        try:
            zones = await self._console.watch.zones()
        except (NotHereError, StoreError):
            zones = {}

        def wanted(alarm: Alarm) -> bool:
            said = (alarm.device_id, alarm.condition, zones.get(alarm.device_id) or "")
            return (
                STATES[self._state](alarm)
                and at_least(alarm.severity, self._least)
                and any(self._text in text.casefold() for text in said)
            )

        alarms = [alarm for alarm in look.alarms if wanted(alarm)]
        rows = self._desk.rows(alarms, zones, limit=SHOWN)
        now = self._console.watch.now
        self._view.show(
            rows=rows,
            total=len(alarms),
            every=len(look.alarms),
            now=None if now is None else rfc3339(now),
        )
        await self._desk.refresh()
