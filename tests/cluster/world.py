"""A whole deployment that can be hurt: gateways at the edge, Mosquitto, the gateway process, Kafka, workers, and an oracle.

The program's processes are started again when they end, as any supervisor does; the services are started again by whoever hurt
them. What a run leaves behind is compared with a pipeline that nothing ever happened to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.services import PASSWORD, Local
from graph.detection.model import Model
from schemas.event import Event
from schemas.finding import Alert
from streams.mqtt import Address, connections
from streams.topics import Topics
from tests.cluster.harness import Harness, Left, Process, oracle
from tests.cluster.proxy import Proxy
from tests.crash.gateway import SpoolingGateway
from tests.services import free_port, missing, running
from tests.waiting import HUNG

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engines:
    """The services of all runs. Clients of Kafka come through `front`, where each run has its proxy."""

    kafka: Local
    mosquitto: Local
    neo4j: Local
    front: int


@contextmanager
def engines(folder: Path) -> Iterator[Engines]:
    with ExitStack() as stack:
        mosquitto = stack.enter_context(running("mosquitto", folder / "mosquitto"))
        neo4j = stack.enter_context(running("neo4j", folder / "neo4j"))
        first = free_port(4)
        kafka = Local("kafka", folder / "kafka", first, advertised=first + 3)
        stack.callback(kafka.stop)
        kafka.start()
        yield Engines(kafka, mosquitto, neo4j, first + 3)


@dataclass
class World:
    """What there is to hurt. `links`: the proxies between the gateway process and its broker, and before Kafka."""

    site: str
    engines: Engines
    harness: Harness
    gateway: Process
    workers: list[Process]
    links: Mapping[str, Proxy]
    data: Path
    """Where the gateway process keeps what it has not handed on."""
    told: list[bytes] = field(default_factory=list)
    """Alerts as an MQTT subscriber got them."""

    @property
    def database(self) -> str:
        return f"bolt://127.0.0.1:{self.engines.neo4j.port}"

    def service(self, name: str) -> Local | None:
        return getattr(self.engines, name, None)

    def process(self, name: str) -> Process:
        return self.gateway if name == "gateway" else self.workers[int(name.rpartition("-")[2])]


@asynccontextmanager
async def world(there: Engines, folder: Path, *, site: str, model: Path, workers: int = 2) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        uplink = await stack.enter_async_context(Proxy(there.mosquitto.port).running())
        front = await stack.enter_async_context(Proxy(there.kafka.port, there.front).running())
        harness = Harness(f"127.0.0.1:{front.port}", site, folder, model, partitions=2)
        data = folder / "gateway"
        at = {"mqtt_host": "127.0.0.1", "mqtt_port": uplink.port, "site": site, "data": data}
        database = {"neo4j_uri": f"bolt://127.0.0.1:{there.neo4j.port}", "neo4j_password": PASSWORD, "stalled_after": 20}
        gateway = Process("gateway", "gateway", folder, harness.settings(**at))
        crew = [Process("worker", f"worker-{number}", folder, harness.settings(**database)) for number in range(workers)]
        made = World(site, there, harness, gateway, crew, {"mqtt": uplink, "kafka": front}, data)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        background = [tasks.create_task(kept_running(process)) for process in (gateway, *crew)]
        background.append(tasks.create_task(_subscribe(made)))
        try:
            yield made
        finally:
            for task in background:
                task.cancel()


async def kept_running(process: Process) -> None:
    """As a supervisor does: started again a second after it ended."""
    try:
        while True:
            await process.start()
            await process.ended()
            await asyncio.sleep(1)
    finally:
        if process.alive:
            await process.end()


async def _subscribe(there: World) -> None:
    """A subscriber with a lasting session; a repeat of what it has seen is the same alert again, and no news."""
    topic = Topics(there.site).findings("alerts")
    async for connection in connections(Address("127.0.0.1", there.engines.mosquitto.port), "subscriber", [topic]):
        with suppress(ConnectionError):
            async for message in connection.messages():
                there.told.append(message.payload)
                message.ack()


@dataclass(frozen=True)
class Verdict:
    """`lost` and `twice` count events and findings; zero is the only good number."""

    events: int
    alerts: int
    lost: int
    twice: int
    same_graph: bool
    same_findings: bool
    unprojected: int
    """Rows of the database that are not as the graph is."""
    seconds: float

    @property
    def good(self) -> bool:
        return self.same_graph and self.same_findings and not (self.lost or self.twice or self.unprojected)


Hurt = Callable[[World], Awaitable[None]]


async def judged(there: World, events: list[Event], model: Model | None, hurts: list[tuple[float, Hurt]]) -> Verdict:
    """Publish, hurt at the given seconds, wait until all is quiet, and compare."""
    began = asyncio.get_running_loop().time()
    gateway = SpoolingGateway(
        Address("127.0.0.1", there.engines.mosquitto.port), Topics(there.site), events, size=20, pace=0.15
    )
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(gateway.run())
        for at, hurt in hurts:
            tasks.create_task(_later(at, partial(hurt, there)))
        await gateway.done.wait()
        await sending
    expected = oracle(there.site, events, model)
    await there.harness.settled({there.site: len(events)})
    wanted = {_key(alert) for alert in expected.alerts}
    while {_key(msgspec.json.decode(body, type=Alert)) for body in there.told} < wanted:
        await asyncio.sleep(0.2)
    unprojected = await asyncio.to_thread(_unprojected, there)
    left = (await there.harness.left([there.site]))[there.site]
    return _compared(left, expected, unprojected, asyncio.get_running_loop().time() - began)


def _unprojected(there: World) -> int:
    """By the operator's own command; -1 if it compared nothing."""
    settings = there.harness.settings(site=there.site, neo4j_uri=there.database, neo4j_password=PASSWORD, data=there.data)
    environment = {f"OPENAUTOGLM_{name.upper()}": str(value) for name, value in settings.items()}
    command = (sys.executable, "-m", "streams.cli", "projection", "verify", "--json")
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=HUNG)
    logger.info("%s%s", done.stdout[-2000:], done.stderr[-2000:])
    *_, last = done.stdout.splitlines() or ["{}"]
    found = msgspec.json.decode(last, type=dict[str, int])
    return found.get("differences", -1) if found.get("rows") else -1


