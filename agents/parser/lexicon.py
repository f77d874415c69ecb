"""The words that the parser knows by itself (`lexicon.yaml`): how people of two languages call what plants have."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from agents.parser.tokens import Kind, Token, tokens
from agents.rulefile import parse

Words = dict[str, tuple[str, ...]]


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Each a name and the words for it, all in lower case."""

    version: Literal[1]
    types: Words
    signals: Words
    zones: Words
    severities: Words
    verbs: Words


@cache
def lexicon() -> Lexicon:
    return parse(files("agents.parser").joinpath("lexicon.yaml").read_bytes(), Lexicon, name="lexicon.yaml")


@cache
def _chinese() -> tuple[frozenset[str], int]:
    """Every Chinese word of several characters, and the longest one's length."""
    book = lexicon()
    kinds = (book.types, book.signals, book.zones, book.severities, book.verbs)
    found = {word for words in kinds for among in words.values() for word in among if not word.isascii() and len(word) > 1}
    return frozenset(found), max(map(len, found))


def read(text: str) -> list[Token]:
    """The tokens of a sentence, Chinese words that the lexicon has as one.

    >>> [token.text for token in read("关闭12号阀门")]
    ['关闭', '12', '号', '阀门']
    """
    found, words, longest = tokens(text), *_chinese()
    joined: list[Token] = []
    at = 0
    while at < len(found):
        token = found[at]
        if token.kind is Kind.CHARACTER:
            for length in range(longest, 1, -1):
                among = found[at : at + length]
                if "".join(one.text for one in among) in words and among[-1].end - token.start == length:
                    token = Token("".join(one.text for one in among), Kind.CHARACTER, token.start, among[-1].end)
                    at += length - 1
                    break
        joined.append(token)
        at += 1
    return joined


@cache
def meanings(kind: str) -> dict[str, str]:
    """The name that a word of one kind stands for.

    >>> meanings("types")["泵"], meanings("signals")["amps"]
    ('pump', 'current')
    """
    words: Words = getattr(lexicon(), kind)
    return {word: name for name, among in words.items() for word in among}
