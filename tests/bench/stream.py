"""From Kafka to the merged graph: the worker beside what one would build otherwise, on the same records in one run.

The peers read single events, as they must; the worker reads those too, and batches, as its gateways write them. Each reader is
a process of its own, timed from its first record to its last.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.encode import encode
from schemas.event import Event
from streams.cluster import Cluster, Names
from streams.kafka_admin import prepare
from tests.bench.plant import readings
from tests.services import running

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers" / "bin" / "python"
DEVICES = 1000
STEPS = 200
SITES = 4
BATCH = 200
CASES: tuple[tuple[str, str, str, int], ...] = (
    ("worker, batches, merge only", "ours", "batches", 1),
    ("worker, batches, whole pipeline", "ours-whole", "batches", 1),
    ("worker, single events, merge only", "ours", "singles", 1),
    ("worker, binary mode, merge only", "ours", "binary", 1),
    ("quixstreams: orjson, jsonschema-rs, keyed state", "quix", "singles", 2),
    ("quixstreams: json, jsonschema, keyed state", "quix-plain", "singles", 8),
    ("Faust agent: json, jsonschema, a dict (the obvious build)", "obvious", "singles", 8),
    ("aiokafka getmany, values counted", "raw", "singles", 1),
)
"""Name, program, topic, and which part of the events it is given: the slow ones need not read all."""


def events() -> dict[str, list[Event]]:
    return {f"site-{number}": list(readings(DEVICES // SITES, STEPS, seed=number)) for number in range(SITES)}


async def fill(servers: str, plants: dict[str, list[Event]]) -> None:
    for form in ("batches", "singles", "binary"):
        await prepare(Cluster(servers), Names(form), partitions=SITES, replication=1, retention=3600)
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=20, max_batch_size=1 << 20)
    await producer.start()
    for site, plant in plants.items():
        key = site.encode()
        for at in range(0, len(plant), BATCH):
            part = plant[at : at + BATCH]
            await producer.send("batches.events", encode(part), key=key)
            for event in part:
                whole = json.loads(encode([event]))[0]
                await producer.send("singles.events", json.dumps(whole, separators=(",", ":")).encode(), key=key)
                data = json.dumps(whole.pop("data")).encode()
                headers = [(f"ce_{name}", value.encode()) for name, value in whole.items()]
                await producer.send("binary.events", data, key=key, headers=headers)
    await producer.stop()


def read(program: str, servers: str, topic: str, count: int, scratch: str) -> dict[str, Any]:
    """A reader's own account: events and seconds."""
    python = str(PEERS) if program.startswith("quix") else sys.executable
    command = [
        python,
        str(ROOT / "tests" / "bench" / "peers" / f"{program.partition('-')[0]}.py"),
        servers,
        topic,
        str(count),
        program,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=scratch, env=environment)
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
    # Faust's worker writes control characters for a terminal around it.
    told: dict[str, Any] = json.loads(done.stdout[done.stdout.rindex("{") : done.stdout.rindex("}") + 1])
    return told


def run() -> Iterator[dict[str, Any]]:
    plants = events()
    total = sum(map(len, plants.values()))
    size = len(encode(next(iter(plants.values()))[:BATCH])) // BATCH
    with TemporaryDirectory() as scratch, running("kafka", Path(scratch)) as kafka:
        servers = f"127.0.0.1:{kafka.port}"
        asyncio.run(fill(servers, plants))
        time.sleep(2)
        for name, program, topic, part in CASES:
            told = read(program, servers, topic, total // part, scratch)
            rate = round(told["events"] / told["seconds"])
            yield {"bench": "stream", "case": name, "events": told["events"], "bytes": size, "events_per_second": rate}
