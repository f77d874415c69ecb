"""The most recent neighbours of each node, a ring of `size` places each: who, when, and what the message adds to key and value.

The message is kept as the weights project it, so that it is multiplied once however often it is read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graph.nn.memory import Marks, flat
from graph.nn.tiles import Floats, Ints


class Rings(NamedTuple):
    """Places are numbered: slot * size + place. `fresh` is of the batch at work: the event whose message belongs there."""

    size: int
    node: Marks  # (slots * size,)
    generation: Marks  # (slots * size,), of the node when it was put there
    at: Ints  # (slots * size,), microseconds
    message: Floats  # (slots * size * o)
    fresh: Marks  # (slots * size,), -1 between batches
    taken: Ints  # (slots,), how often something was put there


def empty_rings(slots: int, size: int, embedding: int) -> Rings:
    places = slots * size
    return Rings(
        size=size,
        node=np.zeros(places, dtype=np.int32),
        generation=np.zeros(places, dtype=np.int32),
        at=np.zeros(places, dtype=np.int64),
        message=flat(places, embedding),
        fresh=np.full(places, -1, dtype=np.int32),
        taken=np.zeros(slots, dtype=np.int64),
    )
