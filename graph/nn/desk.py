"""Where a batch is worked on: rooms for so many events, used again for each batch, nothing of which outlasts it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from graph.nn.instructions import filled
from graph.nn.memory import Marks, flat
from graph.nn.tiles import Floats, Ints
from graph.nn.weights import Net

EVENTS = 256
ROWS = 2 * EVENTS
"""An event changes one node or two; each has a row."""


class Events(NamedTuple):
    """A batch: `ends` rows each event, and what it puts into rings as runs of places in `owner` and `about`."""

    ends: int
    message: Floats  # (events * m)
    node: Ints  # (events * ends,)
    at: Ints  # (events,)
    runs: Ints  # (events + 1,)
    owner: Ints
    about: Ints


class Reads(NamedTuple):
    """What each row reads. Sources are numbered from 0 in the batch; below 0, `~source` is a slot or a place of the rings."""

    memory: Ints  # (rows,): a row or a slot
    gap: Floats  # (rows,), seconds since the node was heard
    near: Ints  # (rows,), how many neighbours
    recall: Ints  # (rows * size,): a row or a slot
    message: Ints  # (rows * size,): an event or a place
    age: Floats  # (rows * size,), seconds


class Waves(NamedTuple):
    """Events in the order in which memories are computed."""

    of: Marks  # (events,)
    order: Ints  # (events,)
    starts: Ints  # (events + 2,), where waves begin in `order`


class Row(NamedTuple):
    """Rooms for one row's attention: heads side by side, each filled up to whole vectors."""

    query: Floats
    ages: Floats  # (size, t)
    share: Floats  # (heads, filled size)
    values: Floats


class Desk(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Flat rows, those of products padded."""

    reads: Reads
    waves: Waves
    inputs: Floats  # (rows, d)
    own: Floats
    other: Floats
    gate: Floats  # (filled d,), one row's new memory
    nothing: Floats  # (3d,), what another end adds that is not there
    said: Floats
    phase: Floats  # (rows, t)
    since: Floats
    memory: Floats  # (rows, d), new memories
    recall: Floats  # their keys and values
    ask: Floats
    wanted: Floats  # (heads, rows, padded t)
    row: Row
    mixed: Floats  # (heads, rows, filled t)
    aged: Floats  # (rows, padded o / heads), one head's


def made_desk(net: Net, size: int) -> Desk:
    d, t, heads, part = net.memory, net.time, net.heads, net.embedding // net.heads
    places = ROWS * size
    whole, wholes = np.zeros((2, ROWS), dtype=np.int64), np.zeros((2, places), dtype=np.int64)
    gaps, ages = np.zeros(ROWS, dtype=np.float32), np.zeros(places, dtype=np.float32)
    heads_wide = np.zeros(heads * filled(part), dtype=np.float32)
    return Desk(
        reads=Reads(whole[0], gaps, whole[1], wholes[0], wholes[1], ages),
        waves=Waves(np.zeros(EVENTS, dtype=np.int32), np.zeros(EVENTS, dtype=np.int64), np.zeros(EVENTS + 2, dtype=np.int64)),
        inputs=flat(ROWS, d),
        own=flat(ROWS, net.own.width),
        other=flat(ROWS, net.other.width),
        gate=flat(1, filled(d)),
        nothing=flat(1, 3 * d),
        said=flat(EVENTS, net.said.width),
        phase=flat(ROWS, t),
        since=flat(ROWS, net.since.width),
        memory=flat(ROWS, d),
        recall=flat(ROWS, net.recall.width),
        ask=flat(ROWS, net.ask.width),
        wanted=flat(heads * ROWS, net.wanted[0].width),
        row=Row(
            query=np.zeros_like(heads_wide),
            ages=flat(size, t),
            share=np.zeros(heads * filled(size), dtype=np.float32),
            values=heads_wide,
        ),
        mixed=flat(heads * ROWS, filled(t)),
        aged=flat(ROWS, net.aged[0].width),
    )
