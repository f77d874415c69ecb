"""A worker that starts where a million edges are in the state topic: seconds to the first scored event, and its memory.

The plant is published once and its snapshot written; then a worker process is started while fresh readings come in, and its
alerts topic is watched: the first one is an alarm of the control system that was published after the snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import AIOKafkaConsumer

from schemas.device import DeviceId
from schemas.event import ControlAlarm, Event, Linked, Micros, Stamp
from schemas.frame import pack
from streams.kafka import KafkaLog
from streams.kafka_admin import prepare
from tests.bench.merge import DEVICES, EDGES
from tests.bench.plant import SECOND, SOURCE, START, links
from tests.cluster.harness import Harness
from tests.services import running

SITE = "bench"
AT_ONCE = 1000
LATER = START + 4000 * SECOND


def alarm(number: int, at: int, *, active: bool) -> Event:
    return Event(
        Stamp(Micros(at), SOURCE, 1, number, f"a{number}"), ControlAlarm(DeviceId("device-000001"), "overload", active)
    )


async def measured(harness: Harness, events: list[Event]) -> dict[str, Any]:
    await prepare(harness.cluster, harness.names, partitions=1, replication=1, retention=3600)
    log = KafkaLog(harness.cluster, harness.names)
    first = await harness.worker()
    for at in range(0, len(events), AT_ONCE):
        await log.append(SITE, [pack(events[at : at + AT_ONCE])])
    # Time goes on, so that nothing of the plant still waits for stragglers when the snapshot is written.
    await log.append(SITE, [pack([alarm(EDGES + 1, LATER - 1000 * SECOND, active=False)])])
    await harness.settled({SITE: len(events) + 1})
    peak = _megabytes(first.pid, "VmHWM")
    await first.end()
    for number in range(2):  # an alarm, and what closes its time
        body = [alarm(EDGES + 2 + number, LATER + number * 60 * SECOND, active=number == 0)]
        await log.append(SITE, [pack(body)])
    await log.close()
    snapshot = (await harness.snapshots([SITE]))[SITE]
    began = time.perf_counter()
    second = await harness.worker()
    await _first_alert(harness)
    seconds = time.perf_counter() - began
    resident = _megabytes(second.pid, "VmRSS")
    return {
        "bench": "takeover",
        "case": "worker started to first alert told",
        "edges": EDGES,
        "devices": DEVICES,
        "seconds": round(seconds, 2),
        "snapshot_megabytes": round(len(snapshot) / 1e6, 1),
        "resident_megabytes": resident,
        "peak_megabytes_while_merging": peak,
    }


async def _first_alert(harness: Harness) -> None:
    consumer = AIOKafkaConsumer(
        harness.names.findings("alerts"),
        bootstrap_servers=harness.servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        await asyncio.wait_for(consumer.getone(), 120)
    finally:
        await consumer.stop()


def _megabytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:"))


def run() -> Iterator[dict[str, Any]]:
    events = links(EDGES, DEVICES)
    assert all(isinstance(event.body, Linked) for event in events[:1])
    with TemporaryDirectory() as scratch, running("kafka", Path(scratch) / "kafka") as kafka:
        harness = Harness(f"127.0.0.1:{kafka.port}", "takeover", Path(scratch), None, partitions=1)
        yield asyncio.run(_whole(harness, events))


async def _whole(harness: Harness, events: list[Event]) -> dict[str, Any]:
    try:
        return await measured(harness, events)
    finally:
        await harness.end()
