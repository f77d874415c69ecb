"""What is no order although it names one: don't stop it, was it opened?, the pump that stopped, stop it at six.

Acting on a sentence that did not ask for it is the worst that a reader can do. So cues of acting tools count only where the
sentence orders; where it forbids, or ties them to what is not understood, nothing is planned and the sentence is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agents.catalogue import plant_tools
from agents.parser.conditions import IF, Conditional
from agents.parser.cues import Anchor
from agents.parser.reading import Reading
from agents.toolset import Effect

ACTS = frozenset(tool.id for tool in plant_tools().tools if tool.effect is Effect.ACT)
DEVICES = frozenset({"command_device", "set_point", "isolate_device", "reconnect_device"})
FORMS = DEVICES | {"shelve_alarm", "retrain_model"}
_NOT = re.compile(
    r"(?<![a-z])(?:(?:do|does|did|is|are|was|were|has|have|had|wo|ca|can|could|would|should|must|may|"
    r"might|need|ai)n['’]?t|not|never|no need to|without|instead of|rather than|refrain from|avoid|"
    r"(?:forbidden|prohibited) to"
    r"|(?:nobody|no one|nothing) (?:may|must|should)|stop)(?: \w+)?\s*$"
    r"|(?:不要|不得|不可以?|不能|不许|不准|不该|不用|不必|无需|无须|切勿|请勿|勿|严禁|禁止|别|莫|没有|没|未|不)(?:再|先|去|把|让|给|急着)?$"
)
_NOT_AT_ALL = re.compile(r"(?:不要|不得|不可以?|不能|不许|不准|切勿|请勿|严禁|禁止|别)(?:再|先|去)?[把让给将][^,，。;；]*$")
_NEGATED = re.compile(
    r"(?<![a-z])(?:(?:do|does|did|is|are|was|were|has|have|had|wo|ca|can|could|would|should|must|may|"
    r"might|need|ai)n['’]?t|not|never|without|avoid|instead)(?![a-z])|不|别|勿|禁止|没|未"
)
_PAST = re.compile(r"(?:\w{2}ed|shut)(?: (?:on|off|up|down))?$")
_DOING = re.compile(r"\w{3,}ing(?: (?:on|off|up|down))?$")
_HELPING = re.compile(
    r"(?<![a-z])(?:be|been|being|is|are|was|were|has|have|had|get|gets|got|wants?|needs?|like|who|which|"
    r"that|already|just)(?![a-z])"
)
_ORDERING = frozenset({"be", "get", "gets", "want", "wants", "need", "needs", "like"})
_IN_ORDER = re.compile(r"(?<![a-z])(?:before|after|once|as soon as|prior to) [^,;.]*$")
_LEADS_TO = re.compile(
    r"(?<![a-z])(?:after|before|by|with|once|first|prior to|then|start|begin|continue|mind|go ahead and|and)(?: \S+)? ?$"
)
_STANDS = re.compile(r"(?<![a-z])(?:is|are|was|were|stays?|stayed|remains?|remained|still|being)\s*$")
_REPORTED = re.compile(
    r"(?<![a-z])(?:says?|said|saying|reads?|claims?|states?|called|named|labell?ed|wrote|writes)(?: \S+){0,2}\s*$"
    r"|(?:写着|说是|显示)$"
)
_REPORTED_IN_CHINESE = re.compile(r"(?:已经?|刚刚?|刚才|上次|曾经?|之前就)[^,，。;；]{0,10}$")
_POLITE = re.compile(
    r"(?<![a-z])(?:can|could|would|will) (?:you|u|somebody|someone)(?![a-z])|please|pls|plz|麻烦|请(?!问)|帮我|能不能帮|可以帮"
)
_ASKED = re.compile(
    r"^\W*(?:(?:and|but|so|then|ok|okay|hey|well),? )?(?:did|does|do (?:we|you|i|they)|is|are|was|were|"
    r"has|had|who|whom|whose|when"
    r"|should (?:i|we|it|the)|may (?:i|we)|can (?:i|we|it|the|\S+-?\d)|could (?:i|we|it)|would (?:it|we)|must (?:i|we)"
    r"|shall (?:i|we)|will (?:it|the)|how (?:do|does|did|can|could|many|long|often|to)|what (?:if|about|time|does|did)"
    r"|are we|have (?:we|you|i|they))(?![a-z])"
)
_ASKED_IN_CHINESE = re.compile(
    r"吗|是否|是不是|有没有|(?<!帮)能不能(?!帮)|可不可以|要不要|该不该|了没(?:有)?|没有[?？]?$|谁|什么时候|何时|几点|为什么|为啥|为何|怎么(?!了)|如何"
    r"|会不会|呢[?？]?$|的原因|有(?:什么|啥|哪些)|会怎"
)
_LATER = re.compile(
    r"(?<![a-z])(?:at (?:\d|noon|midnight|dawn|night|one|two|three|four|five|six|seven|eight|nine|ten|"
    r"eleven|twelve)\S*|tomorrow|tonight|later(?: on| today)?|next (?:week|month|shift|day|hour|time)"
    r"|this (?:evening|afternoon|night)|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|until|till|"
    r"by (?:noon|midnight|tomorrow|\d)|every (?:day|hour|morning|night|week|\d)|daily|hourly|soon|"
    r"eventually)(?![a-z])"
    r"|明天|明早|明晚|后天|今晚|晚上|稍后|待会|等会儿?|一会儿|过会|下周|下个?班|每天|每小时|每隔|直到|之后再|\d+点(?!\d*[%个])|[一二三四五六七八九十两]+点"
)
_VALUE = re.compile(r"^at \d")


class Ordered(NamedTuple):
    """The cues that count, and what has to be asked before any of them does."""

    anchors: list[Anchor]
    questions: list[str]


def ordered(
    reading: Reading, anchors: Sequence[Anchor], conditions: Sequence[Conditional], masked: Sequence[tuple[int, int]]
) -> Ordered:
    """Without cues of acting tools that are no orders. `masked`: free text, which orders nothing."""
    kept: list[Anchor] = []
    questions: list[str] = []
    for anchor in anchors:
        if anchor.tool not in ACTS:
            kept.append(anchor)
        elif question := _forbidden(reading, anchor):
            questions.append(question)
        elif _is_order(reading, anchor):
            kept.append(anchor)
            if anchor.tool in DEVICES and (question := _timed(reading, anchor, anchors)):
                questions.append(question)
    acts = [anchor for anchor in kept if anchor.tool in ACTS]
    if len(acts) == 1 and len(kept) > 1 and _IN_ORDER.search(reading.lower[: acts[0].start]):
        kept.remove(acts[0])  # "before stopping it I want to know ...": nothing is to be done yet
    elif acts:
        questions += _unclear(reading, kept, conditions, masked)
    return Ordered(kept, questions)


def _forbidden(reading: Reading, anchor: Anchor) -> str:
    before, _ = _sentence(reading, anchor.start)
    if not (_NOT.search(before) or _NOT_AT_ALL.search(before)):
        return ""
    return f"{reading.text[max(anchor.start - 16, 0) : anchor.end].strip()!r} says what is not to be done. What is to be done?"


def _is_order(reading: Reading, anchor: Anchor) -> bool:
    before, after = _sentence(reading, anchor.start)
    if _is_asked(before, after, reading.lower[anchor.start + len(after) :][:1]):
        return False
    if anchor.start == anchor.end:  # guessed: of the whole part it is not known which words asked for it
        return _NEGATED.search(after) is None and _HELPING.search(after) is None
    if _REPORTED.search(before) or _REPORTED_IN_CHINESE.search(before):
        return False
    return anchor.tool not in FORMS or not anchor.text.isascii() or not _is_told(before, anchor.text.strip())


def _is_told(before: str, said: str) -> bool:
    """It tells of what was done, or of doing it: `the pump that stopped`, `stopping it is dangerous`."""
    first = said.split(" ", maxsplit=1)[0]
    if _DOING.fullmatch(first) and first not in {"bring", "taking"}:
        return _LEADS_TO.search(before) is None
    if _STANDS.search(before) and _PAST.search(said) is None:
        return True  # "valve-12 is open"
    if _PAST.search(said) is None or said.startswith(("shut ", "shed")):
        return False
    if _IN_ORDER.search(before):
        return False
    helping = list(_HELPING.finditer(before))
    if not helping:
        return True
    last = helping[-1]
    return last.group() not in _ORDERING and not (last.group() in {"have", "has"} and len(before[last.end() :].split()) > 0)


def _is_asked(before: str, after: str, mark: str) -> bool:
    """It stands in a question, other than a polite request."""
    whole = before + after
    if _POLITE.search(whole):
        return False
    if not whole.isascii() and _ASKED_IN_CHINESE.search(whole):
        return True
    return mark in {"?", "？"} or _ASKED.match(whole) is not None


def _sentence(reading: Reading, place: int) -> tuple[str, str]:
    """The part of the sentence before a place, and from it on: between commas and full stops."""
    start = max((part.start for part in reading.fragments if part.start <= place), default=0)
    end = next((part.end for part in reading.fragments if part.start <= place < part.end), len(reading.lower))
    # "C-401 should be reconnected and started": what is joined by `and` alone is one part.
    for part in reversed([part for part in reading.fragments if part.end <= start]):
        if reading.lower[part.end : start].strip() not in {"and", "or"}:
            break
        start = part.start
    return reading.lower[start:place], reading.lower[place:end]


def _timed(reading: Reading, anchor: Anchor, anchors: Sequence[Anchor]) -> str:
    """Devices are told now or not at all."""
    part = next((part for part in reading.fragments if part.start <= anchor.start < part.end), None)
    if part is None:
        return ""
    others = [one.start for one in anchors if one.start > anchor.start and one.start < part.end]
    end = min(others, default=part.end)
    said = reading.lower[part.start : end]
    match = _LATER.search(said)
    if match and _VALUE.match(match.group()) and any(one.signal for one in reading.quantities if part.start <= one.start < end):
        match = None  # "run it at 45 rpm"
    spans = [(one.start, one.end) for one in (*reading.durations, *reading.periods) if part.start <= one.start < end]
    if match is None and not spans:
        return ""
    when = match.group() if match else reading.text[spans[0][0] : spans[0][1]]
    return f"{when.strip()!r}: a device is told at once or not at all. Shall it be now?"


def _unclear(
    reading: Reading, kept: Sequence[Anchor], conditions: Sequence[Conditional], masked: Sequence[tuple[int, int]]
) -> list[str]:
    """Conditions that are not understood must not be dropped."""
    spans = [(one.start, one.end) for one in conditions] + list(masked)
    spans += [(one.start, one.end) for one in kept if one.tool not in ACTS]
    found = []
    for match in IF.finditer(reading.lower):
        if not any(start <= match.start() < end for start, end in spans):
            end = next((part.end for part in reading.fragments if part.start <= match.start() < part.end), len(reading.lower))
            found.append(f"I do not understand the condition {reading.text[match.start() : end].strip()!r}. What has to hold?")
    return found
