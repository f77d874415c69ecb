"""Order in time: takes out repeats, waits for stragglers, and lets events go in the order of their stamps.

The watermark is the event time up to which nothing is expected any more: the slowest active source's newest time, less the
allowed lateness. What arrives within the lateness is put in its place, so arrival order does not matter; what comes later still
goes to the graph and is counted. Pure: no clock but the events' own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.event import Event, Micros, Stamp
from schemas.frame import pack, unpack

BEGINNING = Micros(-(1 << 62))


class Lateness(msgspec.Struct, frozen=True):
    """All in microseconds of event time, but for the two counts.

    `allowed`: how much later than others of its source an event may come. `idle`: a source that is this far behind the newest
    is not waited for. `remembered`: ids that are known as seen, at least. `waiting`: events that may wait for their turn, at
    most; beyond it the oldest go first, late or not.
    """

    allowed: int = 200_000
    idle: int = 10_000_000
    remembered: int = 500_000
    waiting: int = 500_000


class Run(msgspec.Struct):
    """What may go on: first `ready` in order, all before `watermark`; then `late` ones, whose turn had passed by then."""

    ready: list[Event]
    watermark: Micros
    late: list[Event] = []


class Released(msgspec.Struct):
    """Runs in their order: where the late ones stand between the others does not depend on how events were batched."""

    runs: list[Run]
    duplicates: int = 0

    @property
    def ready(self) -> list[Event]:
        return [event for run in self.runs for event in run.ready]

    @property
    def late(self) -> list[Event]:
        return [event for run in self.runs for event in run.late]


class Seen:
    """The ids that came before, in two generations: bounded, and an id is forgotten only after `remembered` newer ones."""

    def __init__(self, remembered: int) -> None:
        self._most = remembered
        self._young: set[tuple[str, str]] = set()
        self._old: set[tuple[str, str]] = set()

    def add(self, stamp: Stamp) -> bool:
        """Whether this event is new."""
        key = (stamp.source, stamp.id)
        if key in self._young or key in self._old:
            return False
        self._young.add(key)
        if len(self._young) >= self._most:
            self._young, self._old = set(), self._young
        return True

    def state(self) -> list[list[tuple[str, str]]]:
        return [sorted(self._young), sorted(self._old)]

    def restore(self, state: Sequence[Sequence[Sequence[str]]]) -> None:
        self._young, self._old = ({(source, name) for source, name in part} for part in state)


class Reorder:
    """The waiting room of one site. The watermark moves with each event, so it does not matter how events are batched."""

    def __init__(self, lateness: Lateness) -> None:
        self._lateness = lateness
        self._seen = Seen(lateness.remembered)
        self._newest: dict[str, Micros] = {}
        self._slowest = ""
        self._waiting: list[Event] = []
        self.watermark = BEGINNING

    def push(self, events: Sequence[Event]) -> Released:
        """Take events in, in any order; what may go on now."""
        seen = self._seen.add
        released = Released([])
        hurried: list[Event] = []
        for event in events:
            stamp = event.stamp
            if not seen(stamp):
                released.duplicates += 1
            elif stamp.at < self.watermark:
                self._late(event, released, hurried)
            else:
                self._waiting.append(event)
                if stamp.at > self._newest.get(stamp.source, BEGINNING):
                    self._follow(stamp.source, stamp.at)
                if len(self._waiting) > self._lateness.waiting:
                    self._hurry()
                    hurried += self._release()
        released.runs.append(Run(hurried + self._release(), self.watermark))
        return released

    def _late(self, event: Event, released: Released, hurried: list[Event]) -> None:
        """What was ready before it goes before it; late ones that follow each other go together."""
        runs = released.runs
        if not runs or runs[-1].watermark != self.watermark:
            runs.append(Run(hurried + self._release(), self.watermark))
            hurried.clear()
        runs[-1].late.append(event)

    def _follow(self, source: str, at: Micros) -> None:
        newest = self._newest
        known = source in newest
        newest[source] = at
        idle = at - self._lateness.idle
        if not known or source == self._slowest or newest[self._slowest] < idle:
            self._newest = newest = {name: time for name, time in newest.items() if time >= idle}
            self._slowest = min(newest, key=lambda name: (newest[name], name))
            self.watermark = Micros(max(self.watermark, newest[self._slowest] - self._lateness.allowed))

    def _hurry(self) -> None:
        """Too many wait: let the older half go."""
        times = sorted(event.stamp.at for event in self._waiting)
        self.watermark = Micros(max(self.watermark, times[len(times) // 2] + 1))

    def finish(self) -> Released:
        """The end of a recording: everything that waits may go."""
        if self._newest:
            self.watermark = Micros(max(self.watermark, max(self._newest.values()) + 1))
        return Released([Run(self._release(), self.watermark)])

    def _release(self) -> list[Event]:
        self._waiting.sort(key=_stamp)
        place = bisect_left(self._waiting, self.watermark, key=lambda event: event.stamp.at)
        ready, self._waiting = self._waiting[:place], self._waiting[place:]
        return ready

    def state(self) -> dict[str, Any]:
        return {
            "seen": self._seen.state(),
            "newest": self._newest,
            "slowest": self._slowest,
            "waiting": pack(self._waiting),
            "watermark": self.watermark,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._seen.restore(state["seen"])
        self._newest = dict(state["newest"])
        self._slowest = state["slowest"]
        self._waiting = unpack(state["waiting"])
        self.watermark = Micros(state["watermark"])


def _stamp(event: Event) -> Stamp:
    return event.stamp
