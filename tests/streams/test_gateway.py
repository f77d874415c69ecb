"""The gateway role: nothing is acknowledged before it is kept, and no input stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.event import Event, Stamp
from schemas.finding import Invalid, Mark
from schemas.frame import unpack
from streams.broker import SqliteLog
from streams.crashpoints import CrashPoints
from streams.gateway import Gateway, place
from streams.mqtt import Address, Message
from streams.outbox import Outbox, Refused
from streams.topics import Topics
from tests.streams.plant import SOURCE, line, recording
from tests.waiting import HUNG

EVENTS = recording(3)
TOPICS = Topics("test")


class FullOutbox(Outbox):
    """The disk is full."""

    async def store(self, *_: object, **__: object) -> list[Mark]:
        raise OSError(28, "No space left on device")


class AbsentLog(SqliteLog):
    """Away until `back` is set."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.back = asyncio.Event()
        self.tried = asyncio.Event()

    async def append(self, topic: str, values: object) -> int:
        self.tried.set()
        if not self.back.is_set():
            raise ConnectionError("the log is away")
        return await super().append(topic, values)  # type: ignore[arg-type]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.db")) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path / "log.db")) as made:
        yield made


def gateway(outbox: Outbox, log: SqliteLog) -> Gateway:
    return Gateway(TOPICS, address=Address("127.0.0.1", 1), outbox=outbox, log=log, crash=CrashPoints())


def message(payload: bytes, acknowledged: list[bytes]) -> Message:
    return Message(TOPICS.gateway("gw-1"), payload, lambda: acknowledged.append(payload))


def batch(events: list[Event]) -> bytes:
    return b"[" + b",".join(map(line, events)) + b"]"


async def test_messages_are_acknowledged_after_they_are_kept(outbox: Outbox, log: SqliteLog) -> None:
    acknowledged: list[bytes] = []
    kept_at_acknowledgement: list[int] = []

    def acknowledge() -> None:
        kept_at_acknowledgement.append(outbox.totals()["valid"])

    taking = gateway(outbox, log)
    await taking.take([message(b"{}", acknowledged), Message("t", batch(EVENTS), acknowledge)])
    assert acknowledged == [b"{}"]
    assert kept_at_acknowledgement == [len(EVENTS)]
    assert (taking.received, taking.invalid) == (len(EVENTS) + 1, 1)


async def test_what_cannot_be_kept_is_not_acknowledged(tmp_path: Path, log: SqliteLog) -> None:
    acknowledged: list[bytes] = []
    with closing(FullOutbox(tmp_path / "full.db")) as full, pytest.raises(OSError, match="No space"):
        await gateway(full, log).take([message(batch(EVENTS), acknowledged)])
    assert not acknowledged


async def test_frames_wait_while_the_log_is_away(tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.gateway.PAUSE", 0.01)
    with closing(AbsentLog(tmp_path / "absent.db")) as absent:
        taking = gateway(outbox, absent)
        forwarding = asyncio.create_task(taking._forward())
        await taking.take([message(batch(EVENTS), [])])
        await asyncio.wait_for(absent.tried.wait(), HUNG)
        assert len(await outbox.waiting(10)) == 1
        absent.back.set()
        await asyncio.wait_for(absent.wait("test", 0), HUNG)
        forwarding.cancel()
        records = await absent.read("test", 0, limit=10)
    assert [event for record in records for event in unpack(record.value)] == EVENTS


async def test_frames_of_another_process_are_found(outbox: Outbox, log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.gateway.LOOK", 0.01)
    forwarding = asyncio.create_task(gateway(outbox, log)._forward())
    await asyncio.sleep(0.05)
    await outbox.store(EVENTS, [])
    await asyncio.wait_for(log.wait("test", 0), HUNG)
    forwarding.cancel()


def invalid(raw: str) -> Invalid:
    return Invalid(offset=0, reason="for the test", pointer="", raw=raw)


def test_an_invalid_event_keeps_its_place() -> None:
    raw = '{"source":"/a","sequence":"00000000000000000007","epoch":"3","data":NULL}'
    assert place(invalid(raw)) is None, "no JSON, no place"
    assert place(invalid(raw.replace("NULL", "null"))) == Stamp(0, "/a", 3, 7, "")  # type: ignore[arg-type]
    assert place(invalid('{"source":"/a","sequence":"00000000000000000007"}')) == Stamp(0, "/a", 0, 7, "")  # type: ignore[arg-type]


BAD_PLACES = [
    '{"source":"/a","sequence":"99999999999999999999999"}',
    '{"source":"/a","sequence":1e300}',
    '{"source":"/a","sequence":"-0000000000000000007"}',
    '{"source":"/a","sequence":"00000000000000000007","epoch":"99999999999999999999"}',
    '{"source":"/a\\u0000","sequence":"00000000000000000007"}',
    '{"source":"\\ud800","sequence":"00000000000000000007"}',
    '{"source":["/a"],"sequence":"00000000000000000007"}',
    '{"source":"/a"}',
    '{"a":' * 50_000,
    "[]",
    "\\xff",
    "",
]


@pytest.mark.parametrize("raw", BAD_PLACES)
async def test_a_place_that_no_valid_event_can_have_is_none(raw: str, outbox: Outbox) -> None:
    """Such a number used to stop the gateway: a watermark is kept in 64 bits."""
    assert place(invalid(raw)) is None
    await outbox.store([], [Refused("t", invalid(raw), place(invalid(raw)))])


async def test_a_mark_passes_an_invalid_event(outbox: Outbox, log: SqliteLog) -> None:
    """Or its gateway would send everything after it again for ever."""
    broken = line(EVENTS[1]).replace(b'"type":"device.', b'"type":"no.')
    taking = gateway(outbox, log)
    await taking.take([message(line(EVENTS[0]), []), message(broken, []), message(line(EVENTS[2]), [])])
    assert outbox.watermarks.all() == [Mark(SOURCE, 1, 3)]
    assert taking.invalid == 1
