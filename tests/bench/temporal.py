"""The temporal graph network beside PyG's parts on one stream, in one thread; how its cost grows; how far results drift.

`make bench-model`. Peer and graph take turns on the same events, since the machine has other work: ratios are medians over the
turns. Rates are of CPU seconds, as all here runs in one thread; latencies are of the clock.
"""

from __future__ import annotations

import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.nn.tgn import TemporalGraph
from graph.nn.weights import Weights
from tests.graph.nn.plain import PlainGraph

NODES, WIDTH, NEIGHBOURS = 1_000, 100, 10
MESSAGE = 19
"""An event's plain features, as PyG's example takes them: its kind (9), a link's relation (7), weight, value, quality."""
WIKIPEDIA = 172
"""What the data set of PyG's example has."""
TURNS = 9
PER_TURN = {200: 3_000, 20: 800, 1: 200}
WARM = 3_000
LOG = 100_000
SIZES = (1_000, 10_000, 100_000)
START = 1_767_571_200_000_000


class Stream(NamedTuple):
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    at: NDArray[np.int64]
    message: NDArray[np.float32]

    def part(self, first: int, last: int) -> tuple[Any, Any, Any, Any]:
        return self.source[first:last], self.target[first:last], self.at[first:last], self.message[first:last]


def stream(count: int, nodes: int, message: int, *, seed: int = 1) -> Stream:
    """Events between two nodes drawn at random, 20 ms apart."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, nodes, count)
    target = (source + rng.integers(1, nodes, count)) % nodes
    at = START + np.cumsum(rng.integers(1, 40_000, count))
    return Stream(source, target, at, rng.normal(size=(count, message)).astype(np.float32))


def made(nodes: int, message: int = MESSAGE) -> TemporalGraph:
    graph = TemporalGraph(Weights.random(1, memory=WIDTH, message=message, time=WIDTH), NEIGHBOURS)
    graph.join(nodes)
    return graph


class Turn(NamedTuple):
    cpu: float
    laps: list[float]


def turn(take: Callable[[int, int], object], first: int, last: int, batch: int) -> Turn:
    """CPU seconds of all, and the clock's of each batch."""
    laps, started = [], time.process_time()
    for at in range(first, last, batch):
        began = time.perf_counter()
        take(at, at + batch)
        laps.append(time.perf_counter() - began)
    return Turn(time.process_time() - started, laps)


