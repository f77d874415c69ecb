"""A sentence read: what is named in it and asked for, and the clauses that it consists of. Nothing is concluded yet.

The composer makes a task graph of it. A clause is what one cue, or several beside each other, ask for; parts of the sentence
without a cue belong to the clause before them, or lead to the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from agents.names import Names
from agents.parser import devices as named
from agents.parser.cues import Anchor, anchors
from agents.parser.lexicon import meanings, read
from agents.parser.quantities import comparisons, quantities
from agents.parser.spans import Cover, Placed, outside
from agents.parser.spelling import spelt
from agents.parser.times import Span, durations, periods
from agents.parser.tokens import plain

_END = re.compile(
    r"(?P<stop>[;?!。；？！]|\.(?=\s|$))|(?P<before>之前,?|(?<!目)前(?=先))|(?P<then>,? ?(?:and )?(?<![a-z])(?:then|"
    r"afterwards|after that|after this|next|finally|lastly)(?![a-z]),?"
    r"|[,，、]?(?:然后|接着|完了(?:之后|以后)?|之后再?|随后|最后|再(?![训学])))"
    r"|(?P<orelse>,? ?(?<![a-z])(?:otherwise|or else|(?<!thing )(?<!what )(?<!who )(?<!body )(?<!one )(?<!ones )else"
    r"|if not)(?![a-z]),?|[,，]?(?:否则|不然|要不然)(?:的话)?)"
    r"|(?P<comma>,? ?(?<![a-z])(?:and|but|plus|also)(?![a-z])|[,:，、：()（）]| - |并且?|另外|顺便|同时|而且)"
)
_JOINED = re.compile(r"\s*(?:[,、]|,? ?and|&|和|与|及|跟|还有)\s*(?:of |on |the )*", re.IGNORECASE)


MOST = 48
"""Parts, cues, devices and times of a sentence: composing costs the square of these."""


class Named(NamedTuple):
    """A word that the lexicon knows, and what it stands for."""

    name: str
    start: int
    end: int


class Fragment(NamedTuple):
    """A part between two marks; `then`, `orelse` and `stop` say how it begins: after which word of order or end of sentence."""

    start: int
    end: int
    then: bool
    orelse: bool
    stop: bool
    mark: str
    """The mark before it."""


@dataclass
class Clause:
    """Fragments with what they hold. `lead`: a part before that asks for nothing by itself."""

    fragments: list[Fragment]
    anchors: list[Anchor]
    lead: list[Fragment] = field(default_factory=list)
    conditional: bool = False
    """It is a condition itself."""

    @property
    def start(self) -> int:
        return self.fragments[0].start

    @property
    def end(self) -> int:
        return self.fragments[-1].end

    def holds(self, placed: Placed) -> bool:
        return any(fragment.start <= placed.start < fragment.end for fragment in self.fragments)

    def leads(self, placed: Placed) -> bool:
        return any(fragment.start <= placed.start < fragment.end for fragment in self.lead)


class Reading:
    """What stands in one sentence, each with its place in `text`."""

    def __init__(self, sentence: str, names: Names) -> None:
        self.text = spelt(plain(sentence).strip())
        self.lower = self.text.lower()
        self.names = names
        self.zones = named.zones(names, self.text)
        self.devices = named.mentions(names, read(self.text), self.text, self.zones)
        length = len(self.text)
        self.zones = outside(self.zones, self.devices, length)
        self.lists = _lists(self.devices, self.text)
        self.periods = outside(periods(self.lower), self.devices, length)
        self.comparisons = outside(comparisons(self.lower), self.devices, length)
        self.durations = outside(durations(self.lower), [*self.devices, *self.comparisons], length)
        times: list[Placed] = [*self.devices, *self.periods, *self.durations]
        self.quantities = outside(quantities(self.lower), [*times, *self.comparisons], length)
        self.signals = outside(
            _shared(words("signals", self.lower, extra=_signal_names(names)), self.lower), self.devices, length
        )
        self.types = outside(words("types", self.lower, plural=True), [*self.devices, *self.zones], length)
        self.severities = words("severities", self.lower)
        self.anchors = anchors(self.lower)
        self.fragments = [Fragment(0, len(self.lower), then=False, orelse=False, stop=True, mark="")]
        self.is_too_much = any(len(found) > MOST for found in (times, self.quantities, self.comparisons, self.anchors))
        if not self.is_too_much:
            self._cut(times)

    def _cut(self, times: list[Placed]) -> None:
        """The cues that are none of a name or a time, and the parts between marks."""
        self.anchors = [one for one in self.anchors if not _is_inside(one, times) and not _cuts(one, self.devices)]
        taken = Cover(len(self.text), self.anchors)
        self.signals = [one for one in self.signals if one.name != "running" or not taken.touches(one.start, one.end)]
        joined = _lists(self.signals, self.lower)
        self.fragments = _fragments(self.lower, [*times, *self.lists, *joined, *self.zones, *self.anchors])
        self.is_too_much = len(self.fragments) > MOST

    def kind(self, one: named.Mention) -> str | None:
        """The type that a device was named by alone, as the only one of it."""
        return meanings("types").get(self.lower[one.start : one.end])

    def clauses(self, taken: Sequence[Anchor]) -> list[Clause]:
        """The clauses by these cues: a fragment with one begins a clause."""
        found: list[Clause] = []
        lead: list[Fragment] = []
        for fragment in self.fragments:
            inside = [anchor for anchor in taken if fragment.start <= anchor.start < fragment.end]
            if inside:
                found.append(Clause([fragment], inside, lead))
                lead = []
            elif found:
                found[-1].fragments.append(fragment)
            else:
                lead.append(fragment)
        return found or [Clause(lead, [])]


def words(kind: str, text: str, *, plural: bool = False, extra: dict[str, str] | None = None) -> list[Named]:
    """Words of one kind of the lexicon, in their order; of those that overlap the longest.

    >>> [one.name for one in words("signals", "outlet temp and flow")]
    ['outlet_temperature', 'flow']
    """
    found: list[Named] = []
    taken = Cover(len(text))
    among = meanings(kind) | (extra or {})
    for word in sorted(among, key=len, reverse=True):
        ending = "(?:s|es)?" if plural else ""
        pattern = rf"(?<![a-z0-9]){re.escape(word)}{ending}(?![a-z0-9])" if word.isascii() else re.escape(word)
        for match in re.finditer(pattern, text):
            if not taken.touches(match.start(), match.end()):
                taken.add(match.start(), match.end())
                found.append(Named(among[word], match.start(), match.end()))
    return sorted(found, key=lambda one: one.start)


def _signal_names(names: Names) -> dict[str, str]:
    """The plant's own signals, as they are written and with spaces."""
    every = {signal for _, _, signals in names.devices.values() for signal in signals}
    return {form: signal for signal in every for form in (signal.lower(), re.sub(r"[_-]+", " ", signal.lower()))}


