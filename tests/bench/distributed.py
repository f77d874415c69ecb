"""From publishing on MQTT to the alarm's message through gateway, Kafka and worker: four processes and a broker between."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from graph.detection.model import save
from tests.bench.latency import DEVICES, model, rows
from tests.bench.sensors import SITE, Times
from tests.cluster.harness import Harness, Process
from tests.services import running


async def measured(folder: Path, devices: int, kafka: int, mqtt: int) -> Times:
    save(model(devices), folder / f"model-{devices}")
    harness = Harness(f"127.0.0.1:{kafka}", f"latency{devices}", folder, folder / f"model-{devices}", partitions=1)
    at = {"mqtt_host": "127.0.0.1", "mqtt_port": mqtt, "site": SITE, "data": folder / f"gateway-{devices}"}
    gateway = await Process("gateway", f"gateway-{devices}", folder, harness.settings(**at)).start()
    await harness.worker(allowed_lateness=0, checkpoint_every=5)
    try:
        await harness.workers[0].said("holding partitions")
        await gateway.said("MQTT on")
        command = (sys.executable, "-m", "tests.bench.sensors", str(mqtt), str(devices))
        client = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await client.communicate()
    finally:
        await harness.end()
        await gateway.end()
    return msgspec.json.decode(out, type=Times)


def run() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with running("kafka", folder / "kafka") as kafka, running("mosquitto", folder / "mosquitto") as mosquitto:
            for devices in DEVICES:
                times = asyncio.run(measured(folder, devices, kafka.port, mosquitto.port))
                found += [row | {"bench": "distributed"} for row in rows(devices, times)]
    return found
