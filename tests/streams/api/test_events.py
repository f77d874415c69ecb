"""Server-sent events: in order, filtered, resumed without gap or repeat, also over a service that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from schemas.finding import Alert
from streams.feed import KEPT
from streams.findings import FindingStore, Kind
from streams.folder import Folder
from streams.mqtt import Address, Connection, connect
from streams.outbox import Outbox
from tests.services import free_port
from tests.streams.api.serving import PIPE, PUMP, TANK, Served, answering, event, served
from tests.waiting import HUNG, until


class Event(NamedTuple):
    number: int
    kind: str
    data: dict[str, Any]


async def parsed(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """As a browser reads them (HTML standard, 9.2.6), as far as we use it."""
    held: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            held[name] = value.removeprefix(" ")
            continue
        if "data" in held:
            yield Event(int(held["id"]), held["event"], msgspec.json.decode(held["data"]))
        held = {}


async def some(client: httpx.AsyncClient, count: int, *, last: int | None = None, **query: Any) -> list[Event]:
    headers = {} if last is None else {"last-event-id": str(last)}
    found: list[Event] = []
    async with asyncio.timeout(HUNG), client.stream("GET", "/v1/events", params=query, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for one in parsed(response.aiter_lines()):
            # The detector finds alarms strange that it has not seen before, and raises its own.
            if one.data.get("alarm", one.data).get("condition") != "anomaly":
                found.append(one)
            if len(found) == count:
                return found
    raise AssertionError("the stream ended")


@pytest.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("api")) as found:
        yield found


async def test_what_happens_comes_at_once_and_in_order(api: Served) -> None:
    begin = api.parts.feed.newest
    listening = asyncio.ensure_future(some(api.client, 4, since=begin))
    name = await api.alarm(TANK, "low")
    await api.client.post(f"/v1/alarms/{name}/acknowledge")
    await api.alarm(TANK, "low", active=False)
    found = await listening
    assert [one.kind for one in found] == ["alerts", "alarms", "alarms", "alerts"]
    assert [one.number for one in found] == sorted(one.number for one in found)


async def test_a_client_that_comes_back_goes_on_where_it_was(api: Served) -> None:
    for name in ("a", "b", "c"):
        await api.alarm(TANK, name)
    everything = await some(api.client, 6, since=0)
    for place, one in enumerate(everything[:-1]):
        rest = await some(api.client, len(everything) - place - 1, last=one.number)
        assert rest == everything[place + 1 :]


async def test_filters(api: Served) -> None:
    low, hot = await api.alarm(TANK, "low"), await api.alarm(PIPE, "hot")
    await api.client.post(f"/v1/alarms/{low}/shelve", json={"reason": "known"})
    (one,) = await some(api.client, 1, since=0, kind="alarms", device=PIPE)
    assert one.data["alarm"]["alarmId"] == hot
    (one,) = await some(api.client, 1, since=0, kind="alarms", zone="south")
    assert one.data["alarm"]["alarmId"] == low
    first, second = await some(api.client, 2, since=0, kind="alarms", device=TANK, annunciated=True)
    assert (first.data["verb"], second.data["verb"]) == ("raise", "shelve")
    await api.client.post(f"/v1/alarms/{low}/unshelve")
    assert (await api.client.get("/v1/events", params={"kind": "nonsense"})).status_code == 422


async def test_numbers_of_another_service_begin_anew(api: Served) -> None:
    (reset,) = await some(api.client, 1, last=10**9)
    assert (reset.kind, reset.number) == ("reset", api.parts.feed.newest)
    wrong = await api.client.get("/v1/events", headers={"last-event-id": "nonsense"})
    assert wrong.status_code == 422


async def test_a_reader_that_takes_nothing_for_a_while_loses_nothing(api: Served) -> None:
    """It falls far behind what is kept in memory, and is served from disk when it reads again."""
    key = api.client.headers["authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.base_url.port, limit=2**12)
    writer.write(f"GET /v1/events?since=0 HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n".encode())
    await writer.drain()
    (alert,) = [msgspec.json.decode(body, type=Alert) for body in [await _alert(api)]]
    for batch in range(20):
        await api.parts.store.save([msgspec.structs.replace(alert, alert_id=f"x-{batch}-{n}") for n in range(500)], [])
    await until(lambda: api.parts.feed.newest == api.parts.store.last())
    rows = [row.number for row in await api.parts.store.after(0, 100_000)]
    assert len(rows) > 2 * KEPT
    found: list[int] = []
    async with asyncio.timeout(HUNG):
        while len(found) <= len(rows):
            line = await reader.readuntil(b"\n")
            if line.startswith(b"id: "):
                found.append(int(line[4:]))
    writer.close()
    assert found == [0, *rows]


async def _alert(api: Served) -> bytes:
    await api.alarm(TANK, "low")
    return api.parts.store.newest(Kind.ALERTS)[-1]


# --- The service is killed ----------------------------------------------------------------------------------------------------

SITE = "killed"


class Killed:
    """A service in a process of its own, at addresses that stay."""

    def __init__(self, data: Path) -> None:
        self.mqtt, self.http = free_port(), free_port()
        self._environment = {
            **os.environ,
            "OPENAUTOGLM_DATA": str(data),
            "OPENAUTOGLM_SITE": SITE,
            "OPENAUTOGLM_MQTT_PORT": str(self.mqtt),
            "OPENAUTOGLM_API_PORT": str(self.http),
            "OPENAUTOGLM_CONSOLE": "false",
            "OPENAUTOGLM_ALLOWED_LATENESS": "0",
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Connection]:
        """Until it is killed, hard, at the end of the block."""
        command = (sys.executable, "-m", "streams.cli", "serve")
        process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stderr=asyncio.subprocess.DEVNULL, cwd=Path(__file__).parents[3]
        )
        try:
            async with httpx.AsyncClient(base_url=self.url, timeout=HUNG, trust_env=False) as client:
                await answering(client, "/ready")
            async with connect(Address("127.0.0.1", self.mqtt), "e2e-killed") as mqtt:
                yield mqtt
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()


class Subscriber:
    """Listens, and comes back with the number that it got last, as a browser does."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.got: list[int] = []

    async def run(self) -> None:
        while True:
            headers = {"last-event-id": str(self.got[-1])} if self.got else {}
            with suppress(httpx.HTTPError):
                async with self._client.stream("GET", "/v1/events", params={"since": 0}, headers=headers) as response:
                    async for one in parsed(response.aiter_lines()):
                        self.got.append(one.number)
            await asyncio.sleep(0.05)


