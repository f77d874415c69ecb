"""From readings to the states of the discrete part's columns."""

from __future__ import annotations

from zlib import crc32

from graph.detection.discrete import Watch
from graph.detection.layout import Coding, Layout, label_of
from graph.detection.readings import Key, is_alarm_key
from graph.detection.spells import is_renewed
from schemas.event import Micros, SignalValue


class States:
    """The columns of states of a layout; hands values on to a `Watch`."""

    def __init__(self, layout: Layout) -> None:
        self.places = {key: column for column, key in enumerate(layout.states)}
        self._codings = layout.codings
        self._renews = [is_renewed(layout, column) for column in range(len(layout.states))]
        self._alarms = [column for key, column in self.places.items() if is_alarm_key(key)]
        self._labels = [
            {label: state for state, label in enumerate(coding.labels)} if coding.kind == "labels" else None
            for coding in layout.codings
        ]

    def begin(self, watch: Watch, at: Micros) -> None:
        """A recording begins: its alarms are off until one comes."""
        watch.begin(at)
        for column in self._alarms:
            watch.assume(column, max(0, self._codings[column].code(value=False)), at)

    def set(self, watch: Watch, key: Key, value: SignalValue, at: Micros) -> bool:
        """Take in a value; False if the key is no column."""
        column = self.places.get(key)
        if column is None:
            return False
        raw = float(crc32(value.encode())) if isinstance(value, str) else float(value)
        watch.set(column, self._state(column, value), raw, at, renews=self._renews[column])
        return True

    def _state(self, column: int, value: SignalValue) -> int:
        labels = self._labels[column]
        coding: Coding = self._codings[column]
        return coding.code(value) if labels is None else labels.get(label_of(value), -1)
