"""From publishing on MQTT to the alarm's message, with the whole service between, beside a bare round trip through its broker.

The service and its embedded broker run in this process, the sensors (`tests.bench.sensors`) in another.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from graph.detection.model import Model
from graph.detection.training import train
from streams.service import Service
from streams.settings import Settings
from tests.bench.plant import readings
from tests.bench.sensors import SITE, STEP, Times

DEVICES = (10, 20)
"""Sensors; each sends a hundred readings a second."""
LATENESS = 0.0
TRAINED_ON = 3000


def model(devices: int) -> Model:
    return train([readings(devices, TRAINED_ON, seed=seed, step=STEP) for seed in (2, 3)])


async def measured(data: Path, devices: int, trained: Model) -> Times:
    settings = Settings(data=data, site=SITE, mqtt_port=0, api=False, allowed_lateness=LATENESS)
    async with Service(settings, model=trained).started() as parts:
        await parts.gateway.connected.wait()
        command = (sys.executable, "-m", "tests.bench.sensors", str(parts.address.port), str(devices))
        client = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await client.communicate()
    return msgspec.json.decode(out, type=Times)


def rows(devices: int, times: Times) -> list[dict[str, Any]]:
    return [
        {
            "bench": "latency",
            "case": case,
            "devices": devices,
            "events_per_second": round(times.sent / times.seconds),
            "messages_per_second": round(1e6 / STEP),
            "allowed_lateness": LATENESS,
            "count": len(found),
            "p50_ms": round(float(np.percentile(found, 50)), 1),
            "p99_ms": round(float(np.percentile(found, 99)), 1),
        }
        for case, found in (
            ("alarm of the control system", times.alarms),
            ("alarm of the detector, from its step", times.detector),
            ("bare round trip through the same broker", times.echo),
        )
        if found
    ]


def run() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for devices in DEVICES:
        trained = model(devices)
        with TemporaryDirectory() as scratch:
            found += rows(devices, asyncio.run(measured(Path(scratch), devices, trained)))
    return found
