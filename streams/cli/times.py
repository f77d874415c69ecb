"""Times and durations as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from schemas.event import Micros, micros
from streams.cli.terminal import Exit, fail

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)


def instant(text: str, option: str) -> Micros:
    """A time with its zone, RFC 3339. Ends the command if it is none; `option` is what is named then."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            fail(f"{option} {text}: say which time zone, e.g. {text}Z", Exit.USAGE)
        return micros(moment)
    except (ValueError, OverflowError) as error:
        fail(f"{option} {text}: {error}", Exit.USAGE)


def maybe_instant(text: str | None, option: str) -> Micros | None:
    return None if text is None else instant(text, option)


def duration(text: str, option: str) -> timedelta:
    """30m, 8h, 90d. Ends the command if it is none.

    >>> duration("90d", "--expires")
    datetime.timedelta(days=90)
    """
    match = DURATION.fullmatch(text)
    if match is None:
        fail(f"{option} {text}: a number and one of {' '.join(UNITS)}, e.g. 30m or 8h", Exit.USAGE)
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def after(text: str, option: str) -> datetime:
    """The time at which a duration from now is over. Ends the command if there is none."""
    try:
        return datetime.now(UTC) + duration(text, option)
    except OverflowError:
        fail(f"{option} {text}: too long", Exit.USAGE)
