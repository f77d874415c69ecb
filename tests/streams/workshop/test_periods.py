"""Periods of the plant's time, in its time zone, over midnight and over the days on which clocks are changed."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from agents.workshop import ToolError
from schemas.action import moment
from schemas.event import rfc3339
from streams.workshop.periods import Span, span

BERLIN = ZoneInfo("Europe/Berlin")
WEDNESDAY = "2026-03-04T10:30:00Z"


def at(period: str, now: str = WEDNESDAY, zone: ZoneInfo = BERLIN) -> tuple[str, str]:
    found: Span = span(period, now=moment(now), zone=zone)
    return rfc3339(found.start), rfc3339(found.end)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("yesterday", "2026-03-02T23:00:00Z", "2026-03-03T23:00:00Z"),
        ("last-week", "2026-02-22T23:00:00Z", "2026-03-01T23:00:00Z"),
        ("last-month", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z"),
        ("06:00/08:30", "2026-03-04T05:00:00Z", "2026-03-04T07:30:00Z"),
        ("22:00/06:00", "2026-03-03T21:00:00Z", "2026-03-04T05:00:00Z"),
        ("14:00/15:00", "2026-03-03T13:00:00Z", "2026-03-03T14:00:00Z"),
        ("2026-03-01/2026-03-02", "2026-02-28T23:00:00Z", "2026-03-01T23:00:00Z"),
        ("2026-03-01T06:00/2026-03-01T07:00:00Z", "2026-03-01T05:00:00Z", "2026-03-01T07:00:00Z"),
    ],
)
def test_stretches_that_are_over(period: str, start: str, end: str) -> None:
    assert at(period) == (start, end)


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("today", "2026-03-03T23:00:00Z"),
        ("this-week", "2026-03-01T23:00:00Z"),
        ("this-month", "2026-02-28T23:00:00Z"),
        ("PT2H", "2026-03-04T08:30:00Z"),
        ("P1DT1H30M15S", "2026-03-03T08:59:45Z"),
    ],
)
def test_stretches_up_to_now_hold_what_is_of_now(period: str, start: str) -> None:
    assert at(period) == (start, "2026-03-04T10:30:00.000001Z")


def test_a_day_on_which_the_clock_is_changed() -> None:
    assert at("yesterday", "2026-03-30T10:00:00Z") == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
    assert at("PT24H", "2026-03-29T10:00:00Z")[0] == "2026-03-28T10:00:00Z"


@pytest.mark.parametrize(
    "period",
    [
        *("", "P", "PT", "soon", "08:00/08:00x", "2026-02-30/2026-03-01", "2026-03-02/2026-03-01", "25:00/26:00"),
        *("2026-03-01/2026-03-01", "0000/0000", "9999-12-31T23:59:59-12:00/9999-12-31T23:59:59-12:00", "PT1H\n", "-/-"),
    ],
)
def test_what_is_none_is_refused(period: str) -> None:
    with pytest.raises(ToolError):
        at(period)
