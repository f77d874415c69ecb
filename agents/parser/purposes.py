"""Why something is done to a device, and what is to be done at it: free text beside a cue."""

from __future__ import annotations

import re

from agents.parser import texts
from agents.parser.cues import Anchor
from agents.parser.reading import Clause
from agents.parser.scene import Scene

_SOMEBODY = re.compile(r"(?:get|have|send|find|could|can|should|must|would) (?:someone|somebody|anyone|a )")
_SENT = re.compile(r"安排|叫人|派人|找人")


def reason(scene: Scene, anchor: Anchor, clause: Clause) -> str | None:
    """Why: after a word for it, or what stands beside and asks for nothing."""
    text = scene.reading.text
    if (words := texts.because(text, clause.start, clause.end)) and not scene.in_condition(words.start):
        end = anchor.start - words.start if words.start < anchor.start < words.end else None
        return re.sub(r"(?:全部|都|先|而|所以|要)+$", "", words.text[:end]).strip(" ,，")
    own = next(part for part in clause.fragments if part.start <= anchor.start < part.end)
    rest = [] if anchor.text.isascii() else [scene.without(own._replace(start=anchor.end))]
    rest += [scene.without(part) for part in clause.fragments[1:]] + [scene.without(part) for part in clause.lead]
    said = [text for one in rest if (text := texts.is_said(_unprefixed(one)))]
    return said[0] if said else None


def _unprefixed(text: str) -> str:
    text = re.sub(r"^\W*(?:for|until|of|at|on|in)(?![a-z]).*$", "", text.strip(), flags=re.IGNORECASE)
    return re.sub(r"^(?:直?到|等).*(?:为止|正常|恢复)$|^的?(?:源头|根源|根因|源)(?:的?设备|那台)?$", "", text)


def to_do(scene: Scene, anchor: Anchor, clause: Clause) -> str | None:
    """What is to be done, or what is wrong."""
    text = scene.reading.text
    own = next(part for part in clause.fragments if part.start <= anchor.start < part.end)
    if _SOMEBODY.match(anchor.text):
        return texts.is_said(scene.without(own._replace(start=anchor.end))) or None
    if re.match(r"have |get |want |needs? |wants? ", anchor.text):
        return text[anchor.start : anchor.end]
    if sent := _SENT.match(anchor.text):
        return texts.is_said(scene.without(own._replace(start=anchor.start + sent.end()))) or None
    if (words := texts.purpose(text, anchor.end, clause.end)) and (said := texts.is_said(words.text)):
        return said
    others = [scene.without(part) for part in clause.fragments if part is not own]
    if not anchor.text.isascii():
        others.insert(0, text[anchor.end : own.end])
    others += [scene.without(part) for part in clause.lead]
    said_all = [said for one in others if (said := texts.is_said(re.sub(r"^(?:给|把|对|将)", "", one)))]
    return said_all[0] if said_all else _work(anchor.text)


def _work(cue: str) -> str | None:
    """What a cue names itself: `order an inspection`, 派个检查工单."""
    if match := re.fullmatch(
        r"(?:schedule|book|order|plan|arrange) (?:an? |the |another )?(?P<one>inspection|cleaning|calibration|overhaul)", cue
    ):
        return match["one"]
    said = re.sub(r"^(?:开|派|下|报|提|建|生成|创建)(?:一?[个张份条])?|的?(?:工单|单子?)$", "", cue)
    said = re.sub(r"(?:(?:中|高|低)(?:级|优先级)?|紧急|加急|普通|严重|尽快)(?:级别)?的?", "", said)
    return None if said == cue or said in {"", "检修", "维修", "维护", "的"} else said
