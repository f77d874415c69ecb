"""Periods as instructions name them, as stretches of the plant's time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agents.arguments import is_period
from agents.workshop import ToolError
from schemas.event import Micros, instant, micros
from streams.journal import wall_clock
from streams.plantclock import PlantClock

_PARTS = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\Z")
_CLOCK = re.compile(r"(\d{2}):(\d{2})(?::(\d{2}))?\Z")


class Span(NamedTuple):
    """From `start` until before `end`."""

    start: Micros
    end: Micros


class Calendar:
    """What time it is in the plant, and what it calls a day. As long as nothing has come from it, the wall's clock counts."""

    def __init__(self, clock: PlantClock, zone: ZoneInfo) -> None:
        self._clock = clock
        self.zone = zone

    @property
    def now(self) -> Micros:
        return self._clock.latest or wall_clock()

    def span(self, period: str) -> Span:
        """Raises ToolError."""
        return span(period, now=self.now, zone=self.zone)


def span(period: str, *, now: Micros, zone: ZoneInfo) -> Span:
    """What a period is at a time of the plant. Days, weeks and months are those of its time zone. Raises ToolError.

    >>> at = micros(datetime.fromisoformat("2026-01-05T10:00:00Z"))
    >>> span("PT2H", now=at, zone=ZoneInfo("UTC")).end - at
    1
    >>> instant(span("06:00/08:30", now=at, zone=ZoneInfo("Europe/Berlin")).start).isoformat()
    '2026-01-05T05:00:00+00:00'
    """
    if not is_period(period):
        raise ToolError(f"{period[:40]!r} is no period, such as PT2H, yesterday or 06:00/08:30")
    here = instant(now).astimezone(zone)
    try:
        start, end = _ends(period, here)
        found = Span(micros(start), micros(end))
    except (ValueError, OverflowError) as error:
        raise ToolError(f"{period[:40]!r} is no period: {error}") from None
    if found.start >= found.end:
        raise ToolError(f"{period[:70]!r} ends before it begins")
    return found


def _ends(period: str, here: datetime) -> tuple[datetime, datetime]:
    after = here + timedelta(microseconds=1)
    if named := _NAMED.get(period):
        return named(here, after)
    if found := _PARTS.match(period):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        # Hours are counted, not read off the wall: a day on which the clock is changed has 23 or 25 of them.
        length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return _utc(here) - length, after
    first, _, last = period.partition("/")
    if _CLOCK.match(first) and _CLOCK.match(last):
        return _of_the_day(time.fromisoformat(first), time.fromisoformat(last), here)
    return _moment(first, here), _moment(last, here)


def _of_the_day(first: time, last: time, here: datetime) -> tuple[datetime, datetime]:
    """The newest such stretch that has begun; over midnight where the second is the earlier one."""
    start = here.replace(hour=first.hour, minute=first.minute, second=first.second, microsecond=0)
    if start > here:
        start -= timedelta(days=1)
    end = start.replace(hour=last.hour, minute=last.minute, second=last.second)
    return start, end if last > first else end + timedelta(days=1)


def _moment(text: str, here: datetime) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=here.tzinfo)


def _utc(moment: datetime) -> datetime:
    return instant(micros(moment))


def _day(here: datetime) -> datetime:
    return here.replace(hour=0, minute=0, second=0, microsecond=0)


def _week(here: datetime) -> datetime:
    return _day(here) - timedelta(days=here.weekday())


def _month(here: datetime) -> datetime:
    return _day(here).replace(day=1)


_NAMED: dict[str, Callable[[datetime, datetime], tuple[datetime, datetime]]] = {
    "today": lambda here, after: (_day(here), after),
    "yesterday": lambda here, _: (_day(here) - timedelta(days=1), _day(here)),
    "this-week": lambda here, after: (_week(here), after),
    "last-week": lambda here, _: (_week(here) - timedelta(days=7), _week(here)),
    "this-month": lambda here, after: (_month(here), after),
    "last-month": lambda here, _: (_month(_month(here) - timedelta(days=1)), _month(here)),
}
