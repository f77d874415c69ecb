"""The live graph, asked like a database: what `graph.questions` needs, from the topology itself and of now alone.

Used where the topology is: in the thread that owns it. A step costs the edges of the devices that it starts from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from graph.questions import INFLUENCE, MOST
from graph.store import KnownDevice
from graph.topology import Device, Topology
from schemas.device import DeviceId, Edge
from schemas.event import Micros

KEY = attrgetter("source", "target", "relation")
_INFLUENCE = frozenset(INFLUENCE)


class LiveGraph:
    """`graph.questions.Source` over a topology; `site` and `at` do not matter to it."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def devices(self, site: str, ids: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[KnownDevice]:
        del site, at
        found = self._topology.devices() if ids is None else (self._topology.device(name) for name in dict.fromkeys(ids))
        return sorted((known(device) for device in found if device is not None), key=attrgetter("device_id"))[:limit]

    def edges(self, site: str, ends: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[Edge]:
        del site, at
        if ends is None:
            found = list(self._topology.edges())
        else:
            of = self._topology.edges_of
            found = list({KEY(edge): edge for end in ends for edge in of(end)}.values())
        found.sort(key=KEY)
        return found[:limit]


def downstream(
    topology: Topology, start: DeviceId, *, hops: int | None = None, limit: int = MOST
) -> tuple[list[DeviceId], bool]:
    """What a device takes down when it fails, nearest first, and whether that is all.

    The devices of `graph.questions.impact`, at a tenth of its cost: for who asks before each action.
    """
    found: list[DeviceId] = []
    for hop, ring in enumerate(rings(topology, start)):
        if hop == hops:
            break
        found += ring
        if len(found) > limit:
            return found[:limit], False
    return found, True


def rings(topology: Topology, start: DeviceId) -> Iterator[list[DeviceId]]:
    """The same, a step further each time; none is empty."""
    seen, ring = {start}, [start]
    while ring:
        fresh = []
        for here in ring:
            for key in topology.keys_of(here):
                near = key[1] if key[0] == here else key[0]
                if near not in seen and key[2] in _INFLUENCE and topology.leads(key, here):
                    seen.add(near)
                    fresh.append(near)
        if fresh:
            yield fresh
        ring = fresh


def known(device: Device) -> KnownDevice:
    """As a database of the graph would know it."""
    return KnownDevice(
        device.device_id,
        device.state,
        device.type,
        device.location,
        device.parent,
        device.zone,
        tuple(sorted(device.signals)),
        device.properties,
    )
