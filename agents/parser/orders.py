"""What is an order, and what is not: don't stop it, was it opened?, the pump that stopped, stop it at six.

Acting on a sentence that did not ask for it is the worst that a reader can do. So a cue that tells a device to do something
counts only in the few forms in which people order: at the head of its clause, or as what must be done to a device; its object
directly beside it, and nothing in the clause that denies, asks, supposes or leaves open. Everything else is asked about. Other
acts (to tell people, to shelve) count unless the clause forbids or asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from agents.catalogue import plant_tools
from agents.names import PLURALS, TYPE_WORDS
from agents.parser.conditions import IF, Conditional
from agents.parser.cues import Anchor
from agents.parser.orderforms import (
    AFTER,
    AFTER_NOUN,
    AFTER_ZH,
    ASKED_OTHER,
    BEFORE,
    BEFORE_ZH,
    BEGINNING,
    DENIED,
    DEVICE,
    LATER,
    MUST,
    NAMELESS,
    NOT_OTHER,
    NOUN,
    PASSIVE,
    PAST,
    POLITE_ZH,
    REPORTED,
    RESTARTED,
    SIGNAL,
    TAIL,
    TAKEN_BACK,
    TOLD_BEFORE,
    VALUE,
    ZONE,
)
from agents.parser.reading import Reading
from agents.parser.spans import Placed
from agents.toolset import Effect

ACTS = frozenset(tool.id for tool in plant_tools().tools if tool.effect is Effect.ACT)
DEVICES = frozenset({"command_device", "set_point", "isolate_device", "reconnect_device"})


_KINDS = re.compile(rf"(?<![a-z])(?:{'|'.join([*PLURALS, *TYPE_WORDS])})(?= {DEVICE})")
"""`the valve FV-302`, `pumps 1 and 2`"""


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
    doubtful: list[Anchor] = []
    for anchor in anchors:
        if anchor.tool in DEVICES:
            if _is_order(reading, anchor, conditions):
                kept.append(anchor)
                questions += _timed(reading, anchor, anchors, conditions)
            elif not _is_of_others(anchor, anchors, reading):
                doubtful.append(anchor)
        elif anchor.tool not in ACTS or _is_meant(reading, anchor):
            kept.append(anchor)
    for anchor in doubtful:
        if not any(one.tool == anchor.tool and _are_beside(one, anchor, reading) for one in kept):
            questions.append(_asked_back(reading, anchor))
    questions += [
        question
        for anchor in kept
        if anchor.tool in DEVICES
        for question in _leftovers(reading, anchor, anchors, conditions, masked)
    ]
    if any(anchor.tool in ACTS for anchor in kept):
        questions += _unclear(reading, kept, conditions, masked)
    said = _outside(reading.lower, conditions, masked)
    if any(anchor.tool in DEVICES for anchor in kept) and (TAKEN_BACK.search(said) or REPORTED.search(reading.lower)):
        questions.append("Something in this takes back what is asked for. What is to be done?")
    return Ordered(kept, list(dict.fromkeys(questions)))


def _leftovers(
    reading: Reading,
    anchor: Anchor,
    anchors: Sequence[Anchor],
    conditions: Sequence[Conditional],
    masked: Sequence[tuple[int, int]],
) -> list[str]:
    """Parts behind an order that name devices or numbers and are not understood: `..., not pump-7`, `... and 99`."""
    own = next((number for number, part in enumerate(reading.fragments) if part.start <= anchor.start < part.end), 0)
    found = []
    for part in reading.fragments[own + 1 :]:
        if part.stop or any(part.start <= one.start < part.end for one in anchors):
            break
        if "前" in part.mark and not any(one.start >= part.start for one in anchors if one.tool in ACTS):
            found.append(f"{reading.text[: part.end].strip()!r} is no plain order. What is to be done?")
        said = signs(reading, part.start, part.end, conditions)
        quoted = any(start <= part.start < end for start, end in masked)
        if not quoted and (
            (DEVICE in said and DENIED.search(said))
            or (anchor.tool != "set_point" and VALUE in said)
            or re.search(r"^\W*(?:and )?\d|\d\W*$", said)
        ):
            found.append(f"{reading.text[part.start : part.end].strip()!r} is not understood. What is meant by it?")
    return found


def _are_beside(one: Anchor, other: Anchor, reading: Reading) -> bool:
    """Of one fragment: `set it to 5` has two words for one order."""
    return any(part.start <= one.start < part.end and part.start <= other.start < part.end for part in reading.fragments)


def _is_of_others(anchor: Anchor, anchors: Sequence[Anchor], reading: Reading) -> bool:
    """A part of what another cue asks: why it stopped, what happens if it is closed. Nothing is to be done."""
    part = next((part for part in reading.fragments if part.start <= anchor.start < part.end), None)
    return part is not None and any(
        one.tool not in ACTS
        and part.start <= one.start < part.end
        and one.tool in {"explain_device", "assess_impact", "trace_fault"}
        for one in anchors
    )


def _asked_back(reading: Reading, anchor: Anchor) -> str:
    before, after = _clause(reading, anchor)
    said = reading.text[anchor.start - len(before) : anchor.end + len(after)].strip()
    return f"{said!r} is no plain order. What is to be done, in words such as 'stop pump-7'?"


class _Parts(NamedTuple):
    """A clause in signs: before its cue, the cue, and behind it."""

    ahead: str
    cue: str
    behind: str


def _is_order(reading: Reading, anchor: Anchor, conditions: Sequence[Conditional]) -> bool:
    """Whether a device is told to do something, in a form in which people order."""
    if anchor.start == anchor.end:
        return False  # guessed, and nobody may guess that
    before, after = _clause(reading, anchor)
    start, end = anchor.start - len(before), anchor.end + len(after)
    places = ((start, anchor.start), (anchor.start, anchor.end), (anchor.end, end))
    parts = _polite(_Parts(*(signs(reading, left, right, conditions) for left, right in places)))
    if _is_quoted(reading, start) or _is_question(reading, before, end) or _is_open(anchor, parts):
        return False
    if not re.search(rf"{DEVICE}|{NAMELESS}", "".join(parts)) and not _is_known(reading, anchor.start):
        return False
    english = anchor.text.isascii() and not re.search(r"[\u3400-\u9fff]", before + after)
    return _fits_english(anchor, parts) if english else _fits_chinese(anchor, parts)


def _is_quoted(reading: Reading, start: int) -> bool:
    """`Bob said: stop pump-7`"""
    heading = reading.lower[:start].rstrip()
    return heading.endswith((":", "：")) and bool(TOLD_BEFORE.search(heading) or DENIED.search(heading))


def _is_question(reading: Reading, before: str, end: int) -> bool:
    polite = r"\W*(?:and |then )?(?:please |pls )?(?:can|could|would|will) you(?! (?:ever|safely))"
    return reading.lower[end : end + 1] in {"?", "？"} and not re.match(polite, before) and not POLITE_ZH.match(before.strip())


def _polite(parts: _Parts) -> _Parts:
    """Without what makes an order a polite question in Chinese."""
    ahead = parts.ahead.lstrip("¤ ")
    if match := POLITE_ZH.match(ahead):
        return parts._replace(ahead=ahead[match.end() :], behind=re.sub(r"(?:吗|么|嘛)$", "", parts.behind.rstrip()))
    return parts


def _is_open(anchor: Anchor, parts: _Parts) -> bool:
    """Whether something in the clause denies, asks, supposes, or is not understood."""
    beside = parts.ahead + parts.behind
    if DENIED.search(f"{parts.ahead} | {parts.behind}") or re.search(r"\d", beside):
        return True
    return anchor.tool != "set_point" and (VALUE in beside or SIGNAL in beside)


def _fits_english(anchor: Anchor, parts: _Parts) -> bool:
    ahead = re.sub(r"\s+", " ", parts.ahead.replace("¤", " ")).lstrip(" ,.!;:-")
    behind = re.sub(r"\s+", " ", parts.behind.replace("¤", " ")).rstrip()
    if NOUN.fullmatch(ahead):
        return bool(RESTARTED.fullmatch(anchor.text)) and AFTER_NOUN.fullmatch(behind) is not None
    passive = PASSIVE.search(ahead)
    if passive is None and PAST.search(anchor.text.strip()):
        return False  # "pump-7 stopped" tells of it
    named = DEVICE in parts.cue or passive is not None or bool(re.search(rf"{DEVICE}|(?<![a-z])it(?![a-z])", ahead))
    rest = re.sub(r"^(?: (?:down|up|back|off|on))+(?= )", "", behind)
    has_object = named or re.match(rf" ?{TAIL}", rest) is None or not rest.strip()
    return BEFORE.fullmatch(ahead) is not None and AFTER.match(behind) is not None and has_object


def _fits_chinese(anchor: Anchor, parts: _Parts) -> bool:
    ahead, behind = parts.ahead.replace("¤", ""), parts.behind.replace("¤", "")
    if (anchor.tool != "set_point" and SIGNAL in ahead) or (anchor.text.isascii() and PAST.search(anchor.text.strip())):
        return False
    if VALUE in ahead.replace(f"从{VALUE}", "") or ahead.rstrip().endswith("的"):
        return False  # a number before the verb is not the one to be set: 把1、2、◆速度设为●; ◆的启停 is a noun
    if ("了" in behind or anchor.text.endswith("了")) and not re.search(r"[把将让]|给我", ahead):
        return False  # 停了 tells of it, 把它停了 orders it
    return BEFORE_ZH.fullmatch(ahead) is not None and AFTER_ZH.fullmatch(behind) is not None


def _is_known(reading: Reading, start: int) -> bool:
    """Whether a device was named before a cue, that its clause may point back at."""
    return any(one.start < start for one in reading.devices) or bool(
        re.search(r"fault|origin|故障|源头|根", reading.lower[:start])
    )


def signs(reading: Reading, start: int, end: int, conditions: Sequence[Conditional]) -> str:
    """A part of the sentence with a sign for each device, zone, signal and value, and none of its conditions and reasons."""
    marks: list[tuple[int, int, str]] = [(one.start, one.end, "¤") for one in conditions]
    placed: Iterable[tuple[Sequence[Placed], str]] = (
        (reading.devices, DEVICE),
        (reading.zones, ZONE),
        (reading.signals, SIGNAL),
        (reading.quantities, VALUE),
        (reading.periods, "¤"),
        (reading.durations, "¤"),
    )
    marks += [(one.start, one.end, sign) for among, sign in placed for one in among]
    found, at = [], start
    for left, right, sign in sorted(marks):
        if left < end and right > start and left >= at:
            found += [reading.lower[at:left], sign]
            at = min(right, end)
        elif left < at < right:
            at = min(right, end)
    said = BEGINNING.sub("the origin", "".join([*found, reading.lower[at:end]]))
    said = re.sub(r"(?<![a-z])(?:because|since|while|as(?! soon| to )|due to|so that)(?![a-z]).*$", "because", said)
    said = _KINDS.sub("", said.replace(f"{DEVICE}'s ", f"{DEVICE} ")).replace(f"  {DEVICE}", f" {DEVICE}")
    return re.sub(r"(?:因为|由于).*$", "", said)


def _clause(reading: Reading, anchor: Anchor) -> tuple[str, str]:
    """The clause before a cue, and behind it: between commas and full stops, what is joined by `and` alone being one."""
    own = next((number for number, part in enumerate(reading.fragments) if part.start <= anchor.start < part.end), 0)
    start = reading.fragments[own].start
    while (
        own > 0
        and reading.lower[reading.fragments[own - 1].end : start].strip() in {"and", "and then"}
        and re.search(
            rf"{MUST}\S+ *$|(?:want|get) .*$", reading.lower[reading.fragments[own - 1].start : reading.fragments[own - 1].end]
        )
    ):
        own -= 1
        start = reading.fragments[own].start
    end = next((part.end for part in reading.fragments if part.start <= anchor.start < part.end), len(reading.lower))
    return reading.lower[start : anchor.start], reading.lower[anchor.end : max(end, anchor.end)]


def _is_meant(reading: Reading, anchor: Anchor) -> bool:
    """Of acts that touch no device: neither forbidden nor asked about."""
    before, after = _clause(reading, anchor)
    if NOT_OTHER.search(before):
        return False
    return re.search(r"(?:can|could|would|will) you|please|请|麻烦", before) is not None or not ASKED_OTHER.search(
        before + after
    )


def _timed(reading: Reading, anchor: Anchor, anchors: Sequence[Anchor], conditions: Sequence[Conditional]) -> list[str]:
    """Devices are told now or not at all; a time in a condition is the condition's."""
    part = next((part for part in reading.fragments if part.start <= anchor.start < part.end), None)
    if part is None:
        return []
    others = [one.start for one in anchors if one.start > anchor.start and one.start < part.end]
    end = min(others, default=part.end)
    match = LATER.search(reading.lower, part.start, end + len(":00"))
    times = [(one.start, one.end) for one in (*reading.durations, *reading.periods) if part.start <= one.start < end]
    spans = [span for span in times if not any(one.start <= span[0] < one.end for one in conditions)]
    if match is None and not spans:
        return []
    when = match.group() if match else reading.text[spans[0][0] : spans[0][1]]
    return [f"{when.strip()!r}: a device is told at once or not at all. Shall it be now?"]


