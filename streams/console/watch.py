"""What the pages of all browsers look at, found once for each change and not once for each of them.

The feed has one follower in the process, and its newest number says whether anything is new; a page asks here twice a second
and does nothing if the number is the one it has. So hundreds of alarms a second cost each browser two messages.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from schemas.alarm import Alarm, AlarmId, Limits, Verb
from schemas.device import DeviceId
from schemas.event import Micros
from streams.answers import Condition
from streams.controlroom import ControlRoom

LEAST_AGE = 0.25
"""Seconds that a look is good for however much comes."""
STALE_AFTER = int(Limits().stale_after * 1e6)
CHATTERING, STALE = "chattering", "stale"


class Look(NamedTuple):
    """The alarms and conditions at a number of the feed."""

    number: int
    alarms: list[Alarm]
    conditions: Mapping[DeviceId, Condition]


class Watch:
    """Of one control room."""

    def __init__(self, room: ControlRoom) -> None:
        self._room = room
        self._look = Look(-1, [], {})
        self._until = 0.0
        self._verbs: dict[tuple[AlarmId, int], list[Verb]] = {}

    def look(self) -> Look:
        newest, now = self._room.feed.newest, time.monotonic()
        if newest != self._look.number and now >= self._until:
            self._look = Look(newest, self._room.alarms(), self._room.conditions())
            self._until = now + LEAST_AGE
            standing = {(alarm.alarm_id, alarm.version) for alarm in self._look.alarms}
            self._verbs = {key: verbs for key, verbs in self._verbs.items() if key in standing}
        return self._look

    def verbs(self, alarm: Alarm) -> list[Verb]:
        """As the control room says, tried once for each version of an alarm."""
        key = (alarm.alarm_id, alarm.version)
        if key not in self._verbs:
            self._verbs[key] = self._room.verbs(alarm)
        return self._verbs[key]

    @property
    def now(self) -> Micros | None:
        """The plant's time."""
        return self._room.plant.now
