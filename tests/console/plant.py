"""A service as a process of its own, a plant that is told to it over MQTT, and findings that are there from the start."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from schemas.device import DeviceId, Relation
from schemas.event import Micros, micros, rfc3339
from schemas.finding import Affected, Fault, Forecast, Origin, PathStep
from streams.access import Keys
from streams.findings import FindingStore
from streams.folder import Folder
from streams.mqtt import Address, connect
from streams.roles import Role
from tests.services import free_port
from tests.waiting import HUNG

SITE = "console"
SOURCE = f"/plants/{SITE}/gateways/gw-1"
TOPIC = f"openautoglm/{SITE}/events/gw-1"
MOST = 500
"""Events in a message."""
FAULT = "fault-1"
LINE = ("pump-1", "valve-1", "tank-1", "pump-2", "valve-2", "tank-2")
NUMBERS = itertools.count()
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
"""When the time of every plant here begins."""


class Clock:
    """A plant's time: it goes on by a minute with each message, so it stays before the wall clock's."""

    def __init__(self) -> None:
        self.now = micros(BEGAN)

    def later(self, minutes: int) -> str:
        self.now = Micros(self.now + minutes * 60_000_000)
        return rfc3339(self.now)

    @property
    def minutes(self) -> int:
        """Since it began."""
        return (self.now - micros(BEGAN)) // 60_000_000


class Served(NamedTuple):
    """`keys` by role, for a service that asks for them."""

    url: str
    mqtt: Address
    data: Path
    keys: dict[Role, str]
    clock: Clock

    def publish(self, events: Sequence[dict[str, Any]], *, minutes: int = 1) -> None:
        """Later than all that was published before; what it changes is in the graph soon after."""
        # The browser's driver has a loop in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._publish(events, minutes)).result()

    async def _publish(self, events: Sequence[dict[str, Any]], minutes: int) -> None:
        at = self.clock.later(minutes)
        sent = [event | {"time": at} for event in events]
        last = told("device.log", deviceId=_subject(events), text="tick") | {
            "time": rfc3339(Micros(self.clock.now + 1_000_000))
        }
        async with connect(self.mqtt, f"console-tests-{next(NUMBERS)}") as client:
            for start in range(0, len(sent), MOST):
                await client.publish(TOPIC, msgspec.json.encode(sent[start : start + MOST]))
            await client.publish(TOPIC, msgspec.json.encode([last]))

    def alarm(self, device: str, name: str, *, active: bool = True, severity: str = "high", text: str = "") -> None:
        self.publish([told("device.alarm", deviceId=device, alarm=name, active=active, severity=severity, text=text)])


def _subject(events: Sequence[dict[str, Any]]) -> str:
    """A device that is known, for the event that lets time pass."""
    return next((str(event["data"]["deviceId"]) for event in events if "deviceId" in event["data"]), LINE[0])


def told(kind: str, **data: Any) -> dict[str, Any]:
    """An event; each call another."""
    return {"specversion": "1.0", "id": f"e-{next(NUMBERS)}", "source": SOURCE, "type": kind, "data": data}


def connected(device: str, kind: str, *, zone: str | None = "north", signals: Sequence[str] = ("flow",)) -> dict[str, Any]:
    listed = [{"name": name, "kind": "numeric", "unit": "m3/h"} for name in signals]
    return told("device.connected", deviceId=device, type=kind, signals=listed, **({} if zone is None else {"zone": zone}))


def linked(source: str, target: str, relation: str = "FEEDS") -> dict[str, Any]:
    return told("device.linked", source=source, target=target, relation=relation)


def small_plant() -> list[dict[str, Any]]:
    """Two zones of three devices in one line, and a controller."""
    devices = [connected(name, name.split("-")[0], zone="north" if name.endswith("1") else "south") for name in LINE]
    edges = [linked(one, other) for one, other in itertools.pairwise(LINE)]
    return [*devices, connected("plc-1", "controller"), linked("plc-1", "pump-1", "CONTROLS"), *edges]


def large_plant(count: int, *, zones: int) -> list[dict[str, Any]]:
    """`zones` lines of equal length, each linked to the next."""
    names = [f"dev-{number:05}" for number in range(count)]
    kinds = itertools.cycle(("pump", "pipe", "valve", "tank", "sensor"))
    devices = [
        connected(name, kind, zone=f"area-{place * zones // count:02}" if zones else None, signals=())
        for place, (name, kind) in enumerate(zip(names, kinds, strict=False))
    ]
    return [*devices, *(linked(one, other) for one, other in itertools.pairwise(names))]


def fault(minutes: int = 0) -> Fault:
    """A fault that began at the pump and went to the tank; later it is known that it goes on."""

    def at(after: int) -> str:
        return rfc3339(micros(BEGAN + timedelta(minutes=after)))

    devices = [DeviceId(name) for name in LINE]
    later = minutes > 0
    return Fault(
        fault_id=FAULT,
        opened_at=at(2),
        updated_at=at(3 + minutes),
        origins=(Origin(devices[0], 0.7), Origin(devices[1], 0.2), Origin(devices[3], 0.05), Origin(devices[5], 0.02)),
        affected=tuple(Affected(device, at(2 + 5 * place)) for place, device in enumerate(devices[: 3 if later else 1])),
        path=tuple(
            PathStep(devices[place], devices[place + 1], Relation.FEEDS, 300.0, 0.9) for place in range(2 if later else 0)
        ),
        forecast=(Forecast(devices[3], at(40), 0.6),) if later else (),
    )


@contextmanager
def serving(data: Path, *, model: Path | None = None, faults: Sequence[Fault] = (), **settings: str) -> Iterator[Served]:
    """A service until the block ends. Settings as the environment names them."""
    folder = Folder(data)
    data.mkdir(parents=True, exist_ok=True)
    with closing(FindingStore(folder.findings)) as store, ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, store.add(faults)).result()
    with closing(Keys(folder.access)) as access:
        keys = {role: access.add(f"{role}-anna", role) for role in Role}
    http, mqtt = free_port(), free_port()
    chosen = {"API_PORT": str(http), "MQTT_PORT": str(mqtt), "ALLOWED_LATENESS": "0", **settings}
    environment = os.environ | {f"OPENAUTOGLM_{name}": value for name, value in chosen.items()}
    command = [sys.executable, "-m", "streams.cli", "serve", "--data", str(data), "--site", SITE]
    with (
        (data.parent / f"{data.name}.log").open("wb") as log,
        subprocess.Popen(
            command + (["--model", str(model)] if model is not None else []), env=environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            served = Served(f"http://127.0.0.1:{http}", Address("127.0.0.1", mqtt), data, keys, Clock())
            _wait(served.url, process)
            yield served
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], *, seconds: float = HUNG) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert process.poll() is None, "the service has ended"
        try:
            httpx.get(f"{url}/ready", timeout=HUNG).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)
