"""A whole deployment that can be hurt: gateways at the edge, Mosquitto, the gateway process, Kafka, workers, and an oracle.

The program's processes are started again when they end, as any supervisor does; the services are started again by whoever hurt
them. What a run leaves behind is compared with a pipeline that nothing ever happened to.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.services import Local
from graph.detection import Model
from schemas.event import Event
from schemas.finding import Alert
from streams.mqtt import Address, connections
from streams.topics import Topics
from tests.cluster.harness import Harness, Left, Process, oracle
from tests.cluster.proxy import Proxy
from tests.crash.gateway import SpoolingGateway
from tests.services import free_port, running

logger = logging.getLogger(__name__)
SITE = "chaos"


@dataclass
class World:
    """What there is to hurt. `links`: the proxies between the gateway process and its broker, and before Kafka."""

    folder: Path
    kafka: Local
    mosquitto: Local
    harness: Harness
    gateway: Process
    workers: list[Process]
    links: Mapping[str, Proxy]
    told: list[bytes] = field(default_factory=list)
    """Alerts as an MQTT subscriber got them."""

    def service(self, name: str) -> Local:
        return {"kafka": self.kafka, "mosquitto": self.mosquitto}[name]

    def processes(self) -> list[Process]:
        return [self.gateway, *self.workers]


@asynccontextmanager
async def world(folder: Path, model: Path, *, workers: int = 2, data: Path | None = None) -> AsyncIterator[World]:
    """`data`: where the gateway process keeps what it has not handed on."""
    async with AsyncExitStack() as stack:
        services = stack.enter_context(ExitStack())
        mosquitto = services.enter_context(running("mosquitto", folder / "mosquitto"))
        uplink = await stack.enter_async_context(Proxy(mosquitto.port).running())
        front = await stack.enter_async_context(Proxy(free_port(3)).running())
        kafka = Local("kafka", folder / "kafka", front.target, advertised=front.port)
        await asyncio.to_thread(kafka.start)
        services.callback(kafka.stop)
        harness = Harness(f"127.0.0.1:{front.port}", "chaos", folder, model, partitions=2)
        at = {"mqtt_host": "127.0.0.1", "mqtt_port": uplink.port, "site": SITE, "data": data or folder / "gateway"}
        gateway = Process("gateway", "gateway", folder, harness.settings(**at))
        crew = [Process("worker", f"worker-{number}", folder, harness.settings()) for number in range(workers)]
        there = World(folder, kafka, mosquitto, harness, gateway, crew, {"mqtt": uplink, "kafka": front})
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running_tasks = [tasks.create_task(kept_running(process)) for process in there.processes()]
        running_tasks.append(tasks.create_task(_subscribe(there)))
        try:
            yield there
        finally:
            for task in running_tasks:
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
    topic = Topics(SITE).findings("alerts")
    async for connection in connections(Address("127.0.0.1", there.mosquitto.port), "subscriber", [topic]):
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
    seconds: float

    @property
    def good(self) -> bool:
        return self.lost == 0 and self.twice == 0 and self.same_graph and self.same_findings


Hurt = Callable[[World], Awaitable[None]]


async def judged(there: World, events: list[Event], model: Model | None, hurts: list[tuple[float, Hurt]]) -> Verdict:
    """Publish, hurt at the given seconds, wait until all is quiet, and compare."""
    began = asyncio.get_running_loop().time()
    gateway = SpoolingGateway(Address("127.0.0.1", there.mosquitto.port), Topics(SITE), events, size=20, pace=0.15)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(gateway.run())
        for at, hurt in hurts:
            tasks.create_task(_later(at, partial(hurt, there)))
        await gateway.done.wait()
        await sending
    expected = oracle(SITE, events, model)
    await there.harness.settled({SITE: len(events)})
    wanted = {_key(alert) for alert in expected.alerts}
    while {_key(msgspec.json.decode(body, type=Alert)) for body in there.told} < wanted:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    left = (await there.harness.left([SITE]))[SITE]
    return _compared(left, expected, asyncio.get_running_loop().time() - began)


def _key(alert: Alert) -> tuple[str, str, str]:
    return alert.alert_id, alert.time, alert.state


async def _later(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await work()


def _compared(left: Left, expected: Left, seconds: float) -> Verdict:
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
        seconds=round(seconds, 1),
    )


# --- Ways to hurt ----------------------------------------------------------------------------------------------------------


async def kill(there: World, name: str, *, away: float = 1.0) -> None:
    """SIGKILL. A service is away for some seconds; a process comes back by its supervisor."""
    if name in ("kafka", "mosquitto"):
        service = there.service(name)
        await asyncio.to_thread(service.kill)
        await asyncio.sleep(away)
        await asyncio.to_thread(service.start)
    else:
        _process(there, name).send(signal.SIGKILL)


async def pause(there: World, name: str, *, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after some seconds."""
    hurt = there.service(name) if name in ("kafka", "mosquitto") else _process(there, name)
    if isinstance(hurt, Local):
        hurt.pause()
    else:
        hurt.send(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    if isinstance(hurt, Local):
        hurt.resume()
    else:
        hurt.send(signal.SIGCONT)


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


async def fill(there: World, folder: Path, *, seconds: float) -> None:
    """No byte is left on a file system for a while."""
    del there
    block = folder / "block"
    with block.open("wb") as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
            file.flush()
    await asyncio.sleep(seconds)
    block.unlink()


def _process(there: World, name: str) -> Process:
    return there.gateway if name == "gateway" else there.workers[int(name.rpartition("-")[2])]


__all__ = ["Verdict", "World", "cut", "fill", "hold", "judged", "kill", "pause", "slow", "world"]
