"""What a fault has shown so far of each device, gathered step by step from just before it was noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.evidence import Step
from schemas.device import DeviceId

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = np.int64(np.iinfo(np.int64).max)
STATE_NATS = 3.0
"""States more surprising than this are part of the fault."""
SHIFT_BEGINS = 1.5
"""Spreads by which a numeric signal must have left its level from before the fault, two steps running, to be on its way;"""
SHIFT_COUNTS = 3.0
"""and to be affected."""
WEAK_SHARE = 0.2
"""In a weak fault the path leads to devices that show so much of the largest shift."""

MOST_ROWS = 54
"""Rows kept of a fault: after these, what would have been without it cannot be told."""

PEAKS = ("score", "alone", "conflict", "tail", "conditional", "total", "latest", "lasting")
MARKS = ("numeric", "gone", "reports")
ONSETS = ("onset_score", "onset_alone", "onset_conflict", "onset_shift")


class Clues(msgspec.Struct):
    """One entry for each of `devices`. Peaks of what the steps showed, and when each first passed its mark (NEVER: not yet).

    `level` is the mean shift before the fault, `lasting` the largest departure from it over two steps running, `total` the sum
    of shifts over the `steps` steps since the fault was noticed. `gone` devices were so in some step, `reports` says whose
    sampled signals were at hand in the last one. `rows` (r, s) are the shifts of each sampled signal, NaN where missing, the
    first `opened` of them from before the fault was noticed.
    """

    devices: tuple[DeviceId, ...]
    score: Floats
    alone: Floats
    conflict: Floats
    tail: Floats
    conditional: Floats
    level: Floats
    total: Floats
    latest: Floats
    lasting: Floats
    numeric: NDArray[np.bool_]
    gone: NDArray[np.bool_]
    reports: NDArray[np.bool_]
    onset_score: Ints
    onset_alone: Ints
    onset_conflict: Ints
    onset_shift: Ints
    rows: Floats
    steps: int = 0
    opened: int = 0

    @classmethod
    def begin(cls, step: Step, level: Floats) -> Self:
        count = len(step.devices)
        blank: dict[str, Any] = {name: np.zeros(count) for name in PEAKS}
        blank |= {name: np.full(count, NEVER) for name in ONSETS}
        blank |= {name: np.zeros(count, dtype=bool) for name in MARKS}
        return cls(devices=step.devices, level=level.copy(), rows=np.zeros((0, len(step.shifts))), **blank)

    def notice(self) -> None:
        """What was added so far is from before the fault was noticed."""
        self.total[:] = 0.0
        self.steps, self.opened = 0, len(self.rows)

    def add(self, step: Step) -> None:
        """Take in a step of the same devices."""
        self.steps += 1
        if step.shifts.shape != self.rows.shape[1:]:
            self.rows, self.opened = np.zeros((0, len(step.shifts))), 0
        if len(self.rows) < MOST_ROWS and np.isfinite(step.shifts).any():
            self.rows = np.concatenate([self.rows, step.shifts[None]])
        for mine, seen in ((self.score, step.score / step.threshold), (self.alone, step.alone), (self.conflict, step.conflict)):
            np.maximum(mine, seen, out=mine)
        np.maximum(self.tail, step.tail, out=self.tail)
        np.maximum(self.conditional, step.conditional, out=self.conditional)
        self.numeric |= step.numeric
        self.reports = step.numeric.copy()
        if step.gone:
            self.gone |= np.array([device in step.gone for device in step.devices], dtype=bool)
        self.total += step.shift
        before, self.latest = self.latest, np.where(step.numeric, step.shift - self.level, 0.0)
        lasting = np.minimum(np.abs(before), np.abs(self.latest))
        _note(self.onset_score, step.score > step.threshold, step.at)
        _note(self.onset_alone, step.alone > STATE_NATS, step.at)
        _note(self.onset_conflict, step.conflict > STATE_NATS, step.at)
        _note(self.onset_shift, lasting > SHIFT_BEGINS, step.at)
        np.maximum(self.lasting, lasting, out=self.lasting)

    @property
    def mean_shift(self) -> Floats:
        """How far each device has left its level from before, on average, with its sign."""
        return self.total / max(self.steps, 1) - self.level

    def affected(self) -> Ints:
        """When each device first showed the fault; NEVER where it does not.

        The strangest device is affected however little its signals moved. Of the others a numeric signal must have moved: to
        disagree with a neighbour that is affected is not enough.
        """
        return self._onsets(SHIFT_COUNTS)

    def reached(self) -> Ints:
        """The same with a mark that follows the size of the fault: devices that the path leads to."""
        return self._onsets(float(np.clip(WEAK_SHARE * self.lasting.max(initial=0.0), SHIFT_BEGINS, SHIFT_COUNTS)))

    def _onsets(self, mark: float) -> Ints:
        moved = np.where(self.lasting > mark, self.onset_shift, NEVER)
        onset: Ints = np.minimum(np.minimum(self.onset_alone, self.onset_conflict), moved)
        if len(onset):
            strangest = int(np.argmax(self.tail))
            onset[strangest] = min(onset[strangest], self.onset_score[strangest])
        return onset

    def on(self, step: Step) -> Clues:
        """The same for the devices of a step, which may be others."""
        if step.devices == self.devices:
            return self
        moved = Clues.begin(step, np.zeros(len(step.devices)))
        place = {device: number for number, device in enumerate(step.devices)}
        kept = [number for number, device in enumerate(self.devices) if device in place]
        goal = [place[self.devices[number]] for number in kept]
        for name in self.__struct_fields__:
            held = getattr(self, name)
            if isinstance(held, np.ndarray) and name != "rows":
                getattr(moved, name)[goal] = held[kept]
        moved.rows, moved.steps, moved.opened = self.rows, self.steps, self.opened
        return moved

    def without(self, numbers: Sequence[int]) -> Clues:
        """The same, had some of `devices` shown nothing."""
        hidden = list(numbers)
        blank = {name: np.zeros(len(hidden)) for name in (*PEAKS, "level", *MARKS)}
        blank |= {name: np.full(len(hidden), NEVER) for name in ONSETS}
        copied = msgspec.structs.replace(self)
        for name, nothing in blank.items():
            held = getattr(self, name).copy()
            held[hidden] = nothing
            setattr(copied, name, held)
        return copied

    def packed(self) -> dict[str, Any]:
        """As what a message can hold."""
        held = {name: getattr(self, name) for name in self.__struct_fields__}
        arrays = {
            name: (part.dtype.str, part.shape, part.tobytes()) for name, part in held.items() if isinstance(part, np.ndarray)
        }
        return {"devices": self.devices, "steps": self.steps, "opened": self.opened, "arrays": arrays}

    @classmethod
    def unpacked(cls, held: Mapping[str, Any]) -> Self:
        """The inverse of `packed`."""
        arrays = {
            name: np.frombuffer(data, dtype=kind).reshape(shape).copy() for name, (kind, shape, data) in held["arrays"].items()
        }
        return cls(devices=tuple(held["devices"]), steps=held["steps"], opened=held["opened"], **arrays)


def _note(onset: Ints, passed: NDArray[np.bool_], at: int) -> None:
    onset[passed & (onset == NEVER)] = at
