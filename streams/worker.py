"""A worker of the cluster: Faust for membership of the group, assignment and commits; `Shards` for everything else.

The only file that knows Faust, and a thin one, so that a plain consumer can take its place. Faust hands over one record at a
time through queues of its own, which costs 80 microseconds each (ADR 8); here the fetches of its consumer go to the shards as
they are. No table, no stream, no agent holds anything: positions are committed after findings and snapshots are in the cluster,
and by that alone.
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types.auth import AuthProtocol
from faust.types.tuples import TP

from streams.cluster import Cluster, Names, StalledError
from streams.kafka import Partition
from streams.shards import Shards

logger = logging.getLogger(__name__)
POLL = 0.5
"""Seconds that a fetch waits for records; a snapshot is late by so much at most."""
RECORDS = 2_000
"""In one fetch, of all partitions together."""
FETCH_WAIT = 25
"""Milliseconds that the cluster may hold a fetch back when there is nothing."""
LOOK = 0.5
"""Seconds between looks at whether the worker still works."""
END = 20.0
"""Seconds that putting everything away may take."""
SESSION = 15.0
"""Seconds after which the partitions of a worker that is silent go to others."""
HEARTBEAT = 1.5
REQUEST = 30.0
"""Seconds after which a connection that is silent is given up; longer than a rebalance may take."""


class _Thread(driver.AIOKafkaConsumerThread):
    """With two settings that Faust does not let one choose."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # A partition that has been emptied is fetched from again only when the request that waits for the others has come back.
        consumer._fetch_max_wait_ms = FETCH_WAIT  # noqa: SLF001
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - what others publish in transactions, when it is sure
        return consumer

    async def back(self, tps: Iterable[TP]) -> None:
        """Fetch these from their committed positions again; in this thread, since the consumer is not made for two."""
        consumer = self._ensure_consumer()
        for tp in tps:
            if tp in consumer.assignment():
                committed = await consumer.committed(tp)
                if tp in consumer.assignment():
                    consumer.seek(tp, committed or 0)

    def still(self, tp: TP) -> float:
        """Seconds since the cluster last answered a fetch of this partition."""
        state = self._state(tp)
        return 0.0 if state is None or not state.timestamp else time.time() - state.timestamp / 1000

    def waiting(self, tp: TP) -> int:
        """Records of a partition that are not fetched yet."""
        state = self._state(tp)
        if state is None or state.highwater is None or not state.has_valid_position:
            return 0
        return int(state.highwater - state.position)

    def _state(self, tp: TP) -> Any:
        assignment = self._ensure_consumer()._subscription.subscription.assignment  # noqa: SLF001
        return assignment.state_value(tp) if assignment and tp in self.assignment() else None


