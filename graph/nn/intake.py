"""What the graph takes in, checked before anything changes: a bad row is refused, a number too large is held to `LARGEST`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.nn.memory import Marks
from graph.nn.tiles import Floats, Ints, compiled

LARGEST = 1e4
"""Messages and static vectors are normalised numbers: what is beyond, infinity too, counts as this."""
LATEST = 2**62
"""Times lie below this on both sides of 1970 (146,000 years), so that differences fit into 64 bits."""


class BadRowError(ValueError):
    """A row of a batch cannot be taken; nothing of the batch was."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row}: {reason}")
        self.row, self.reason = row, reason


def whole(values: Any, name: str) -> Ints:
    """One dimension of int64, a copy. Floats are refused: they cannot hold microseconds."""
    array = np.asarray(values)
    if array.ndim != 1 or not (array.dtype.kind in "iu" or array.size == 0):
        raise ValueError(f"{name}: {array.dtype} of shape {array.shape}, not integers of shape (n,)")
    return np.array(array, dtype=np.int64, order="C")


def numbers(values: Any, rows: int, columns: int, name: str) -> NDArray[np.float64]:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != (rows, columns):
        raise ValueError(f"{name}: shape {array.shape}, not {(rows, columns)}")
    return array.reshape(-1)


@compiled
def first_nobody(generation: Marks, slots: Ints) -> int:
    """The first row whose slot is free or does not exist, or -1."""
    for row in range(len(slots)):
        if not 0 <= slots[row] < len(generation) or generation[slots[row]] % 2 == 0:
            return row
    return -1


@compiled
def first_timeless(at: Ints) -> int:
    for row in range(len(at)):
        if not -LATEST < at[row] < LATEST:
            return row
    return -1


@compiled
def held(values: NDArray[np.float64], out: Floats) -> int:
    """Into `out` within +-LARGEST; returns the first that is not a number, or -1."""
    for place in range(len(values)):
        if np.isnan(values[place]):
            return place
        out[place] = min(max(values[place], -LARGEST), LARGEST)
    return -1


def refuse_nobody(generation: Marks, slots: Ints) -> None:
    if (row := first_nobody(generation, slots)) >= 0:
        raise BadRowError(row, f"slot {slots[row]} holds no node")


def refuse_timeless(at: Ints) -> None:
    if (row := first_timeless(at)) >= 0:
        raise BadRowError(row, f"time {at[row]} is out of range")


def accepted(values: Any, rows: int, columns: int, name: str) -> Floats:
    """As flat float32."""
    taken = numbers(values, rows, columns, name)
    out = np.empty(len(taken), dtype=np.float32)
    if (place := held(taken, out)) >= 0:
        raise BadRowError(place // columns, f"{name} {place % columns} is not a number")
    return out
