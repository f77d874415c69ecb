"""What third parties publish to Kafka, good and bad, through a real worker."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from graph.detection.model import Model
from schemas.binding import BATCH, STRUCTURED, binary
from schemas.encode import encode
from schemas.event import Event
from streams.kafka_admin import prepare
from tests.cluster.harness import Harness, oracle
from tests.streams.plant import line, recording, wire
from tests.waiting import HUNG

pytestmark = pytest.mark.xdist_group("kafka")
SITE = "third-party"
EVENTS = recording(60, seed=4)


async def publish(harness: Harness) -> None:
    """A third of the events in each mode, and what is wrong between them."""
    producer = AIOKafkaProducer(bootstrap_servers=harness.servers)
    await producer.start()

    async def send(
        value: bytes | None, headers: list[tuple[str, bytes]] | None = None, key: bytes | None = SITE.encode()
    ) -> None:
        await producer.send_and_wait(harness.names.events, value, key=key, headers=headers)

    third = len(EVENTS) // 3
    for event in EVENTS[:third]:
        await send(line(event), [("content-type", STRUCTURED.encode())])
    await send(b"\xff\xfe not an event")
    await send(None)
    await send(line(EVENTS[0]), key=None)
    await send(b"{}", [("content-type", b"application/avro"), ("ce_id", b"1")])
    for event in EVENTS[third : 2 * third]:
        await send(*_binary(event))
    rest = EVENTS[2 * third :]
    await send(b"[" + b",".join([line(rest[0]), b'{"type":"device.exploded"}', line(rest[1])]) + b"]")
    await send(encode(rest[2:]), [("content-type", BATCH.encode())])
    await producer.stop()


def _binary(event: Event) -> tuple[bytes, list[tuple[str, bytes]]]:
    whole = wire(event)
    data = msgspec.json.encode(whole.pop("data"))
    return data, [(name, value or b"") for name, value in binary({name: str(value) for name, value in whole.items()})]


async def test_every_mode_is_read_and_what_is_wrong_stops_nothing(harness: Harness, model: tuple[Model, Path]) -> None:
    await prepare(harness.cluster, harness.names, partitions=harness.partitions, replication=1, retention=3600)
    worker = await harness.worker(worker_identity="")
    await publish(harness)
    async with asyncio.timeout(HUNG):
        await harness.settled({SITE: len(EVENTS)})
        while len(await harness.refused()) < 5:
            await asyncio.sleep(0.3)
    left = (await harness.left([SITE]))[SITE]
    assert left.digest == oracle(SITE, EVENTS, model[0]).digest
    reasons = sorted(letter["reason"] for letter in await harness.refused())
    assert len(reasons) == 5
    for words in ("without a value", "application/avro", "not UTF-8", "device.log, device.image", "no name of a site"):
        assert any(words in reason for reason in reasons), (words, reasons)
    assert worker.alive


async def test_killed_at_once_after_each_other(harness: Harness, model: tuple[Model, Path]) -> None:
    """Each worker dies while it takes over from the one before."""
    await prepare(harness.cluster, harness.names, partitions=harness.partitions, replication=1, retention=3600)
    publishing = asyncio.create_task(harness.publish(SITE, EVENTS, size=10, pause=0.1))
    for _ in range(3):
        worker = await harness.worker(worker_identity="the-same")
        await asyncio.sleep(3)
        await worker.end(signal.SIGKILL)
    await harness.worker(worker_identity="the-same")
    await publishing
    async with asyncio.timeout(HUNG):
        await harness.settled({SITE: len(EVENTS)})
    assert (await harness.left([SITE]))[SITE] == oracle(SITE, EVENTS, model[0])
