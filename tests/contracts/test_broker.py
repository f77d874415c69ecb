"""What every broker must do, run over each that there is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import Record, SqliteLog
from tests.waiting import HUNG

TOPIC = "plant"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    broker = SqliteLog(tmp_path / "log.db")
    yield broker
    broker.close()


async def test_offsets_grow_by_one_and_reading_goes_on_anywhere(log: SqliteLog) -> None:
    assert await log.append(TOPIC, [b"a", b"b"]) == 2
    assert await log.append(TOPIC, [b"c"]) == 3
    assert await log.read(TOPIC, 1, limit=10) == [Record(1, b"b"), Record(2, b"c")]
    assert await log.read(TOPIC, 0, limit=1) == [Record(0, b"a")]
    assert await log.read(TOPIC, 3, limit=10) == []


async def test_topics_do_not_mix(log: SqliteLog) -> None:
    await log.append(TOPIC, [b"a"])
    assert await log.append("other", [b"b"]) == 1


async def test_a_consumer_begins_at_the_start_and_goes_on_where_it_was(log: SqliteLog) -> None:
    assert await log.position(TOPIC, "me") == 0
    await log.commit(TOPIC, "me", 7)
    assert await log.position(TOPIC, "me") == 7


async def test_waiting_ends_when_a_record_comes(log: SqliteLog) -> None:
    waiting = asyncio.create_task(log.wait(TOPIC, 0))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await log.append(TOPIC, [b"a"])
    await asyncio.wait_for(waiting, HUNG)


async def test_trimming_keeps_what_a_consumer_needs_and_never_reuses_offsets(log: SqliteLog) -> None:
    await log.append(TOPIC, [bytes([value]) for value in range(10)])
    await log.commit(TOPIC, "me", 4)
    assert await log.trim(TOPIC, keep=2) == 4
    assert (await log.read(TOPIC, 0, limit=1))[0].offset == 4
    await log.commit(TOPIC, "me", 10)
    assert await log.trim(TOPIC, keep=0) == 6
    assert await log.append(TOPIC, [b"x"]) == 11


async def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    first = SqliteLog(tmp_path / "log.db")
    await first.append(TOPIC, [b"a"])
    first.close()
    second = SqliteLog(tmp_path / "log.db")
    assert await second.read(TOPIC, 0, limit=1) == [Record(0, b"a")]
    second.close()
