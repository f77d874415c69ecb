"""A temporal graph network that keeps up with its plant: nodes come and go, events change memories, embeddings are read.

Fed by what encodes the plant's events; used by what scores and explains them. One thread, no torch. What is promised:

- A stream gives the same bits however it is cut into batches, and after `restore` as if never stopped.
- `embed` changes nothing. A refused batch changes nothing.
- A slot that is used again knows nothing of the node before.

Source: Rossi et al. 2020, "Temporal Graph Networks for Deep Learning on Dynamic Graphs", with attention over the most recent
neighbours. Beyond it: every event counts (their code keeps the last of a batch), nodes may leave, and a device's own events
(`hear`) reach its neighbours' rings.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.nn.batch import advance, embed, refresh, room
from graph.nn.desk import EVENTS, Events, made_desk
from graph.nn.intake import accepted, refuse_nobody, refuse_timeless, whole
from graph.nn.memory import rows
from graph.nn.nodes import Nodes
from graph.nn.snapshot import read as read_snapshot
from graph.nn.snapshot import written
from graph.nn.tiles import Floats, Ints
from graph.nn.weights import Weights, packed


class Listeners(NamedTuple):
    """Whose rings hear of each event: those of event i are slots[offsets[i]:offsets[i + 1]]."""

    offsets: NDArray[Any]
    slots: NDArray[Any]


class Puts(NamedTuple):
    """What events put into rings: event i, for each place of runs[i]:runs[i + 1], `about` into the ring of `owner`."""

    runs: Ints
    owner: Ints
    about: Ints


class TemporalGraph:
    """Slots name nodes; times are int64 microseconds; messages (n, m) are held to +-`LARGEST`, NaN is refused (`BadRowError`).

    A time before the one it is compared with counts as the same time; a node's first event as no time after its joining.
    """

    def __init__(self, weights: Weights, neighbours: int = 10) -> None:
        if neighbours < 1:
            raise ValueError(f"neighbours: {neighbours}, at least 1")
        self.weights = weights
        self._net = packed(weights)
        self._digest = weights.digest()
        self._neighbours = neighbours
        self._desk = made_desk(self._net, neighbours)
        self._nodes = self._empty()

    def _empty(self) -> Nodes:
        return Nodes(memory=self._net.memory, embedding=self._net.embedding, size=self._neighbours)

    def __len__(self) -> int:
        return self._nodes.used - len(self._nodes.free)

    def join(self, count: int, static: Any = None) -> Ints:
        """Slots (count,) of new nodes, with static vectors (count, d) or zeros."""
        known = None if static is None else self._static(static, count)
        slots = self._nodes.take(count)
        self._describe(slots, known)
        return slots

    def leave(self, slots: Any) -> None:
        """The nodes go. What others heard of them is not seen any more."""
        going = self._living(slots, "slots")
        if len(np.unique(going)) < len(going):
            raise ValueError("slots: one is named twice")
        self._nodes.give_back(going)

    def describe(self, slots: Any, static: Any) -> None:
        """Static vectors (n, d) in the place of those before."""
        known = self._living(slots, "slots")
        self._describe(known, self._static(static, len(known)))

    def interact(self, source: Any, target: Any, at: Any, message: Any, *, read: bool = True) -> Floats:
        """Events (n,) between two nodes with messages (n, m): embeddings (n, 2, o) of both ends, each from before its event.

        Both memories move on from what both were; each end's ring takes in the other. Without `read` the answer is (0, 2, o).
        """
        ends = np.stack([self._living(source, "source"), self._living(target, "target")], axis=1)
        other = np.ascontiguousarray(ends[:, ::-1]).reshape(-1)
        rings = Puts(runs=np.arange(0, len(other) + 1, 2), owner=ends.reshape(-1), about=other)
        out = self._take(ends, at, message, rings, read=read)
        return out.reshape(-1, 2, self._net.embedding)

    def hear(self, node: Any, at: Any, message: Any, listeners: Listeners, *, read: bool = True) -> Floats:
        """Events (n,) of single nodes with messages (n, m): embeddings (n, o), each from before its event.

        The node's memory moves on as if the other end remembered nothing; the listeners' rings take it in.
        """
        ends = self._living(node, "node")[:, None]
        owner, runs = self._living(listeners.slots, "listeners"), whole(listeners.offsets, "offsets")
        counts = np.diff(runs)
        if len(runs) != len(ends) + 1 or runs[0] != 0 or runs[-1] != len(owner) or (counts < 0).any():
            raise ValueError(f"offsets: not {len(ends) + 1} that rise from 0 to {len(owner)}")
        return self._take(ends, at, message, Puts(runs, owner, np.repeat(ends[:, 0], counts)), read=read)

    def embed(self, nodes: Any, at: Any) -> Floats:
        """The embeddings (n, o) of nodes (n,) at times (n,), or all at one time."""
        known = self._living(nodes, "nodes")
        when = whole(np.broadcast_to(at, known.shape), "at")
        refuse_timeless(when)
        return embed(self._net, self._nodes, self._desk, known, when)

    def memory(self, slots: Any) -> Floats:
        """A copy (n, d) of what the nodes remember."""
        return rows(self._nodes.memory.memory, self._nodes.room)[self._living(slots, "slots")]

    def bytes_per_slot(self) -> float:
        """Of all arrays, by the slots there is room for."""
        return self._nodes.bytes_per_slot()

    def snapshot(self) -> bytes:
        """All that `restore` needs, under the same weights, to go on bit for bit."""
        return written(self._nodes, self._digest)

    def restore(self, snapshot: bytes) -> None:
        """The state of a snapshot in the place of this one. ValueError: of other weights or rings of another size, or none."""
        nodes = self._empty()
        read_snapshot(snapshot, nodes, self._digest)
        self._nodes = nodes
        self._refresh(np.flatnonzero(nodes.presence.generation % 2))

    def _take(self, ends: Ints, at: Any, message: Any, puts: Puts, *, read: bool) -> Floats:
        count, each = ends.shape
        when = whole(at, "at")
        if len(when) != count:
            raise ValueError(f"at: {len(when)} times for {count} events")
        refuse_timeless(when)
        said, width = accepted(message, count, self._net.message, "message"), self._net.message
        node = ends.reshape(-1)
        out = room(node.size if read else 0, self._net.embedding)
        for first in range(0, count, EVENTS):
            last = min(first + EVENTS, count)
            run, some = puts.runs[first : last + 1], slice(first * each, last * each)
            events = Events(
                ends=each,
                message=said[first * width : last * width],
                node=node[some],
                at=when[first:last],
                runs=run - run[0],
                owner=puts.owner[run[0] : run[-1]],
                about=puts.about[run[0] : run[-1]],
            )
            advance(self._net, self._nodes, self._desk, events, out[some])
        return out

    def _living(self, slots: Any, name: str) -> Ints:
        known = whole(slots, name)
        refuse_nobody(self._nodes.presence.generation, known)
        return known

    def _static(self, static: Any, count: int) -> Floats:
        return accepted(static, count, self._net.memory, "static").reshape(count, self._net.memory)

    def _describe(self, slots: Ints, static: Floats | None) -> None:
        if static is not None:
            rows(self._nodes.memory.static, self._nodes.room)[slots] = static
        self._refresh(slots)

    def _refresh(self, slots: Ints) -> None:
        refresh(self._net, self._nodes, self._desk, slots)
