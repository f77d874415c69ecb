"""What comes out of a session: events with their stamps, refused messages, and nodes to be asked for a rebirth."""

from __future__ import annotations

import msgspec

from schemas.decode import shown
from schemas.event import Body, Event, Micros, Stamp
from schemas.finding import Invalid
from schemas.sparkplug.sequence import Arrival
from schemas.sparkplug.topic import EdgeNode

EVENTS_OF_ONE = 1 << 16
"""Sequence numbers that each message has for its events."""


class Outcome(msgspec.Struct):
    """What a call gave rise to: events in order, refused messages with their topics, nodes to be asked for a rebirth."""

    events: list[Event] = []
    refused: list[tuple[str, Invalid]] = []
    rebirths: list[EdgeNode] = []


class Writer:
    """Stamps the events of one message, of which `first` has the source, the epoch, the first number and the name."""

    def __init__(self, first: Stamp, out: Outcome) -> None:
        self._first = first
        self._out = out
        self._written = 0

    def add(self, at: Micros, body: Body) -> None:
        """One more event."""
        first, number = self._first, min(self._written, EVENTS_OF_ONE - 1)
        stamp = Stamp(at, first.source, first.epoch, first.sequence + number, f"{first.id}-{self._written}")
        self._written += 1
        self._out.events.append(Event(stamp, body))


def refuse(arrival: Arrival, reason: str, out: Outcome) -> None:
    """A message, or a part of it, goes to the dead letters."""
    out.refused.append((arrival.name, Invalid(offset=0, reason=reason, pointer="", raw=shown(arrival.raw))))
