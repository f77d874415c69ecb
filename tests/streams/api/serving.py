"""A service with its API on a free port, a plant in it, and clients of every role."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from graph.detection.model import Model
from schemas.action import moment
from schemas.device import DeviceId
from schemas.event import Micros, rfc3339
from streams.access import Keys
from streams.folder import Folder
from streams.instructions import Interpreter
from streams.mqtt import Connection
from streams.roles import Role
from streams.service import Parts
from tests.e2e.service import SITE, running
from tests.waiting import HUNG, until

PUMP, PIPE, TANK = (DeviceId(name) for name in ("pump-1", "pipe-1", "tank-1"))
TOPIC = f"openautoglm/{SITE}/events/gw-1"


class Served(NamedTuple):
    parts: Parts
    mqtt: Connection
    clients: dict[Role | None, httpx.AsyncClient]
    """By role; None is who shows no key."""

    @property
    def client(self) -> httpx.AsyncClient:
        return self.clients[Role.ADMIN]

    async def publish(self, events: Sequence[dict[str, Any]]) -> str:
        """Ten seconds after what was published last, and wait until they are in the graph; their time."""
        at, later = CLOCK.next()
        sent = [one | {"time": at} for one in events] + [event("device.log", deviceId=PUMP, text="tick") | {"time": later}]
        await self.mqtt.publish(TOPIC, msgspec.json.encode(sent))
        pipeline = self.parts.analysis.pipeline
        await until(lambda: pipeline.watermark >= moment(later) and not self.parts.analysis.busy)
        return at

    async def alarm(self, device: str = PUMP, name: str = "dry", *, active: bool = True) -> str:
        """Raise or clear one of the control system's; its id."""
        await self.publish([event("device.alarm", deviceId=device, alarm=name, active=active, severity="high")])
        await until(lambda: self.parts.feed.newest == self.parts.store.last())
        return next(
            alarm.alarm_id
            for alarm in self.parts.journal.annunciator.alarms()
            if (alarm.device_id, alarm.condition) == (device, f"control:{name}")
        )


class Clock:
    """Event time goes on with each publication, so that nothing is late."""

    def __init__(self) -> None:
        self._at = moment("2026-01-05T12:00:00Z")

    def next(self) -> tuple[str, str]:
        """The time of the next events, and one after it."""
        self._at = Micros(self._at + 10_000_000)
        return rfc3339(self._at), rfc3339(Micros(self._at + 1_000_000))


CLOCK = Clock()
NUMBERS = itertools.count()


def event(kind: str, **data: Any) -> dict[str, Any]:
    """Each call another event."""
    return {
        "specversion": "1.0",
        "id": f"e-{next(NUMBERS)}",
        "source": f"/plants/{SITE}/gateways/gw-1",
        "type": kind,
        "time": "2026-01-05T12:00:00Z",
        "data": data,
    }


def plant() -> list[dict[str, Any]]:
    """A pump feeds a pipe feeds a tank; each in its zone, each with a signal."""
    devices = [(PUMP, "pump", "north", "flow"), (PIPE, "pipe", "north", "flow"), (TANK, "tank", "south", "level")]
    signal = {"kind": "numeric", "unit": "m"}
    connected = [
        event("device.connected", deviceId=name, type=kind, zone=zone, signals=[{"name": quantity, **signal}])
        for name, kind, zone, quantity in devices
    ]
    links = [event("device.linked", source=one, target=other, relation="FEEDS") for one, other in ((PUMP, PIPE), (PIPE, TANK))]
    readings = [event("device.telemetry", deviceId=TANK, values={"level": 2.5})]
    return connected + links + readings


@asynccontextmanager
async def served(
    data: Path, *, model: Model | None = None, interpreter: Interpreter | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """With the plant in it. Keys are needed, and there is one of each role."""
    with closing(Keys(Folder(data).access)) as keys:
        texts: dict[Role | None, str | None] = {None: None, **{role: keys.add(role, role) for role in Role}}
    defaults = {"api": True, "api_port": 0, "console": False, "api_auth": "required", "allowed_lateness": 0}
    async with AsyncExitStack() as stack:
        parts, mqtt = await stack.enter_async_context(
            running(data, model=model, interpreter=interpreter, **{**defaults, **settings})
        )
        clients = {}
        for role, text in texts.items():
            headers = {} if text is None else {"authorization": f"Bearer {text}"}
            clients[role] = await stack.enter_async_context(
                httpx.AsyncClient(base_url=str(parts.url), headers=headers, timeout=HUNG, trust_env=False)
            )
        found = Served(parts, mqtt, clients)
        await answering(found.client)
        await found.publish(plant())
        yield found


async def answering(client: httpx.AsyncClient, path: str = "/health") -> None:
    """Until the API answers; on `/ready`: until gateways are heard, too. What they publish before that is lost."""
    async with asyncio.timeout(HUNG):
        while True:
            try:
                if (await client.get(path)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
