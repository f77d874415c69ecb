"""The graph written to Neo4j and SQLite: rows a second, and source events a second beside quixstreams' Neo4j sink.

The sink writes a MERGE for each event; the projection writes the last state of each key that changed. On a stream as plants
send it, births and links first and then readings for ever, most events change no key. The sink is also given the births and
links alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deploy.local.services import PASSWORD, Local
from graph.neo4j import Access, Neo4jStore
from graph.pending import Pending
from graph.sqlite_store import SqliteGraphStore
from graph.store import GraphStore
from graph.topology import Topology
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Body, Connected, Event, Linked, Micros, Stamp, Telemetry
from streams.pipeline import Pipeline
from streams.projection import PipelineSource, Projection
from tests.bench.plant import SOURCE, START, links
from tests.services import free_port

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers" / "bin" / "python"
EDGES = int(os.environ.get("BENCH_EDGES", "20000"))
READINGS = int(os.environ.get("BENCH_READINGS", "300000"))
PLANT = 1000
ROWS = 5000
BATCH = 200
PACED = 10
"""Seconds of the stream at 2,000 events a second, for the lag."""


def row(case: str, **more: Any) -> dict[str, Any]:
    return {"bench": "projection", "case": case, **more}


def stream(readings: int = READINGS) -> list[Event]:
    """Births, two thousand links, then readings with a link or a birth among every thousand, as when somebody works."""
    rng = random.Random(1)
    names = [DeviceId(f"device-{number:04d}") for number in range(PLANT)]
    bodies: list[Body] = [Connected(name, "pump", zone="north") for name in names]
    bodies += [Linked(rng.choice(names), rng.choice(names), Relation.FEEDS) for _ in range(2 * PLANT)]
    for number in range(readings):
        if number % 1000 == 500:
            bodies.append(Linked(rng.choice(names), rng.choice(names), Relation.FEEDS, weight=rng.random()))
        bodies.append(Telemetry(names[number % PLANT], {SignalName("level"): rng.random()}))
    return [
        Event(Stamp(Micros(START + place * 1000), SOURCE, 1, place, f"e{place}"), body) for place, body in enumerate(bodies)
    ]


def written(store: GraphStore, pending: Pending, site: str, offset: int) -> int:
    """All that waits; how many rows."""
    count = 0
    while (batch := pending.take(site=site, origin="bench", offset=offset, limit=ROWS)) is not None:
        pending.done(batch, store.apply(batch))
        count += len(batch)
    return count


def into(name: str, store: GraphStore) -> Iterator[dict[str, Any]]:
    """A whole graph, and the same again after each edge changed."""
    events = links(EDGES, max(EDGES // 10, 100))
    topology = Topology()
    pending = Pending(topology)
    for case, weight in (("new edges", None), ("each edge changed", 0.5)):
        changed = [
            Event(Stamp(Micros(event.stamp.at + 10**9 * (weight is not None)), SOURCE, 1, place, f"{case}{place}"), body)
            for place, event in enumerate(events)
            for body in [_weighed(event, weight)]
        ]
        topology.merge(changed)
        began = time.perf_counter()
        count = written(store, pending, "rows", 1 + (weight is not None))
        seconds = time.perf_counter() - began
        yield row(f"{name}, {case}", edges=EDGES, rows=count, rows_per_second=round(count / seconds))


def _weighed(event: Event, weight: float | None) -> Linked:
    body = event.body
    assert isinstance(body, Linked)
    return Linked(body.source, body.target, body.relation, weight=weight)


def source_events(name: str, store: GraphStore, events: Sequence[Event]) -> dict[str, Any]:
    """From events to a database that has all of them: merge and writing in turn, nothing left out."""
    topology = Topology()
    pending = Pending(topology)
    count, began = 0, time.perf_counter()
    for offset, start in enumerate(range(0, len(events), BATCH), 1):
        topology.merge(events[start : start + BATCH])
        if pending.fresh >= ROWS or offset % 50 == 0:
            count += written(store, pending, "stream", offset)
    count += written(store, pending, "stream", len(events))
    seconds = time.perf_counter() - began
    return row(
        f"{name}, source events",
        events=len(events),
        rows=count,
        seconds=round(seconds, 2),
        per_second=round(len(events) / seconds),
    )


def peer(port: int, events: Sequence[Event], case: str) -> dict[str, Any]:
    names = {"Connected": "device.connected", "Linked": "device.linked", "Telemetry": "device.telemetry"}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "events.ndjson"
        with path.open("w") as file:
            for event in events:
                body = event.body
                data: dict[str, Any] = {}
                if isinstance(body, Linked):
                    data = {"source": body.source, "target": body.target}
                elif isinstance(body, Connected | Telemetry):
                    data = {"deviceId": body.device_id, "type": getattr(body, "type", None)}
                value = body.values[SignalName("level")] if isinstance(body, Telemetry) else None
                told = {"type": names[type(body).__name__], "time": event.stamp.at, "value": value, "data": data}
                file.write(json.dumps(told) + "\n")
        command = [str(PEERS), str(ROOT / "tests/bench/peers/neo4j_sink.py"), str(port), PASSWORD, str(path), "10000"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return row(case, events=len(events), seconds=round(found["seconds"], 2), per_second=round(len(events) / found["seconds"]))


async def lag(store: GraphStore, name: str) -> dict[str, Any]:
    """The service's write-behind on the stream at 2,000 events a second, after the births: how old what waits gets."""
    pipeline, offset, events = Pipeline("lag", projected=True), 0, stream(PACED * 2000)
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    source = PipelineSource(
        pipeline, origin="bench", offset=lambda: offset, run=lambda work: loop.run_in_executor(thread, work)
    )
    projection = Projection(store, source)
    task = asyncio.create_task(projection.run())
    lags: list[float] = []
    for start in range(0, len(events), 100):
        await loop.run_in_executor(thread, pipeline, events[start : start + 100])
        offset += 1
        source.noticed()
        await asyncio.sleep(0.05)
        lags.append(projection.lag)
    while projection.waiting:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    thread.shutdown()
    lags.sort()
    return row(
        f"{name}, lag at 2,000 events/s",
        rows=projection.written,
        p50_seconds=round(lags[len(lags) // 2], 3),
        p99_seconds=round(lags[len(lags) * 99 // 100], 3),
    )


def run() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    events = stream()
    with TemporaryDirectory() as scratch:
        sqlite = SqliteGraphStore(Path(scratch) / "graph.db")
        sqlite.prepare()
        found += [*into("SQLite", sqlite), source_events("SQLite", sqlite, events), asyncio.run(lag(sqlite, "SQLite"))]
        sqlite.close()
        service = Local("neo4j", Path(scratch) / "neo4j", free_port())
        service.start()
        try:
            access = Access(f"bolt://127.0.0.1:{service.port}", "neo4j", PASSWORD)
            neo4j = Neo4jStore(access)
            neo4j.prepare()
            # Both sides meet a machine that has compiled what they use.
            source_events("Neo4j", neo4j, stream(5000))
            neo4j.clear("stream")
            found += [*into("Neo4j", neo4j), source_events("Neo4j", neo4j, events)]
            found.append(peer(service.port, events, "quixstreams' Neo4jSink, all events"))
            structure = [event for event in events if not isinstance(event.body, Telemetry)]
            found.append(peer(service.port, structure, "quixstreams' Neo4jSink, births and links alone"))
            found.append(asyncio.run(lag(neo4j, "Neo4j")))
        finally:
            service.stop()
    return found