class _Consumer(driver.Consumer):
    """Hands over whole fetches instead of single messages."""

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (self.should_stop or fetcher.should_stop):
            await cast("_App", self.app).work(self)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust looks at streams, of which there are none; the watchdog looks at positions."""

    async def fetch(self) -> Mapping[TP, list[Any]]:
        records, _ = await self._wait_next_records(POLL)
        return records or {}

    async def commit_positions(self, positions: Mapping[TP, int]) -> bool:
        """Whether the group has taken them."""
        return await self._commit(positions)

    async def back(self, tps: Iterable[TP]) -> None:
        thread = cast("_Thread", self._thread)
        await thread.call_thread(thread.back, list(tps))

    def still(self, tp: TP) -> float:
        return cast("_Thread", self._thread).still(tp)

    def waiting(self, tp: TP) -> int:
        return cast("_Thread", self._thread).waiting(tp)


class _Transport(driver.Transport):
    Consumer = _Consumer


class _App(faust.App):
    """Faust's application, with the shards in the place of streams."""

    shards: Shards
    topic_name: str
    stalled_after: float
    turned: float
    """When a turn was last completed, or partitions were given out."""

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    def attach(self, shards: Shards, topic: str, stalled_after: float) -> None:
        self.shards = shards
        self.topic_name = topic
        self.stalled_after = stalled_after
        self.turned = time.monotonic()
        self.topics.add(self.topic(topic, key_type=bytes, value_type=bytes))
        assigned, revoked = cast("Any", self._assigned), cast("Any", self._revoked)
        self.on_partitions_assigned.connect(assigned)
        self.on_partitions_revoked.connect(revoked)

    async def _assigned(self, _: Any, assigned: set[TP], **__: Any) -> None:
        self.shards.assigned(Partition(tp.partition) for tp in assigned if tp.topic == self.topic_name)
        self.turned = time.monotonic()

    async def _revoked(self, _: Any, revoked: set[TP], **__: Any) -> None:
        del revoked  # the group gives all of them out anew
        await self._commit_positions(await self.shards.revoked())

    async def work(self, consumer: _Consumer) -> None:
        """One turn: fetch, take in, save what is due, commit what is safe."""
        before = self.shards.rebalances
        if not await self.shards.settled():
            self.turned = max(self.turned, self.shards.progress)
            return
        records = await consumer.fetch()
        void = [tp for tp, part in records.items() if not await self.shards.take(Partition(tp.partition), part, before)]
        await self._commit_positions(await self.shards.save())
        again = self._places(await self.shards.reclaim())
        if void or again:
            await consumer.back([*void, *again])
        self.turned = time.monotonic()

    def stalled(self) -> str | None:
        """What does not go on, if something does not. Looked at from outside the turns, since a turn may hang."""
        still = time.monotonic() - self.turned
        if still > self.stalled_after:
            return f"nothing was fetched, taken in or written for {still:.0f} s"
        consumer, places = cast("_Consumer", self.consumer), self._places(self.shards.held)
        if silent := [tp.partition for tp in places if consumer.still(tp) > self.stalled_after]:
            return f"no answer to a fetch of partitions {silent}"
        waiting = sum(map(consumer.waiting, places))
        if not waiting:
            self.shards.progress = time.monotonic()
        still = time.monotonic() - self.shards.progress
        return f"{waiting} records wait, and none was taken in for {still:.0f} s" if still > self.stalled_after else None

    async def _commit_positions(self, positions: Mapping[Partition, int]) -> None:
        if not positions:
            return
        consumer = cast("_Consumer", self.consumer)
        if await consumer.commit_positions({TP(self.topic_name, number): at for number, at in positions.items()}):
            self.shards.committed(positions)

    def _places(self, partitions: Iterable[Partition]) -> list[TP]:
        return [TP(self.topic_name, partition) for partition in partitions]


class Worker:
    """One process of the group `names.prefix`. `identity`: a fixed name keeps its partitions over a quick restart."""

    def __init__(self, cluster: Cluster, names: Names, shards: Shards, *, identity: str | None, stalled_after: float) -> None:
        self._shards = shards
        self._app = _App(
            f"{names.prefix}-workers",
            broker=[f"kafka://{server.strip()}" for server in cluster.servers.split(",")],
            broker_credentials=_credentials(cluster),
            consumer_group_instance_id=identity,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=8 << 20,
            broker_max_poll_records=RECORDS,
            broker_session_timeout=SESSION,
            broker_request_timeout=REQUEST,
            broker_rebalance_timeout=REQUEST - 5,
            broker_heartbeat_interval=HEARTBEAT,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            store="memory://",
            table_standby_replicas=0,
            autodiscover=False,
            stream_wait_empty=False,
        )
        self._app.attach(shards, names.events, stalled_after)

    async def run(self) -> None:
        """Until cancelled; the snapshots are written then. Raises whatever stopped it."""
        try:
            await self._app.start()
            await self._ended()
        finally:
            try:
                async with asyncio.timeout(END):
                    await self._put_away()
            except TimeoutError:
                logger.warning("not everything could be put away; what was not saved is repeated")

    async def _ended(self) -> None:
        """Faust keeps the reason of a crash to itself."""
        while not self._app.should_stop:  # Faust has no event for it
            await asyncio.sleep(LOOK)
            if reason := self._app.stalled():
                logger.error("the worker hangs here:\n%s", _stacks())
                raise StalledError(reason)
        raise self._app.crash_reason or ConnectionError("the worker's consumer ended")

    async def _put_away(self) -> None:
        if not self._app.crashed and self._app.stalled() is None:
            await self._app._commit_positions(await self._shards.revoked())  # noqa: SLF001 - same file
        await self._app.stop()
        await self._shards.close()


def _credentials(cluster: Cluster) -> SASLCredentials | SSLCredentials | None:
    context = cluster.tls()
    if cluster.username is not None:
        sasl = SASLCredentials(
            username=cluster.username, password=cluster.password(), ssl_context=context, mechanism=str(cluster.mechanism)
        )
        sasl.protocol = AuthProtocol.SASL_SSL if context else AuthProtocol.SASL_PLAINTEXT
        return sasl
    return SSLCredentials(context) if context else None


def _stacks() -> str:
    """Where every task of this loop waits."""
    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=text)
    return text.getvalue()
