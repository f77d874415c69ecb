"""Cues: parts of a sentence by which people ask for a tool (`cues.yaml`)."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec

from agents.parser.spans import apart
from agents.rulefile import parse

FEW_WORDS = r"(?:[^\s,;?!，。；？！]+ ){0,6}?"


class Cue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    en: tuple[str, ...] = ()
    zh: tuple[str, ...] = ()


class CueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    cues: dict[str, Cue]


class Anchor(NamedTuple):
    """A place in the sentence where a tool is asked for."""

    tool: str
    start: int
    end: int
    text: str


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    book = parse(files("agents.parser").joinpath("cues.yaml").read_bytes(), CueFile, name="cues.yaml")
    found = []
    for tool, cue in book.cues.items():
        english = "|".join(cue.en).replace("~", FEW_WORDS)
        chinese = "|".join(cue.zh)
        found.append(
            (tool, re.compile(rf"(?<![A-Za-z0-9_-])(?:{english})(?![A-Za-z0-9_])|(?:{chinese})" if chinese else english))
        )
    return found


def anchors(sentence: str) -> list[Anchor]:
    """The cues of a sentence in lower case, in its order, none over another."""
    every = [
        (match.start() - match.end(), rank, Anchor(tool, match.start(), match.end(), match.group()))
        for rank, (tool, pattern) in enumerate(_patterns())
        for match in pattern.finditer(sentence)
        if match.end() > match.start()
    ]
    return apart((anchor for _, _, anchor in sorted(every)), len(sentence))
