"""`make bench-api`: fault paths in process and in Neo4j, neighbourhoods over HTTP beside plain FastAPI, and events to many.

The service runs in a process of its own (`tests.bench.apiservice`), the clients in this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np

from deploy.local.services import PASSWORD, Local
from graph.live import LiveGraph
from graph.neo4j import Access, Neo4jStore
from graph.pending import Pending
from graph.questions import route
from graph.sqlite_store import SqliteGraphStore
from graph.store import GraphStore
from graph.topology import Topology
from schemas.device import Relation
from schemas.event import rfc3339
from schemas.finding import Affected, Fault, Origin, PathStep
from streams.findings import FindingStore, Kind
from tests.bench.apiservice import SITE, name_of, plant
from tests.bench.plant import START
from tests.services import free_port

DEVICES = int(os.environ.get("BENCH_DEVICES", "100000"))
ROOT = Path(__file__).parents[2]
QUESTIONS = 1_000
FAULTS = 1_000
RATE, SECONDS = 200, 15
"""Requests a second, and for how long."""
SUBSCRIBERS, ALARMS = 1_000, 30
SLOW, ROWS = 100, 20_000


def run() -> Iterator[dict[str, Any]]:
    yield from _paths()
    yield from asyncio.run(_gathered(_over_http()))


def told(case: str, **more: Any) -> dict[str, Any]:
    return {"bench": "api", "case": case, **more}


def spread(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    p50, p99, most = np.percentile(np.array(seconds) * 1e3, (50, 99, 100))
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "max_ms": round(float(most), 3)}


# --- Fault paths --------------------------------------------------------------------------------------------------------------


def faults() -> list[Fault]:
    """Of some twenty edges each."""
    rng, found = random.Random(2), []
    for number in range(FAULTS):
        names = [name_of(rng.randrange(DEVICES)) for _ in range(21)]
        at = rfc3339(START + number)  # type: ignore[arg-type]
        found.append(
            Fault(
                fault_id=f"fault-{number:06d}",
                opened_at=at,
                updated_at=at,
                origins=tuple(Origin(name, 0.05) for name in names[:10]),
                affected=tuple(Affected(name, at) for name in names),
                path=tuple(PathStep(a, b, Relation.FEEDS, 1.0, 0.5) for a, b in pairwise(names)),
            )
        )
    return found


def timed(question: Callable[[int], object], count: int = QUESTIONS) -> list[float]:
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        question(number)
        seconds.append(time.perf_counter() - began)
    return seconds


def _paths() -> Iterator[dict[str, Any]]:
    topology, made = Topology().merge(plant(DEVICES)), faults()
    live, rng = LiveGraph(topology), random.Random(3)
    starts = [rng.randrange(DEVICES) for _ in range(QUESTIONS)]
    sizes = {"devices": DEVICES, "edges": sum(1 for _ in topology.edges())}
    near = timed(lambda n: route(live, SITE, name_of(starts[n]), name_of((starts[n] + 400) % DEVICES)))
    yield told("way between two devices some ten edges apart, live graph", **sizes, **spread(near))
    with TemporaryDirectory() as folder:
        store = FindingStore(Path(folder) / "findings.db")
        asyncio.run(store.add(made))
        names = [fault.fault_id for fault in made]
        one = timed(lambda n: msgspec.json.decode(store.history(Kind.FAULTS, names[n], limit=1)[0], type=Fault))
        yield told("fault with its path by its id, the service's record", faults=FAULTS, **spread(one))
        store.close()
        yield from _in_a_database("SQLite", SqliteGraphStore(Path(folder) / "graph.db"), topology, made)
    with TemporaryDirectory() as folder:
        service = Local("neo4j", Path(folder), free_port(3))
        service.start()
        try:
            access = Access(f"bolt://127.0.0.1:{service.port}", "neo4j", PASSWORD)
            yield from _in_a_database("Neo4j with its composite index", Neo4jStore(access), topology, made)
        finally:
            service.stop()


def _in_a_database(name: str, store: GraphStore, topology: Topology, made: list[Fault]) -> Iterator[dict[str, Any]]:
    store.prepare()
    pending = Pending(topology, everything=True)
    pending.found_rows([], made)
    while (batch := pending.take(site=SITE, origin="bench", offset=1, limit=5_000)) is not None:
        pending.done(batch, store.apply(batch))
    timed(lambda n: store.fault(SITE, f"fault-{n:06d}"), 100)
    yield told(f"fault with its path by its id, {name}", **spread(timed(lambda n: store.fault(SITE, f"fault-{n:06d}"))))
    rng = random.Random(3)
    starts = [rng.randrange(DEVICES) for _ in range(50)]
    ways = timed(lambda n: route(store, SITE, name_of(starts[n]), name_of((starts[n] + 400) % DEVICES)), 50)
    yield told(f"way between two devices some ten edges apart, {name}", **spread(ways))
    store.close()


# --- Over HTTP ----------------------------------------------------------------------------------------------------------------


class Child(NamedTuple):
    process: asyncio.subprocess.Process
    url: str
    pid: int

    async def rows(self, count: int) -> dict[str, Any]:
        """Let it add rows; what it says of them."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n".encode())
        answer: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return answer

    def memory(self) -> float:
        """Resident, MB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


@asynccontextmanager
async def child(what: str) -> AsyncIterator[Child]:
    command = (sys.executable, "-m", "tests.bench.apiservice", what)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT, limit=1 << 24)
    try:
        assert process.stdout is not None
        told_us = json.loads(await process.stdout.readline())
        yield Child(process, told_us["url"], told_us["pid"])
    finally:
        process.terminate()
        await process.wait()


async def _gathered(rows: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row async for row in rows]


async def _over_http() -> AsyncIterator[dict[str, Any]]:
    async with child("plain") as peer:
        yield told("neighbourhood over HTTP, plain FastAPI", rate=RATE, **await _asked(peer))
    async with child(str(DEVICES)) as service:
        await _answering(service)
        yield told("neighbourhood over HTTP", rate=RATE, devices=DEVICES, **await _asked(service))
        yield told("events to all", subscribers=SUBSCRIBERS, **await _fanned_out(service))
        yield told("subscribers that take nothing", subscribers=SLOW, rows=ROWS, **await _slow(service))


async def _answering(service: Child) -> None:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
        for _ in range(600):
            try:
                if (await client.get("/health")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise TimeoutError("the service does not answer")


async def _asked(service: Child) -> dict[str, float]:
    """At a steady rate, whether or not the answers keep up; from when a request was due."""
    rng, seconds = random.Random(4), list[float]()
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, limits=httpx.Limits(max_connections=64)) as client:

        async def one(due: float) -> None:
            query = {"device": str(name_of(rng.randrange(DEVICES))), "hops": "1"}
            response = await client.get("/v1/topology", params=query)
            assert response.status_code == httpx.codes.OK, response.text
            seconds.append(time.perf_counter() - due)

        await _paced(one, 2.0)
        seconds.clear()
        await _paced(one, SECONDS)
    return {"requests": len(seconds), **spread(seconds)}


async def _paced(one: Callable[[float], Awaitable[None]], seconds: float) -> None:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(RATE * seconds)):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(due))  # type: ignore[arg-type]


async def _opened(service: Child, since: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 16)
    writer.write(f"GET /v1/events?kind=alerts&since={since} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def _fanned_out(service: Child) -> dict[str, float]:
    """From handing an alarm over inside the service to each subscriber's having it."""
    newest = (await service.rows(1))["newest"]
    arrived: list[list[float]] = [[] for _ in range(SUBSCRIBERS)]
    async with AsyncExitStack() as stack:
        tasks = []
        for place in range(SUBSCRIBERS):
            reader, writer = await _opened(service, newest)
            stack.callback(writer.close)
            await reader.readuntil(b"retry: ")
            tasks.append(asyncio.ensure_future(_noting(reader, arrived[place])))
        given: list[float] = []
        for _ in range(ALARMS):
            given += (await service.rows(1))["given"]
            while min(map(len, arrived)) < len(given):
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return spread([at - given[number] for times in arrived for number, at in enumerate(times)])


async def _noting(reader: asyncio.StreamReader, times: list[float]) -> None:
    while True:
        line = await reader.readuntil(b"\n")
        if line.startswith(b"event: alerts"):
            times.append(time.monotonic())


async def _slow(service: Child) -> dict[str, float]:
    """Resident memory of the service before, while many take nothing of many rows, and how long rows take to be saved."""
    newest = (await service.rows(1_000))["newest"]
    before = service.memory()
    async with AsyncExitStack() as stack:
        for _ in range(SLOW):
            _, writer = await _opened(service, newest)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            stack.callback(writer.close)
        found = []
        for _ in range(10):
            await service.rows(ROWS // 10)
            found.append(service.memory())
    return {"before_mb": round(before, 1), **{f"after_{10 * n}_percent_mb": round(found[n - 1], 1) for n in (1, 5, 10)}}
