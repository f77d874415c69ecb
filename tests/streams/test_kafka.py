"""Topics, transactions, fences, and a cluster that is away, wrong, or lets nobody in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.services import PASSWORD, USER, Local
from schemas.decode import decode
from schemas.device import DeviceId
from schemas.event import Event, Image, Log, Micros, Stamp
from schemas.frame import pack
from streams.cluster import Cluster, ClusterError, Mechanism, Names, Protocol
from streams.kafka import (
    BATCH_BYTES,
    FencedError,
    KafkaLog,
    Note,
    Partition,
    Writer,
    batches_of,
    follow,
    follow_from,
    newest,
    when_there,
)
from streams.kafka_admin import LARGEST, prepare
from tests.services import free_port, running
from tests.streams.plant import recording
from tests.waiting import HUNG, until

pytestmark = pytest.mark.xdist_group("kafka")
ZERO = Partition(0)
NUMBERS = itertools.count(1)


@pytest.fixture
def names() -> Names:
    return Names(f"kafka{next(NUMBERS)}")


@pytest.fixture
def cluster(kafka: Local) -> Cluster:
    return Cluster(f"127.0.0.1:{kafka.port}")


async def made(cluster: Cluster, names: Names, partitions: int = 1) -> int:
    return await prepare(cluster, names, partitions=partitions, replication=1, retention=3600)


async def test_topics_are_made_once(cluster: Cluster, names: Names) -> None:
    assert await made(cluster, names, 3) == 3
    assert await made(cluster, names, 5) == 3


async def test_topics_that_do_not_fit_each_other_are_refused(cluster: Cluster, names: Names) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.servers)
    await admin.start()
    await admin.create_topics([NewTopic(names.state, 7, 1)])
    await admin.close()
    with pytest.raises(ClusterError, match="same number of partitions"):
        await made(cluster, names, 2)


async def test_who_follows_is_told_that_the_cluster_is_there_before_it_has_anything(cluster: Cluster, names: Names) -> None:
    await made(cluster, names)
    for bulks in (follow_from(cluster, names.state, ZERO, 0), follow(cluster, [names.state], group=names.prefix)):
        assert await asyncio.wait_for(anext(bulks), HUNG) == []
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(bulks), 1)


async def test_too_many_replicas_are_refused_by_the_settings_name(cluster: Cluster, names: Names) -> None:
    with pytest.raises(ClusterError, match="kafka_replication"):
        await prepare(cluster, names, partitions=1, replication=9, retention=3600)


async def small(cluster: Cluster, names: Names, topic: str) -> None:
    """A topic that somebody made for smaller records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={LARGEST: "2000"})])
    await admin.close()


async def test_a_topic_for_smaller_records_is_refused(cluster: Cluster, names: Names) -> None:
    await small(cluster, names, names.findings("alerts"))
    with pytest.raises(ClusterError, match=r"alerts takes records of 2000 bytes: set its max\.message\.bytes"):
        await made(cluster, names)


async def test_a_record_that_the_cluster_refuses_takes_its_transaction_with_it(cluster: Cluster, names: Names) -> None:
    await small(cluster, names, names.findings("alerts"))
    with pytest.raises(ClusterError):
        await made(cluster, names)
    writer = Writer(cluster, names, ZERO)
    await writer.start()
    with pytest.raises(ClusterError, match="refuses"):
        await writer.write([Note(names.findings("alerts"), "a", b"x" * 5000), Note(names.state, "told", b"1")])
    await writer.close()
    after = Writer(cluster, names, ZERO)
    await after.start()
    assert await newest(cluster, names.state, ZERO) == {}
    await after.close()


async def test_a_frame_that_the_cluster_refuses_does_not_stop_the_next(cluster: Cluster, names: Names) -> None:
    await small(cluster, names, names.events)
    log = KafkaLog(cluster, names)
    frames = [
        pack([Event(Stamp(Micros(1), "/gw", 1, size, f"e{size}"), Log(DeviceId("d"), "x" * size))]) for size in (1, 5000, 2)
    ]
    await log.append("plant", frames[:1])
    with pytest.raises(ConnectionError, match="refuses"):
        await log.append("plant", frames[1:2])
    await log.append("plant", frames[2:])
    await log.close()


