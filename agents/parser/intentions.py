"""What parts of a sentence without a cue may ask for: the intent head's guess, where it is sure enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from agents.encoder import Encoder
from agents.parser.composer import Composer
from agents.parser.cues import Anchor
from agents.parser.reading import Fragment, Reading
from graph.nn.intents import NOTHING, IntentHead

LONGEST, MOST, IN_ALL = 80, 8, 240
"""Letters of a fragment, fragments, and letters of all of them that are looked at: an encoder's time grows with them."""
_SAID = re.compile(r"[A-Za-z]{3}|[\u3400-\u9fff]{2}")
_LETTERS = re.compile(r"[A-Za-z\u3400-\u9fff ]")
LEAST_LETTERS = 0.75
"""The share of a fragment that is letters of the two languages: less is no person's way to ask."""
SURE = 0.6
"""Where the sentence has cues already."""
ALONE = 0.25
"""Where nothing else says what it is about; docs/instructions.md has the measurement."""


def plain_words(reading: Reading, fragment: Fragment) -> str:
    """A fragment with devices as their kinds, and without numbers and times: what it asks for, of whichever device."""
    cut = [(one.start, one.end, _kind(reading, one.devices)) for one in reading.devices]
    cut += [(one.start, one.end, "") for one in (*reading.periods, *reading.durations)]
    found, at = [], fragment.start
    for start, end, instead in sorted(cut):
        if fragment.start <= start < fragment.end:
            found += [reading.text[at:start], instead]
            at = end
    said = "".join([*found, reading.text[at : fragment.end]])
    return re.sub(r"\d+(?:\.\d+)?", "N", re.sub(r"\s+", " ", said)).strip(" ,.;:?!，。；：？！")


def _is_language(words: str) -> bool:
    return _SAID.search(words) is not None and len(_LETTERS.findall(words)) >= LEAST_LETTERS * len(words)


def _bounded(parts: list[tuple[Fragment, str]]) -> list[tuple[Fragment, str]]:
    """The first of them, up to so many letters in all."""
    ends = accumulate(len(words) for _, words in parts)
    return [part for part, end in zip(parts, ends, strict=True) if end <= IN_ALL]


def _kind(reading: Reading, devices: Sequence[str]) -> str:
    return reading.names.type_of(devices[0]) if devices else "device"  # type: ignore[arg-type]  # device ids


def guessed(reading: Reading, encoder: Encoder, head: IntentHead) -> list[tuple[Anchor, float]]:
    """Cues that are not there, with their probabilities."""
    composer = Composer(reading, reading.anchors)
    open_parts = [
        (fragment, words[:LONGEST])
        for fragment in reading.fragments
        if composer.is_open(fragment) and _is_language(words := plain_words(reading, fragment))
    ]
    open_parts = _bounded(open_parts[:MOST])
    if not open_parts or composer.says_value():
        return []
    chances = head.probabilities(encoder.encode([words for _, words in open_parts]))
    plain = reading.signals and reading.devices  # the readings of a device are asked for without a verb, too
    least = SURE if composer.taken or plain else ALONE
    found = []
    for (fragment, _), row in zip(open_parts, chances, strict=True):
        best = int(row.argmax())
        if head.labels[best] != NOTHING and row[best] >= least:
            said = reading.text[fragment.start : fragment.end].strip()
            found.append((Anchor(head.labels[best], fragment.start, fragment.start, said), float(row[best])))
    return found
