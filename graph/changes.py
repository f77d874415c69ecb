"""Which devices and edges of the live graph changed, now or in their past, since somebody last asked.

Written by the graph as it merges, emptied by `graph.pending`. What it holds is bounded by the graph, however long nobody asks.
A key that is noted without need costs a row more; one that is missed would make the projection wrong.
"""

from __future__ import annotations

from collections.abc import Container

from graph.claims import EdgeKey, claims
from schemas.device import DeviceId
from schemas.event import Connected, Event


class Changes:
    """Sets of keys. Readings are not noted, but that a device or a signal is there for the first time is."""

    def __init__(self) -> None:
        self.devices: set[DeviceId] = set()
        self.edges: set[EdgeKey] = set()

    def described(self, event: Event, before: Event | None, stated: Container[EdgeKey]) -> None:
        """A description came to stand after another one, or as the first. `stated` edges are those that events link or unlink:

        their standing depends on when a description claims them, so a claim that is only repeated counts too.
        """
        body = event.body
        assert isinstance(body, Connected)
        claimed = claims(body)
        if before is None:
            self.devices.add(body.device_id)
            self.edges |= claimed
            return
        assert isinstance(before.body, Connected)
        if before.body != body:
            self.devices.add(body.device_id)
        held = claims(before.body)
        self.edges |= claimed ^ held
        self.edges |= {key for key in claimed & held if key in stated}

    def appeared(self, device: DeviceId, event: Event, before: Event | None) -> None:
        """A device connected or disconnected."""
        if before is None or type(before.body) is not type(event.body):
            self.devices.add(device)
