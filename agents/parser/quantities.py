"""Numbers with units, and comparisons, in sentences: to 1200 rpm, more than two devices, 低于6bar, 以上."""

from __future__ import annotations

import re
from typing import NamedTuple

from agents.parser.spans import Cover
from agents.parser.tokens import CHINESE_DIGITS, NO_NUMBER, chinese_number, number_word

UNITS = {
    "speed": ("rpm", "revs", "m/s", "转/分钟", "转/分", "转每分钟", "转每分", "转", "r/min", "米每秒", "米/秒"),
    "opening": ("%", "percent", "per cent", "pct", "个百分点"),
    "pressure": ("bar", "mbar", "kpa", "mpa", "psi", "公斤", "巴"),
    "flow": ("m3/h", "m³/h", "l/min", "l/s", "方", "立方", "立方米/小时", "方/小时"),
    "level": ("m", "cm", "metres", "meters", "metre", "meter", "米", "公分"),
    "temperature": ("degrees", "degree", "deg", "°c", "°", "c", "celsius", "度"),
    "power": ("kw", "mw", "w", "千瓦"),
    "current": ("a", "amps", "amp", "安"),
    "frequency": ("hz", "赫兹"),
    "vibration": ("mm/s", "毫米/秒", "毫米每秒"),
    "latency": ("ms", "毫秒"),
}
"""Which signal a unit speaks of, where none is named."""
FOREIGN = frozenset({"mbar", "kpa", "mpa", "psi", "l/min", "l/s", "cm", "公分", "mw", "w", "r/min"}) - {"r/min"}
"""Units that plants here seldom count in: nothing is converted, so they are asked about."""
_SIGNAL_OF = {unit: signal for signal, units in UNITS.items() for unit in units}


def _unit_pattern(unit: str) -> str:
    return re.escape(unit) + (r"(?![a-z0-9/])" if unit[-1].isalnum() and unit.isascii() else "")


_UNIT = "|".join(_unit_pattern(unit) for unit in sorted(_SIGNAL_OF, key=len, reverse=True))
_WORDS = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety"
_NUMBER = (
    r"(?<![\w.-])-?\d+(?:\.\d+)?|(?<=[\u3400-\u9fff])\d+(?:\.\d+)?"
    rf"|(?<![a-z])(?:{_WORDS})(?![a-z-])|{NO_NUMBER}{CHINESE_DIGITS}"
)
_QUANTITY = re.compile(rf"(?P<number>{_NUMBER})\s?(?P<unit>{_UNIT})?")
_ABOVE = (
    r"more than|over|above|beyond|exceed(?:s|ed|ing)?|greater than|higher than|larger than|at least|upwards of|>=?"
    r"|超过|多于|高于|大于|超出|突破|高过|大过|超|不止|至少"
)
_BELOW = r"less than|fewer than|under|below|lower than|smaller than|at most|beneath|<=?|低于|少于|小于|跌破|低过|不足|不到|至多"
_COMPARED = re.compile(
    rf"(?:by )?(?P<word>{_ABOVE}|{_BELOW})\s?(?P<number>{_NUMBER})\s?(?P<unit>{_UNIT})?(?:以上|以下)?"
    r"(?: ?(?:s|secs?|seconds)(?![a-z])|秒)?"
)
_AFTER = re.compile(
    rf"(?P<number>{_NUMBER})\s?(?P<unit>{_UNIT}|台|个|条|处|项|起)?"
    r"(?P<word> or more| and more| or less| and less|以上|以下|及以上|及以下)"
)


class Quantity(NamedTuple):
    """A number, its unit if it has one, and the signal that the unit speaks of."""

    value: float
    unit: str
    signal: str | None
    start: int
    end: int


class Comparison(NamedTuple):
    """`above` or `below` a number; for whole numbers "at least" is above one less."""

    above: float | None
    below: float | None
    unit: str
    start: int
    end: int


def quantities(sentence: str) -> list[Quantity]:
    """Of a sentence in lower case.

    >>> [(one.value, one.signal) for one in quantities("to 1200 rpm, 40 %, 提到0.8m/s, 1380转, seven")]
    [(1200.0, 'speed'), (40.0, 'opening'), (0.8, 'speed'), (1380.0, 'speed'), (7.0, None)]
    """
    return [
        Quantity(_value(match["number"]), match["unit"] or "", _SIGNAL_OF.get(match["unit"] or ""), match.start(), match.end())
        for match in _QUANTITY.finditer(sentence)
        if _is_alone(sentence, match)
    ]


def comparisons(sentence: str) -> list[Comparison]:
    """Of a sentence in lower case.

    >>> [one[:2] for one in comparisons("more than two devices, below 0.8 m, at least 3, 8%以上")]
    [(2.0, None), (None, 0.8), (2.0, None), (8.0, None)]
    """
    found = []
    for match in _COMPARED.finditer(sentence):
        if not _is_alone(sentence, match):
            continue
        value, unit, word = _value(match["number"]), match["unit"] or "", match["word"]
        inclusive = word in {"at least", "at most", ">=", "<=", "至少", "至多"}
        found.append(_compared(value, unit, inclusive=inclusive, over=bool(re.fullmatch(_ABOVE, word)), match=match))
    taken = Cover(len(sentence), found)
    for match in _AFTER.finditer(sentence):
        if taken.touches(match.start(), match.end()):
            continue
        word = match["word"].strip()
        inclusive = word in {"or more", "and more", "or less", "and less", "及以上", "及以下"}
        over = "more" in word or "上" in word
        found.append(_compared(_value(match["number"]), match["unit"] or "", inclusive=inclusive, over=over, match=match))
    return sorted(found, key=lambda one: one.start)


def _is_alone(sentence: str, match: re.Match[str]) -> bool:
    """Whether a number was read to its end: not a piece of 1,200, 1e3, 12OO, 3千帕 or twelve hundred."""
    before, after = sentence[: match.start("number")], sentence[match.end("number") :]
    if re.search(r"\d[.,:]?$", before) or re.match(r"[.,:]\d|\d", after):
        return False
    if re.match(r" ?(?:hundred|thousand|million|dozen)|[千百万亿点]", after):
        return False
    return bool(match["unit"]) or not re.match(r"[a-z]", after)


def _compared(value: float, unit: str, *, inclusive: bool, over: bool, match: re.Match[str]) -> Comparison:
    step = 1.0 if inclusive and not unit and value == int(value) else 0.0
    above, below = (value - step, None) if over else (None, value + step)
    return Comparison(above, below, unit, match.start(), match.end())


def _value(said: str) -> float:
    if said[0].isdigit() or said[0] == "-":
        return float(said)
    if said.isascii():
        return number_word(said) or 0.0
    return float(chinese_number(said))
