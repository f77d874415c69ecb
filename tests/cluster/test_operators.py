"""Operators and subscribers on Kafka: the gateway of a site keeps its alarms, and tells the cluster what becomes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import msgspec
import pytest

from schemas.alarm import Transition, Verb
from streams.mqtt import Address, connect
from tests.cluster.harness import Harness, Process
from tests.services import free_port
from tests.streams.api.serving import PUMP, answering, event
from tests.waiting import HUNG

pytestmark = pytest.mark.xdist_group("kafka")
SITE = "operated"


async def test_an_alarm_is_acknowledged_at_the_gateway_and_told_to_the_cluster(harness: Harness, tmp_path: Path) -> None:
    http, mqtt = free_port(), free_port()
    settings = harness.settings(site=SITE, data=tmp_path / "gateway", api_port=http, mqtt_port=mqtt, api_auth="off")
    gateway = await Process("gateway", "gateway", tmp_path, settings).start()
    await harness.worker(allowed_lateness=0)
    try:
        at = httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}", timeout=HUNG, trust_env=False)
        async with asyncio.timeout(HUNG), at as client:
            await answering(client, "/ready")
            async with connect(Address("127.0.0.1", mqtt), "operators") as sender:
                raised = event("device.alarm", deviceId=PUMP, alarm="dry", active=True)
                later = event("device.log", deviceId=PUMP, text="tick") | {"time": "2026-01-05T12:00:10Z"}
                await sender.publish(f"openautoglm/{SITE}/events/gw-1", msgspec.json.encode([raised, later]))
            while not (alarms := (await client.get("/v1/alarms")).json()["items"]):
                await asyncio.sleep(0.2)
            name = alarms[0]["alarm"]["alarmId"]
            done = await client.post(f"/v1/alarms/{name}/acknowledge", json={"reason": "seen"})
            assert done.json()["alarm"]["state"] == "acknowledged"
            while len(told := [t for t in await _told(harness) if t.alarm.alarm_id == name]) < 2:
                await asyncio.sleep(0.2)
            assert [step.verb for step in told] == [Verb.RAISE, Verb.ACKNOWLEDGE]
            assert (told[1].actor, told[1].reason) == ("local", "seen")
            assert (await client.get("/ready")).json()["ready"] is True
            here = await client.get("/v1/signals", params={"device": PUMP})
            assert (here.status_code, "no live graph" in here.json()["detail"]) == (404, True)
    finally:
        await gateway.end()


async def _told(harness: Harness) -> list[Transition]:
    return [msgspec.json.decode(value, type=Transition) for key, value in await harness.told("alarms") if key == SITE]
