"""Kafka as its clients speak to it: the gateways' log, and what a worker keeps and tells there. Topics: `kafka_admin`.

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
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)
from aiokafka.partitioner import murmur2
from aiokafka.producer import sender

from schemas.binding import BATCH, CONTENT_TYPE, Header
from schemas.encode import encode
from schemas.event import Event
from schemas.frame import unpack
from streams.cluster import EVENT_RECORD, RECORD, Cluster, ClusterError, Names

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
TIMEOUT = 30.0
"""Seconds that any one exchange with the cluster may take."""
STOP = 5.0
"""Seconds that a producer may take to end."""
RETRY = (0.5, 10.0)
"""Seconds before the first and between later attempts to connect."""
BATCH_EVENTS = 1_000
BATCH_BYTES = 900_000
"""Below what a broker takes as it comes (1 MB), whatever the topic allows."""
FETCH = 8 << 20
TRANSACTION = 60_000
"""Milliseconds after which the cluster ends the transaction of a worker that stands still."""
FOLLOW_WAIT = 100
"""Milliseconds that the cluster may hold a subscriber's fetch back when there is nothing."""
NOTE_EVERY = 1.0
"""Seconds between the notes of how far a subscriber has read."""
PERMANENT = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)
# One transaction right after another finds the cluster still writing the marks of the first; aiokafka then waits 20 ms, for
# which a finding would wait too. The marks take 2 to 5.
sender.BACKOFF_OVERRIDE = 0.003
Partition = NewType("Partition", int)


def partition_of(key: bytes, partitions: int) -> Partition:
    """Where a key belongs: murmur2, as Java's clients do it."""
    return Partition((murmur2(key) & 0x7FFFFFFF) % partitions)


class FencedError(Exception):
    """Another worker has this partition now; nothing of ours was kept."""


@asynccontextmanager
async def bounded(cluster: Cluster) -> AsyncIterator[None]:
    """Errors of the driver as ConnectionError, or as ClusterError where trying again is of no use; and an end to waiting."""
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except TimeoutError as error:
        raise ConnectionError(f"Kafka at {cluster.servers} does not answer (setting kafka_servers)") from error
    except PERMANENT as error:
        raise ClusterError(f"Kafka at {cluster.servers} refuses: {error}") from error
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
    """`Intake` on the events topic: frames go out as CloudEvents batches, keyed by their site.

    `prepared` makes sure, before the first frame, that the topics are there and as they should be.
    """

    def __init__(self, cluster: Cluster, names: Names, *, prepared: Callable[[], Awaitable[object]] | None = None) -> None:
        self._cluster = cluster
        self._names = names
        self._prepared = prepared
        self._producer: AIOKafkaProducer | None = None

    async def append(self, topic: str, values: Sequence[bytes]) -> None:
        """Durable on all replicas when this returns. Raises ConnectionError; some may be there then, and come again."""
        batches = [batch for value in values for batch in batches_of(unpack(value))]
        await self.write([Note(self._names.events, topic, batch, [(CONTENT_TYPE, BATCH.encode())]) for batch in batches])

    async def write(self, notes: Sequence[Note]) -> None:
        """The same, of records for any topics."""
        try:
            producer = self._producer or await self._started()
            async with bounded(self._cluster):
                sent = [
                    await producer.send(topic, value, key=key.encode(), headers=headers) for topic, key, value, headers in notes
                ]
                await _all(sent)
        except BaseException as error:
            # A producer that has failed once may fail for ever: its numbers have a gap, or its sender has died.
            await self.close()
            if isinstance(error, ClusterError | RuntimeError | AssertionError):
                raise ConnectionError(str(error)) from error
            raise

    async def _started(self) -> AIOKafkaProducer:
        if self._prepared is not None:
            await self._prepared()
            self._prepared = None
        self._producer = AIOKafkaProducer(
            **self._cluster.options(), enable_idempotence=True, acks="all", max_request_size=EVENT_RECORD
        )
        async with bounded(self._cluster):
            await self._producer.start()
        return self._producer

    async def close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _stopped(producer)


