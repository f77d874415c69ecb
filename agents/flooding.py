"""When more alarms ask for an operator than one can handle (ISA-18.2): the annunciations of the last minutes, and the flood."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

import msgspec

from agents.identity import derived
from schemas.alarm import AlarmId, Flood, Limits
from schemas.event import Micros, rfc3339


class FloodWatch:
    """`open` is the flood that is on. Times are the plant's; what comes late counts from the newest one on."""

    def __init__(self, site: str, limits: Limits) -> None:
        self.open: Flood | None = None
        self._site = site
        self._window = round(limits.flood_window * 1e6)
        self._opens = limits.flood_opens * limits.operators
        self._closes = limits.flood_closes * limits.operators
        self._newest = Micros(0)
        self._asked: list[tuple[Micros, AlarmId]] = []

    def copy(self) -> FloodWatch:
        """One to try things with."""
        twin = object.__new__(FloodWatch)
        twin.__dict__.update(self.__dict__)
        twin._asked = self._asked.copy()
        return twin

    def take(self, at: Micros, alarm_id: AlarmId) -> None:
        """An alarm asked for an operator. Said twice, it counts once."""
        entry = (at, alarm_id)
        place = bisect_left(self._asked, entry)
        if place < len(self._asked) and self._asked[place] == entry:
            return
        insort(self._asked, entry)
        self._newest = max(self._newest, at)
        del self._asked[: self._first(self._newest)]

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

    def grows(self) -> Flood | None:
        """The flood after one more has asked: the same with that one, or one that begins with it."""
        count, now = self.count(self._newest), rfc3339(self._newest)
        if self.open is not None:
            alarms, peak = self.open.alarms + 1, max(self.open.peak, count)
            return msgspec.structs.replace(self.open, updated_at=now, alarms=alarms, peak=peak)
        if count <= self._opens:
            return None
        flood_id = derived("flood", self._site, now)
        return Flood(flood_id=flood_id, opened_at=now, updated_at=now, alarms=count, peak=count)

    def follow(self, flood: Flood) -> None:
        """What was found, here or by a twin, holds."""
        self.open = flood if flood.closed_at is None else None
