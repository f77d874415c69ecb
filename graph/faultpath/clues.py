"""What a fault has shown so far of each device, gathered step by step from just before it was noticed."""

from __future__ import annotations

from collections.abc import Mapping
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
LASTING_SHIFT = 2.0
"""Spreads by which a numeric signal must have left its level from before the fault, two steps running."""
FIELDS = ("score", "alone", "conflict", "tail", "conditional", "shift")


class Clues(msgspec.Struct):
    """One entry for each of `devices`. Peaks of what the steps showed, and when each first passed its mark (NEVER: not yet).

    `level` is the mean shift before the fault, `total` the sum of shifts since over `steps` steps.
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
    moved: NDArray[np.bool_]
    numeric: NDArray[np.bool_]
    onset_score: Ints
    onset_alone: Ints
    onset_conflict: Ints
    onset_shift: Ints
    steps: int = 0

    @classmethod
    def begin(cls, step: Step, level: Floats) -> Self:
        count = len(step.devices)
        zeros = [np.zeros(count) for _ in range(5)]
        never = [np.full(count, NEVER) for _ in range(4)]
        return cls(
            step.devices, *zeros, level.copy(), np.zeros(count), np.zeros(count), np.zeros(count, bool), np.zeros(count, bool), *never
        )

    def add(self, step: Step) -> None:
        """Take in a step of the same devices."""
        self.steps += 1
        for mine, seen in ((self.score, step.score / step.threshold), (self.alone, step.alone), (self.conflict, step.conflict)):
            np.maximum(mine, seen, out=mine)
        np.maximum(self.tail, step.tail, out=self.tail)
        np.maximum(self.conditional, step.conditional, out=self.conditional)
        self.numeric |= step.numeric
        self.total += step.shift
        self.latest = step.shift - self.level
        _note(self.onset_score, step.score > step.threshold, step.at)
        _note(self.onset_alone, step.alone > STATE_NATS, step.at)
        _note(self.onset_conflict, step.conflict > STATE_NATS, step.at)
        moved = step.numeric & (np.abs(self.latest) > LASTING_SHIFT)
        _note(self.onset_shift, moved & self.moved, step.at)
        self.moved = moved

    @property
    def mean_shift(self) -> Floats:
        """How far each device has left its level from before, on average, with its sign."""
        return self.total / max(self.steps, 1) - self.level

    @property
    def onset(self) -> Ints:
        """When each device first showed the fault."""
        first = np.minimum(np.minimum(self.onset_score, self.onset_alone), np.minimum(self.onset_conflict, self.onset_shift))
        found: Ints = first
        return found

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
            if isinstance(held, np.ndarray):
                getattr(moved, name)[goal] = held[kept]
        moved.steps = self.steps
        return moved

    def packed(self) -> dict[str, Any]:
        """As what a message can hold."""
        held = {name: getattr(self, name) for name in self.__struct_fields__}
        arrays = {name: (part.dtype.str, part.tobytes()) for name, part in held.items() if isinstance(part, np.ndarray)}
        return {"devices": self.devices, "steps": self.steps, "arrays": arrays}

    @classmethod
    def unpacked(cls, held: Mapping[str, Any]) -> Self:
        """The inverse of `packed`."""
        arrays = {name: np.frombuffer(data, dtype=kind).copy() for name, (kind, data) in held["arrays"].items()}
        return cls(devices=tuple(held["devices"]), steps=held["steps"], **arrays)


def _note(onset: Ints, passed: NDArray[np.bool_], at: int) -> None:
    onset[passed & (onset == NEVER)] = at
