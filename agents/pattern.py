"""Patterns in which * stands for any text, even none; every other character stands for itself.

Not `fnmatch`: there are no classes to get wrong, and the time is linear in the text for each part of the pattern.
"""

from __future__ import annotations

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    """Whether all of the text fits.

    >>> matches("pump-*", "pump-7"), matches("*-7", "pump-7"), matches("p*p*", "pump-7"), matches("pump", "pump-7")
    (True, True, True, False)
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    # The earliest place for each part leaves most room for the others, so no choice is ever taken back.
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def any_matches(patterns: Iterable[str], text: str) -> bool:
    return any(matches(pattern, text) for pattern in patterns)


class Matcher:
    """`any_matches` of patterns that are asked about again and again: most are `name` or `prefix*`, which cost next to nothing.

    >>> one = Matcher(["pump-*", "valve-1", "*-7"])
    >>> [one(text) for text in ("pump-3", "valve-1", "pipe-7", "valve-12")]
    [True, True, True, False]
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = list(patterns)
        self._exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self._heads = tuple(pattern[:-1] for pattern in patterns if pattern.find("*") == len(pattern) - 1 >= 0)
        self._others = [pattern for pattern in patterns if -1 < pattern.find("*") < len(pattern) - 1]

    def __call__(self, text: str) -> bool:
        return text in self._exact or text.startswith(self._heads) or any_matches(self._others, text)
