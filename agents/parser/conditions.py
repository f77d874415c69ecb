"""Conditions in sentences: if it affects more than two devices, unless it behaves strangely, 要是有报警, 低于15%就.

Only where they stand and what they compare; the composer finds out what of.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agents.parser.quantities import Comparison
from agents.parser.reading import Reading
from agents.parser.spans import Placed

IF = re.compile(
    r"(?<![a-z])(?:if|unless|when(?:ever)?|in case|provided|as long as|(?<!at )once)(?![a-z])|(?:^|"
    r"(?<=[,.;?!] ))should(?= (?:the|an?|any|there|it|one|no|more|it)\b)"
    r"|如果|假如|要是|若是|若|万一|一旦|除非|当(?!前|天|日|月)"
)
_UNLESS = re.compile(r"(?<![a-z])(?:unless|if not|isn't|is not|doesn't|does not|not)(?![a-z])|除非|不(?=异常)|没有?(?=异常)")
_STRANGE = re.compile(
    r"(?:(?<![a-z])(?:really |still |indeed |not |behav\w+ |look\w* |act\w* |is |are |be )*(?:strange(?:ly)?|"
    r"odd(?:ly)?|abnormal(?:ly)?|weird(?:ly)?"
    r"|anomalous|unusual(?:ly)?|out of (?:the )?ordinary))(?: (?:behaviour|behavior))?"
    r"|(?:确实|真的|真|仍然?|还)?是?(?:不正常|异常|有问题|不对劲?)"
)
_SOME = re.compile(
    r"(?<![a-z])(?:there (?:are|is) (?:any |some |an? )?|any |some |has (?:any |some |an? )?(?=(?:\w+ )?alarms?(?![a-z])))"
    r"(?:(?:standing|open|active|new|critical|high|medium|low|urgent) )*(?P<what>alarms?|faults?|changes?|devices?)?"
    r"|有(?:任何|严重|高级|中级|低级|紧急|新|未确认)*的?(?P<zh>报警|告警|故障|变动|变化)"
)
_NONE = re.compile(
    r"(?<![a-z])(?:there (?:are|is) (?:no|none)|nothing|none|no)(?![a-z]| longer)(?: (?:standing |open |critical |"
    r"such |high )*(?P<what>alarms?|faults?|changes?|devices?))?"
    r"|(?:没有?|无)(?:任何|未消|没消|新)?的?(?P<zh>报警|告警|故障|变动|变化)|谁都不(?:会)?受影响"
    r"|(?:没|无)(?:有)?(?:任何|别的|其他的?|其它的?)*(?:人|设备|谁|东西)(?:会)?受(?:到)?影响|不(?:会)?影响(?:到)?(?:任何|别的|其他|其它)的?(?:设备|东西)?"
)
_TRAIL = re.compile(
    r"\s?(?:devices?|alarms?|faults?|changes?|percent|of them|in total|affected|right now|now|台(?:设备)?|个|条|处|项|"
    r"起|的话|时候?|以上|[,，]|then|just|就|则|那就?|都)+"
)
_AFFECTED = re.compile(
    r"(?: else)?(?:,? (?:that |which )?(?:would|will|is|are|gets?|were|was|may|might|"
    r"could)? ?(?:be )?(?:affected|hit|lost|taken down|touched|down))?"
    r"(?: (?:standing|open|there|now|right now|at all|active))*(?: (?:on|in|at|of) (?:it|there|the plant))?"
)
_HIT = re.compile(
    r" ?(?:that |which )?(?:would|will|is|are|gets?|were|was|may|might|could)? ?(?:be )?"
    r"(?:affected|hit|lost|taken down)(?![a-z])"
)
_ASKED = re.compile(r"^\s*(?:is|are|was|were|does|do|did|has|have|any)(?![a-z])|(?:有没有|是否|是不是|有无|吗)")
_SO = re.compile(
    r"(?<![a-z])if (?:yes|so|it (?:is|does|was|has|did)|there (?:are|is)(?: any)?|they are|that is (?:so|"
    r"the case)|true|any)(?=\s*[,.;:]|\s*$| then\b)|(?<![a-z])if (?:so|yes)(?= (?!many|much|far|long|that|called|named|needed))"
    r"|(?:如果|要是|若)?(?:是|有|真是|确实)(?:这样)?的话|(?:如果|要是|若)(?:是|有)(?=[,，就])"
)


class Conditional(NamedTuple):
    """`start` to `end` is all of its words. `comparison`, `strange` or `some` (there is any, or none) says what holds."""

    start: int
    end: int
    comparison: Comparison | None = None
    strange: bool | None = None
    some: bool | None = None
    negated: bool = False
    """The comparison must not hold."""
    of: str = ""
    """The noun that `some` is about."""


def conditionals(reading: Reading) -> list[Conditional]:
    """The conditions of a sentence, in its order."""
    found = [_compared(reading, one) for one in reading.comparisons]
    found += _answered(reading, found)
    for opened in IF.finditer(reading.lower):
        if any(one.start <= opened.start() < one.end for one in found):
            continue
        end = _clause_end(reading, opened.end())
        said = reading.lower[opened.end() : end]
        unless = bool(_UNLESS.match(opened.group()))
        if one := _stated(said, opened.end(), unless=unless):
            found.append(one._replace(start=_opening(reading, opened), end=_trailed(reading.lower, _placed(reading, one.end))))
    found += _unopened(reading, found)
    return sorted(found, key=lambda one: one.start)


def _answered(reading: Reading, found: list[Conditional]) -> list[Conditional]:
    """`Is it strange? If so, ...`: what the question asks is the condition, and the short answer says no more."""
    answers = [match for match in _SO.finditer(reading.lower) if not any(one.start <= match.start() < one.end for one in found)]
    more = []
    for answer in answers[:1]:
        asked = [part for part in reading.fragments if part.end <= answer.start()]
        if not asked:
            continue
        if not any(asked[-1].start <= one.start < asked[-1].end or one.end == asked[-1].end for one in found):
            question = asked[-1]
            start = _after_joining(reading.lower, question.start)
            said = reading.lower[start : question.end].replace("是不是", "是").replace("有没有", "有").replace("是否", "")
            if one := _stated(said, start, unless=False):
                more.append(one._replace(start=start, end=question.end))
        more.append(Conditional(answer.start(), _trailed(reading.lower, answer.end())))
    return more


def _unopened(reading: Reading, found: list[Conditional]) -> list[Conditional]:
    """Chinese ones that only end as conditions do: 确实异常的话, 没有故障的话就."""
    more: list[Conditional] = []
    for closed in re.finditer(r"的话|就(?!行|是)", reading.lower):
        start = next((one.start for one in reading.fragments if one.start <= closed.start() < one.end), 0)
        if any(one.start < closed.end() and one.end > start for one in (*found, *more)):
            continue
        said = reading.lower[start : closed.start()]
        if one := _stated(said, start, unless=False):
            more.append(one._replace(start=start, end=_trailed(reading.lower, closed.start())))
    return more


def _stated(said: str, offset: int, *, unless: bool) -> Conditional | None:
    """What a part of a sentence that holds no number states."""
    if match := _STRANGE.search(said):
        negated = unless != bool(_UNLESS.search(said[: match.end()].replace("不正常", "")))
        return Conditional(offset, offset + match.end(), strange=not negated)
    if match := _NONE.search(said):
        end = _affected(said, match.end())
        return Conditional(offset, offset + end, some=unless, of=match["what"] or match["zh"] or said[match.start() : end])
    if match := _SOME.search(said):
        end = _affected(said, match.end())
        return Conditional(offset, offset + end, some=not unless, of=match["what"] or match["zh"] or said[match.start() : end])
    return None


_NEGATED = re.compile(r"(?<![a-z])(?:not|n['’]t|no|never)\s*$|(?:\w+n['’]t) (?:be )?$|(?:不|没有|没|未)$")


def _affected(said: str, end: int) -> int:
    match = _AFFECTED.match(said, end)
    return match.end() if match else end


def _compared(reading: Reading, one: Comparison) -> Conditional:
    lower = reading.lower
    fragment = next((part for part in reading.fragments if part.start <= one.start < part.end), reading.fragments[0])
    opened = [
        match
        for match in IF.finditer(lower, 0, one.start)
        if not re.search(r"[.;?!。；？！]\s", lower[match.end() : one.start])
    ]
    start = _opening(reading, opened[-1]) if opened else _after_joining(lower, fragment.start)
    end = _trailed(lower, one.end)
    hit = _HIT.match(lower, end)
    end = _since(reading, _standing(reading, hit.end() if hit else end))
    if not opened and lower[fragment.end : fragment.end + 1] in {"?", "？"}:
        end = fragment.end  # asked as a question: "are there more than 5 alarms in the east?"
    between = lower[(opened[-1].end() if opened else start) : one.start]
    negated = bool(_NEGATED.search(between)) != bool(opened and _UNLESS.match(opened[-1].group()))
    return Conditional(start, end, comparison=one, negated=negated)


def _opening(reading: Reading, opened: re.Match[str]) -> int:
    """Where a condition begins: in Chinese what it is about may stand before its word."""
    if opened.group().isascii():
        return opened.start()
    fragment = next((part for part in reading.fragments if part.start <= opened.start() < part.end), None)
    return opened.start() if fragment is None else _after_joining(reading.lower, fragment.start)


def _after_joining(lower: str, start: int) -> int:
    match = re.match(r"\s+", lower[start:])
    return start + (match.end() if match else 0)


def _placed(reading: Reading, end: int) -> int:
    """`no alarms on pump-7`: the place belongs to the condition."""
    match = re.compile(r" (?:on|at|of|in|for|with) (?:the )?").match(reading.lower, end)
    if match is None:
        return end
    places: list[Placed] = [*reading.devices, *reading.zones]
    return next((one.end for one in places if one.start == match.end()), end)


def _standing(reading: Reading, end: int) -> int:
    """`more than 10 alarms are standing in the east`"""
    match = re.compile(r"(?: (?:are|is|stand))?(?: (?:standing|open|active|present|raised|there))*").match(reading.lower, end)
    placed = _placed(reading, match.end() if match else end)
    return placed if match and placed > match.end() else end


def _since(reading: Reading, end: int) -> int:
    """`rose by more than 5 % since yesterday`"""
    match = re.compile(r" (?:since|on|from|against|over|than|compared (?:to|with)|vs\.?|versus) ").match(reading.lower, end)
    return next((one.end for one in reading.periods if match and one.start == match.end()), end)


def _trailed(lower: str, end: int) -> int:
    match = _TRAIL.match(lower, end)
    return match.end() if match else end


def _clause_end(reading: Reading, start: int) -> int:
    """Where the fragment ends that holds a place."""
    return next((part.end for part in reading.fragments if part.start <= start < part.end), len(reading.lower))
