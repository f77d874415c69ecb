"""Real workers and gateways as processes against the real Kafka, and the oracle that judges what they leave behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from graph.detection.model import Model
from schemas.event import Event
from schemas.finding import Alert, Fault
from schemas.frame import pack
from streams.cluster import Cluster, Names
from streams.kafka import KafkaLog, Partition
from streams.pipeline import Pipeline
from streams.remote import snapshots
from streams.snapshots import topology_of
from streams.windows import Lateness
from tests.waiting import HUNG

LATENESS = Lateness(allowed=200_000, idle=10_000_000)


class Process:
    """A command of the program, as an operator runs it; its messages go to `folder/NAME.txt`."""

    def __init__(self, command: str, name: str, folder: Path, settings: Mapping[str, object]) -> None:
        self._command = command
        self._log = folder / f"{name}.txt"
        settings = {"api_port": 0, "console": False, **settings}
        self._environment = {f"OPENAUTOGLM_{key.upper()}": str(value) for key, value in settings.items()}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        command = (sys.executable, "-m", "streams.cli", self._command, "-v")
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=os.environ | self._environment, stdout=log, stderr=log
            )
        return self

    @property
    def messages(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def said(self, words: str) -> None:
        """Until its messages hold these words."""
        while words not in self.messages:
            await asyncio.sleep(0.1)

    async def ended(self) -> None:
        assert self._process is not None
        await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status."""
        assert self._process is not None
        self.send(number)
        self.send(signal.SIGCONT)
        try:
            return await asyncio.wait_for(self._process.wait(), HUNG)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._process.wait()
            raise


@dataclass(frozen=True)
class Left:
    """What a run left behind of one site."""

    digest: str
    accepted: int
    duplicate: int
    alerts: list[Alert]
    faults: list[Fault]


@dataclass
class Harness:
    """One deployment with topics of its own."""

    servers: str
    prefix: str
    folder: Path
    model: Path | None
    partitions: int = 4
    workers: list[Process] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.servers)

    @property
    def names(self) -> Names:
        return Names(self.prefix)

    def settings(self, **more: object) -> dict[str, object]:
        model = {"model": self.model} if self.model is not None else {}
        return {
            "kafka_servers": self.servers,
            "kafka_prefix": self.prefix,
            "kafka_partitions": self.partitions,
            "checkpoint_every": 0.3,
            **model,
        } | more

    async def worker(self, **settings: object) -> Process:
        name = f"worker-{len(self.workers)}"
        process = Process("worker", name, self.folder, self.settings(**settings))
        self.workers.append(process)
        return await process.start()

    async def end(self) -> None:
        for process in self.workers:
            if process.alive:
                await process.end()

    async def publish(self, site: str, events: Sequence[Event], *, size: int = 40, pause: float = 0.0) -> None:
        """As a gateway does, without MQTT before it."""
        log = KafkaLog(self.cluster, self.names)
        for at in range(0, len(events), size):
            await log.append(site, [pack(events[at : at + size])])
            await asyncio.sleep(pause)
        await log.close()

    async def settled(self, sites: Mapping[str, int]) -> None:
        """Until the snapshots of these sites have counted so many accepted events."""
        while True:
            left = await self.snapshots(list(sites))
            counts = {site: _counts(snapshot)["accepted"] for site, snapshot in left.items()}
            if all(counts.get(site, 0) >= count for site, count in sites.items()):
                return
            await asyncio.sleep(0.3)

    async def snapshots(self, sites: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for number in range(self.partitions):
            there = await snapshots(self.cluster, self.names, Partition(number), sites)
            found |= {site: snapshot for site, (_, snapshot) in there.items()}
        return found

    async def left(self, sites: Sequence[str]) -> dict[str, Left]:
        alerts, faults = await self.told("alerts"), await self.told("faults")
        return {
            site: Left(
                topology_of(snapshot).digest(),
                _counts(snapshot)["accepted"],
                _counts(snapshot)["duplicate"],
                [msgspec.json.decode(value, type=Alert) for key, value in alerts if key == site],
                [msgspec.json.decode(value, type=Fault) for key, value in faults if key == site],
            )
            for site, snapshot in (await self.snapshots(sites)).items()
        }

    async def told(self, kind: str) -> list[tuple[str, bytes]]:
        """What a subscriber of a findings topic was told, in order."""
        return await read_all(self.servers, self.names.findings(kind), self.partitions)

    async def refused(self) -> list[dict[str, Any]]:
        records = await read_all(self.servers, self.names.deadletters, self.partitions)
        return [msgspec.json.decode(value) for _, value in records]


def _counts(snapshot: bytes) -> dict[str, int]:
    counts: dict[str, int] = msgspec.msgpack.decode(snapshot)["counts"]
    return counts


async def read_all(servers: str, topic: str, partitions: int) -> list[tuple[str, bytes]]:
    """Everything that is committed to a topic now."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed", auto_offset_reset="earliest")
    found: list[tuple[str, bytes]] = []
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=300)).values():
                found += [(record.key.decode(), record.value) for record in records]
    finally:
        await consumer.stop()
    return found


def oracle(site: str, events: Sequence[Event], model: Model | None) -> Left:
    """What a pipeline that never stops finds."""
    pipeline = Pipeline(site, model=model, lateness=LATENESS)
    reaction = pipeline(events)
    faults = [state.finding() for state in reaction.faults]
    counts = pipeline.counts
    return Left(pipeline.topology.digest(), counts.accepted, counts.duplicate, reaction.alerts, faults)
