"""Alarms as rows of a list, and what people do with them: shared by the alarms' page and a device's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agents.annunciator import Request
from schemas.action import moment
from schemas.alarm import Alarm, AlarmState, Shelf, Transition, Verb
from schemas.device import DeviceId
from schemas.event import Micros, Severity
from schemas.finding import Finding
from streams.api.alarms import ENGINEERS, OPERATORS
from streams.console.frame import View, Visit
from streams.console.watch import STALE_AFTER
from streams.roles import Role

UNDER = 50
"""Alarms that are listed under a parent."""
NEEDED: Mapping[Verb, Role] = dict.fromkeys(OPERATORS.values(), Role.OPERATOR) | dict.fromkeys(
    ENGINEERS.values(), Role.ENGINEER
)


class Row(Finding, frozen=True, kw_only=True, omit_defaults=False):
    """An alarm as the list shows it. `verbs` are those that are possible now for who looks; `children` hang under it."""

    id: str
    version: int
    device_id: DeviceId
    zone: str | None
    condition: str
    severity: Severity
    state: AlarmState
    annunciated: bool
    active: bool
    acknowledged_by: str | None
    raised_at: str
    occurrences: int
    chattering: bool
    stale: bool
    shelf: Shelf | None
    aside: str | None
    """Who or what hides it, and why."""
    fault_id: str | None
    verbs: tuple[Verb, ...]
    children: tuple[Row, ...] = ()
    more: int = 0


class Desk:
    """Handles what a view with a list of alarms asks for: `verb`, `history`."""

    def __init__(self, visit: Visit, view: View) -> None:
        self._visit = visit
        self._view = view
        self._open: str | None = None
        visit.on(view, "verb", self._act)
        visit.on(view, "history", self._tell)

    def rows(self, alarms: Sequence[Alarm], zones: Mapping[DeviceId, str | None], *, limit: int) -> list[Row]:
        """Those that hang under another of these are its children."""
        shown = {alarm.alert.alert_id for alarm in alarms}
        under: dict[str, list[Alarm]] = defaultdict(list)
        tops = []
        for alarm in alarms:
            parent = alarm.alert.suppressed_by
            if parent is not None and parent in shown:
                under[parent].append(alarm)
            else:
                tops.append(alarm)
        return [self._row(alarm, zones, under[alarm.alert.alert_id]) for alarm in tops[:limit]]

    def _row(self, alarm: Alarm, zones: Mapping[DeviceId, str | None], under: Sequence[Alarm] = ()) -> Row:
        console = self._visit.console
        now = console.watch.now or Micros(0)
        return Row(
            id=alarm.alarm_id,
            version=alarm.version,
            device_id=alarm.device_id,
            zone=zones.get(alarm.device_id),
            condition=alarm.condition,
            severity=alarm.severity,
            state=alarm.state,
            annunciated=alarm.annunciated,
            active=alarm.active,
            acknowledged_by=alarm.acknowledged_by if alarm.acknowledged else None,
            raised_at=alarm.raised_at,
            occurrences=alarm.occurrences,
            chattering=alarm.chattering,
            stale=alarm.active and now - moment(alarm.raised_at) > STALE_AFTER,
            shelf=alarm.shelf,
            aside=alarm.out_of_service or alarm.suppressed,
            fault_id=alarm.alert.fault_id,
            verbs=tuple(verb for verb in console.watch.verbs(alarm) if self._visit.may(NEEDED[verb])),
            children=tuple(self._row(child, zones) for child in under[:UNDER]),
            more=max(0, len(under) - UNDER),
        )

    async def refresh(self) -> None:
        """An open history grows with its alarm."""
        if self._open is not None:
            self._view.show(history=await self._history(self._open))

    async def _act(self, asked: dict[str, Any]) -> None:
        verb, minutes = Verb(asked["verb"]), asked.get("minutes")
        until = None
        if verb is Verb.SHELVE and minutes is not None:
            until = (datetime.now(UTC) + timedelta(minutes=float(minutes))).isoformat()
        alarm = self._visit.room.alarm(str(asked["id"]))
        request = Request(
            verb=verb,
            alarm_id=alarm.alarm_id,
            actor=self._visit.named(NEEDED[verb]),
            reason=str(asked.get("reason", ""))[:1000],
            until=until,
        )
        done = await self._visit.room.act(request)
        self._visit.say(f"{done.device_id}, {done.condition}: {done.state.replace('-', ' ')}.")

    async def _tell(self, asked: dict[str, Any]) -> None:
        self._open = None if asked.get("id") is None else str(asked["id"])
        self._view.show(history=None if self._open is None else await self._history(self._open))

    async def _history(self, name: str) -> dict[str, Any]:
        steps: list[Transition] = await self._visit.room.transitions(name, limit=200)
        return {"id": name, "steps": [msgspec.to_builtins(step) for step in reversed(steps)]}
