"""Kill -9 at every named point, start again, and compare with an oracle that never stopped: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graph.detection.model import Model, save
from graph.detection.training import train
from schemas.event import Event
from schemas.finding import Alert, Fault
from streams import checkpoint
from streams.crashpoints import OF_RUNS, CrashPoint
from streams.findings import FindingStore, Kind
from streams.mqtt import Address, EmbeddedBroker, connect
from streams.pipeline import Pipeline
from streams.snapshots import topology_of
from streams.topics import Topics
from streams.windows import Lateness
from tests.crash.gateway import SpoolingGateway
from tests.services import free_port
from tests.streams.plant import recording
from tests.waiting import HUNG

SITE = "crash"
EVENTS = recording(260, seed=9, broken_from=180)
WHEN = {CrashPoint.RECEIVED: 5, CrashPoint.FINDINGS_SAVED: 1, CrashPoint.PUBLISHED: 1}
"""The time at which a point kills, if not the second; findings may all come in one go."""
Told = dict[tuple[str, str, str], set[bytes]]
LATENESS = Lateness(allowed=200_000, idle=10_000_000)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    trained = train([recording(500, seed=seed) for seed in range(3)])
    folder = tmp_path_factory.mktemp("model")
    save(trained, folder)
    return trained, folder


def oracle(model: Model) -> tuple[dict[str, Any], str]:
    """What a service that never stops finds, and its graph."""
    pipeline = Pipeline(SITE, model=model, lateness=LATENESS)
    reaction = pipeline(EVENTS)
    alerts = {(alert.alert_id, alert.time, alert.state): alert for alert in reaction.alerts}
    faults = {(state.fault_id, state.updated_at): state.finding() for state in reaction.faults}
    return {"alerts": alerts, "faults": list(faults.values())}, pipeline.topology.digest()


class Process:
    """The service as an operator runs it."""

    def __init__(self, data: Path, model: Path, port: int | None) -> None:
        self._messages = data / "messages.txt"
        self._environment = {
            **os.environ,
            "OPENAUTOGLM_DATA": str(data),
            "OPENAUTOGLM_SITE": SITE,
            "OPENAUTOGLM_MODEL": str(model),
            "OPENAUTOGLM_CHECKPOINT_EVERY": "0.2",
            "OPENAUTOGLM_API_PORT": "0",
        }
        if port is not None:
            self._environment |= {"OPENAUTOGLM_MQTT_HOST": "127.0.0.1", "OPENAUTOGLM_MQTT_PORT": str(port)}

    @asynccontextmanager
    async def running(self, crash_at: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        environment = self._environment | ({"OPENAUTOGLM_CRASH_AT": crash_at} if crash_at else {})
        command = (sys.executable, "-c", "from streams.cli import main; main()", "serve")
        with self._messages.open("ab") as messages:
            process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=messages)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), HUNG)


async def settled(data: Path) -> None:
    """Until a checkpoint has counted every event."""
    while True:
        held = checkpoint.load(data / "checkpoint.bin")
        if held is not None and msgspec.msgpack.decode(held.snapshot)["counts"]["accepted"] >= len(EVENTS):
            return
        await asyncio.sleep(0.1)


def verdict(data: Path, model: Model) -> None:
    expected, digest = oracle(model)
    held = checkpoint.load(data / "checkpoint.bin")
    assert held is not None
    assert msgspec.msgpack.decode(held.snapshot)["counts"]["accepted"] == len(EVENTS)
    assert topology_of(held.snapshot).digest() == digest
    store = FindingStore(data / "findings.db")
    faults = [msgspec.json.decode(body, type=Fault) for body in store.every(Kind.FAULTS)]
    alerts = [msgspec.json.decode(body, type=Alert) for body in store.every(Kind.ALERTS)]
    store.close()
    assert faults == expected["faults"]
    assert alerts == list(expected["alerts"].values())


@pytest.mark.parametrize("point", [point for point in CrashPoint if point not in OF_RUNS])
async def test_killed_at(point: CrashPoint, model: tuple[Model, Path], tmp_path: Path) -> None:
    trained, folder = model
    told: Told = {}
    async with asyncio.timeout(HUNG), EmbeddedBroker("127.0.0.1", 0) as broker:
        address, topics = Address("127.0.0.1", broker.port), Topics(SITE)
        process = Process(tmp_path, folder, broker.port)
        async with connect(address, "watcher", [topics.findings("alerts")]) as watcher, asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(watcher, told))
            gateway = SpoolingGateway(address, topics, EVENTS)
            sending = tasks.create_task(gateway.run())
            async with process.running(crash_at=f"{point}:{WHEN.get(point, 2)}") as first:
                assert await first.wait() == -signal.SIGKILL
            async with process.running():
                await gateway.done.wait()
                await settled(tmp_path)
                await _all_told(told, trained)
            sending.cancel()
            watching.cancel()
    verdict(tmp_path, trained)
    assert told.keys() == oracle(trained)[0]["alerts"].keys()
    # Killed between telling and noting it, the service tells again; a subscriber can tell a repeat by its being the same.
    assert all(len(bodies) == 1 for bodies in told.values())


async def _watch(connection: Any, told: Told) -> None:
    async for message in connection.messages():
        alert = msgspec.json.decode(message.payload, type=Alert)
        told.setdefault((alert.alert_id, alert.time, alert.state), set()).add(message.payload)
        message.ack()


async def _all_told(told: Told, model: Model) -> None:
    expected = oracle(model)[0]["alerts"].keys()
    while not told.keys() >= expected:
        await asyncio.sleep(0.1)


async def test_killed_together_with_its_embedded_broker(model: tuple[Model, Path], tmp_path: Path) -> None:
    """The embedded broker forgets everything; the gateways' spools and the watermark make up for it."""
    trained, folder = model
    async with asyncio.timeout(HUNG):
        port = free_port()
        process = Process(tmp_path, folder, None)
        process._environment |= {"OPENAUTOGLM_MQTT_PORT": str(port)}
        gateway = SpoolingGateway(Address("127.0.0.1", port), Topics(SITE), EVENTS)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(gateway.run())
            for round_ in range(3):
                async with process.running(crash_at=f"received:{4 + round_}") as killed:
                    assert await killed.wait() == -signal.SIGKILL
            async with process.running():
                await gateway.done.wait()
                await settled(tmp_path)
            sending.cancel()
    verdict(tmp_path, trained)


def test_events_are_in_order() -> None:
    """The oracle rests on it."""
    assert sorted(EVENTS, key=_stamp) == EVENTS


def _stamp(event: Event) -> Any:
    return event.stamp
