"""Sentences as tokens: words, numbers, and single Chinese characters, each with its place in the sentence.

Numbers are said in digits or in words of both languages; full-width characters become plain ones. What stands between letters
and digits of a device's name (`P-204A`, `pump 7`) is no token, so that names are the same however they are written.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import NamedTuple

LONGEST = 2_000
"""Characters of a sentence that are looked at."""
_PIECES = re.compile(r"\d+(?:,\d{3}(?!\d))+(?:\.\d+)?|\d+(?:[.:]\d+)*|[^\W\d_]+|[^\w\s]|_")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: number for number, word in enumerate((*_ONES, *_TEENS))} | {
    word: 10 * number for number, word in enumerate(_TENS, 2)
}
_DIGITS = {character: number for number, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_PLACES = {"十": 10, "百": 100, "千": 1_000, "万": 10_000}
NO_NUMBER = r"(?!一(?:下(?!午)|声|并|直|样|定|些|旦|切|遍|起))"
"""Where 一 counts nothing: 停一下, 说一声, 一起."""
_SAID = "零一二两三四五六七八九十百千万"
CHINESE_DIGITS = rf"(?<![{_SAID}])[{_SAID}]{{1,16}}(?![{_SAID}])"
"""A number as people say it, whole: a longer run of them is none, and is not looked through again from each of its places."""
_CHINESE_NUMBER = re.compile(NO_NUMBER + r"[零〇一二两三四五六七八九十百千万]+")


class Kind(Enum):
    WORD = "word"
    NUMBER = "number"
    CHARACTER = "character"
    MARK = "mark"


class Token(NamedTuple):
    """`text` is in lower case, a number in digits; `start` and `end` are places in the sentence."""

    text: str
    kind: Kind
    start: int
    end: int


def plain(text: str) -> str:
    """The same number of characters, each in its plain form where that is a single one; what cannot be seen is a space.

    >>> plain("隔离Ｐ－２０４A，快")
    '隔离P-204A,快'
    """
    found = []
    for character in text[:LONGEST]:
        form = unicodedata.normalize("NFKC", character)
        usable = len(form) == 1 and (form.isprintable() or form.isspace()) and unicodedata.category(character) != "No"
        found.append(
            form if usable else character if character.isprintable() and unicodedata.category(character) != "No" else " "
        )
    return "".join(found)


def tokens(text: str) -> list[Token]:
    """Of the first characters of a sentence.

    >>> [token.text for token in tokens("Isolate P-204A and pump seven, 隔离十二号泵")]
    ['isolate', 'p', '-', '204', 'a', 'and', 'pump', '7', ',', '隔', '离', '12', '号', '泵']
    """
    sentence = plain(text)
    found: list[Token] = []
    for match in _PIECES.finditer(sentence):
        piece, start = match.group(), match.start()
        if piece[0].isdigit():
            found.append(Token(piece, Kind.NUMBER, start, match.end()))
        elif _CHINESE.search(piece):
            found += _characters(piece, start)
        elif piece[0].isalpha():
            found.append(_word(piece.lower(), start))
        else:
            found.append(Token(piece, Kind.MARK, start, match.end()))
    return _tens(found)


def _word(word: str, start: int) -> Token:
    number = _NUMBERS.get(word)
    kind = Kind.WORD if number is None else Kind.NUMBER
    return Token(word if number is None else str(number), kind, start, start + len(word))


def _characters(piece: str, start: int) -> list[Token]:
    """Chinese numbers as one token, letters among them as words, all else character by character."""
    found: list[Token] = []
    place = 0
    for match in re.finditer(rf"{_CHINESE_NUMBER.pattern}|[A-Za-z]+", piece):
        found += [Token(piece[at], Kind.CHARACTER, start + at, start + at + 1) for at in range(place, match.start())]
        said, place = match.group(), match.end()
        if said[0].isascii():
            found.append(Token(said.lower(), Kind.WORD, start + match.start(), start + place))
        else:
            found.append(Token(str(chinese_number(said)), Kind.NUMBER, start + match.start(), start + place))
    return found + [Token(piece[at], Kind.CHARACTER, start + at, start + at + 1) for at in range(place, len(piece))]


def chinese_number(said: str) -> int:
    """By places, or digit by digit; a digit that stands last after a place counts in the next one.

    >>> [chinese_number(said) for said in ("七", "十二", "二十", "一百零五", "二零四", "一千二百", "一千二", "两万")]
    [7, 12, 20, 105, 204, 1200, 1200, 20000]
    """
    if not set(said) & set(_PLACES):
        return int("".join(str(_DIGITS[character]) for character in said))
    total = number = 0
    place = 1
    for character in said:
        if character in _PLACES:
            place = _PLACES[character]
            total, number = (max(total + number, 1) * place, 0) if character == "万" else (total + (number or 1) * place, 0)
        else:
            number = _DIGITS[character]
            place = 1 if character in "零〇" else place
    return total + number * (place // 10 if place > 10 else 1)  # noqa: PLR2004 - after ten there are ones


def number_word(said: str) -> float | None:
    """What a number in English words is, if it is one.

    >>> number_word("twenty-four"), number_word("ninety"), number_word("pump")
    (24.0, 90.0, None)
    """
    parts = [_NUMBERS.get(word) for word in re.split(r"[ -]", said)]
    return None if None in parts else float(sum(number for number in parts if number is not None))


def _tens(found: list[Token]) -> list[Token]:
    """Twenty four and twenty-four are one number."""
    joined: list[Token] = []
    for token in found:
        if joined and _is_tens(joined[-1]) and _is_one(token):
            ten = joined.pop()
            joined.append(Token(str(int(ten.text) + int(token.text)), Kind.NUMBER, ten.start, token.end))
        elif len(joined) > 1 and joined[-1].text == "-" and _is_tens(joined[-2]) and _is_one(token):
            joined.pop()
            ten = joined.pop()
            joined.append(Token(str(int(ten.text) + int(token.text)), Kind.NUMBER, ten.start, token.end))
        else:
            joined.append(token)
    return joined


def _is_tens(token: Token) -> bool:
    return _was_said(token) and int(token.text) in range(20, 100, 10)


def _is_one(token: Token) -> bool:
    return _was_said(token) and int(token.text) in range(1, 10)


def _was_said(token: Token) -> bool:
    """In letters: a word is longer than its number in digits."""
    return token.kind is Kind.NUMBER and token.text.isdecimal() and token.end - token.start > len(token.text)
