"""The same events give the same graph and the same findings: embedded, on one worker, or on three that come and go."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from graph.detection.model import Model
from schemas.finding import Alert, Fault
from streams.cluster import Names
from streams.findings import Kind
from streams.kafka_admin import prepare
from streams.service import Service
from streams.settings import Settings
from tests.cluster.harness import Harness, Left, oracle
from tests.crash.gateway import SpoolingGateway
from tests.streams.plant import recording
from tests.waiting import HUNG, taken_in

pytestmark = pytest.mark.xdist_group("kafka")
SITES = {f"site-{number}": recording(260, seed=number, broken_from=180) for number in range(6)}
COUNTS = {site: len(events) for site, events in SITES.items()}


async def publish_all(harness: Harness, *, size: int = 40, pause: float = 0.0) -> None:
    await prepare(harness.cluster, Names(harness.prefix), partitions=harness.partitions, replication=1, retention=3600)
    async with asyncio.TaskGroup() as tasks:
        for site, events in SITES.items():
            tasks.create_task(harness.publish(site, events, size=size, pause=pause))


async def verdict(harness: Harness, model: Model) -> None:
    async with asyncio.timeout(HUNG):
        await harness.settled(COUNTS)
    assert await harness.left(list(SITES)) == {site: oracle(site, events, model) for site, events in SITES.items()}
    assert all(left.alerts for left in (await harness.left(list(SITES))).values())
    assert await harness.refused() == []


async def test_the_embedded_service(model: tuple[Model, Path], tmp_path: Path) -> None:
    site, events = next(iter(SITES.items()))
    settings = Settings(site=site, data=tmp_path, model=model[1], mqtt_port=0, api=False, checkpoint_every=0.1)
    async with asyncio.timeout(HUNG), Service(settings).started() as parts:
        await SpoolingGateway(parts.address, parts.topics, events, pace=0.0).run()
        pipeline = parts.analysis.pipeline
        await taken_in(parts.analysis, len(events))
        found = Left(
            pipeline.topology.digest(),
            pipeline.counts.accepted,
            0,  # what its gateway sends again is of no interest here
            [msgspec.json.decode(body, type=Alert) for body in parts.store.every(Kind.ALERTS)],
            [msgspec.json.decode(body, type=Fault) for body in parts.store.every(Kind.FAULTS)],
        )
    assert found == oracle(site, events, model[0])


async def test_one_worker(harness: Harness, model: tuple[Model, Path]) -> None:
    await harness.worker()
    await publish_all(harness)
    await verdict(harness, model[0])


async def test_three_workers_that_come_and_go(harness: Harness, model: tuple[Model, Path]) -> None:
    async with asyncio.timeout(HUNG):
        first = await harness.worker()
        await first.said("holding partitions 0, 1, 2, 3")
        publishing = asyncio.create_task(publish_all(harness, pause=0.3))
        second, third = await harness.worker(), await harness.worker(worker_identity="third")
        for worker in (second, third):
            await worker.said("holding partitions")
        await asyncio.sleep(1)
        assert await first.end() == 0
        await third.end(signal.SIGKILL)
        await asyncio.sleep(1)
        await third.start()
        await publishing
    await verdict(harness, model[0])


async def test_a_stranger_in_the_group_while_events_flow(harness: Harness, model: tuple[Model, Path]) -> None:
    """Fetches are under way whenever partitions move: what they bring is of another time, and must not be taken, nor lost."""
    worker = await harness.worker()
    async with asyncio.timeout(HUNG):
        await worker.said("holding partitions 0, 1, 2, 3")
        publishing = asyncio.create_task(publish_all(harness, size=5, pause=0.02))
        for _ in range(4):
            async with member(harness):
                await asyncio.sleep(1.5)
            await asyncio.sleep(1)
        await publishing
    await verdict(harness, model[0])
    assert worker.messages.count("holding partitions") > 4


@asynccontextmanager
async def member(harness: Harness) -> AsyncIterator[None]:
    """One that gets partitions and does nothing with them."""
    consumer = AIOKafkaConsumer(
        harness.names.events,
        bootstrap_servers=harness.servers,
        group_id=f"{harness.prefix}-workers",
        enable_auto_commit=False,
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
    )
    await consumer.start()
    try:
        yield
    finally:
        await consumer.stop()
