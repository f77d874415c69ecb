"""What the pages of all browsers look at, found once for each change and not once for each of them.

The feed has one follower in the process, and its newest number says whether anything is new; a page asks here twice a second
and does nothing if the number is the one it has. So hundreds of alarms a second cost each browser two messages.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from agents.entry import Stage
from schemas.action import Progress
from schemas.alarm import Alarm, AlarmId, Limits, Verb
from schemas.device import DeviceId
from schemas.event import Micros
from schemas.finding import Fault
from streams.answers import Condition
from streams.controlroom import ControlRoom

LEAST_AGE = 0.25
"""Seconds that a look is good for however much comes."""
STALE_AFTER = Micros(int(Limits().stale_after * 1e6))
FAULTS, ACTIONS = 30, 300
"""How many of the newest are shown."""


class Look(NamedTuple):
    """What stands at a number of the feed."""

    number: int
    alarms: list[Alarm]
    conditions: Mapping[DeviceId, Condition]
    faults: list[Fault]
    """Open ones first, then the newest."""
    actions: list[Progress]
    """Those that wait for a person first, then the newest."""


NOTHING = Look(-1, [], {}, [], [])


class Watch:
    """Of one control room."""

    def __init__(self, room: ControlRoom) -> None:
        self._room = room
        self._look = NOTHING
        self._until = 0.0
        self._verbs: dict[tuple[AlarmId, int], list[Verb]] = {}
        self._zones: tuple[int, Mapping[DeviceId, str | None]] = (-2, {})

    async def look(self) -> Look:
        newest, now = self._room.feed.newest, time.monotonic()
        if newest != self._look.number and now >= self._until:
            self._until = now + LEAST_AGE
            faults, actions = await self._room.faults(limit=FAULTS), await self._room.actions(limit=ACTIONS)
            faults.sort(key=lambda fault: (fault.closed_at is None, fault.updated_at), reverse=True)
            actions.sort(key=lambda progress: _waits(progress.stage))
            alarms = self._room.alarms()
            self._look = Look(newest, alarms, self._room.conditions(), faults, actions)
            standing = {(alarm.alarm_id, alarm.version) for alarm in alarms}
            self._verbs = {key: verbs for key, verbs in self._verbs.items() if key in standing}
        return self._look

    def verbs(self, alarm: Alarm) -> list[Verb]:
        """As the control room says, tried once for each version of an alarm."""
        key = (alarm.alarm_id, alarm.version)
        if key not in self._verbs:
            self._verbs[key] = self._room.verbs(alarm)
        return self._verbs[key]

    async def zones(self) -> Mapping[DeviceId, str | None]:
        """Where each device is. Raises NotHereError, StoreError."""
        census = await self._room.plant.census()
        if census.version != self._zones[0]:
            self._zones = (census.version, {device.device_id: device.zone for device in census.devices})
        return self._zones[1]

    @property
    def now(self) -> Micros | None:
        """The plant's time."""
        return self._room.plant.now


def _waits(stage: str) -> int:
    return {Stage.WAITING.value: 0, Stage.UNKNOWN.value: 1}.get(stage, 2)
