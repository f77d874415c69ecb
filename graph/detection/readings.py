"""From events to readings of signals, and a compact memory of recordings for training.

The detector and the training read events through `readings` alone, so they agree on what a signal is. An alarm of the control
system is a binary signal of its device, named after the alarm.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from graph.topology import Topology
from schemas.event import (
    Connected,
    ControlAlarm,
    Disconnected,
    Event,
    Linked,
    Micros,
    Quality,
    SignalValue,
    Telemetry,
    Unlinked,
)

ALARM_PREFIX = "alarm:"

Key = tuple[str, str]
"""Device and signal."""


def is_alarm_key(key: Key) -> bool:
    return key[1].startswith(ALARM_PREFIX)


class Reading(NamedTuple):
    """One value of one signal."""

    key: Key
    value: SignalValue


def readings(event: Event) -> Iterator[Reading]:
    """The values an event carries. What its sender calls bad tells nothing of the device's behaviour."""
    body = event.body
    if type(body) is Telemetry:
        if body.quality is not Quality.BAD:
            device = body.device_id
            for name, value in body.values.items():
                yield Reading((device, name), value)
    elif type(body) is ControlAlarm:
        yield Reading((body.device_id, ALARM_PREFIX + body.alarm), body.active)


class Recording:
    """The readings of one recording in the order of time, 20 bytes each; text values are interned."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.texts: list[str] = []
        self.counts: list[int] = []
        self._start: Micros | None = None
        self.end = Micros(0)
        self.disconnects = 0
        self._places: dict[Key, int] = {}
        self._text_places: dict[str, int] = {}
        self._is_text: set[int] = set()
        self._at = array("q")
        self._column = array("i")
        self._value = array("d")

    @classmethod
    def of(cls, events: Iterable[Event], topology: Topology) -> Self:
        """Take in one recording; what it says of the plant's structure goes into `topology`."""
        recording = cls()
        for event in events:
            if isinstance(event.body, Connected | Linked | Unlinked):
                topology.merge([event])
            recording.add(event)
        return recording

    def add(self, event: Event) -> None:
        """Take in the next event."""
        at = event.stamp.at
        self._start = at if self._start is None else min(self._start, at)
        self.end = max(self.end, at)
        self.disconnects += isinstance(event.body, Disconnected)
        for key, value in readings(event):
            self._append(key, value, at)

    def _append(self, key: Key, value: SignalValue, at: int) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.keys)
            self.keys.append(key)
            self.counts.append(0)
        self.counts[place] += 1
        self._at.append(at)
        self._column.append(place)
        self._value.append(self._number(place, value))

    def _number(self, place: int, value: SignalValue) -> float:
        if not isinstance(value, str):
            return float(value)
        self._is_text.add(place)
        if value not in self._text_places:
            self._text_places[value] = len(self.texts)
            self.texts.append(value)
        return float(self._text_places[value])

    @property
    def start(self) -> Micros:
        return Micros(0) if self._start is None else self._start

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[tuple[Micros, Key, SignalValue]]:
        """Readings in the order they came; booleans come back as numbers."""
        for at, place, value in zip(self._at, self._column, self._value, strict=True):
            known: SignalValue = self.texts[int(value)] if place in self._is_text else value
            yield Micros(at), self.keys[place], known

    def series(self) -> dict[Key, tuple[list[int], list[SignalValue]]]:
        """Times and values of each signal."""
        found: dict[Key, tuple[list[int], list[SignalValue]]] = {key: ([], []) for key in self.keys}
        for at, key, value in self:
            times, values = found[key]
            times.append(at)
            values.append(value)
        return found

    def state(self) -> dict[str, Any]:
        """Everything, as what a message can hold."""
        arrays = (self._at.tobytes(), self._column.tobytes(), self._value.tobytes())
        ends = (self._start, self.end, self.disconnects)
        return {"keys": self.keys, "texts": self.texts, "isText": sorted(self._is_text), "arrays": arrays, "ends": ends}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`, into a new recording."""
        self.keys = [(device, name) for device, name in state["keys"]]
        self.texts = list(state["texts"])
        self._places = {key: place for place, key in enumerate(self.keys)}
        self._text_places = {text: place for place, text in enumerate(self.texts)}
        self._is_text = set(state["isText"])
        self._start, self.end, self.disconnects = state["ends"]
        at, column, value = state["arrays"]
        self._at.frombytes(at)
        self._column.frombytes(column)
        self._value.frombytes(value)
        self.counts = [0] * len(self.keys)
        for place in self._column:
            self.counts[place] += 1
