"""When more alarms ask for an operator than one can handle (ISA-18.2): the annunciations of the last minutes, and the flood.

Told by `agents.annunciator` of every alarm that comes to ask for an operator. It follows from what it is told alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import msgspec

from agents.identity import derived
from agents.lifecycle import is_by_rule
from schemas.action import moment
from schemas.alarm import Alarm, AlarmId, Flood, Limits, Transition, Verb
from schemas.event import Micros, rfc3339


class FloodWatch:
    """`open` is the flood that is on. Times are the plant's; what comes late counts from the newest one on.

    What people and clocks let out has the wall clock's time. It counts as long after the plant's last alarm as that clock says,
    and moves nothing else, so that a plant whose time stands still is not overtaken.
    """

    def __init__(self, site: str, limits: Limits) -> None:
        self.open: Flood | None = None
        self._site = site
        self._window = round(limits.flood_window * 1e6)
        self._opens = limits.flood_opens * limits.operators
        self._closes = limits.flood_closes * limits.operators
        self._newest = Micros(0)
        self._heard: tuple[Micros, Micros] | None = None
        self._asked: list[tuple[Micros, AlarmId]] = []

    def copy(self) -> FloodWatch:
        """One to try things with."""
        twin = object.__new__(FloodWatch)
        twin.__dict__.update(self.__dict__)
        twin._asked = self._asked.copy()
        return twin

    def hear(self, transition: Transition) -> Micros | None:
        """An alarm came to ask for an operator: when, by the plant's time; None if that is not known or was said before."""
        at, recorded_at = moment(transition.time), moment(transition.recorded_at)
        if by_plant(transition):
            self._heard = (at, recorded_at)
            return at if self.take(at, transition.alarm.alarm_id) else None
        if self._heard is None:
            return None
        newest, recorded = self._heard
        at = Micros(max(self._newest, newest + max(0, recorded_at - recorded)))
        return at if self._enter(at, transition.alarm.alarm_id) else None

    def take(self, at: Micros, alarm_id: AlarmId) -> bool:
        """An alarm asked for an operator. Said twice, it counts once."""
        is_new = self._enter(at, alarm_id)
        self._newest = max(self._newest, at)
        del self._asked[: self._first(self._newest)]
        return is_new

    def _enter(self, at: Micros, alarm_id: AlarmId) -> bool:
        entry = (at, alarm_id)
        place = bisect_left(self._asked, entry)
        if place < len(self._asked) and self._asked[place] == entry:
            return False
        self._asked.insert(place, entry)
        return True

    def count(self, at: Micros) -> int:
        """How many asked in the window that ends now."""
        return len(self._asked) - self._first(max(at, self._newest))

    def _first(self, at: Micros) -> int:
        return bisect_right(self._asked, at - self._window, key=lambda entry: entry[0])

    def ends(self, at: Micros) -> Flood | None:
        """The flood's end, if it is over by a time."""
        at = max(at, self._newest)
        if self.open is None or self.count(at) >= self._closes:
            return None
        return msgspec.structs.replace(self.open, updated_at=rfc3339(at), closed_at=rfc3339(at))

    def grows(self, at: Micros, alarm: Alarm) -> Flood | None:
        """The flood after one more has asked: the same with that one, or one that begins with it."""
        at = max(at, self._newest)
        count, now = self.count(at), rfc3339(at)
        if self.open is not None:
            alarms, peak = self.open.alarms + 1, max(self.open.peak, count)
            latest = rfc3339(max(at, moment(self.open.updated_at)))
            return msgspec.structs.replace(self.open, updated_at=latest, alarms=alarms, peak=peak)
        if count <= self._opens:
            return None
        # No alarm has a version twice, so no two floods have one id, whatever the plant's time does.
        flood_id = derived("flood", self._site, now, alarm.alarm_id, alarm.version)
        return Flood(flood_id=flood_id, opened_at=now, updated_at=now, alarms=count, peak=count)

    def follow(self, flood: Flood) -> None:
        """What was found, here or by a twin, holds. The next one begins no earlier than the last one ended."""
        self.open = flood if flood.closed_at is None else None
        if flood.closed_at is not None:
            self._newest = max(self._newest, moment(flood.closed_at))


def by_plant(transition: Transition) -> bool:
    """Whether its time is the plant's. Rules go by the wall's clock as long as that is not known."""
    if transition.verb in {Verb.RAISE, Verb.UPDATE, Verb.CLEAR}:
        return True
    return is_by_rule(transition.actor) and transition.time != transition.recorded_at
