"""A service with its API and a large plant in it, in a process of its own; `python -m tests.bench.apiservice DEVICES`.

Writes its addresses as one JSON line, and adds as many rows to its record as each line of its input says. `plain` in the place
of DEVICES: a FastAPI application with one route that answers a neighbourhood which it made before, as the peer.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from graph.topology import Topology
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Event, Linked, Severity
from schemas.finding import Alert, AlertState, Explanation
from streams.service import Parts, Service
from streams.settings import Settings
from tests.bench.plant import START, stamp

SITE = "bench"
LINKS = 4
"""Of each device, mostly to devices near it, as pipes are."""
NEAR = 50


def plant(devices: int) -> Iterator[Event]:
    """Devices in a hundred zones; the same plant each time."""
    rng = random.Random(1)
    names = [name_of(number) for number in range(devices)]
    bodies: list[Body] = [Connected(name, "pump", zone=f"zone-{place % 100}") for place, name in enumerate(names)]
    for place, name in enumerate(names):
        for _ in range(LINKS):
            other = names[(place + rng.randint(1, NEAR)) % devices]
            bodies.append(Linked(name, other, Relation.FEEDS, directed=False))
    return (Event(stamp(number, START), body) for number, body in enumerate(bodies))


def name_of(number: int) -> DeviceId:
    return DeviceId(f"device-{number:06d}")


def alert(number: int) -> Alert:
    return Alert(
        alert_id=f"alarm-{number:024x}",
        time="2026-01-05T08:30:00.250Z",
        device_id=name_of(number % 100),
        condition="anomaly",
        severity=Severity.HIGH,
        state=AlertState.RAISED,
        score=2.0,
        explanation=Explanation(),
    )


async def serve(devices: int, folder: Path) -> None:
    settings = Settings(site=SITE, data=folder, mqtt_port=0, api_port=0, console=False)
    async with Service(settings).started() as parts:
        events = list(plant(devices))
        await parts.analysis.in_model_thread(lambda: parts.analysis.pipeline.topology.merge(events))
        print(json.dumps({"url": parts.url, "pid": os.getpid()}), flush=True)
        await follow_orders(parts)


async def follow_orders(parts: Parts) -> None:
    """Each line of the input: how many alerts to save one by one; the answer says when each was given in."""
    made = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        given = []
        for _ in range(int(line)):
            made += 1
            given.append(time.monotonic())
            await parts.journal.save([alert(made)], [])
        print(json.dumps({"newest": parts.store.last(), "given": given}), flush=True)


async def plain(folder: Path) -> None:
    """What FastAPI alone takes: the same answer, from memory."""
    del folder
    topology = Topology().merge(plant(1_000))
    app = FastAPI()
    body = [msgspec.to_builtins(edge) for edge in topology.edges_of(name_of(500))]

    @app.get("/v1/topology")
    async def neighbourhood(device: str, hops: int = 1) -> JSONResponse:
        return JSONResponse({"device": device, "hops": hops, "edges": body})

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": 0}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(plain(Path(name)) if sys.argv[1] == "plain" else serve(int(sys.argv[1]), Path(name)))
