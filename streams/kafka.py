"""Kafka, the only file that speaks to it with aiokafka: topics, the gateways' log, and what a worker keeps and tells there.

The intake is at least once and idempotent; what a worker writes goes through one transactional producer for each partition, so
that a snapshot is there as a whole or not at all, and a worker that lost its partition is fenced off. Every wait is bounded:
aiokafka by itself waits for ever on a broker that is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, NewType, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, ProducerFenced

from schemas.binding import BATCH, CONTENT_TYPE, Header
from schemas.encode import encode
from schemas.event import Event
from schemas.frame import unpack
from streams.cluster import KINDS, Cluster, ClusterError, Names

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
TIMEOUT = 30.0
"""Seconds that any one exchange with the cluster may take."""
RETRY = (0.5, 10.0)
"""Seconds before the first and between later attempts to connect."""
BATCH_EVENTS = 1_000
BATCH_BYTES = 900_000
"""Below what a broker takes as it comes (1 MB), whatever the topic allows."""
EVENT_RECORD = 4 << 20
"""Bytes of an event's record, at most: it may hold a picture."""
RECORD = 16 << 20
"""Bytes of any other record, at most: a fault may name every device of a plant."""
FETCH = 8 << 20
TRANSACTION = 60_000
"""Milliseconds after which the cluster ends the transaction of a worker that stands still."""
FOLLOW_WAIT = 100
"""Milliseconds that the cluster may hold a subscriber's fetch back when there is nothing."""
NOTE_EVERY = 1.0
"""Seconds between the notes of how far a subscriber has read."""
Partition = NewType("Partition", int)


class FencedError(Exception):
    """Another worker has this partition now; nothing of ours was kept."""


_COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": "600000",
    "segment.bytes": str(64 << 20),
}


def _new_topics(names: Names, partitions: int, replication: int, retention: float) -> list[NewTopic]:
    kept = {"retention.ms": str(int(retention * 1000)), "max.message.bytes": str(RECORD)}
    configs = dict.fromkeys([names.deadletters, *map(names.findings, KINDS)], kept)
    configs[names.events] = kept | {"max.message.bytes": str(EVENT_RECORD)}
    configs[names.state] = _COMPACTED | {"max.message.bytes": str(RECORD)}
    return [NewTopic(name, partitions, replication, topic_configs=config) for name, config in configs.items()]


async def prepare(cluster: Cluster, names: Names, *, partitions: int, replication: int, retention: float) -> int:
    """Make the topics that are not there yet; how many partitions they have. Raises ClusterError, ConnectionError.

    `retention`: seconds for which events and findings are kept.
    """
    admin = AIOKafkaAdminClient(**cluster.options())
    async with _bounded(cluster):
        await admin.start()
    try:
        async with _bounded(cluster):
            answer = await admin.create_topics(_new_topics(names, partitions, replication, retention))
            for topic, code, text in answer.topic_errors:
                if code not in (0, _EXISTS):
                    raise ClusterError(
                        f"topic {topic} could not be made: {text} (settings kafka_replication, kafka_partitions)"
                    )
            return await _same_partitions(admin, names)
    finally:
        await admin.close()


async def identity(cluster: Cluster) -> str:
    """The cluster's own name for itself. Raises ConnectionError."""
    admin = AIOKafkaAdminClient(**cluster.options())
    async with _bounded(cluster):
        await admin.start()
        try:
            return str((await admin.describe_cluster())["cluster_id"])
        finally:
            await admin.close()


async def partitions_of(cluster: Cluster, names: Names) -> int:
    """How many partitions the topics have, that must be there. Raises ClusterError, ConnectionError."""
    admin = AIOKafkaAdminClient(**cluster.options())
    async with _bounded(cluster):
        await admin.start()
        try:
            return await _same_partitions(admin, names)
        finally:
            await admin.close()


_EXISTS = 36


async def _same_partitions(admin: AIOKafkaAdminClient, names: Names) -> int:
    wanted = [topic.name for topic in _new_topics(names, 1, 1, 1)]
    while True:
        described = await admin.describe_topics(wanted)
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
        if all(counts.get(name) for name in wanted):  # a new topic is not known everywhere at once
            break
        await asyncio.sleep(0.1)
    if len(set(counts.values())) > 1:
        raise ClusterError(f"these topics must have the same number of partitions: {counts}")
    return counts[names.events]


@asynccontextmanager
async def _bounded(cluster: Cluster) -> AsyncIterator[None]:
    """Errors of the driver as ConnectionError, and an end to waiting."""
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except TimeoutError as error:
        raise ConnectionError(f"Kafka at {cluster.servers} does not answer (setting kafka_servers)") from error
    except KafkaError as error:
        # The driver says that it could not connect, and only its log says that it was refused: name all that may be wrong.
        raise ConnectionError(f"Kafka at {cluster.servers}: {error} (settings {cluster.settings})") from error


