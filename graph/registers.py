"""Last-writer-wins registers with a bounded past: the state from which the live graph is computed.

A register holds the newest event that wrote it and the older ones that are still within the horizon. Since events are
totally ordered by their stamp, the content depends on the set of events alone, never on order or repetition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from schemas.event import Event, Micros, Stamp

K = TypeVar("K", bound=Hashable)


def _stamp(event: Event) -> Stamp:
    return event.stamp


class Registers(Generic[K]):
    """Registers by key. `newest` is read directly by the graph; it is written here alone."""

    def __init__(self) -> None:
        self.newest: dict[K, Event] = {}
        self._past: dict[K, list[Event]] = {}

    def write(self, key: K, event: Event) -> bool:
        """True if the event is now the newest of its register."""
        held = self.newest.get(key)
        if held is None:
            self.newest[key] = event
            return True
        if event.stamp > held.stamp:
            self.newest[key] = event
            self._keep(key, held)
            return True
        if event.stamp != held.stamp:
            self._keep(key, event)
        return False

    def _keep(self, key: K, event: Event) -> None:
        past = self._past.get(key)
        if past is None:
            self._past[key] = [event]
        elif past[-1].stamp < event.stamp:
            past.append(event)
        else:
            place = bisect_left(past, event.stamp, key=_stamp)
            if past[place].stamp != event.stamp:
                past.insert(place, event)

    def before(self, key: K, stamp: Stamp) -> Event | None:
        """What the register held just before a stamp."""
        held = self.newest.get(key)
        if held is None or held.stamp < stamp:
            return held
        past = self._past.get(key, [])
        place = bisect_left(past, stamp, key=_stamp)
        return past[place - 1] if place else None

    def history(self, key: K) -> list[Event]:
        """What the register still holds, oldest first."""
        newest = self.newest.get(key)
        return [] if newest is None else [*self._past.get(key, ()), newest]

    def kept(self) -> Iterator[Event]:
        """Every event that the registers still hold: merged into empty registers, they give these again."""
        for past in self._past.values():
            yield from past
        yield from self.newest.values()

    def forget(self, before: Micros) -> None:
        """Drop what no question about a time from `before` on can ask for."""
        for key, past in list(self._past.items()):
            if self.newest[key].stamp.at <= before:
                del self._past[key]
                continue
            old = bisect_left(past, before + 1, key=lambda event: event.stamp.at)
            del past[: max(old - 1, 0)]

    def drop(self, key: K) -> None:
        """Remove a register whole."""
        del self.newest[key]
        self._past.pop(key, None)
