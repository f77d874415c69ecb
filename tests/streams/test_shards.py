"""What a worker does with its partitions when the group moves them, on the real Kafka."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from deploy.local.services import Local
from schemas.encode import encode
from streams.cluster import Cluster, Names
from streams.crashpoints import CrashPoints
from streams.kafka import Partition, partition_of
from streams.kafka_admin import prepare
from streams.pipeline import Pipeline
from streams.shards import RECLAIM, Shards
from tests.streams.plant import recording
from tests.streams.test_shard import Record

pytestmark = pytest.mark.xdist_group("kafka")
NUMBERS = itertools.count(1)
ZERO, ONE = Partition(0), Partition(1)
EVENTS = recording(30)
SITE = next(name for name in ("plant", "mill", "line-1", "line-2") if partition_of(name.encode(), 2) == ZERO)
LOG = [Record(at, encode(EVENTS[at * 10 : at * 10 + 10]), SITE.encode()) for at in range(len(EVENTS) // 10)]


@pytest.fixture
async def two(kafka: Local) -> AsyncIterator[tuple[Shards, Shards]]:
    cluster, names = Cluster(f"127.0.0.1:{kafka.port}"), Names(f"shards{next(NUMBERS)}")
    await prepare(cluster, names, partitions=2, replication=1, retention=3600)
    both = tuple(Shards(cluster, names, partitions=2, pipeline_of=Pipeline, every=0, crash=CrashPoints()) for _ in range(2))
    yield both[0], both[1]
    for shards in both:
        await shards.close()


async def assign(shards: Shards, partitions: list[Partition]) -> None:
    """As the group does, and until all of them are here."""
    shards.assigned(partitions)
    while not await shards.settled():
        pass


def accepted(shards: Shards, partition: Partition = ZERO) -> int:
    sites = shards.held[partition].sites
    return sites[SITE].pipeline.counts.accepted if SITE in sites else 0


async def test_what_was_fetched_before_a_rebalance_is_not_taken_after_it(two: tuple[Shards, Shards]) -> None:
    """It may lie beyond what another had taken in meanwhile: a gap that nobody would ever see."""
    shards, _ = two
    await assign(shards, [ZERO])
    assert await shards.take(ZERO, LOG[:2], shards.rebalances)
    before = shards.rebalances
    await shards.revoked()
    await assign(shards, [ZERO])
    assert not await shards.take(ZERO, LOG[5:], before)
    assert accepted(shards) == 20
    assert await shards.take(ZERO, LOG, shards.rebalances)
    assert accepted(shards) == len(LOG) * 10


async def test_a_takeover_that_is_called_off_disturbs_nobody(two: tuple[Shards, Shards]) -> None:
    shards, _ = two
    shards.assigned([ZERO, ONE])
    turn = asyncio.create_task(shards.settled())
    await asyncio.sleep(0.01)
    await shards.revoked()
    assert await turn is False
    assert await shards.settled() is False
    await assign(shards, [ONE])
    assert list(shards.held) == [ONE]


async def test_state_moves_with_its_partition(two: tuple[Shards, Shards]) -> None:
    first, second = two
    await assign(first, [ZERO, ONE])
    await first.take(ZERO, LOG[:4], 0)
    assert await first.revoked() == {ZERO: 4}
    await assign(first, [ONE])
    await assign(second, [ZERO])
    assert list(first.held) == [ONE]
    assert accepted(second) == 40
    await second.take(ZERO, LOG, 0)
    assert accepted(second) == len(LOG) * 10


async def test_what_stays_is_kept_in_memory(two: tuple[Shards, Shards]) -> None:
    shards, _ = two
    await assign(shards, [ZERO])
    await shards.take(ZERO, LOG[:1], 0)
    held = shards.held[ZERO]
    await shards.revoked()
    await assign(shards, [ZERO, ONE])
    assert shards.held[ZERO] is held


async def test_who_lost_a_partition_drops_it_and_takes_it_back_only_later(two: tuple[Shards, Shards]) -> None:
    """A stale owner cannot write; if the group says that it owns the partition after all, it reads it anew."""
    stale, owner = two
    await assign(stale, [ZERO])
    await stale.take(ZERO, LOG[:2], 0)
    await assign(owner, [ZERO])
    await owner.take(ZERO, LOG[:3], 0)
    await owner.save()
    await stale.save()
    assert not stale.held
    assert await stale.reclaim() == []
    stale._lost[ZERO] -= RECLAIM
    assert await stale.reclaim() == [ZERO]
    assert accepted(stale) == 30
    await owner.take(ZERO, LOG[3:], 0)
    assert await owner.revoked() == {}
    assert not owner.held


async def test_positions_are_given_out_until_they_are_committed(two: tuple[Shards, Shards]) -> None:
    shards, _ = two
    await assign(shards, [ZERO])
    assert await shards.save() == {}
    await shards.take(ZERO, LOG[:2], 0)
    assert await shards.save() == {ZERO: 2}
    shards.committed({ZERO: 2})
    assert await shards.save() == {}
