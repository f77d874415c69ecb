"""Control system's alarms that wait: to open until they have lasted, to clear until they have stayed away (ISA-18.2, delays).

Held by `agents.alarms`. Time is event time and moves only with steps and the control system's events, so a delay ends at the
same event however the events were batched.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

import msgspec

from schemas.device import DeviceId
from schemas.event import Micros, Severity, Stamp

Key = tuple[DeviceId, str]
"""Device and condition."""

SPARE = 64


class Waiting(msgspec.Struct, frozen=True):
    """Until when; the event that began it; how severe it is by now; whether the alarm then opens, else it clears."""

    due: Micros
    stamp: Stamp
    severity: Severity
    opens: bool


class Delays:
    """At most one for each key."""

    def __init__(self, held: Iterable[tuple[DeviceId, str, Waiting]] = ()) -> None:
        self._waiting = {(device, condition): waiting for device, condition, waiting in held}
        self._by_due: list[tuple[Micros, Key]] = []
        self._sort()

    def state(self) -> list[tuple[DeviceId, str, Waiting]]:
        """As the constructor takes it."""
        return [(*key, waiting) for key, waiting in self._waiting.items()]

    def begin(self, key: Key, waiting: Waiting) -> None:
        self._waiting[key] = waiting
        heappush(self._by_due, (waiting.due, key))
        if len(self._by_due) > 2 * len(self._waiting) + SPARE:
            self._sort()

    def _sort(self) -> None:
        """Without the entries that stopped delays have left behind: an alarm that flickers must not fill the memory."""
        self._by_due = [(waiting.due, key) for key, waiting in self._waiting.items()]
        heapify(self._by_due)

    def stop(self, key: Key) -> Waiting | None:
        """What waited, if anything did; it does no more."""
        return self._waiting.pop(key, None)

    def over(self, at: Micros) -> list[tuple[Key, Waiting]]:
        """Those whose delay is over by a time, in the order of its end; they wait no more."""
        found: list[tuple[Key, Waiting]] = []
        while self._by_due and self._by_due[0][0] <= at:
            due, key = heappop(self._by_due)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.due == due:
                found.append((key, self._waiting.pop(key)))
        return found
