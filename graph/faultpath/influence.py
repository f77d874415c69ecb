"""The ways that influence can take through the plant, as places and neighbour lists; made anew when the topology changes.

Influence runs along edges from source to target, and both ways where an edge is not directed. That one device contains another
is no influence, nor is it that one carries another's data: these only say that both belong to one part of the plant. Who
carries whose data is kept beside it, for devices that fall silent together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graph.faultpath.network import MOST_DEVICES, Network
from graph.topology import Device, Topology
from schemas.device import DeviceId, Edge, Relation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NO_INFLUENCE = frozenset({Relation.CONTAINS, Relation.NETWORK})
"""Through these a device's values change no other's; a gateway that fails makes devices silent, not strange."""


class Plant(Protocol):
    """What is read of a topology."""

    @property
    def version(self) -> int: ...

    def devices(self) -> Iterable[Device]: ...

    def edges(self) -> Iterable[Edge]: ...


class Influence:
    """Devices are numbered in the order of their names. `watched` are those that the detector knows from history; one that the

    plant does not have (any more) is not `present`, stands alone and is never named.
    """

    def __init__(self, topology: Topology | Plant, watched: tuple[DeviceId, ...] = ()) -> None:
        self.version = topology.version
        self.watched = watched
        listed = {device.device_id: device for device in topology.devices()}
        devices = {name: device.type for name, device in listed.items()}
        self.names: tuple[DeviceId, ...] = tuple(sorted(devices.keys() | set(watched)))
        self.place = {name: number for number, name in enumerate(self.names)}
        self.present = np.array([name in devices for name in self.names], dtype=bool)
        self.kinds = tuple(devices.get(name, "unknown") for name in self.names)
        self.properties = tuple(listed[name].properties if name in listed else {} for name in self.names)
        self.drawn: list[tuple[int, int, Relation]] = []
        self.relations: dict[tuple[int, int], Relation] = {}
        self.onward: list[list[int]] = [[] for _ in self.names]
        self.backward: list[list[int]] = [[] for _ in self.names]
        self.carried: dict[int, list[int]] = {}
        together: list[tuple[int, int]] = []
        for edge in sorted(topology.edges(), key=lambda edge: (edge.source, edge.target, edge.relation)):
            one, other = self.place[edge.source], self.place[edge.target]
            together.append((one, other))
            if edge.relation is Relation.NETWORK and one != other:
                self.carried.setdefault(one, []).append(other)
            if edge.relation in NO_INFLUENCE or one == other:
                continue
            self.drawn.append((one, other, edge.relation))
            self._join(one, other, edge.relation)
            if not edge.directed:
                self._join(other, one, edge.relation)
        self.part = _parts(len(self.names), together)

    def _join(self, source: int, target: int, relation: Relation) -> None:
        if (source, target) not in self.relations:
            self.relations[source, target] = relation
            self.onward[source].append(target)
            self.backward[target].append(source)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def network(self) -> Network | None:
        """Distances and responses; None where the plant is too large for them."""
        if len(self) > MOST_DEVICES:
            return None
        return Network(len(self), self.drawn, self.kinds, self.properties)

    def hops(self, start: int, *, most: int, backward: bool = False) -> dict[int, int]:
        """Devices within so many hops of one, itself included, nearest first."""
        ways = self.backward if backward else self.onward
        distance = {start: 0}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            if distance[here] == most:
                break
            for neighbour in ways[here]:
                if neighbour not in distance:
                    distance[neighbour] = distance[here] + 1
                    queue.append(neighbour)
        return distance

    def tree(self, start: int) -> dict[int, int]:
        """For each device that influence from `start` can reach, the one before it on a shortest way."""
        return _tree(start, self.onward.__getitem__)

    def behind(self, carrier: int) -> dict[int, int]:
        """The devices whose data a carrier carries, nearest first, each with the one before it on the way."""
        return _tree(carrier, lambda here: self.carried.get(here, ()))


def _tree(start: int, onward: Callable[[int], Sequence[int]]) -> dict[int, int]:
    before: dict[int, int] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for neighbour in onward(here):
            if neighbour != start and neighbour not in before:
                before[neighbour] = here
                queue.append(neighbour)
    return before


def _parts(count: int, edges: Sequence[tuple[int, int]]) -> Ints:
    """A number for each connected part of the plant; devices without any edge share one."""
    root = list(range(count))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for one, other in edges:
        first, second = find(one), find(other)
        root[max(first, second)] = min(first, second)
    joined = {place for edge in edges for place in edge}
    alone = min((place for place in range(count) if place not in joined), default=0)
    return np.array([find(place) if place in joined else alone for place in range(count)], dtype=np.int64)
