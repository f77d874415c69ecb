"""How far each gateway's events are safe: a gateway may forget what its watermark has passed (DESIGN, promise 1).

A mark is the highest sequence number of an epoch up to which, from the first one seen, every event is stored. Whenever it
reconnects, a gateway sends again, in order, what is above the mark that it last saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import msgspec

from schemas.event import Stamp
from schemas.finding import Mark

MOST_AHEAD = 100_000
"""Events after a gap that are remembered; then the gap is given up, since a gateway that could fill it would have."""

MOST_SOURCES = 10_000
"""Gateways that have a watermark; the events of more are stored all the same, but whoever invents sources fills no memory."""


class _Progress(msgspec.Struct):
    """`ahead`: numbers that came before an earlier one did."""

    epoch: int
    sequence: int
    ahead: set[int]


class Watermarks:
    """The marks of all sources, up to `MOST_SOURCES`."""

    def __init__(self) -> None:
        self._progress: dict[str, _Progress] = {}

    @classmethod
    def restored(cls, rows: Iterable[tuple[str, bytes]]) -> Self:
        marks = cls()
        marks._progress = {source: msgspec.msgpack.decode(state, type=_Progress) for source, state in rows}
        return marks

    def state(self, source: str) -> bytes:
        return msgspec.msgpack.encode(self._progress[source])

    def all(self) -> list[Mark]:
        return [Mark(source, held.epoch, held.sequence) for source, held in self._progress.items()]

    def advance(self, stamps: Iterable[Stamp]) -> list[Mark]:
        """Note what is about to be stored; the marks of the sources that it names. Events without a sequence have no mark."""
        touched: dict[str, _Progress] = {}
        for stamp in stamps:
            if not stamp.sequence and not stamp.epoch:
                continue
            held = self._progress.get(stamp.source)
            if held is None and len(self._progress) >= MOST_SOURCES:
                continue
            if held is None or stamp.epoch > held.epoch:
                held = self._progress[stamp.source] = _Progress(stamp.epoch, stamp.sequence, set())
            if stamp.epoch == held.epoch:
                _take(held, stamp.sequence)
                touched[stamp.source] = held
        return [Mark(source, held.epoch, held.sequence) for source, held in touched.items()]


def _take(held: _Progress, sequence: int) -> None:
    if sequence == held.sequence + 1 and not held.ahead:
        held.sequence = sequence
    elif sequence > held.sequence:
        held.ahead.add(sequence)
        if len(held.ahead) > MOST_AHEAD:
            held.sequence = min(held.ahead) - 1
        while held.sequence + 1 in held.ahead:
            held.sequence += 1
            held.ahead.remove(held.sequence)
