"""One plant, every way to be told: each subscriber hears the same story once, over a restart of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
from standardwebhooks import Webhook

from graph.detection.training import train
from streams.findings import Kind
from streams.mqtt import Address, connect
from streams.publisher import SUBSCRIBER
from streams.webhooks.log import State
from tests.e2e.service import SITE
from tests.streams.api.serving import TANK, TOPIC, Served, served
from tests.streams.api.test_events import parsed
from tests.streams.plant import START, recording, wire
from tests.streams.webhooks.receiver import Receiver, receiving
from tests.waiting import HUNG, taken_in, until

Story = list[tuple[str, int]]
"""Alarms with the versions in which they were told."""


def step(transition: dict[str, Any]) -> tuple[str, int]:
    alarm = transition["alarm"]
    return alarm["alarmId"], alarm.get("version", 1)


@asynccontextmanager
async def heard_by_mqtt(address: Address, story: Story) -> AsyncIterator[None]:
    async def hear() -> None:
        async with connect(address, "listener", [f"openautoglm/{SITE}/alarms"]) as connection:
            listening.set()
            async for message in connection.messages():
                story.append(step(msgspec.json.decode(message.payload)))
                message.ack()

    listening = asyncio.Event()
    task = asyncio.ensure_future(hear())
    await listening.wait()
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def heard_by_events(client: httpx.AsyncClient, story: Story, last: list[int]) -> AsyncIterator[None]:
    async def hear() -> None:
        headers = {"last-event-id": str(last[-1])} if last else {}
        timeout = httpx.Timeout(10, read=None)
        query = {"since": "0", "kind": "alarms"}
        async with client.stream("GET", "/v1/events", params=query, headers=headers, timeout=timeout) as response:
            async for one in parsed(response.aiter_lines()):
                story.append(step(one.data))
                last.append(one.number)

    task = asyncio.ensure_future(hear())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, httpx.HTTPError):
            await task


def posted(receiver: Receiver, secret: str) -> Story:
    """Each body verified as a receiver does; each `webhook-id` once."""
    bodies = {request.id: Webhook(secret).verify(request.body, request.headers) for request in receiver.requests}
    assert all(body["type"] == "alarm.transition" for body in bodies.values())
    return sorted(step(body["data"]) for body in bodies.values())


async def live(api: Served, name: str) -> None:
    """Raise, acknowledge and clear an alarm."""
    alarm = await api.alarm(TANK, name)
    await api.client.post(f"/v1/alarms/{alarm}/acknowledge")
    await api.alarm(TANK, name, active=False)


async def same(api: Served, by_mqtt: Story, by_events: Story, by_post: Callable[[], Story]) -> None:
    """Until all have heard what is on record, and that is noted: what is not, is told again after a restart."""
    story = sorted(step(msgspec.json.decode(body)) for body in api.parts.store.every(Kind.ALARMS))
    await until(lambda: sorted(by_mqtt) == sorted(by_events) == by_post() == story)
    async with asyncio.timeout(HUNG):
        while not await noted(api):
            await asyncio.sleep(0.005)


async def noted(api: Served) -> bool:
    webhooks, untold = api.parts.webhooks, await api.parts.store.untold(SUBSCRIBER, 1)
    posts = [post for webhook in await webhooks.all() for post in await webhooks.deliveries(webhook.id, limit=1000)]
    return not untold and {post.state for post in posts} == {State.DELIVERED}


async def test_every_subscriber_is_told_the_same_once(tmp_path: Path) -> None:
    by_mqtt, by_events, last = Story(), Story(), list[int]()
    async with receiving() as receiver:
        secret = ""
        for name in ("low", "leaking"):
            async with served(tmp_path, webhook_private=["127.0.0.1"]) as api:
                if not secret:
                    made = await api.client.post("/v1/webhooks", json={"url": receiver.url, "filter": {"kinds": ["alarms"]}})
                    secret = made.json()["secret"]
                async with heard_by_mqtt(api.parts.address, by_mqtt), heard_by_events(api.client, by_events, last):
                    await live(api, name)
                    await same(api, by_mqtt, by_events, partial(posted, receiver, secret))
    assert len(by_mqtt) == len(set(by_mqtt)) >= 6
    assert len(receiver.requests) == len(by_events) == len(set(by_events))


async def test_a_fault_on_a_recorded_day_is_one_alarm_with_its_path(tmp_path: Path) -> None:
    """Its consequences hang under it, and only it asks for an operator."""
    model = train([recording(300, seed=seed) for seed in (2, 3)])
    async with served(tmp_path, model=model) as api:
        before = api.parts.analysis.pipeline.counts.accepted
        day = [wire(one) for one in recording(120, seed=4, broken_from=60, start=START + 86_400_000_000)]
        for at in range(0, len(day), 100):
            await api.mqtt.publish(TOPIC, msgspec.json.encode(day[at : at + 100]))
        await taken_in(api.parts.analysis, before + len(day))
        (fault,) = (await api.client.get("/v1/faults", params={"open": True})).json()["items"]
        alarms = [item["alarm"] for item in (await api.client.get("/v1/alarms")).json()["items"]]
        ours = [alarm for alarm in alarms if alarm["alert"].get("faultId") == fault["faultId"]]
        (parent,) = [alarm for alarm in ours if alarm["condition"] == "fault"]
        under = [alarm for alarm in ours if alarm["alert"].get("suppressedBy") == parent["alert"]["alertId"]]
        assert len(under) == len(ours) - 1 >= 2
        asking = [item["alarm"] for item in (await api.client.get("/v1/alarms?annunciated=true")).json()["items"]]
        assert [alarm for alarm in asking if alarm in ours] == [parent]
        path = {(way["source"], way["target"]) for way in fault["path"]}
        edges = {(edge["source"], edge["target"]) for edge in (await api.client.get("/v1/topology")).json()["edges"]}
        assert path
        assert path <= edges
        trace = (await api.client.get("/v1/trace", params={"device": "pipe-1", "signal": "level"})).json()["points"]
        known = [point for point in trace if point["value"] is not None]
        assert max(point["surprise"] for point in known) > 1
        assert any(not point["low"] <= point["value"] <= point["high"] for point in known)
        done = await api.client.post(f"/v1/alarms/{parent['alarmId']}/acknowledge")
        assert done.status_code == 200
        found = {item["alarm"]["alarmId"]: item["alarm"] for item in (await api.client.get("/v1/alarms")).json()["items"]}
        assert all(found[alarm["alarmId"]]["acknowledged"] for alarm in ours)
