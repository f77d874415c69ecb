"""Ten thousand hostile inputs between valid ones: all are accounted for, none stops anything (DESIGN, promises 4 and 10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from schemas.decode import decode
from streams.mqtt import Connection, Message
from streams.service import Parts
from tests.e2e.service import running
from tests.schemas.hostile import hostile
from tests.streams.plant import DEVICES, LEVEL, line, recording
from tests.waiting import HUNG, until

VALID = recording(123)
"""Some 500 good events that go between the bad ones."""
BY_MQTT = 600


def mixed() -> list[bytes]:
    """Hostile messages, and after every twentieth a valid one."""
    found: list[bytes] = []
    good = map(line, VALID)
    for at, raw in enumerate(hostile(10_000, seed=7)):
        found.append(raw)
        if at % 20 == 0:
            found += [event for event in (next(good, None),) if event is not None]
    return found


async def publish(client: Connection, topic: str, messages: Sequence[bytes]) -> None:
    for raw in messages:
        await client.publish(topic, raw)


async def hand_over(parts: Parts, messages: Sequence[bytes]) -> tuple[float, bytes]:
    """The same way in but for the network, each message by itself; the slowest, in seconds."""
    acknowledged: list[int] = []
    slowest = (0.0, b"")
    for at, raw in enumerate(messages):
        began = time.perf_counter()
        await parts.gateway.take([Message(parts.topics.gateway("gw-1"), raw, lambda at=at: acknowledged.append(at))])  # type: ignore[misc]
        slowest = max(slowest, (time.perf_counter() - began, raw[:60]))
    assert acknowledged == list(range(len(messages)))
    return slowest


async def test_ten_thousand_hostile_inputs(tmp_path: Path) -> None:
    messages = mixed()
    decoded = [decode(raw) for raw in messages]
    valid, invalid = sum(len(one.events) for one in decoded), sum(len(one.invalid) for one in decoded)
    async with asyncio.timeout(HUNG), running(tmp_path) as (parts, client):
        gateway, counts = parts.gateway, parts.analysis.pipeline.counts
        await publish(client, parts.topics.gateway("gw-1"), messages[:BY_MQTT])
        by_mqtt = sum(len(one.events) + len(one.invalid) for one in decoded[:BY_MQTT])
        await until(lambda: gateway.received >= by_mqtt)
        seconds, what = await hand_over(parts, messages[BY_MQTT:])
        print(f"slowest hostile input through the gateway: {seconds * 1000:.0f} ms: {what!r}")
        await until(lambda: counts.accepted + counts.duplicate >= valid and not parts.analysis.busy)
        assert (gateway.received, gateway.invalid) == (valid + invalid, invalid)
        assert parts.outbox.totals() == {"valid": valid, "invalid": invalid}
        assert sum(letter.count for letter in parts.outbox.deadletters(limit=1_000_000)) == invalid
        assert counts.accepted + counts.duplicate == valid
        await the_good_ones_are_there(parts)


async def the_good_ones_are_there(parts: Parts) -> None:
    topology = parts.analysis.pipeline.topology
    last = {event.body.device_id: event for event in VALID[-len(DEVICES) :]}  # type: ignore[union-attr]
    for device, event in last.items():
        assert topology.readings(device)[LEVEL].stamp == event.stamp
    assert set(DEVICES) <= {device.device_id for device in topology.devices()}