async def alarms(mqtt: Connection, first: int, count: int) -> None:
    topic = f"openautoglm/{SITE}/events/gw-1"
    for number in range(first, first + count):
        minute, second = divmod(number, 60)
        at = {"time": f"2026-01-05T12:{minute:02}:{second:02}Z"}
        await mqtt.publish(
            topic, msgspec.json.encode(event("device.alarm", deviceId=PUMP, alarm=f"a{number}", active=True) | at)
        )


async def test_a_hundred_subscribers_outlive_the_service(tmp_path: Path) -> None:
    service = Killed(tmp_path)
    limits = httpx.Limits(max_connections=200)
    timeout = httpx.Timeout(10, read=None)
    async with httpx.AsyncClient(base_url=service.url, limits=limits, timeout=timeout, trust_env=False) as client:
        subscribers = [Subscriber(client) for _ in range(100)]
        tasks = [asyncio.ensure_future(subscriber.run()) for subscriber in subscribers]
        kept = Outbox(Folder(tmp_path).outbox)
        try:
            for life in range(3):
                async with service.running() as mqtt:
                    await alarms(mqtt, 20 * life, 20)
                    await until(lambda life=life: kept.totals().get("valid", 0) >= 20 * (life + 1))  # type: ignore[misc]
                    await until(lambda: min(len(one.got) for one in subscribers) > 0)
                    # Killed while some have been told and others have not.
            asks = httpx.AsyncClient(base_url=service.url, timeout=HUNG, trust_env=False)
            async with service.running() as mqtt, asks as asking:
                newest = begin = (await some(asking, 1, last=10**9))[0].number
                await alarms(mqtt, 60, 11)
                while newest < begin + 20 or newest <= 100:  # an alert and its alarm for each but the last
                    newest = (await some(asking, 1, last=10**9))[0].number
                await until(lambda: all(one.got and one.got[-1] >= newest for one in subscribers))
        finally:
            kept.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    store = FindingStore(tmp_path / "findings.db")
    rows = [row.number for row in await store.after(0, 100_000)]
    store.close()
    for subscriber in subscribers:
        assert len(subscriber.got) >= rows.index(newest) + 1
        assert subscriber.got == rows[: len(subscriber.got)]
