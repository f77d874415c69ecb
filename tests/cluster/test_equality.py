"""The same events give the same graph and the same findings, on one worker or three, however often partitions move."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from graph.detection import Model
from streams.cluster import Names
from streams.kafka import prepare
from tests.cluster.harness import Harness, oracle
from tests.streams.plant import recording

pytestmark = pytest.mark.xdist_group("kafka")
SITES = {f"site-{number}": recording(260, seed=number, broken_from=180) for number in range(6)}
COUNTS = {site: len(events) for site, events in SITES.items()}


async def publish_all(harness: Harness, *, pause: float = 0.0) -> None:
    await prepare(harness.cluster, Names(harness.prefix), partitions=harness.partitions, replication=1, retention=3600)
    async with asyncio.TaskGroup() as tasks:
        for site, events in SITES.items():
            tasks.create_task(harness.publish(site, events, pause=pause))


async def verdict(harness: Harness, model: Model) -> None:
    async with asyncio.timeout(60):
        await harness.settled(COUNTS)
    assert await harness.left(list(SITES)) == {site: oracle(site, events, model) for site, events in SITES.items()}
    assert all(left.alerts for left in (await harness.left(list(SITES))).values())
    assert await harness.refused() == []


async def test_one_worker(harness: Harness, model: tuple[Model, Path]) -> None:
    await harness.worker()
    await publish_all(harness)
    await verdict(harness, model[0])


async def test_three_workers_that_come_and_go(harness: Harness, model: tuple[Model, Path]) -> None:
    first = await harness.worker()
    publishing = asyncio.create_task(publish_all(harness, pause=0.3))
    await asyncio.sleep(3)
    await harness.worker()
    third = await harness.worker()
    await asyncio.sleep(3)
    assert await first.end() == 0
    await third.end(signal.SIGKILL)
    await asyncio.sleep(1)
    await third.start()
    await publishing
    await verdict(harness, model[0])
