"""The elements of a JSON array as raw bytes, even where the array is broken.

`schemas.decode` uses this when a batch does not decode at once, so that one bad event costs only itself. It matches brackets
and quotes and no more. Where an element's own brackets do not match, the nearest outer bracket that fits closes them; where a
quote is missing, nothing can tell text from structure, and what follows goes with that element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from schemas.strict import STRING, WHITE

MARKS = 500_000
"""Brackets and commas looked at in one message: 10,000 events have a fifth of that. What follows stays together."""

DEEPEST = 1000
"""Open brackets, above which what follows stays together too."""

_CLOSED = rb'"(?:[^"\\]++|\\.)*+"'
_MARK = re.compile(
    rb'(?:[^"\[\]{},]++|' + STRING + rb")*+"
    rb"(?:\{(?:[^\"\[\]{}]++|" + _CLOSED + rb")*+\}|(?P<mark>[\[\]{},])|\Z)",
    re.DOTALL,
)
_OPENS = {b"]": b"[", b"}": b"{"}


class Element(NamedTuple):
    """A stretch of the array; `fault` says what is wrong around it, if anything is."""

    raw: bytes
    fault: str = ""


def elements(raw: bytes) -> Iterator[Element]:
    """What stands between the top commas of the array that `raw` begins with, then what is wrong after them.

    >>> [element.raw for element in elements(b'[{"a": [1, 2]}, 3]')]
    [b'{"a": [1, 2]}', b'3']
    >>> list(elements(b'[1, 2'))[-1].fault, list(elements(b'[1] 2'))[-1].raw
    ('truncated: the array is not closed', b'2')
    """
    begin = raw.index(b"[") + 1
    closed = False
    for at, top in _ends(raw, begin - 1):
        yield Element(raw[begin : at - 1].strip(WHITE))
        begin = at
        closed = top
    rest = raw[begin:].strip(WHITE)
    if closed:
        yield from [Element(rest, "trailing characters after the array")] if rest else []
        return
    yield from [Element(rest)] if rest else []
    yield Element(b"", "truncated: the array is not closed")


def _ends(raw: bytes, start: int) -> Iterator[tuple[int, bool]]:
    """Positions after each top comma, and with True after the bracket that closes the array."""
    open_: list[bytes] = []
    for count, found in enumerate(_MARK.finditer(raw, start)):
        mark = found["mark"]
        if count > MARKS or len(open_) > DEEPEST:
            return
        if mark in (b"[", b"{"):
            open_.append(mark)
        elif mark == b",":
            if len(open_) == 1:
                yield found.end(), False
        elif mark is not None and _OPENS[mark] in open_:
            while open_.pop() != _OPENS[mark]:
                pass
            if not open_:
                yield found.end(), True
                return
