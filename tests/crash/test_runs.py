"""Kill -9 before and after each step of a run that reads, acts and notifies: after a restart each effect has happened once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from agents.run import RunState
from streams.crashpoints import CrashPoint
from streams.mqtt import Address, EmbeddedBroker, connect
from streams.topics import Topics
from tests.streams.api.serving import CLOCK, event, plant
from tests.streams.phrasebook import permits
from tests.waiting import HUNG

SITE = "crash"
TEXT = "stop pump-1 and tell maintenance"
STEPS = 6
"""Of the run: each of its three tasks begins and ends."""
KEY = {"idempotency-key": "the-only-one"}


class World:
    """What is outside of the service and outlives it: the broker, a device that answers, a receiver of messages."""

    def __init__(self, address: Address, hook: str) -> None:
        self.address = address
        self.hook = hook
        self.commands: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    async def device(self, told: Any) -> None:
        async for message in told.messages():
            action = msgspec.json.decode(message.payload)
            self.commands[action["actionId"]] += 1
            message.ack()
            answer = {"actionId": action["actionId"], "deviceId": action["deviceId"], "status": "succeeded"}
            await self.publish(told, [event("action.result", **answer)])

    async def publish(self, connection: Any, events: list[dict[str, Any]]) -> None:
        """Later than what was published before, and one that is a little later still, so that they are looked at."""
        at, later = CLOCK.next()
        sent = [one | {"time": at} for one in events] + [event("device.log", deviceId="pump-1", text="tick") | {"time": later}]
        await connection.publish(Topics(SITE).gateway("gw-1"), msgspec.json.encode(sent))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A webhook's receiver: counts the keys that it was sent."""
        head = await reader.readuntil(b"\r\n\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))}
        await reader.readexactly(int(fields["content-length"]))
        self.messages[fields["idempotency-key"]] += 1
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with EmbeddedBroker("127.0.0.1", 0) as broker:
        address = Address("127.0.0.1", broker.port)
        found = World(address, "")
        receiver = await asyncio.start_server(found.answer, "127.0.0.1", 0)
        found.hook = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/"
        async with receiver, connect(address, "device", [f"openautoglm/{SITE}/commands/#"]) as told:
            answering = asyncio.ensure_future(found.device(told))
            try:
                yield found
            finally:
                answering.cancel()


@asynccontextmanager
async def service(data: Path, outside: World, crash_at: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        **os.environ,
        "OPENAUTOGLM_DATA": str(data),
        "OPENAUTOGLM_SITE": SITE,
        "OPENAUTOGLM_POLICY": str(permits(data / "policy")),
        "OPENAUTOGLM_MQTT_HOST": outside.address.host,
        "OPENAUTOGLM_MQTT_PORT": str(outside.address.port),
        "OPENAUTOGLM_ALLOWED_LATENESS": "0",
        "OPENAUTOGLM_CHECKPOINT_EVERY": "0.2",
        "OPENAUTOGLM_API_PORT": "0",
        "OPENAUTOGLM_CONSOLE": "false",
        "OPENAUTOGLM_WEBHOOKS": msgspec.json.encode({"notify": outside.hook}).decode(),
    } | ({"OPENAUTOGLM_CRASH_AT": crash_at} if crash_at else {})
    with (data / "messages.txt").open("ab") as messages:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.instructed", env=environment, stderr=messages
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), HUNG)


@asynccontextmanager
async def client(data: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Once the service answers, and is where gateways are heard: what is published before that is lost."""
    while True:
        if (data / "address").is_file() and (address := (data / "address").read_text()):
            async with httpx.AsyncClient(base_url=address, timeout=HUNG, trust_env=False) as found:
                if await ready(found):
                    yield found
                    return
        await asyncio.sleep(0.1)


async def ready(api: httpx.AsyncClient) -> bool:
    try:
        return (await api.get("/ready")).is_success
    except httpx.TransportError:
        return False


async def known(api: httpx.AsyncClient) -> None:
    """Until the plant is there."""
    while (await api.get("/v1/devices/pump-1")).status_code != httpx.codes.OK:
        await asyncio.sleep(0.05)


async def asked(data: Path, outside: World) -> None:
    """Give the instruction; the service dies of it."""
    async with connect(outside.address, "gateway") as gateway, client(data) as api:
        await outside.publish(gateway, plant())
        await known(api)
        try:
            await api.post("/v1/instructions", json={"text": TEXT, "run": True}, headers=KEY)
        except httpx.TransportError:
            return


async def ended(api: httpx.AsyncClient) -> dict[str, Any]:
    """The one run that there is, once it has ended."""
    while True:
        (brief,) = (await api.get("/v1/instructions")).json()["items"]
        if RunState(brief["state"]).is_final:
            run: dict[str, Any] = (await api.get(f"/v1/instructions/{brief['runId']}")).json()
            return run
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("place", range(1, STEPS + 1))
@pytest.mark.parametrize("point", [CrashPoint.STEP_DUE, CrashPoint.STEP_KEPT])
async def test_killed_at_a_step(point: CrashPoint, place: int, tmp_path: Path) -> None:
    async with asyncio.timeout(HUNG), world() as outside:
        async with service(tmp_path, outside, f"{point}:{place}") as first:
            await asked(tmp_path, outside)
            assert await first.wait() == -signal.SIGKILL
        (tmp_path / "address").unlink(missing_ok=True)
        async with service(tmp_path, outside), client(tmp_path) as api:
            run = await ended(api)
            assert (run["state"], [task["state"] for task in run["tasks"]]) == ("succeeded", ["succeeded"] * 3), run
            steps = (await api.get(f"/v1/instructions/{run['runId']}/trace")).json()["items"]
            told = await _told(api, run["runId"])
    assert list(outside.commands.values()) == list(outside.messages.values()) == [1]
    assert [step["state"] for step in steps].count("succeeded") == 3
    assert told[-1] == ("succeeded", None)
    assert {key for state, key in told if state == "succeeded"} == {"look", "stop", "tell", None}


async def _told(api: httpx.AsyncClient, run_id: str) -> list[tuple[str, str | None]]:
    """All that subscribers are told of the run, whatever died in between."""
    found: list[tuple[str, str | None]] = []
    async with api.stream("GET", "/v1/events", params={"kind": "runs", "since": 0}) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                row = msgspec.json.decode(line.removeprefix("data: "))
                assert row["runId"] == run_id
                found.append((row["state"], row.get("task")))
                if "task" not in row and RunState(row["state"]).is_final:
                    break
    return found
