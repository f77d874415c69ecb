"""A row for each node: what it remembers, when it was last heard, and what attention reads of it. Rows grow by doubling.

Arrays are flat for the kernels. A slot's generation is odd while a node lives there and moves on when one joins or leaves, so
that whatever still names a node which has left is known to be old.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.nn.instructions import LANES
from graph.nn.tiles import Floats, Ints

Marks = NDArray[np.int32]

NEVER = np.iinfo(np.int64).min
"""When a node was last heard that was not heard yet."""


class Presence(NamedTuple):
    """`version` and `ready` are of the batch at work: the row of the newest memory, the first wave that may change it."""

    heard: Ints  # (slots,), microseconds
    generation: Marks  # (slots,)
    version: Marks  # (slots,), -1 between batches
    ready: Marks  # (slots,), 0 between batches


class Memory(NamedTuple):
    """`recall` is key and value; they follow from memory and static vector, whose sum is what attention reads."""

    memory: Floats  # (slots * d)
    static: Floats  # (slots * d)
    recall: Floats  # (slots * 2o)


def rows(array: Floats, slots: int) -> Floats:
    """A view (slots, width) of a flat array, without what lies behind its last row."""
    width = (len(array) - LANES) // max(slots, 1)
    return array[: slots * width].reshape(slots, width)


def flat(slots: int, width: int) -> Floats:
    """Zeros, and as many more as a vector instruction may read beyond the last row."""
    return np.zeros(slots * width + LANES, dtype=np.float32)


def empty_memory(slots: int, *, memory: int, embedding: int) -> Memory:
    return Memory(flat(slots, memory), flat(slots, memory), flat(slots, 2 * embedding))


def nobody(slots: int) -> Presence:
    never = np.full(slots, NEVER, dtype=np.int64)
    generation, version, ready = np.zeros((3, slots), dtype=np.int32)
    version[:] = -1
    return Presence(never, generation, version, ready)