def _unclear(
    reading: Reading, kept: Sequence[Anchor], conditions: Sequence[Conditional], masked: Sequence[tuple[int, int]]
) -> list[str]:
    """Conditions that are not understood must not be dropped, and of two at once none is."""
    spans = [(one.start, one.end) for one in conditions] + list(masked)
    spans += [(one.start, one.end) for one in kept if one.tool not in ACTS]
    found = []
    for match in IF.finditer(reading.lower):
        if not any(start <= match.start() < end for start, end in spans):
            end = next((part.end for part in reading.fragments if part.start <= match.start() < part.end), len(reading.lower))
            found.append(f"I do not understand the condition {reading.text[match.start() : end].strip()!r}. What has to hold?")
    stating = [one for one in conditions if one.comparison is not None or one.strange is not None or one.some is not None]
    for one, other in pairwise(stating):
        if not any(one.start <= anchor.start < other.end for anchor in kept if anchor.tool in ACTS):
            found.append("Two conditions at once are not understood. Which one has to hold?")
    return found


def _outside(text: str, conditions: Sequence[Conditional], masked: Sequence[tuple[int, int]]) -> str:
    for start, end in [*((one.start, one.end) for one in conditions), *masked]:
        text = text[:start] + " " * (end - start) + text[end:]
    return text