def _shared(found: list[Named], text: str) -> list[Named]:
    """`inlet and outlet temperature`: the last word counts for both."""
    more = []
    for one in found:
        head, _, tail = one.name.rpartition("_")
        match = re.search(r"(?<![a-z])(\w+)(?: (?:and|or|&) |/)$", text[: one.start]) if head else None
        if match and f"{match[1]}_{tail}" in meanings("signals").values():
            more.append(Named(f"{match[1]}_{tail}", match.start(), match.end(1)))
    return sorted([*found, *more], key=lambda one: one.start)


def _cuts(one: Placed, others: Sequence[Placed]) -> bool:
    """Whether a cue begins inside of a name and ends outside, or the other way round: 西区网关掉线 closes nothing."""
    return any(
        (other.start < one.start < other.end < one.end) or (one.start < other.start < one.end < other.end) for other in others
    )


def _is_inside(one: Placed, others: Sequence[Placed]) -> bool:
    return any(other.start <= one.start and one.end <= other.end for other in others)


def _lists(found: Sequence[Placed], text: str) -> list[Span]:
    """What only joining words stand between: `conveyor-1, conveyor-2 and conveyor-3`, `level and temperature`."""
    lists: list[Span] = []
    for one, other in pairwise(found):
        if _JOINED.fullmatch(text[one.end : other.start]):
            start = lists.pop().start if lists and lists[-1].end == one.end else one.start
            lists.append(Span("", start, other.end))
    return lists


def _is_trailing(text: str, match: re.Match[str]) -> bool:
    """Whether a word of order closes its part: `close it afterwards, then ...`."""
    said = match.group().strip()
    return said.startswith(("after", "next")) and (said.endswith(",") or not text[match.end() :].strip(" ,;.!")[:1])


def _fragments(text: str, whole: Sequence[Placed]) -> list[Fragment]:
    """Cut at marks and joining words, but not inside of what is one thing."""
    found: list[Fragment] = []
    start, then, orelse, stop, mark = 0, False, False, True, ""
    for match in _END.finditer(text):
        if any(one.start < match.start() and match.end() < one.end for one in whole):
            continue
        if said := text[start : match.start()].strip():
            found.append(Fragment(start, match.start(), then, orelse, stop, mark))
            then = orelse = stop = False
            mark = ""
        start = match.end()
        if said and match["then"] is not None and _is_trailing(text, match):
            found[-1], mark = found[-1]._replace(then=True), ","
            continue
        then = then or match["then"] is not None
        orelse = orelse or match["orelse"] is not None
        stop = stop or match["stop"] is not None
        mark += match.group()
    if text[start:].strip():
        found.append(Fragment(start, len(text), then, orelse, stop, mark))
    elif then and found:
        # The word of order stands last: "and retrain afterwards".
        found[-1] = found[-1]._replace(then=True)
    return found
