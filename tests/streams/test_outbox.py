"""The outbox: all or nothing, counted, and there after a restart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.decode import decode
from schemas.event import Event
from schemas.finding import Mark
from schemas.frame import unpack
from streams.outbox import Outbox, Refused
from tests.streams.plant import SOURCE, recording

EVENTS = recording(2)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.db")) as made:
        yield made


def refused(raw: bytes, topic: str = "t") -> Refused:
    return Refused(topic, decode(raw).invalid[0])


async def events_in(outbox: Outbox) -> list[Event]:
    return [event for _, frame in await outbox.waiting(100) for event in unpack(frame)]


async def test_events_wait_until_they_are_forwarded(outbox: Outbox) -> None:
    assert await outbox.store(EVENTS[:4], []) == [Mark(SOURCE, 1, 4)]
    await outbox.store(EVENTS[4:], [])
    (first, _), (second, _) = await outbox.waiting(10)
    assert len(await outbox.waiting(1)) == 1
    await outbox.forwarded(first)
    assert await events_in(outbox) == EVENTS[4:]
    await outbox.forwarded(second)
    assert await events_in(outbox) == []


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(Outbox(path)) as first:
        await first.store(EVENTS, [refused(b"{}")])
    with closing(Outbox(path)) as second:
        assert await events_in(second) == EVENTS
        assert second.totals() == {"valid": len(EVENTS), "invalid": 1}
        assert second.watermarks.all() == [Mark(SOURCE, 1, len(EVENTS))]
        assert len(second.deadletters()) == 1


async def test_the_same_refused_input_is_one_row_with_a_count(outbox: Outbox) -> None:
    await outbox.store([], [refused(b"{}"), refused(b"{}"), refused(b"{}", "other"), refused(b"nonsense")])
    await outbox.store([], [refused(b"{}")])
    letters = outbox.deadletters()
    assert [(letter.topic, letter.raw, letter.count) for letter in letters] == [
        ("t", "{}", 3),
        ("other", "{}", 1),
        ("t", "nonsense", 1),
    ]
    assert sum(letter.count for letter in letters) == outbox.totals()["invalid"]
    assert [letter.raw for letter in outbox.deadletters(limit=1)] == ["nonsense"]


async def test_a_replayed_dead_letter_is_closed_and_its_events_wait(outbox: Outbox) -> None:
    await outbox.store([], [refused(b"{}")])
    await outbox.replayed(outbox.deadletters()[0].number, EVENTS[:1])
    assert outbox.deadletters() == []
    assert await events_in(outbox) == EVENTS[:1]
    await outbox.store([], [refused(b"{}")])
    assert [letter.count for letter in outbox.deadletters()] == [1], "the same again is a new letter"


async def test_any_bytes_can_be_a_dead_letter(outbox: Outbox) -> None:
    for raw in (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", "\u2028💣".encode(), b""):
        await outbox.store([], [refused(raw, "t\udc80" if raw == b"" else "t")] if raw else [refused(raw)])
    assert len(outbox.deadletters()) == 5


async def test_another_process_may_write_meanwhile(tmp_path: Path, outbox: Outbox) -> None:
    def other() -> None:
        with closing(Outbox(tmp_path / "outbox.db")) as second:
            for event in EVENTS:
                asyncio.run(second.store([event], []))

    thread = threading.Thread(target=other)
    thread.start()
    for event in EVENTS:
        await outbox.store([event], [])
    await asyncio.to_thread(thread.join)
    assert outbox.totals()["valid"] == 2 * len(EVENTS)
