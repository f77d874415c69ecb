"""Kafka's topics: made as the service needs them, and refused if they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.cluster import EVENT_RECORD, KINDS, LIVED, RECORD, Cluster, ClusterError, Names
from streams.kafka import bounded

LARGEST = "max.message.bytes"
_EXISTS = 36
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": "600000",
    "segment.bytes": str(64 << 20),
}


def _new_topics(names: Names, partitions: int, replication: int, retention: float) -> list[NewTopic]:
    kept = {"retention.ms": str(int(retention * 1000)), LARGEST: str(RECORD)}
    configs = dict.fromkeys([names.deadletters, *map(names.findings, (*KINDS, *LIVED))], kept)
    configs[names.events] = kept | {LARGEST: str(EVENT_RECORD)}
    configs[names.state] = _COMPACTED | {LARGEST: str(RECORD)}
    return [NewTopic(name, partitions, replication, topic_configs=config) for name, config in configs.items()]


async def prepare(cluster: Cluster, names: Names, *, partitions: int, replication: int, retention: float) -> int:
    """Make the topics that are not there yet; how many partitions they have. Raises ClusterError, ConnectionError.

    `retention`: seconds for which events and findings are kept.
    """
    async with _admin(cluster) as admin:
        answer = await admin.create_topics(_new_topics(names, partitions, replication, retention))
        for topic, code, text in answer.topic_errors:
            if code not in (0, _EXISTS):
                raise ClusterError(f"topic {topic} could not be made: {text} (settings kafka_replication, kafka_partitions)")
        found = await _same_partitions(admin, names)
        await _large_enough(admin, names)
        return found


async def identity(cluster: Cluster) -> str:
    """The cluster's own name for itself. Raises ConnectionError."""
    async with _admin(cluster) as admin:
        return str((await admin.describe_cluster())["cluster_id"])


async def partitions_of(cluster: Cluster, names: Names) -> int:
    """How many partitions the topics have, that must be there. Raises ClusterError, ConnectionError."""
    async with _admin(cluster) as admin:
        return await _same_partitions(admin, names)


@asynccontextmanager
async def _admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**cluster.options())
    async with bounded(cluster):
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


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


async def _large_enough(admin: AIOKafkaAdminClient, names: Names) -> None:
    """A topic that was made by others may take less than what is written to it."""
    for topic in _new_topics(names, 1, 1, 1):
        asked = ConfigResource(ConfigResourceType.TOPIC, topic.name, configs={LARGEST: None})
        (answer,) = await admin.describe_configs([asked])
        held = {name: value for *_, entries in answer.resources for name, value, *_ in entries}
        wanted = int(topic.topic_configs[LARGEST])
        if int(held.get(LARGEST, wanted)) < wanted:
            raise ClusterError(f"topic {topic.name} takes records of {held[LARGEST]} bytes: set its {LARGEST} to {wanted}")
