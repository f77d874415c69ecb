"""`events tail` at a service in a process of its own, which is killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.folder import Folder
from tests.e2e.service import SITE
from tests.streams.cli.findings import ALERTS, HOSTILE, HOSTILE_SHOWN, PARENT, alarm_id, alert, leave
from tests.waiting import HUNG, until

NAME = alarm_id(PARENT)


class Program:
    """The command line in processes of its own, over one data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = Folder(data)
        settings = {"data": data, "site": SITE, "api_port": 0, "mqtt_port": 0, "console": False}
        self._environment = os.environ | {f"OPENAUTOGLM_{name.upper()}": str(value) for name, value in settings.items()}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "streams.cli", *arguments)
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=pipe, stderr=pipe)

    async def done(self, *arguments: str) -> str:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        assert process.returncode == 0, err
        return out.decode()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Until it is killed, or the block ends."""
        self.folder.address.unlink(missing_ok=True)
        process = await self.start("serve")
        async with ended(process):
            await until(self.folder.address.is_file)
            yield process


@asynccontextmanager
async def ended(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), HUNG)).decode()


async def event(tail: asyncio.subprocess.Process) -> Any:
    return json.loads(await line(tail.stdout))


@pytest.fixture
async def program(tmp_path: Path) -> Program:
    await leave(tmp_path / "data", ALERTS)
    return Program(tmp_path / "data")


async def test_without_gap_or_repeat_over_a_kill(program: Program) -> None:
    async with program.serving() as service:
        tail = await program.start("events", "tail", "--json")
        async with ended(tail):
            assert "following http://127.0.0.1:" in await line(tail.stderr)
            await program.done("alarm", "ack", NAME)
            seen = [await event(tail), await event(tail)]
            assert {found["kind"] for found in seen} == {"alarms"}
            assert seen[0]["body"]["verb"] == "acknowledge"
            service.kill()
            await service.wait()
            assert "trying again until it is back" in await line(tail.stderr)
            await program.done("alarm", "shelve", NAME, "--once", "--reason", "while nobody looks")
            async with program.serving():
                assert "is back" in await line(tail.stderr)
                seen.append(await event(tail))
                await program.done("alarm", "unshelve", NAME)
                seen.append(await event(tail))
                tail.send_signal(signal.SIGINT)
                assert await asyncio.wait_for(tail.wait(), HUNG) == 0
    assert [found["body"]["verb"] for found in seen] == ["acknowledge", "acknowledge", "shelve", "unshelve"]
    first = seen[0]["number"]
    assert [found["number"] for found in seen] == [first, first + 1, first + 2, first + 3]


async def test_lines_for_people_and_filters(program: Program) -> None:
    await leave(program.folder.path, [alert("fan-1", f"control:{HOSTILE}")])
    async with program.serving():
        tail = await program.start("events", "tail", "--since", "0", "--kind", "alarms", "--device", "fan-1", "--annunciated")
        async with ended(tail):
            raised = await line(tail.stdout)
            assert " alarm raise by plant: fan-1 control:" in raised
            assert HOSTILE_SHOWN in raised
            tail.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(tail.wait(), HUNG) == 0
