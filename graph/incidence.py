"""Which edges begin or end at a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graph.claims import EdgeKey
from schemas.device import DeviceId


class Incidence:
    """Lists of edges by device; an edge from a device to itself is there once."""

    def __init__(self) -> None:
        self._edges: dict[DeviceId, list[EdgeKey]] = {}

    def add(self, key: EdgeKey) -> None:
        source, target, _ = key
        edges = self._edges
        if source in edges:
            edges[source].append(key)
        else:
            edges[source] = [key]
        if target == source:
            return
        if target in edges:
            edges[target].append(key)
        else:
            edges[target] = [key]

    def remove(self, key: EdgeKey) -> None:
        for device_id in {*key[:2]}:
            keys = self._edges[device_id]
            keys.remove(key)
            if not keys:
                del self._edges[device_id]

    def of(self, device_id: DeviceId) -> Sequence[EdgeKey]:
        return self._edges.get(device_id, ())

    def devices(self) -> Iterable[DeviceId]:
        return self._edges