async def _all(sent: Iterable[Awaitable[object]]) -> None:
    """Wait for all, then raise what the first of them raised."""
    for answer in await asyncio.gather(*sent, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


async def _stopped(producer: AIOKafkaProducer) -> None:
    """Put a producer away, however it is: one that cannot finish is cut off, or its connections would stay."""
    try:
        async with asyncio.timeout(STOP):
            await producer.stop()
    except (KafkaError, TimeoutError, AssertionError, RuntimeError) as error:
        logger.debug("a producer is cut off: %s", error)
        with suppress(KafkaError, TimeoutError, AssertionError, RuntimeError):
            async with asyncio.timeout(STOP):
                await producer._sender.close()  # noqa: SLF001 - after a stop that failed there is no other way
                await producer.client.close()


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
        """Raises FencedError, ClusterError, ConnectionError: it is unknown then whether the notes were kept.

        The writer is of no use after that. What it had begun ends when the next one of its partition starts.
        """
        whole = list(notes)
        async with self._lock, self._exchange():
            await self._producer.begin_transaction()
            # Each is waited for: a record that the cluster refuses does not keep a transaction from being committed.
            await _all([await self._send(note) for note in whole])
            await self._producer.commit_transaction()

    async def _send(self, note: Note) -> Awaitable[object]:
        """Waits where the producer's buffer is full."""
        sent: Awaitable[object] = await self._producer.send(
            note.topic, note.value, key=note.key.encode(), partition=self._partition, headers=list(note.headers)
        )
        return sent

    @asynccontextmanager
    async def _exchange(self) -> AsyncIterator[None]:
        try:
            async with bounded(self._cluster):
                yield
        except ConnectionError as error:
            if isinstance(error.__cause__, ProducerFenced):
                raise FencedError(f"partition {self._partition} belongs to another worker now") from error
            raise
        except AssertionError as error:  # aiokafka's answer once a producer has failed for good
            raise ConnectionError(f"the producer of partition {self._partition} has failed: {error}") from error

    async def close(self) -> None:
        await _stopped(self._producer)


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
        async with bounded(cluster):
            await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
        at = 0
        while at < end:
            async with bounded(cluster):
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

    The first is empty: then the cluster is there, whether it has anything or not. Raises ConnectionError when the cluster is
    away; begin anew then, and some may come again.
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
        async with bounded(cluster):
            await consumer.start()
        yield []
        while True:
            async with bounded(cluster):
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


class Placed(NamedTuple):
    """A record of one partition. `at`: when it was written, seconds since 1970."""

    offset: int
    key: str
    value: bytes | None
    at: float


async def follow_from(cluster: Cluster, topic: str, partition: Partition, position: int) -> AsyncIterator[list[Placed]]:
    """What is committed to a partition from a position on, or from what is still kept, in bulk, for ever; the first is empty.

    Whoever reads keeps the position. Raises ConnectionError when the cluster is away.
    """
    consumer = AIOKafkaConsumer(
        **cluster.options(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=FOLLOW_WAIT,
    )
    place = TopicPartition(topic, partition)
    try:
        async with bounded(cluster):
            await consumer.start()
        consumer.assign([place])
        consumer.seek(place, position)
        yield []
        while True:
            async with bounded(cluster):
                fetched = await consumer.getmany(place, timeout_ms=1000)
            for records in fetched.values():
                yield [
                    Placed(one.offset, (one.key or b"").decode(errors="replace"), one.value, one.timestamp / 1000)
                    for one in records
                ]
    finally:
        with suppress(KafkaError):
            await consumer.stop()


def _found(record: Any) -> Found:
    return Found(record.topic, (record.key or b"").decode(errors="replace"), record.value)
