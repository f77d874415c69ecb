"""Actions on Kafka: a worker asks with what it knows of the device, the site's gateway decides, sends once, and hears back."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from schemas.event import Micros, rfc3339
from schemas.facts import Request
from streams.folder import Folder
from streams.ledger import audit_trail
from streams.mqtt import Address, Connection, connect
from streams.requestbook import RequestBook
from tests.cluster.harness import Harness, Process
from tests.services import free_port
from tests.streams.api.serving import answering, event
from tests.streams.phrasebook import permits
from tests.waiting import HUNG, until

pytestmark = pytest.mark.xdist_group("kafka")
SITE = "acting"
RUNBOOK = """\
version: 1
rules:
  - {name: isolate, when: {condition: "control:leak"}, then: [{verb: isolate, target: device, expires: 600}]}
  - {name: close, when: {condition: "control:risk"}, then: [{verb: close, target: device, expires: 600}]}
"""
RULES = """\
@id("isolate")
permit (principal is Runbook, action == Action::"isolate", resource is Device)
when { resource.type == "pipe" && resource.zone == "north" && resource.connected && context.blast.complete };
@id("close") @approval("person")
permit (principal is Runbook, action == Action::"close", resource is Device);
@id("protected")
forbid (principal, action, resource is Device) when { context.blast.protected > 0 };
"""
PLANT = """\
version: 1
types: {pipe: ["pipe-*"], tank: ["tank-*"]}
protected: {devices: ["tank-*"]}
blast: {verbs: [isolate, close]}
"""


class Device:
    """All devices of the plant: what they were told, and what they answer."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.answers = True

    def counts(self) -> Counter[str]:
        return Counter(action["actionId"] for action in self.told)

    async def obey(self, commands: Connection, plant: Plant) -> None:
        async for message in commands.messages():
            action = msgspec.json.decode(message.payload)
            self.told.append(action)
            message.ack()
            if self.answers:
                answer = {"actionId": action["actionId"], "deviceId": action["deviceId"], "status": "succeeded"}
                await plant.publish(event("action.result", **answer, detail="valve shut"))


class Plant:
    """Publishes as a gateway at the edge does; each time later."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender
        self._at = 1_767_614_400_000_000

    async def publish(self, *events: dict[str, Any]) -> None:
        self._at += 2_000_000
        at, later = (rfc3339(Micros(self._at + more)) for more in (0, 1_000_000))
        tick = event("device.log", deviceId="pipe-1", text="tick") | {"time": later}
        sent = [*(one | {"time": at} for one in events), tick]
        await self._sender.publish(f"openautoglm/{SITE}/events/gw-1", msgspec.json.encode(sent))


class Site:
    def __init__(self, plant: Plant, device: Device, client: httpx.AsyncClient, gateway: Process, data: Path) -> None:
        self.plant, self.device, self.client, self.gateway, self.data = plant, device, client, gateway, data

    async def actions(self, device: str) -> list[dict[str, Any]]:
        items = (await self.client.get("/v1/actions")).json()["items"]
        return [one for one in items if one["action"]["deviceId"] == device]

    async def until(self, device: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            found = await self.actions(device)
            if found and true(found[0]):
                return found[0]
            await asyncio.sleep(0.1)


@asynccontextmanager
async def site(harness: Harness, tmp_path: Path) -> AsyncIterator[Site]:
    http, mqtt, data = free_port(), free_port(), tmp_path / "gateway"
    policy = permits(tmp_path / "policy", RULES)
    (policy / "plant.yaml").write_text(PLANT, encoding="utf-8")
    (tmp_path / "runbook.yaml").write_text(RUNBOOK, encoding="utf-8")
    settings = harness.settings(site=SITE, data=data, api_port=http, mqtt_port=mqtt, api_auth="off", policy=policy)
    gateway = await Process("gateway", "gateway", tmp_path, settings).start()
    await harness.worker(allowed_lateness=0, runbook=tmp_path / "runbook.yaml")
    device = Device()
    try:
        at = httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}", timeout=HUNG, trust_env=False)
        async with asyncio.timeout(HUNG), at as client:
            await answering(client, "/ready")
            address = Address("127.0.0.1", mqtt)
            async with (
                connect(address, "edge") as sender,
                connect(address, "valves", [f"openautoglm/{SITE}/commands/#"]) as valves,
            ):
                plant = Plant(sender)
                obeying = asyncio.create_task(device.obey(valves, plant))
                yield Site(plant, device, client, gateway, data)
                obeying.cancel()
    finally:
        await gateway.end()


def born(name: str, *, zone: str = "north") -> dict[str, Any]:
    return event("device.connected", deviceId=name, type=name.partition("-")[0], zone=zone)


def alarm(device: str, name: str) -> dict[str, Any]:
    return event("device.alarm", deviceId=device, alarm=name, active=True, severity="high")


async def test_the_whole_way_from_an_alarm_to_a_device_and_back(harness: Harness, tmp_path: Path) -> None:
    async with site(harness, tmp_path) as there:
        fed = event("device.linked", source="pipe-3", target="tank-1", relation="FEEDS")
        names = ("pipe-1", "pipe-2", "pipe-3", "pipe-4")
        await there.plant.publish(*map(born, names), born("pipe-5", zone="south"), born("tank-1"), fed)
        await there.plant.publish(*(alarm(name, "leak") for name in ("pipe-1", "pipe-3", "pipe-5")), alarm("pipe-2", "risk"))
        done = await there.until("pipe-1", lambda one: one["stage"] == "succeeded")
        assert (done["rule"], done["detail"]) == ("isolate", "valve shut")
        refused = await there.until("pipe-3", lambda one: one["stage"] == "refused")
        assert refused["rule"] == "protected", "it would take a protected tank with it"
        await there.until("pipe-5", lambda one: one["stage"] == "refused")
        waits = await there.until("pipe-2", lambda one: one["stage"] == "waiting")
        assert {action["deviceId"] for action in there.device.told} == {"pipe-1"}
        approved = await there.client.post(f"/v1/actions/{waits['action']['actionId']}/approve")
        assert approved.status_code == 200
        await there.until("pipe-2", lambda one: one["stage"] == "succeeded")
        asked = [msgspec.json.decode(value, type=Request) for key, value in await harness.told("actions") if key == SITE]
        facts = {str(request.device_id): request.facts for request in asked}
        assert [one.device_id for one in facts["pipe-3"].down] == ["tank-1"]
        assert "facts" not in there.device.told[0]

        there.device.answers = False
        await there.plant.publish(alarm("pipe-4", "leak"))
        await there.until("pipe-4", lambda one: one["stage"] == "sent")
        await until(lambda: any(action["deviceId"] == "pipe-4" for action in there.device.told))
        before = there.device.counts()
        await there.gateway.end(signal.SIGKILL)
        # Whatever was read before is read again: nothing is sent twice.
        folder = Folder(there.data)
        for path in there.data.glob("requests.db*"):
            path.unlink()
        await there.gateway.start()
        await answering(there.client, "/ready")
        with closing(RequestBook(folder.requests)) as book:
            while not book.position(harness.names.findings("actions")):
                await asyncio.sleep(0.1)
        late = await there.until("pipe-4", lambda one: one["stage"] in {"sent", "unknown", "expired"})
        assert late["action"]["deviceId"] == "pipe-4"
        assert there.device.counts() == before
        assert set(before.values()) == {1}
        assert (await there.client.get("/ready")).json()["checks"]["actions"] == ""
    with audit_trail(folder.ledger) as trail:
        assert trail.verify().number > 0
