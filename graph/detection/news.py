"""Signals that history never had: an alarm of the control system that was never raised, a sensor that never spoke.

There is no model of them, but that they change at all is news. Only where the plant reports changes: a sampled signal that is
new has been added by somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from graph.detection.readings import Key, is_alarm_key
from schemas.event import Micros, SignalValue

NEWS_LASTS = 600_000_000
"""Micros after its last change for which a signal is news."""
MOST_CHANGES = 100
"""Afterwards it is part of the plant."""


class _Signal(msgspec.Struct, array_like=True):
    usual: SignalValue
    value: SignalValue
    changes: int
    since: int


class News:
    """The unknown signals of one recording."""

    def __init__(self, *, by_change: bool) -> None:
        self._by_change = by_change
        self._signals: dict[Key, _Signal] = {}

    def take(self, key: Key, value: SignalValue, at: Micros) -> bool:
        """Note a value; False if such a signal is not followed."""
        if not self._by_change and not is_alarm_key(key):
            return False
        held = self._signals.get(key)
        if held is None:
            held = self._signals[key] = _Signal(False if is_alarm_key(key) else value, False, 0, at)
            held.value = held.usual
        if value != held.value:
            held.value, held.changes, held.since = value, held.changes + 1, at
        return True

    def strange(self, at: Micros) -> Iterator[Key]:
        """The signals that are news now."""
        for key, held in self._signals.items():
            recent = held.changes <= MOST_CHANGES and at - held.since <= NEWS_LASTS
            if held.value != held.usual and (recent or is_alarm_key(key)):
                yield key

    def state(self) -> list[tuple[Key, _Signal]]:
        return list(self._signals.items())

    def restore(self, state: Sequence[Any]) -> None:
        self._signals = {(key[0], key[1]): msgspec.convert(held, _Signal) for key, held in state}
