"""Slips of the pen put right, where exactly one word that the parser knows is one slip away."""

from __future__ import annotations

import re
from functools import cache

from rapidfuzz.distance import OSA

from agents.parser.lexicon import lexicon

SHORTEST = 5
NO_SLIPS = frozenset(
    [
        "lower",
        "slower",
        "flower",
        "power",
        "value",
        "values",
        "valid",
        "thank",
        "thanks",
        "rank",
        "bank",
        "tanked",
        "chart",
        "charts",
        "card",
        "cards",
        "part",
        "parts",
        "card",
        "cast",
        "care",
        "mode",
        "modes",
        "code",
        "codes",
        "note",
        "notes",
        "none",
        "noted",
        "dump",
        "jump",
        "lump",
        "bump",
        "pumped",
        "piped",
        "type",
        "ripe",
        "wipe",
        "mixed",
        "fixer",
        "fixed",
        "driven",
        "drives",
        "driver",
        "derive",
        "drove",
        "arrive",
        "bell",
        "melt",
        "felt",
        "built",
        "metre",
        "metres",
        "filtered",
        "filters",
        "motion",
        "boiled",
        "valves",
        "meant",
        "enter",
    ]
)
"""Words of their own that are one letter away from a kind of device: `lower` is no blower, `thanks` no tank."""
_WORD = re.compile(r"(?<![\w-])[A-Za-z]{5,}(?![\w-])")
OWN = frozenset(
    [
        "acknowledge",
        "affected",
        "alarm",
        "alarms",
        "average",
        "because",
        "begin",
        "between",
        "change",
        "changes",
        "chart",
        "command",
        "compare",
        "connected",
        "critical",
        "data",
        "depend",
        "device",
        "devices",
        "diagram",
        "explain",
        "fault",
        "faults",
        "history",
        "impact",
        "inform",
        "isolate",
        "isolated",
        "last",
        "less",
        "list",
        "maintenance",
        "maximum",
        "minimum",
        "minutes",
        "model",
        "month",
        "more",
        "neighbours",
        "notify",
        "origin",
        "other",
        "otherwise",
        "percent",
        "period",
        "picture",
        "plant",
        "please",
        "readings",
        "reconnect",
        "report",
        "restart",
        "retrain",
        "right",
        "shelve",
        "should",
        "shows",
        "silence",
        "source",
        "start",
        "started",
        "state",
        "statistics",
        "stop",
        "strange",
        "strangely",
        "ticket",
        "today",
        "topology",
        "trace",
        "trend",
        "unless",
        "urgent",
        "versus",
        "week",
        "where",
        "which",
        "without",
        "work",
        "would",
        "write",
        "yesterday",
        "hours",
        "there",
        "their",
        "these",
        "those",
        "while",
        "after",
        "before",
        "about",
        "again",
        "against",
        "could",
        "standing",
        "shift",
        "leader",
        "control",
        "three",
        "seven",
        "eight",
        "eleven",
        "twelve",
        "fifteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "first",
        "second",
        "third",
    ]
)
"""Common words beside the lexicon's: what cues are made of, and what must not be taken for a slip."""


@cache
def _known() -> frozenset[str]:
    book = lexicon()
    kinds = (book.types, book.signals, book.zones, book.severities, book.verbs)
    said = {part for words in kinds for among in words.values() for word in among if word.isascii() for part in word.split()}
    return frozenset(word for word in said | OWN if len(word) >= SHORTEST)


def spelt(sentence: str) -> str:
    """The sentence, slips put right.

    >>> spelt("restrat the compresor, packers")
    'restart the compressor, packers'
    """
    return _WORD.sub(_right, sentence)


def _right(match: re.Match[str]) -> str:
    word = match.group().lower()
    known = _known()
    if (
        word in known
        or word in NO_SLIPS
        or any(word.removesuffix(ending) in known for ending in ("s", "es", "ed", "d", "ing", "er", "ly", "y"))
    ):
        return match.group()
    close = [
        one
        for one in known
        if abs(len(one) - len(word)) <= 1 and one[0] == word[0] and OSA.distance(word, one, score_cutoff=1) <= 1
    ]
    return close[0] if len(close) == 1 and not _is_inflected(word, close[0]) else match.group()


def _is_inflected(word: str, known: str) -> bool:
    """A word of its own that only ends differently: `starts`, `placed`."""
    return word[:-1] == known or word == known[:-1] or word[:-1] == known[:-1]
