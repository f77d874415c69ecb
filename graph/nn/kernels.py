"""A batch of events through the memories: as if one by one, computed in blocks. `batch` puts the steps together.

What an event does to memories depends on the memories of its ends alone. So events are sorted into waves: within a wave no two
share a node, and each comes after all earlier ones that share one with it. Messages and times do not depend on memories: all at
once. What a neighbour's key and value were when an event came is found by version: those before the batch lie in the memory,
those since in the batch's rows. So attention too is computed for all events at once (`attention`), and only then the batch's
rows replace what was. Arguments are positional because numba has no others.
"""

from __future__ import annotations

import numpy as np

from graph.nn.desk import Events, Reads, Waves
from graph.nn.memory import NEVER, Memory, Presence
from graph.nn.rings import Rings
from graph.nn.tiles import BYTES, Floats, Ints, Matrix, compiled, product
from graph.nn.vectors import encode_row, gate, move, plus
from graph.nn.weights import Doubles

LONGEST = 1_000_000_000_000_000
"""Microseconds, 30 years: what is older is as old as this."""
SECOND = 1e-6


@compiled
def seconds(ticks: int) -> np.float32:
    """Between two times; a clock that went back counts as no time at all."""
    return np.float32(min(max(ticks, 0), LONGEST) * SECOND)


@compiled
def look(presence: Presence, rings: Rings, reads: Reads, row: int, node: int, at: int) -> None:  # noqa: PLR0917
    """What a row reads: the node's memory and its neighbours of this moment."""
    version = presence.version[node]
    reads.memory[row] = version if version >= 0 else ~node
    found = row * rings.size
    first = node * rings.size
    for place in range(first, first + min(rings.taken[node], rings.size)):
        about = np.int64(rings.node[place])
        if rings.generation[place] == presence.generation[about]:
            version, fresh = presence.version[about], rings.fresh[place]
            reads.recall[found] = version if version >= 0 else ~about
            reads.message[found] = fresh if fresh >= 0 else ~place
            reads.age[found] = seconds(at - rings.at[place])
            found += 1
    reads.near[row] = found - row * rings.size


@compiled
def look_at(presence: Presence, rings: Rings, reads: Reads, nodes: Ints, at: Ints) -> None:
    """A row for each node, between batches."""
    for row in range(len(nodes)):
        look(presence, rings, reads, row, nodes[row], at[row])


@compiled
def put(presence: Presence, rings: Rings, event: int, owner: int, about: int, at: int) -> None:  # noqa: PLR0917
    place = owner * rings.size + rings.taken[owner] % rings.size
    rings.node[place] = about
    rings.generation[place] = presence.generation[about]
    rings.at[place] = at
    rings.fresh[place] = event
    rings.taken[owner] += 1


@compiled
def plan(presence: Presence, rings: Rings, reads: Reads, waves: Waves, events: Events) -> int:
    """All that is integers, event by event: who reads what, how long ago, in which wave. Returns how many waves."""
    last = 0
    for event in range(len(events.at)):
        at, first = events.at[event], event * events.ends
        wave = 0
        for row in range(first, first + events.ends):
            node = events.node[row]
            look(presence, rings, reads, row, node, at)
            heard = presence.heard[node]
            reads.gap[row] = np.float32(0) if heard == NEVER else seconds(at - heard)
            wave = max(wave, presence.ready[node])
        for row in range(first, first + events.ends):
            node = events.node[row]
            presence.version[node] = row
            presence.ready[node] = wave + 1
            presence.heard[node] = at
        for run in range(events.runs[event], events.runs[event + 1]):
            put(presence, rings, event, events.owner[run], events.about[run], at)
        waves.of[event] = wave
        last = max(last, wave)
    sort(waves, len(events.at), last + 1)
    return last + 1


@compiled
def sort(waves: Waves, events: int, count: int) -> None:
    """Events by wave, in each as they came."""
    starts = waves.starts
    for wave in range(count + 1):
        starts[wave] = 0
    for event in range(events):
        starts[waves.of[event] + 1] += 1
    for wave in range(count):
        starts[wave + 1] += starts[wave]
    for event in range(events):
        wave = waves.of[event]
        waves.order[starts[wave]] = event
        starts[wave] += 1
    for wave in range(count, 0, -1):
        starts[wave] = starts[wave - 1]
    starts[0] = 0


