"""A graph and its projection, for tests of stores: events in, batches out, and what both say of a time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from graph.pending import Pending
from graph.questions import as_of
from graph.store import GraphStore, Outcome
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Event, Micros

ORIGIN = "log-1"
Gist = tuple[dict[str, tuple[object, ...]], list[tuple[object, ...]]]


class Projected:
    """One site: `merge` events, `flush` what they changed into a store; each merge is a record of the log."""

    def __init__(self, store: GraphStore, site: str = "plant", *, origin: str = ORIGIN) -> None:
        self.store = store
        self.site = site
        self.origin = origin
        self.offset = 0
        self.topology = Topology()
        self.pending = Pending(self.topology)

    def merge(self, events: Iterable[Event]) -> Projected:
        self.topology.merge(events)
        self.offset += 1
        return self

    def step(self, limit: int = 1000) -> Outcome | None:
        """One batch; None if nothing waits."""
        batch = self.pending.take(site=self.site, origin=self.origin, offset=self.offset, limit=limit)
        if batch is None:
            return None
        outcome = self.store.apply(batch)
        self.pending.done(batch, outcome)
        return outcome

    def flush(self, limit: int = 1000) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for _ in count():
            outcome = self.step(limit)
            if outcome is None or outcome is Outcome.FENCED:
                return outcomes if outcome is None else [*outcomes, outcome]
            outcomes.append(outcome)
        raise AssertionError

    def crash(self, state: object, events: Iterable[Event], offset: int) -> Projected:
        """The site as it goes on from an older snapshot, of these events and this pending state."""
        again = Projected(self.store, self.site, origin=self.origin)
        again.topology = Topology().merge(events)
        again.pending = Pending.restored(again.topology, state)
        again.offset = offset
        return again


def gist_of_graph(topology: Topology) -> Gist:
    """What a projection keeps of a graph, comparable. Devices that only messages name are left out: see `gist_of_store`."""
    devices = {
        device.device_id: (device.state, device.type, device.location, device.parent, device.zone, dict(device.properties))
        for device in topology.devices()
        if device.state != "placeholder" or any(True for _ in topology.edges_of(device.device_id))
    }
    edges = [(e.source, e.target, e.relation, e.directed, e.weight, e.properties) for e in topology.edges()]
    return {str(name): device for name, device in devices.items()}, sorted(edges, key=str)


def gist_of_store(store: GraphStore, site: str, at: Micros) -> Gist:
    """The same asked of a store. Of messages a graph keeps the newest alone, so as of an earlier time it may know less."""
    graph = as_of(store, site, at)
    named = {end for edge in graph.edges for end in (edge.source, edge.target)}
    devices = {
        device.device_id: (device.state, device.type, device.location, device.parent, device.zone, dict(device.properties))
        for device in graph.devices
        if device.state != "placeholder" or device.device_id in named
    }
    edges = [(e.source, e.target, e.relation, e.directed, e.weight, e.properties) for e in graph.edges]
    return {str(name): device for name, device in devices.items()}, sorted(edges, key=str)


def named(store: GraphStore, site: str, at: Micros) -> set[DeviceId]:
    return {device.device_id for device in as_of(store, site, at).devices}
