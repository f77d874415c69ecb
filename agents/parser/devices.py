"""Devices in sentences: by their names however written, by kind and number, in lists, or as the only one of their kind.

A number is never guessed: what is named and is not there is a mention of no device, so that it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from agents.names import CHINESE_TYPES, PLURALS, TYPE_WORDS, Names, canonical_type, fills
from agents.parser.lexicon import meanings
from agents.parser.tokens import Kind, Token
from schemas.device import DeviceId

LONGEST = 12
"""Tokens of a name."""
RUNNING = frozenset({"、", "和", "与", "及"})
JOINING = frozenset({"and", ",", "、", "和", "与", "及", "or", "&", "跟"})
_Said = list[tuple[int, str]]
"""Parts of a sentence that may belong to a name: the token's place, and its word as names have it."""


class Mention(NamedTuple):
    """Devices that a part of the sentence may mean: one if it is clear, several if it is not, none if nothing is called so."""

    devices: tuple[DeviceId, ...]
    start: int
    end: int
    text: str


class Zone(NamedTuple):
    """A zone that is named."""

    name: str
    start: int
    end: int


def mentions(names: Names, sentence: Sequence[Token], text: str, zones: Sequence[Zone] = ()) -> list[Mention]:
    """The devices of a sentence in its order; of overlapping names the longest."""
    return _Scan(names, sentence, text, zones).found


