"""A refused input is kept and named; after a fix the command line replays it into the service that is running."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from schemas.decode import decode
from schemas.device import DeviceId, SignalName
from schemas.finding import Invalid
from streams.outbox import Refused
from tests.e2e.service import running
from tests.streams.plant import line, recording
from tests.waiting import HUNG, until

GOOD = recording(3)
LAST = GOOD[-1]
BROKEN = line(LAST).replace(b'"level":', b'"level":NaN,"was":')


async def openautoglm(*arguments: str) -> list[dict[str, Any]]:
    """What the command prints as JSON, from a process of its own."""
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments, "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(found) for found in out.splitlines()]


async def test_a_dead_letter_is_listed_and_taken_in_after_a_fix(tmp_path: Path) -> None:
    by_an_older_schema = Invalid(offset=0, reason="unit is missing", pointer="/data", raw=line(LAST).decode())
    async with asyncio.timeout(HUNG), running(tmp_path) as (parts, client):
        counts = parts.analysis.pipeline.counts
        for raw in (*map(line, GOOD[:-1]), BROKEN, BROKEN):
            await client.publish(parts.topics.gateway("gw-1"), raw)
        await until(lambda: parts.gateway.received == len(GOOD) + 1 and counts.accepted == len(GOOD) - 1)
        await parts.outbox.store([], [Refused("t", by_an_older_schema)])

        broken, fixable = await openautoglm("deadletter", "list", "--data", str(tmp_path))
        expected = decode(BROKEN).invalid[0]
        assert (broken["reason"], broken["raw"], broken["count"]) == (expected.reason, expected.raw, 2)
        assert fixable["reason"] == "unit is missing"

        replay = await openautoglm("deadletter", "replay", "--data", str(tmp_path))
        assert replay == [{"tried": 2, "accepted": [fixable["number"]]}]
        await until(lambda: counts.accepted == len(GOOD))
        left = await openautoglm("deadletter", "list", "--data", str(tmp_path))
        assert [letter["number"] for letter in left] == [broken["number"]]
        assert await openautoglm("deadletter", "replay", "--data", str(tmp_path)) == [{"tried": 1, "accepted": []}]

        for event in recording(5)[len(GOOD) :]:
            await client.publish(parts.topics.gateway("gw-1"), line(event))
        device, level = DeviceId("tank-1"), SignalName("level")
        await until(lambda: parts.analysis.pipeline.topology.readings(device)[level].stamp > LAST.stamp)
