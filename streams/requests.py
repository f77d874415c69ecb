"""The acting side of a gateway on Kafka: what workers ask for is decided here, by what they say of the graph, and sent.

In the order that makes it safe: 1. what a worker said is kept; 2. the dispatcher decides, records, claims and sends, each
action at most once whatever is read again; 3. last, how far was read. While the gateway stands, the plant's time goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from agents.facts import plain
from graph.topology import Topology
from schemas.action import RUNBOOK, moment
from schemas.event import Micros
from schemas.facts import Request
from streams.cluster import Cluster, Names
from streams.findings import Kind
from streams.kafka import Placed, follow_from, partition_of
from streams.kafka_admin import partitions_of
from streams.plantclock import PlantClock
from streams.requestbook import RequestBook
from streams.responder import Responder

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
FARTHEST = 86_400_000_000
"""Microseconds by which the plant's clock may be told to go forward at once."""
LATEST = moment("9000-01-01T00:00:00Z")
"""No clock can go on much longer."""
PAUSE = 1.0
"""Seconds before another try when the cluster is away."""


class NoGraph:
    """`streams.plantview.Live` where there is none: who decides by facts looks at no topology."""

    version = 0

    def __init__(self, clock: PlantClock) -> None:
        self._clock = clock

    @property
    def now(self) -> Micros:
        return self._clock.now

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return await asyncio.to_thread(work, Topology())


class Requests:
    """Of one site. `wall` tells seconds since 1970, as the cluster's records do."""

    def __init__(
        self,
        site: str,
        *,
        cluster: Cluster,
        names: Names,
        book: RequestBook,
        responder: Responder,
        clock: PlantClock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._site = site
        self._cluster = cluster
        self._names = names
        self._book = book
        self._responder = responder
        self._clock = clock
        self._wall = wall
        self.trouble = ""
        """Why nothing comes from the cluster now, if so."""

    async def recover(self) -> None:
        """Before anything is asked for."""
        if (now := self._book.plant_time(self._wall())) is not None:
            self._clock.noticed(now)
        await self._responder.recover(self._clock.now)

    async def run(self) -> None:
        """Until cancelled."""
        topic = self._names.findings(Kind.ACTIONS)
        while True:
            try:
                partition = partition_of(self._site.encode(), await partitions_of(self._cluster, self._names))
                async for records in follow_from(self._cluster, topic, partition, self._book.position(topic)):
                    self.trouble = ""
                    for record in records:
                        await self.take(record)
                    if records:
                        await self._book.read(topic, records[-1].offset + 1)
            except ConnectionError as error:
                logger.warning("actions wait for the cluster: %s", error)
                self.trouble = f"the cluster is away: {error}"
            await asyncio.sleep(PAUSE)

    async def take(self, record: Placed) -> None:
        """Decide on what a record asks for; again it changes nothing. What is no request of a worker's is passed over."""
        request = self._read(record) if record.key == self._site else None
        if request is None:
            return
        since = max(0.0, self._wall() - record.at)
        self._clock.noticed(Micros(moment(request.facts.at) + round(since * 1e6)))
        await self._book.asked(request, record.at)
        await self._responder.request(plain(request))

    def _read(self, record: Placed) -> Request | None:
        try:
            request = msgspec.json.decode(record.value or b"", type=Request)
            for text in (request.facts.at, request.requested_at, request.expires_at):
                moment(text)  # a time that is none would stop us later
            if moment(request.facts.at) > (self._clock.now or LATEST) + FARTHEST:
                raise ValueError("its facts are of a time far ahead, to which the plant's clock would jump")  # noqa: TRY301
            if request.site != self._site or request.cause.role != RUNBOOK:
                raise ValueError("it is not asked for by a rule of this site")  # noqa: TRY301 - as all that is wrong with it
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError) as error:
            logger.warning(
                "record %d of %s is no action to decide on: %s", record.offset, self._names.findings(Kind.ACTIONS), error
            )
            return None
        return request
