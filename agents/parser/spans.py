"""Parts of a sentence, and which of its characters are taken: what overlaps is found without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Placed(Protocol):
    """Whatever has a place in the sentence."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


One = TypeVar("One", bound=Placed)


class Cover:
    """The characters that some parts take.

    >>> taken = Cover(10)
    >>> taken.add(2, 5)
    >>> taken.touches(4, 6), taken.touches(5, 9)
    (True, False)
    """

    def __init__(self, length: int, among: Iterable[Placed] = ()) -> None:
        self._taken = bytearray(length)
        for one in among:
            self.add(one.start, one.end)

    def add(self, start: int, end: int) -> None:
        self._taken[start:end] = b"\1" * (end - start)

    def touches(self, start: int, end: int) -> bool:
        return self._taken.find(1, start, end) >= 0


def apart(best_first: Iterable[One], length: int) -> list[One]:
    """Those that touch none before them, in the order of the sentence."""
    taken, kept = Cover(length), []
    for one in best_first:
        if not taken.touches(one.start, one.end):
            taken.add(one.start, one.end)
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def outside(found: Iterable[One], others: Iterable[Placed], length: int) -> list[One]:
    """Those that touch none of the others."""
    taken = Cover(length, others)
    return [one for one in found if not taken.touches(one.start, one.end)]
