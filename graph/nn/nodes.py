"""All rows of all nodes in slots, which are taken, given back and taken again; there are twice as many when they run out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.nn.memory import NEVER, empty_memory, nobody, rows
from graph.nn.rings import empty_rings
from graph.nn.tiles import Ints

FIRST_ROOM = 64


class Nodes:
    """The state of a graph: memories, presence and rings of `used` slots, some of them free."""

    def __init__(self, *, memory: int, embedding: int, size: int) -> None:
        self._shape = (memory, embedding, size)
        self.used = 0
        self.free: list[int] = []
        self.make(FIRST_ROOM)

    def make(self, room: int) -> None:
        memory, embedding, size = self._shape
        self.room = room
        self.memory = empty_memory(room, memory=memory, embedding=embedding)
        self.presence = nobody(room)
        self.rings = empty_rings(room, size, embedding)

    def parts(self) -> dict[str, NDArray[Any]]:
        """Views (used, ...) of all that keys, values and batches do not say anew."""
        _, _, size = self._shape
        rings = self.rings
        whole: dict[str, NDArray[Any]] = {
            "memory": rows(self.memory.memory, self.room),
            "static": rows(self.memory.static, self.room),
            "message": rows(rings.message, self.room),
            "heard": self.presence.heard,
            "generation": self.presence.generation,
            "taken": rings.taken,
            "node": rings.node.reshape(-1, size),
            "since": rings.generation.reshape(-1, size),
            "at": rings.at.reshape(-1, size),
        }
        return {name: array[: self.used] for name, array in whole.items()}

    def take(self, count: int) -> Ints:
        """Slots for so many, those that were left last first."""
        split = len(self.free) - min(count, len(self.free))
        again, self.free = self.free[split:], self.free[:split]
        slots = np.array([*again, *range(self.used, self.used + count - len(again))], dtype=np.int64)
        self.reach(self.used + count - len(again))
        self.presence.generation[slots] += 1
        return slots

    def reach(self, used: int) -> None:
        """As many slots, in larger arrays if need be."""
        if used > self.room:
            old, recall = self.parts(), rows(self.memory.recall, self.room)
            self.make(1 << (used - 1).bit_length())
            for name, array in self.parts().items():
                array[...] = old[name]
            rows(self.memory.recall, self.room)[: self.used] = recall[: self.used]
        self.used = used

    def give_back(self, slots: Ints) -> None:
        """Nothing of who lived there is left; what others' rings hold of it is passed over by its generation."""
        generation = self.presence.generation[slots] + 1
        for array in self.parts().values():
            array[slots] = 0
        rows(self.memory.recall, self.room)[slots] = 0
        self.presence.heard[slots] = NEVER
        self.presence.generation[slots] = generation
        self.free.extend(slots.tolist())

    def bytes_per_slot(self) -> float:
        rings = self.rings
        arrays: list[Any] = [*self.memory, *self.presence, rings.node, rings.generation, rings.at, rings.message]
        arrays += [rings.fresh, rings.taken]
        return float(sum(array.nbytes for array in arrays)) / self.room