def peer_of(graph: TemporalGraph, events: Stream, nodes: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tests.bench.peers.pyg import PygGraph  # its imports warn
    return PygGraph(graph.weights, nodes, NEIGHBOURS, at=events.at, message=events.message)


def beside(message: int) -> Iterator[dict[str, Any]]:
    """Events per second and latency in batches of three sizes."""
    events = stream(WARM + TURNS * sum(PER_TURN.values()), NODES, message)
    graph = made(NODES, message)
    peer = peer_of(graph, events, NODES)

    def ours(first: int, last: int) -> None:
        graph.interact(*events.part(first, last))

    def theirs(first: int, last: int) -> None:
        peer.interact(events.source[first:last], events.target[first:last], first)

    turn(ours, 0, WARM, 200)
    turn(theirs, 0, WARM, 200)
    first = WARM
    for batch, count in PER_TURN.items():
        turns = []
        for _ in range(TURNS):
            turns.append((turn(theirs, first, first + count, batch), turn(ours, first, first + count, batch)))
            first += count
        yield {"bench": "temporal", "case": "beside PyG", "message": message, "batch": batch, **compared(turns, count)}


def compared(turns: list[tuple[Turn, Turn]], count: int) -> dict[str, Any]:
    ratios = [theirs.cpu / ours.cpu for theirs, ours in turns]
    return {
        "ratio": round(statistics.median(ratios), 1),
        "ratio_least": round(min(ratios), 1),
        "ratio_most": round(max(ratios), 1),
        **described("", [ours for _, ours in turns], count),
        **described("pyg_", [theirs for theirs, _ in turns], count),
    }


def described(prefix: str, turns: list[Turn], count: int) -> dict[str, Any]:
    all_laps = np.concatenate([one.laps for one in turns]) * 1e3
    return {
        f"{prefix}events_per_second": round(count / statistics.median(one.cpu for one in turns)),
        f"{prefix}p50_ms": round(float(np.percentile(all_laps, 50)), 3),
        f"{prefix}p99_ms": round(float(np.percentile(all_laps, 99)), 3),
    }


def growth() -> Iterator[dict[str, Any]]:
    """The cost of an event in graphs of three sizes, all rings full: among all nodes, and among a thousand of them."""
    for nodes in SIZES:
        graph = made(nodes)
        fill = stream(8 * nodes, nodes, MESSAGE, seed=2)
        graph.interact(*fill, read=False)
        spread, close = stream(10_000, nodes, MESSAGE, seed=3), stream(10_000, NODES, MESSAGE, seed=4)
        yield {
            "bench": "temporal",
            "case": "growth",
            "nodes": nodes,
            "us_per_event": cost(graph, spread, 200),
            "us_per_single_event": cost(graph, spread, 1, 2_000),
            "us_per_event_among_1000": cost(graph, close, 200),
            "bytes_per_slot": round(graph.bytes_per_slot()),
            "snapshot_bytes_per_node": round(len(graph.snapshot()) / nodes),
            "process_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def cost(graph: TemporalGraph, events: Stream, batch: int, count: int = 10_000) -> float:
    """Microseconds an event; the median batch."""
    found = turn(lambda first, last: graph.interact(*events.part(first, last)), 0, count, batch)
    return round(statistics.median(found.laps) / batch * 1e6, 1)


def drift() -> Iterator[dict[str, Any]]:
    """A long stream in batches, in single events, and once more from the log event by event in plain numpy and float64."""
    events, batches, singles = stream(LOG, NODES, MESSAGE, seed=5), made(NODES), made(NODES)
    found = batches.interact(*events)
    same = all(
        singles.interact(*events.part(event, event + 1)).tobytes() == found[event : event + 1].tobytes() for event in range(LOG)
    )
    plain = PlainGraph(batches.weights, NEIGHBOURS)
    plain.join(range(NODES))
    ends = (plain.nodes[slot] for slot in range(NODES))
    for source, target, at, said in zip(*events, strict=True):
        plain.update(plain.nodes[int(source)], plain.nodes[int(target)], int(at), said)
    now = int(events.at[-1])
    memories, expected = zip(*((node.memory, plain.embedding(node, now)) for node in ends), strict=True)
    yield {
        "bench": "temporal",
        "case": "incremental against recomputed",
        "events": LOG,
        "single_events_give_the_same_bits": same,
        "memory_difference": float(np.abs(batches.memory(np.arange(NODES)) - np.array(memories)).max()),
        "embedding_difference": float(np.abs(batches.embed(np.arange(NODES), now) - np.array(expected)).max()),
    }


def agreement(count: int = 3_000, nodes: int = 200) -> dict[str, Any]:
    """Single events, where PyG means the same."""
    events, graph = stream(count, nodes, MESSAGE, seed=6), made(nodes)
    peer = peer_of(graph, events, nodes)
    peer.begin(np.array([events.at[((events.source == node) | (events.target == node)).argmax()] for node in range(nodes)]))
    expected = [peer.interact(events.source[at : at + 1], events.target[at : at + 1], at) for at in range(count)]
    difference = np.abs(graph.interact(*events) - np.concatenate(expected)).max()
    return {
        "bench": "temporal",
        "case": "against PyG",
        "events": count,
        "embedding_difference": float(difference),
    }


def run() -> Iterator[dict[str, Any]]:
    for message in (MESSAGE, WIDTH, WIKIPEDIA):
        yield from beside(message)
    yield from growth()
    yield from drift()
    yield agreement()
