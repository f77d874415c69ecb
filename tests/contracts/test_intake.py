"""What every intake must do with the frames of a gateway, run over each that there is."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from deploy.local.services import Local
from schemas.decode import decode
from schemas.event import Event
from schemas.frame import pack, unpack
from streams.broker import Intake, SqliteLog
from streams.cluster import Cluster, Names
from streams.kafka import BATCH_EVENTS, KafkaLog
from streams.kafka_admin import prepare
from tests.cluster.harness import read_all
from tests.streams.plant import recording

pytestmark = pytest.mark.xdist_group("kafka")
NUMBERS = itertools.count(1)
Read = Callable[[str], Awaitable[list[Event]]]
EVENTS = recording(400)


@pytest.fixture(params=["sqlite", "kafka"])
async def intake(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Intake, Read]]:
    if request.param == "sqlite":
        log = SqliteLog(tmp_path / "log.db")

        async def read(site: str) -> list[Event]:
            return [event for record in await log.read(site, 0, limit=1000) for event in unpack(record.value)]

        yield log, read
        log.close()
        return
    service: Local = request.getfixturevalue("kafka")
    cluster, names = Cluster(f"127.0.0.1:{service.port}"), Names(f"intake{next(NUMBERS)}")
    await prepare(cluster, names, partitions=2, replication=1, retention=3600)

    async def read_back(site: str) -> list[Event]:
        records = await read_all(cluster.servers, names.events, 2)
        return [event for key, value in records if key == site for event in decode(value).events]

    kafka = KafkaLog(cluster, names)
    yield kafka, read_back
    await kafka.close()


async def test_frames_arrive_whole_and_in_order(intake: tuple[Intake, Read]) -> None:
    log, read = intake
    await log.append("plant", [pack(EVENTS[:100]), pack(EVENTS[100:130])])
    await log.append("plant", [pack(EVENTS[130:])])
    assert await read("plant") == EVENTS


async def test_sites_do_not_mix(intake: tuple[Intake, Read]) -> None:
    log, read = intake
    await log.append("one", [pack(EVENTS[:10])])
    await log.append("two", [pack(EVENTS[10:20])])
    assert await read("one") == EVENTS[:10]
    assert await read("two") == EVENTS[10:20]


async def test_a_frame_larger_than_a_record_may_be_is_taken(intake: tuple[Intake, Read]) -> None:
    log, read = intake
    assert len(EVENTS) > BATCH_EVENTS
    many = EVENTS * 4
    await log.append("plant", [pack(many)])
    assert await read("plant") == many
