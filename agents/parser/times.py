"""Periods and durations in sentences: the last two hours, yesterday, 6 to 8:30, for half an hour, 过去24小时, 上周.

A period is written as `agents.arguments` takes it: an ISO 8601 duration up to now, a named one, or two times of day.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agents.parser.spans import Cover, apart
from agents.parser.tokens import CHINESE_DIGITS, chinese_number, number_word

MINUTE, HOUR, DAY, WEEK, MONTH = 60, 3_600, 86_400, 604_800, 2_592_000
UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒", "秒钟"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "分", "分钟"), MINUTE),
    **dict.fromkeys(("刻", "刻钟"), 900),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时", "个小时", "个钟头", "钟头", "个钟"), HOUR),
    **dict.fromkeys(("d", "day", "days", "天", "日", "shift"), DAY),
    **dict.fromkeys(("week", "weeks", "wk", "周", "个星期", "星期", "个礼拜", "礼拜"), WEEK),
    **dict.fromkeys(("month", "months", "个月"), MONTH),
}
NAMED = {
    "yesterday": "yesterday",
    "today": "today",
    "this week": "this-week",
    "last week": "last-week",
    "previous week": "last-week",
    "this month": "this-month",
    "last month": "last-month",
    "previous month": "last-month",
    "昨天": "yesterday",
    "昨日": "yesterday",
    "今天": "today",
    "今日": "today",
    "当天": "today",
    "当日": "today",
    "本周": "this-week",
    "这周": "this-week",
    "这星期": "this-week",
    "这个星期": "this-week",
    "这一周": "this-week",
    "上周": "last-week",
    "上星期": "last-week",
    "上个星期": "last-week",
    "上礼拜": "last-week",
    "本月": "this-month",
    "这个月": "this-month",
    "当月": "this-month",
    "上月": "last-month",
    "上个月": "last-month",
}
_WORDS = "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety)"
_NUMBER = (
    rf"(?<![\d.])\d+(?:\.\d+)?\s?|{CHINESE_DIGITS}|半"
    rf"|(?<![a-z])(?:half(?: an?)?|a quarter of an?|an?|{_WORDS}(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?)[ -]"
)
_EN_UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|[smhd])(?![a-z/])"
_ZH_UNIT = r"秒钟?|分钟?|个?小时|个?钟头|个钟|天|日|周|个?星期|个?礼拜|个月|刻钟?"
_AMOUNT = rf"(?P<number>{_NUMBER})?-?(?P<half>half |and a half |个?半)?(?P<unit>{_EN_UNIT}|{_ZH_UNIT})(?P<more> and a half|半)?"
_LAST_WORDS = r"(?<![a-z])(?:(?:over|in|for|during|of|on|from|within) )?(?:the |its )?(?:last|past|previous|latest|recent)"
_LAST = re.compile(rf"(?:{_LAST_WORDS}|过去的?|最近的?|近|前)\s?{_AMOUNT}")
_FOR = re.compile(rf"(?:(?<![a-z])(?:for|during)(?: the next| another| about)? )?{_AMOUNT.replace('[smhd]', '[hd]')}")
_NAMED = re.compile(
    rf"(?<![a-z])(?:{'|'.join(name for name in NAMED if name.isascii())})(?![a-z])"
    rf"|{'|'.join(name for name in NAMED if not name.isascii())}"
)
_DAYTIME = r"(?:早上|上午|中午|下午|晚上|凌晨|早|晚)?(\d{1,2})(?::(\d{2}))?(?: ?(am|pm)|点(?:(\d{1,2})分?|(半)|钟)?)?"
_TO = r"(?:-|–|to|and|till|until|到|至|~)"
_CLOCKS = re.compile(
    rf"(?:(?<![a-z])(?:between|from|for) )?(?P<one>{_DAYTIME})\s?{_TO}\s?(?P<other>{_DAYTIME})(?![\d.:%]|"
    rf" ?(?:rpm|bar|kw|%|percent|degrees|m3|devices|pumps))"
)
NOON, MIDNIGHT, MINUTES = 12, 24, 60


class Span(NamedTuple):
    """Something said about time. `value`: a period, or seconds of a duration as text."""

    value: str
    start: int
    end: int


def periods(sentence: str) -> list[Span]:
    """Of a sentence in lower case, in its order.

    >>> [span.value for span in periods("the last 2 hours, yesterday, from 6 to 8:30 am, 过去半小时, 近一周")]
    ['PT2H', 'yesterday', '06:00/08:30', 'PT30M', 'P7D']
    """
    found = [span for match in _LAST.finditer(sentence) if (span := _last(match)) is not None]
    found += [Span(NAMED[match.group()], match.start(), match.end()) for match in _NAMED.finditer(sentence)]
    found += [span for match in _CLOCKS.finditer(sentence) if (span := _clocks(match)) is not None]
    return apart(sorted(found, key=_longest), len(sentence))


def durations(sentence: str) -> list[Span]:
    """Lengths of time that are no period.

    >>> [span.value for span in durations("mute it for half an hour, 屏蔽两小时, for 1.5 h, an hour and a half")]
    ['1800', '7200', '5400', '5400']
    """
    taken = Cover(len(sentence), periods(sentence))
    found = []
    for match in _FOR.finditer(sentence):
        seconds = _seconds(match)
        if seconds is not None and not taken.touches(match.start(), match.end()):
            found.append(Span(f"{seconds:g}", match.start(), match.end()))
    return apart(sorted(found, key=_longest), len(sentence))


def _last(match: re.Match[str]) -> Span | None:
    unit = match["unit"]
    if match["number"] is None and match["half"] is None:
        # "the last week" is the one before this one; "the last hour" ends now.
        if unit in {"week", "month"} and not re.search(r"past|recent", match.group()):
            return Span(f"last-{unit}", match.start(), match.end())
        if unit not in {"hour", "day", "minute", "hr", "week", "month"}:
            return None
    seconds = _seconds(match, alone=1.0)
    return None if seconds is None else Span(iso(seconds, UNITS[unit]), match.start(), match.end())


def _seconds(match: re.Match[str], *, alone: float | None = None) -> float | None:
    number = amount(match["number"]) if match["number"] else alone
    if match["half"]:
        number = (number if match["half"] in {"个半", "and a half "} and number is not None else 0.0) + 0.5
    if number is None:
        return None
    return round((number + (0.5 if match["more"] else 0.0)) * UNITS[match["unit"]], 3)


def amount(said: str) -> float | None:
    """A number in digits or words of either language; `half` and `an` are numbers too."""
    said = said.strip(" -")
    if said in {"半", "half", "half a", "half an"}:
        return 0.5
    if said.startswith("a quarter"):
        return 0.25
    if said in {"a", "an"}:
        return 1.0
    if said[0].isdigit():
        return float(said)
    return number_word(said) if said.isascii() else float(chinese_number(said))


def iso(seconds: float, unit: float) -> str:
    """An ISO 8601 duration in the unit in which it was said, or the next smaller one in which it is whole.

    >>> iso(7200, 3600), iso(5400, 3600), iso(172800, 3600), iso(604800, 604800), iso(90, 60)
    ('PT2H', 'PT90M', 'PT48H', 'P7D', 'PT90S')
    """
    whole = int(seconds)
    if unit >= DAY and whole % DAY == 0:
        return f"P{whole // DAY}D"
    if unit >= HOUR and whole % HOUR == 0:
        return f"PT{whole // HOUR}H"
    return f"PT{whole // MINUTE}M" if whole % MINUTE == 0 else f"PT{whole}S"


def _clocks(match: re.Match[str]) -> Span | None:
    text = match.group()
    if not re.search(r":\d|am|pm|点|from|between|早|上午|下午|晚", text):
        return None
    parts = match.groups()
    one, other = _clock(parts[1:6], parts[0]), _clock(parts[7:12], parts[6])
    if one is None or other is None:
        return None
    if ("pm" in (parts[9] or "") or "下午" in (parts[0] or "")) and other[0] < one[0] <= NOON:
        other = (other[0] + NOON, other[1])
    return Span(f"{one[0]:02d}:{one[1]:02d}/{other[0]:02d}:{other[1]:02d}", match.start(), match.end())


def _clock(parts: tuple[str | None, ...], text: str | None) -> tuple[int, int] | None:
    hour, minute, half_day, minute_zh, half = parts
    value = int(hour or 0)
    if (half_day == "pm" or any(word in (text or "") for word in ("下午", "晚"))) and value < NOON:
        value += NOON
    minutes = 30 if half else int(minute or minute_zh or 0)
    return (value, minutes) if value <= MIDNIGHT and minutes < MINUTES else None


def _longest(span: Span) -> int:
    """Of those that overlap, the longest counts."""
    return span.start - span.end