async def test_notes_are_kept_all_or_none(cluster: Cluster, names: Names) -> None:
    await made(cluster, names)
    writer = Writer(cluster, names, ZERO)
    await writer.start()
    await writer.write([Note(names.state, "a", b"1"), Note(names.state, "b", b"2")])

    def broken() -> Iterator[Note]:
        yield Note(names.state, "a", b"wrong")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.write(broken())
    await writer.write([Note(names.state, "b", None)])
    assert await newest(cluster, names.state, ZERO) == {"a": b"1"}
    await writer.close()


async def test_the_older_writer_is_fenced_off(cluster: Cluster, names: Names) -> None:
    await made(cluster, names)
    old, new = Writer(cluster, names, ZERO), Writer(cluster, names, ZERO)
    await old.start()
    await old.write([Note(names.state, "a", b"old")])
    await new.start()
    with pytest.raises(FencedError, match="another worker"):
        await old.write([Note(names.state, "a", b"stale")])
    await new.write([Note(names.state, "b", b"new")])
    assert await newest(cluster, names.state, ZERO) == {"a": b"old", "b": b"new"}
    await old.close()
    await new.close()


async def test_an_empty_partition_holds_nothing(cluster: Cluster, names: Names) -> None:
    await made(cluster, names)
    assert await newest(cluster, names.state, ZERO) == {}


def test_batches_stay_below_what_a_broker_takes() -> None:
    events = recording(700)
    batches = batches_of(events)
    assert all(len(batch) <= BATCH_BYTES for batch in batches)
    assert [event for batch in batches for event in decode(batch).events] == events


async def test_an_event_with_a_picture_fits_into_a_record(cluster: Cluster, names: Names) -> None:
    await made(cluster, names)
    picture = Image(DeviceId("camera-1"), "image/png", data="A" * 1_398_100)
    log = KafkaLog(cluster, names)
    await log.append("plant", [pack([Event(Stamp(Micros(1), "/gw", 1, 1, "a"), picture)])])
    await log.close()


async def test_nobody_there_is_said_with_the_settings_name(names: Names) -> None:
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:\d+.*kafka_servers"):
        await made(Cluster(f"127.0.0.1:{free_port()}"), names)


async def test_a_cluster_that_comes_later_is_waited_for(tmp_path: Path, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    with running("kafka", tmp_path) as late:
        late.stop()
        waiting = asyncio.create_task(when_there(lambda: made(Cluster(f"127.0.0.1:{late.port}"), names)))
        await until(lambda: "trying again" in caplog.text)
        assert not waiting.done()
        await asyncio.to_thread(late.start)
        assert await asyncio.wait_for(waiting, HUNG) == 1


def secured(kafka: Local, **changes: object) -> Cluster:
    options: dict[str, object] = {
        "servers": f"localhost:{kafka.port + 2}",
        "protocol": Protocol.SASL_SSL,
        "mechanism": Mechanism.PLAIN,
        "username": USER,
        "password": lambda: PASSWORD,
        "authorities": kafka.folder / "kafka.pem",
    }
    return Cluster(**{**options, **changes})  # type: ignore[arg-type]


async def test_with_password_and_encryption(kafka: Local, names: Names) -> None:
    assert await made(secured(kafka), names) == 1


async def test_a_wrong_password_is_said_by_the_settings_names(kafka: Local, names: Names) -> None:
    with pytest.raises(ConnectionError, match="kafka_username, kafka_password") as refused:
        await made(secured(kafka, password=lambda: "wrong-secret"), names)
    assert "wrong-secret" not in str(refused.value)


async def test_an_authority_that_is_not_there_is_said(kafka: Local, names: Names, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="kafka_authorities"):
        await made(secured(kafka, authorities=tmp_path / "none.pem"), names)


async def test_an_unknown_authority_is_refused(kafka: Local, names: Names) -> None:
    with pytest.raises(ConnectionError, match="kafka_"):
        await made(secured(kafka, authorities=None), names)


def test_the_password_is_in_no_text_form(kafka: Local) -> None:
    assert PASSWORD not in repr(secured(kafka)).replace(USER, "")
