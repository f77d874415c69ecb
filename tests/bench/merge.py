"""Edges merged into the live graph per second, beside networkx and the white paper's `cat` and `unique`."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import networkx as nx
import torch

from graph.topology import Topology
from schemas.event import Event, Linked, Micros
from tests.bench.plant import links

DEVICES = 100_000
EDGES = 1_000_000
SIZES = (10_000, 100_000, 1_000_000)
BATCH = 200
PROBES = 10_000


@contextmanager
def quiet() -> Iterator[None]:
    """What is there already is no garbage: a collection meanwhile does not look at it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def timed(work: Callable[[], object]) -> float:
    """Seconds of one core: all here runs in one thread, and the machine may have other work."""
    with quiet():
        began = time.process_time()
        work()
        return time.process_time() - began


def rate(events: Sequence[Event], merge: Callable[[Sequence[Event]], object]) -> int:
    """Events per second, in batches."""
    batches = [events[at : at + BATCH] for at in range(0, len(events), BATCH)]
    return round(len(events) / timed(lambda: [merge(batch) for batch in batches]))


def newer(event: Event) -> Event:
    """The same edge said again later, with another weight."""
    stamp, body = event.stamp, event.body
    assert isinstance(body, Linked)
    moved = msgspec.structs.replace(stamp, at=Micros(stamp.at + 10**9), id=f"{stamp.id}-2")
    return Event(moved, msgspec.structs.replace(body, weight=0.5))


def into_networkx(graph: Any, events: Sequence[Event]) -> None:
    """No clock, no tombstones, order decides: less than a merge does."""
    for event in events:
        body = event.body
        assert isinstance(body, Linked)
        graph.add_edge(body.source, body.target, key=body.relation, weight=body.weight, stamp=event.stamp)


def by_unique(edges: int, batches: int = 3) -> int:
    """Events per second as the white paper has it, at a graph of so many edges."""
    torch.set_num_threads(1)
    unique: Any = torch.unique
    held = unique(torch.randint(0, DEVICES, (2, edges)), dim=1)
    new = torch.randint(0, DEVICES, (batches, 2, BATCH))

    def merge() -> None:
        for batch in new:
            unique(torch.cat([held, batch], dim=1), dim=1)

    return round(batches * BATCH / timed(merge))


def whole(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """A graph from nothing to a million edges, then all of them again, then all of them changed."""
    topology = Topology()
    yield row("new edges", rate(events, topology.merge))
    yield row("the same events again", rate(events, topology.merge))
    again = [newer(event) for event in events]
    yield row("each edge updated", rate(again, topology.merge))
    seconds = timed(topology.digest)
    yield {"bench": "merge", "case": "digest of the whole graph", "edges": EDGES, "seconds": round(seconds, 2)}


def row(case: str, per_second: int, edges: int = EDGES) -> dict[str, Any]:
    return {"bench": "merge", "case": case, "edges": edges, "events_per_second": per_second}


def flatness(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """Cost of one more edge at graphs of three sizes."""
    probes = events[-PROBES:]
    for size in SIZES:
        topology = Topology().merge(events[: size - PROBES])
        seconds = timed(lambda topology=topology: topology.merge(probes))  # type: ignore[misc]
        yield {"bench": "merge", "case": "one more edge", "edges": size, "microseconds": round(seconds / PROBES * 1e6, 2)}


def run() -> list[dict[str, Any]]:
    events = links(EDGES, DEVICES)
    found = [*whole(events), *flatness(events)]
    graph: Any = nx.MultiDiGraph()
    found.append(row("networkx add_edge, new edges", rate(events, lambda batch: into_networkx(graph, batch))))
    found.append(row("networkx add_edge, again", rate(events, lambda batch: into_networkx(graph, batch))))
    found.append(row("torch cat and unique per batch of 200", by_unique(DEVICES), DEVICES))
    return found