def _key(alert: Alert) -> tuple[str, str, str]:
    return alert.alert_id, alert.time, alert.state


async def _later(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await work()


def _compared(left: Left, expected: Left, unprojected: int, seconds: float) -> Verdict:
    findings: list[Any] = [*left.alerts, *left.faults]
    wanted: list[Any] = [*expected.alerts, *expected.faults]
    missing = sum(1 for finding in wanted if finding not in findings)
    return Verdict(
        events=left.accepted,
        alerts=len(left.alerts),
        lost=max(0, expected.accepted - left.accepted) + missing,
        twice=max(0, left.accepted - expected.accepted) + max(0, len(findings) - len(wanted)),
        same_graph=left.digest == expected.digest,
        same_findings=findings == wanted,
        unprojected=unprojected,
        seconds=round(seconds, 1),
    )


# --- Ways to hurt ----------------------------------------------------------------------------------------------------------


async def kill(there: World, name: str, *, away: float = 1.0) -> None:
    """SIGKILL. A service is away for some seconds; a process comes back by its supervisor."""
    service = there.service(name)
    if service is None:
        there.process(name).send(signal.SIGKILL)
        return
    await asyncio.to_thread(service.kill)
    await asyncio.sleep(away)
    await asyncio.to_thread(service.start)


async def pause(there: World, name: str, *, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after some seconds."""
    service = there.service(name)
    if service is not None:
        service.pause()
    else:
        there.process(name).send(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    if service is not None:
        service.resume()
    else:
        there.process(name).send(signal.SIGCONT)


async def cut(there: World, name: str, *, seconds: float) -> None:
    """Reset a link's connections and refuse new ones for a while."""
    link = there.links[name]
    link.refuses = True
    link.cut()
    await asyncio.sleep(seconds)
    link.refuses = False


async def hold(there: World, name: str, *, seconds: float) -> None:
    """A link that stays up and passes nothing, as a broken cable does."""
    link = there.links[name]
    link.open.clear()
    await asyncio.sleep(seconds)
    link.open.set()


async def slow(there: World, name: str, *, delay: float, seconds: float) -> None:
    """Each chunk takes longer, in both directions."""
    link = there.links[name]
    link.delay = delay
    await asyncio.sleep(seconds)
    link.delay = 0.0


async def fill(there: World, *, seconds: float) -> None:
    """The gateway process's file system is full for a while."""
    block = there.data / "block"
    with suppress(OSError), block.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    await asyncio.sleep(seconds)
    block.unlink()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own, in memory; skips where one may not mount."""
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        missing(f"no file system of a fixed size can be mounted: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


__all__ = [
    "Engines",
    "Verdict",
    "World",
    "cut",
    "engines",
    "fill",
    "hold",
    "judged",
    "kill",
    "pause",
    "slow",
    "small_disk",
    "world",
]