class _Scan:
    def __init__(self, names: Names, sentence: Sequence[Token], text: str, zones: Sequence[Zone]) -> None:
        self._names, self._sentence, self._text, self._zones = names, sentence, text, zones
        self._said: _Said = [(place, names.spelt(token)) for place, token in enumerate(sentence) if not fills(token)]
        self.found: list[Mention] = []
        self._kind = ""
        """Of the device that was named last."""
        at = 0
        while at < len(self._said):
            at += (
                self._named(at)
                or self._lettered(at)
                or self._listed(at)
                or self._bare(at)
                or self._unknown(at)
                or self._only(at)
                or 1
            )

    def _add(self, devices: tuple[DeviceId, ...], at: int, length: int, *, tail: int = 0) -> int:
        start, end = self._sentence[self._said[at][0]].start, self._sentence[self._said[at + length - 1][0]].end + tail
        self.found.append(Mention(devices, start, end, self._text[start:end]))
        if len(devices) == 1:
            self._kind = canonical_type(self._names.type_of(devices[0]))
        return length

    def _named(self, at: int) -> int:
        """A name that begins here; how many parts it has."""
        longest = min(LONGEST, len(self._said) - at) if self._names.begins(self._said[at][1]) else 0
        for length in range(longest, 0, -1):
            devices = self._names.called("".join(word for _, word in self._said[at : at + length]))
            if not devices or not self._is_close(at, length) or self._runs_numbers_together(at, length):
                continue
            if self._is_whole(at, length):
                alike = tuple(one for one in devices if canonical_type(self._names.type_of(one)) == self._kind)
                self._add(alike if len(devices) > 1 and len(alike) == 1 else devices, at, length)
                return length + self._more(at, length)
        return 0

    def _more(self, at: int, length: int) -> int:
        """The other numbers of a list whose kind stands once, and as for one: `conveyor 1, 2 and 3`."""
        kind, more = self._said[at][1], 0
        if length != 2 or kind not in TYPE_WORDS or not self._said[at + 1][1].isdecimal():  # noqa: PLR2004 - kind and number
            return 0
        while True:
            here = at + length + more
            pair = [word for _, word in self._said[here : here + 2]]
            if len(pair) < 2 or pair[0] not in JOINING or not pair[1].isdecimal() or not self._is_plain(here + 1):  # noqa: PLR2004
                return more
            self._add(self._names.called(canonical_type(kind).replace("-", "") + pair[1]), here + 1, 1)
            more += 2

    def _is_plain(self, at: int) -> bool:
        """A number that is none of anything: `and 2`, not `and 2 hours` or `and 50 %`."""
        rest = self._text[self._sentence[self._said[at][0]].end :]
        return (
            re.match(
                r"(?:\s*(?:$|[,.;!?)](?!\d)|、)|\s+(?:and|or|to|at|by|for|is|are|off|on|down|up|please|now|then|again|back|if)\b)",
                rest,
            )
            is not None
        )

    def _runs_numbers_together(self, at: int, length: int) -> bool:
        """`20 4` is not 204."""
        pairs = pairwise(self._said[at : at + length])
        return any(one[-1:].isdigit() and other[:1].isdigit() for (_, one), (_, other) in pairs)

    def _lettered(self, at: int) -> int:
        """`start B` where P-204B was named before."""
        token = self._sentence[self._said[at][0]]
        letter = self._text[token.start : token.end]
        before = self._said[at - 1] if at else None
        if len(letter) != 1 or not letter.isupper() or token.start == 0 or (before is not None and before[1].isdecimal()):
            return 0
        fit = {
            one.devices
            for one in self.found
            if len(one.devices) == 1 and one.devices[0][-2:-1].isdigit() and one.devices[0].endswith(letter)
        }
        return self._add(fit.pop(), at, 1) if len(fit) == 1 else 0

    def _is_whole(self, at: int, length: int) -> bool:
        """No bare number is a name: `204` alone may be a part of one, or a value; nor is a piece of a longer one: `pump-7a`."""
        last = self._sentence[self._said[at + length - 1][0]]
        if last.kind is Kind.CHARACTER:
            return length > 1  # 1号泵1300转
        beside = re.match(r"[A-Za-z0-9]|[/-][0-9]", self._text[last.end : last.end + 2])
        return beside is None and (length > 1 or not self._said[at][1].isdecimal())

    def _listed(self, at: int) -> int:
        """`pumps 1 and 2`; every number is one."""
        kind = PLURALS.get(self._said[at][1]) or (self._said[at][1] if self._said[at][1] in TYPE_WORDS else None)
        if kind is None:
            return 0
        length = 1
        while at + length < len(self._said) and self._said[at + length][1].isdecimal():
            devices = self._names.called(canonical_type(kind).replace("-", "") + self._said[at + length][1])
            self._add(devices, at + length, 1)
            length += 1
            if at + length < len(self._said) and self._said[at + length][1] in JOINING:
                length += 1
        return length if length > 1 else 0

    def _bare(self, at: int) -> int:
        """`2号`, `the second` of the kind that was named last, or in a list of that kind: `1号、2号空压机`."""
        place, word = self._said[at]
        following = self._sentence[place + 1].text if place + 1 < len(self._sentence) else ""
        if not word.isdecimal() or (following != "号" and not self._is_in_run(at)):
            return 0
        after = next((kind for _, kind in self._said[at + 1 :] if kind not in JOINING and not kind.isdecimal()), "")
        kind = after if after in CHINESE_TYPES.values() and self._is_list(at) else self._kind.replace("-", "")
        return self._add(self._names.called(kind + word), at, 1, tail=int(following == "号")) if kind else 0

    def _is_in_run(self, at: int) -> bool:
        """`1、2、3号泵`: what joins numbers up to one that is a device's."""
        while at + 2 < len(self._said) and self._said[at + 1][1] in RUNNING and self._said[at + 2][1].isdecimal():
            at += 2
            place = self._said[at][0]
            if place + 1 < len(self._sentence) and self._sentence[place + 1].text == "号":
                return at + 1 < len(self._said) and self._said[at + 1][1] in CHINESE_TYPES.values()
        return False

    def _is_list(self, at: int) -> bool:
        """Only numbers and what joins them stand before the kind."""
        return at + 1 < len(self._said) and self._said[at + 1][1] in JOINING

    def _unknown(self, at: int) -> int:
        """A kind with a number that none has: `pump 99`, `99号泵`."""
        pair = [word for _, word in self._said[at : at + 2]]
        if len(pair) < 2 or not self._is_close(at, 2):  # noqa: PLR2004 - a pair
            return 0
        kinds, (one, other) = meanings("types"), pair
        numbered = self._said[at + 1][0] - self._said[at][0] > 1  # a filler such as 号 stands between
        is_named = (one in kinds and other.isdecimal()) or (one.isdecimal() and other in kinds and numbered)
        return self._add((), at, 2) if is_named else 0

    def _only(self, at: int) -> int:
        """`the boiler` where there is one, `东区网关` where that zone has one."""
        word = self._said[at][1]
        kind = canonical_type(word) if word in TYPE_WORDS or word in CHINESE_TYPES.values() else ""
        if not kind:
            return 0
        start = self._sentence[self._said[at][0]].start
        if any(zone.start <= start < zone.end for zone in self._zones):
            return 0
        zone = next((zone.name for zone in self._zones if 0 <= start - zone.end <= 1), None)
        only = self._names.only(kind, zone)
        return self._add((only,), at, 1) if only is not None else 0

    def _is_close(self, at: int, length: int) -> bool:
        """Whether nothing but fillers and spaces stands between the parts of a name, and no sentence ends there."""
        for (one, _), (other, _) in pairwise(self._said[at : at + length]):
            between = self._sentence[one + 1 : other]
            if any(token.text in {".", ":"} and self._sentence[one].end != token.start for token in between):
                return False
            if self._sentence[other].start - self._sentence[one].end > 3 + sum(len(token.text) for token in between):
                return False
        return True


def zones(names: Names, text: str) -> list[Zone]:
    """The zones of a sentence, in its order: by their names, and by the lexicon's Chinese ones."""
    lowered = text.casefold()
    words = {zone.casefold().replace("-", " ").replace("_", " "): zone for zone in names.zones}
    words |= {zone.casefold(): zone for zone in names.zones}
    words |= {word: zone for word, zone in meanings("zones").items() if zone in names.zones}
    found: list[Zone] = []
    for word in sorted(words, key=len, reverse=True):
        at = lowered.find(word)
        while at >= 0:
            end = at + len(word)
            whole = not word.isascii() or (
                re.search(r"[a-z0-9]\Z", lowered[:at]) is None and re.match(r"[a-z0-9]", lowered[end:]) is None
            )
            if whole and all(end <= held.start or at >= held.end for held in found):
                found.append(Zone(words[word], at, end))
            at = lowered.find(word, end)
    return sorted(found, key=lambda zone: zone.start)
