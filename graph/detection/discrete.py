"""How strange the states are: alone by the time spent in them, and together over the plant's edges.

A stuck or lying sensor shows only values that are normal by themselves; it is odd only beside the device that acts on it.
So for each edge u -> v the joint state is watched too: what it surprises beyond u and v alone is v's conflict. That the event
which should have followed did not come shows as a joint state that outlasts its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.survival import SURPRISE_CAP, bin_of
from schemas.event import Micros

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECOND = 1_000_000
WARM_UP = 20 * SECOND
"""After a recording's start nothing is surprising for so long, and no state until it has changed once."""
SLOT = 10 * SECOND
SLOTS = 6
"""A conflict is remembered for a minute, in slots."""
QUIET_NATS = 3.0
"""Surprise below this adds nothing to the plant's score."""
UNKNOWN, NEW = -1, -2


class Discrete(msgspec.Struct, frozen=True):
    """All that training leaves of n columns of states on `devices` (n) and m pairs of columns over edges.

    `alone` (states, bins) holds the rows of column c from `first` (c) on; `joint` likewise, with the row of pair p in states
    s, t at `place` [`pair_first` (p) + s * `width` (p) + t], -1 where history never showed it.
    """

    devices: tuple[str, ...]
    first: Ints
    alone: Floats
    new_alone: Floats
    source: Ints
    target: Ints
    pair_first: Ints
    width: Ints
    place: Ints
    joint: Floats
    new_joint: Floats
    runs: int
    threshold: float


class Surprise(msgspec.Struct, frozen=True):
    """One step, in nats: each column alone and in conflict (n), and the pair that conflicts most (n), -1 where none does."""

    alone: Floats
    conflict: Floats
    blame: Ints


class Watch:
    """What a discrete model remembers between steps."""

    def __init__(self, model: Discrete) -> None:
        self.model = model
        columns = len(model.devices)
        self._state = np.full(columns, UNKNOWN, dtype=np.int64)
        self._since = np.zeros(columns, dtype=np.int64)
        self._changed = np.zeros(columns, dtype=bool)
        self._raw = np.zeros(columns)
        self._recent = np.zeros((SLOTS, columns))
        self._blame = np.full((SLOTS, columns), -1, dtype=np.int64)
        self._slot = 0
        self._begun: int | None = None

    def begin(self, at: Micros) -> None:
        """The first event of a recording."""
        if self._begun is None:
            self._begun = at

    def assume(self, column: int, state: int, at: Micros) -> None:
        """What is taken for granted until told otherwise: an alarm is off."""
        self._state[column], self._since[column] = state, at

    def set(self, column: int, state: int, raw: float, at: Micros, *, renews: bool) -> None:
        """A value came, `raw` in a form that can be compared.

        A counter's tick renews its state; any other value does when it differs.
        """
        state = NEW if state < 0 else state
        known = self._state[column]
        differs = known != state or (state == NEW and raw != self._raw[column])
        self._raw[column] = raw
        if renews or differs:
            self._changed[column] |= known != UNKNOWN
            self._state[column], self._since[column] = state, at

    def look(self, at: Micros) -> Surprise:
        """Surprise at the end of a step."""
        model = self.model
        slot = at // SLOT
        for passed in range(min(slot - self._slot, SLOTS)):
            self._recent[(slot - passed) % SLOTS] = 0.0
            self._blame[(slot - passed) % SLOTS] = -1
        self._slot = slot
        if self._begun is None or at - self._begun < WARM_UP:
            blank = np.zeros(len(model.devices))
            return Surprise(blank, blank, np.full(len(blank), -1))
        alone = self._alone(at)
        if len(model.source):
            self._note(self._conflicts(at, alone), slot % SLOTS)
        conflict = self._recent.max(axis=0)
        blame = self._blame[self._recent.argmax(axis=0), np.arange(len(alone))]
        return Surprise(alone, conflict, np.where(conflict > 0, blame, -1))

    def _alone(self, at: int) -> Floats:
        model, state = self.model, self._state
        bins = bin_of(at - self._since)
        known = state >= 0
        row = model.first + np.where(known, state, 0)
        lasting = np.where(bins >= 0, model.alone[row, np.maximum(bins, 0)], 0.0)
        surprise = np.where(known, lasting, np.where(state == NEW, model.new_alone, 0.0))
        return np.where(self._changed, surprise, 0.0)

    def _conflicts(self, at: int, alone: Floats) -> Floats:
        """What the joint state of each pair surprises beyond its parts (m)."""
        model = self.model
        one, other = self._state[model.source], self._state[model.target]
        both = (one >= 0) & (other >= 0) & (self._changed[model.source] | self._changed[model.target])
        place = model.pair_first + np.where(both, one * model.width + other, 0)
        row = model.place[place]
        bins = bin_of(at - np.maximum(self._since[model.source], self._since[model.target]))
        lasting = np.where(bins >= 0, model.joint[np.maximum(row, 0), np.maximum(bins, 0)], 0.0)
        together = np.where(row >= 0, lasting, model.new_joint)
        apart = np.maximum(alone[model.source], alone[model.target])
        return np.where(both, np.maximum(together - apart, 0.0), 0.0)

    def _note(self, conflicts: Floats, slot: int) -> None:
        targets = self.model.target
        order = np.lexsort((np.arange(len(targets)), conflicts))
        best = np.zeros(len(self.model.devices))
        pair = np.full(len(best), -1, dtype=np.int64)
        best[targets[order]] = conflicts[order]  # of equal targets the last, that is the highest, stays
        pair[targets[order]] = order
        higher = best > self._recent[slot]
        self._recent[slot] = np.where(higher, best, self._recent[slot])
        self._blame[slot] = np.where(higher, pair, self._blame[slot])

    def state(self) -> tuple[object, ...]:
        return (*(part.tobytes() for part in self._arrays()), self._slot, self._begun)

    def restore(self, state: Sequence[object]) -> None:
        *parts, slot, begun = state
        for part, mine in zip(parts, self._arrays(), strict=True):
            assert isinstance(part, bytes)
            mine[...] = np.frombuffer(part, dtype=mine.dtype).reshape(mine.shape)
        assert isinstance(slot, int)
        assert begun is None or isinstance(begun, int)
        self._slot, self._begun = slot, begun

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return (self._state, self._since, self._changed, self._raw, self._recent, self._blame)


def by_device(values: Floats, places: Ints, devices: int) -> Floats:
    """The highest of each device's columns (devices); 0 where it has none."""
    found = np.zeros(devices)
    np.maximum.at(found, places, values)
    return found


def plant_surprise(strange: Floats) -> float:
    """What the devices' surprise exceeds the quiet level by, summed."""
    return float(np.maximum(strange - QUIET_NATS, 0.0).sum())


assert SURPRISE_CAP > QUIET_NATS