async def when_there(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """The result of an attempt, tried again with growing pauses while the cluster is away."""
    pause, longest = RETRY
    while True:
        try:
            return await attempt()
        except ConnectionError as error:
            logger.warning("%s; trying again in %.1f s", error, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)


# --- The gateways' side ----------------------------------------------------------------------------------------------------


class KafkaLog:
    """`Intake` on the events topic: frames go out as CloudEvents batches, keyed by their site."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names
        self._producer: AIOKafkaProducer | None = None

    async def append(self, topic: str, values: Sequence[bytes]) -> None:
        """Durable on all replicas when this returns. Raises ConnectionError; some may be there then, and come again."""
        async with _bounded(self._cluster):
            producer = await self._started()
            batches = [batch for value in values for batch in batches_of(unpack(value))]
            sent = [
                await producer.send(self._names.events, batch, key=topic.encode(), headers=[(CONTENT_TYPE, BATCH.encode())])
                for batch in batches
            ]
            await asyncio.gather(*sent)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._cluster.options(), enable_idempotence=True, acks="all", max_request_size=EVENT_RECORD
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        if self._producer is not None:
            with suppress(ConnectionError):
                async with _bounded(self._cluster):
                    await self._producer.stop()


def batches_of(events: Sequence[Event]) -> list[bytes]:
    """Events as CloudEvents batches, each small enough for one record if it holds more than one event."""
    if len(events) > BATCH_EVENTS:
        return [part for at in range(0, len(events), BATCH_EVENTS) for part in batches_of(events[at : at + BATCH_EVENTS])]
    batch = encode(events)
    if len(batch) <= BATCH_BYTES or len(events) == 1:
        return [batch]
    middle = len(events) // 2
    return batches_of(events[:middle]) + batches_of(events[middle:])


# --- The workers' side -----------------------------------------------------------------------------------------------------


class Note(NamedTuple):
    """A record to write: None as value lets go of the key in a compacted topic."""

    topic: str
    key: str
    value: bytes | None
    headers: Sequence[Header] = ()


class Writer:
    """Writes to one partition of each topic, each time all or nothing; only the newest writer of a partition can."""

    def __init__(self, cluster: Cluster, names: Names, partition: Partition) -> None:
        self._cluster = cluster
        self._partition = partition
        self._producer = AIOKafkaProducer(
            **cluster.options(),
            transactional_id=f"{names.prefix}-{partition}",
            transaction_timeout_ms=TRANSACTION,
            max_request_size=RECORD,
        )
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """From here on older writers of this partition are fenced off, and what they had begun is undone."""
        async with self._exchange():
            await self._producer.start()

    async def write(self, notes: Iterable[Note]) -> None:
        """Raises FencedError, ConnectionError. After a ConnectionError it is unknown whether the notes were kept."""
        async with self._lock, self._exchange():
            await self._producer.begin_transaction()
            try:
                await self._send(notes)
            except BaseException:
                with suppress(KafkaError, AssertionError):
                    await self._producer.abort_transaction()
                raise
            await self._producer.commit_transaction()

    async def _send(self, notes: Iterable[Note]) -> None:
        for note in notes:
            headers, key = list(note.headers), note.key.encode()
            # Waits when the producer's buffer is full, and fails with it.
            await self._producer.send(note.topic, note.value, key=key, partition=self._partition, headers=headers)

    @asynccontextmanager
    async def _exchange(self) -> AsyncIterator[None]:
        try:
            async with _bounded(self._cluster):
                yield
        except ConnectionError as error:
            if isinstance(error.__cause__, ProducerFenced):
                raise FencedError(f"partition {self._partition} belongs to another worker now") from error
            raise
        except AssertionError as error:  # aiokafka's answer once a producer has failed for good
            raise ConnectionError(f"the producer of partition {self._partition} has failed: {error}") from error

    async def close(self) -> None:
        with suppress(ConnectionError, FencedError, AssertionError):
            async with self._exchange():
                await self._producer.stop()


class Found(NamedTuple):
    """A record of a topic; without a value, its key is let go of."""

    topic: str
    key: str
    value: bytes | None


async def newest(cluster: Cluster, topic: str, partition: Partition) -> Mapping[str, bytes]:
    """The newest committed value of each key of one partition. Raises ConnectionError."""
    held: dict[str, bytes] = {}
    async for found in _from_start(cluster, topic, partition):
        if found.value is None:
            held.pop(found.key, None)
        else:
            held[found.key] = found.value
    return held


async def committed(cluster: Cluster, topic: str, partition: Partition) -> list[Found]:
    """All that is committed to one partition now. Raises ConnectionError."""
    return [found async for found in _from_start(cluster, topic, partition)]


async def _from_start(cluster: Cluster, topic: str, partition: Partition) -> AsyncIterator[Found]:
    """Up to where the partition ends when this begins."""
    consumer = AIOKafkaConsumer(
        **cluster.options(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH,
        fetch_max_bytes=4 * FETCH,
    )
    place = TopicPartition(topic, partition)
    try:
        async with _bounded(cluster):
            await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
        at = 0
        while at < end:
            async with _bounded(cluster):
                records = await consumer.getmany(place, timeout_ms=1000)
                at = await consumer.position(place)
            for record in records.get(place, ()):
                yield _found(record)
    finally:
        with suppress(KafkaError):
            await consumer.stop()


# --- Subscribers' side -----------------------------------------------------------------------------------------------------


async def follow(cluster: Cluster, topics: Sequence[str], *, group: str) -> AsyncIterator[list[Found]]:
    """What is committed to topics, in bulk, for ever; a bulk counts as read some time after the next one was asked for.

    Raises ConnectionError when the cluster is away; begin anew then, and some may come again.
    """
    consumer = AIOKafkaConsumer(
        *topics,
        **cluster.options(),
        group_id=group,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=FOLLOW_WAIT,
    )
    noted = time.monotonic()
    read = False
    try:
        async with _bounded(cluster):
            await consumer.start()
        while True:
            async with _bounded(cluster):
                if read and time.monotonic() - noted >= NOTE_EVERY:
                    await consumer.commit()
                    noted, read = time.monotonic(), False
                fetched = await consumer.getmany(timeout_ms=1000)
            if fetched:
                yield [_found(record) for records in fetched.values() for record in records]
                read = True
    finally:
        with suppress(KafkaError):
            await consumer.stop()


def _found(record: Any) -> Found:
    return Found(record.topic, (record.key or b"").decode(errors="replace"), record.value)