@compiled
def encode(turns: Doubles, start: Doubles, gaps: Floats, first: int, rows: int, out: Floats, times: int) -> None:  # noqa: PLR0917
    """The encodings (rows, t) of times in seconds."""
    for row in range(rows):
        gap, to = np.float64(gaps[first + row]), out.ctypes.data + BYTES * row * times
        encode_row(turns.ctypes.data, start.ctypes.data, gap, to, times)


@compiled
def held(old: Floats, new: Floats, read: int, d: int) -> int:
    """The address of a memory from before the batch or from within."""
    return new.ctypes.data + BYTES * read * d if read >= 0 else old.ctypes.data + BYTES * ~read * d


@compiled
def remember(  # noqa: PLR0917
    old: Floats, new: Floats, reads: Reads, waves: Waves, count: int, ends: int, own_by: Matrix, other_by: Matrix,
    inputs: Floats, own: Floats, other: Floats, said: Floats, said_width: int, since: Floats, out: Floats,
) -> None:  # fmt: skip
    """New memories from old, wave by wave. Without another end, `other` holds zeros."""
    d, rest = own_by.inner, other.ctypes.data
    for wave in range(count):
        first, rows = waves.starts[wave], (waves.starts[wave + 1] - waves.starts[wave]) * ends
        for here in range(rows):
            row = waves.order[first + here // ends] * ends + here % ends
            move(held(old, new, reads.memory[row], d), inputs.ctypes.data + BYTES * here * d, d)
        product(inputs, 0, d, rows, own_by, own, 0)
        if ends > 1:
            product(inputs, 0, d, rows, other_by, other, 0)
        for here in range(rows):
            event = waves.order[first + here // ends]
            row = event * ends + here % ends
            gate(
                own.ctypes.data + BYTES * here * own_by.width,
                rest + BYTES * (here ^ 1) * other_by.width if ends > 1 else rest,
                said.ctypes.data + BYTES * event * said_width,
                since.ctypes.data + BYTES * row * other_by.width,
                inputs.ctypes.data + BYTES * here * d,
                out.ctypes.data,
                d,
            )
            move(out.ctypes.data, new.ctypes.data + BYTES * row * d, d)


@compiled
def recollect(new: Floats, static: Floats, nodes: Ints, recall_by: Matrix, inputs: Floats, recall: Floats) -> None:  # noqa: PLR0917
    """Keys and values of new memories: row r is of nodes[r]."""
    d = recall_by.inner
    for row in range(len(nodes)):
        known = static.ctypes.data + BYTES * nodes[row] * d
        plus(new.ctypes.data + BYTES * row * d, known, inputs.ctypes.data + BYTES * row * d, d)
    product(inputs, 0, d, len(nodes), recall_by, recall, 0)


@compiled
def keep(memory: Memory, presence: Presence, nodes: Ints, new: Floats, d: int, recall: Floats, width: int, both: int) -> None:  # noqa: PLR0917
    """The newest rows become what the memory holds, and the marks of the batch go."""
    for row in range(len(nodes)):
        node = nodes[row]
        if presence.version[node] == row:
            move(new.ctypes.data + BYTES * row * d, memory.memory.ctypes.data + BYTES * node * d, d)
            move(recall.ctypes.data + BYTES * row * width, memory.recall.ctypes.data + BYTES * node * both, both)
            presence.version[node] = -1
            presence.ready[node] = 0


@compiled
def keep_messages(rings: Rings, owners: Ints, said: Floats, width: int, said_at: int, o: int) -> None:  # noqa: PLR0917
    """Messages of the batch that are still in rings."""
    for owner in owners:
        for place in range(owner * rings.size, owner * rings.size + rings.size):
            if rings.fresh[place] >= 0:
                source = said.ctypes.data + BYTES * (rings.fresh[place] * width + said_at)
                move(source, rings.message.ctypes.data + BYTES * place * o, o)
                rings.fresh[place] = -1


@compiled
def mark(presence: Presence, nodes: Ints, old: Floats, new: Floats, d: int) -> None:
    """The memories of nodes as a batch that changed nothing of them."""
    for row in range(len(nodes)):
        presence.version[nodes[row]] = row
        move(old.ctypes.data + BYTES * nodes[row] * d, new.ctypes.data + BYTES * row * d, d)
