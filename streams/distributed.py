"""The composition roots of what runs on Kafka: the gateway beside the plant, and the workers of the cluster."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, closing
from functools import partial

from graph.detection import Model, load
from streams.cluster import Cluster, ClusterError, Names
from streams.crashpoints import CrashPoints
from streams.findings import FindingStore
from streams.folder import Folder
from streams.followed import Projections
from streams.gateway import Gateway
from streams.kafka import KafkaLog, when_there
from streams.kafka_admin import identity, prepare
from streams.outbox import Outbox
from streams.pipeline import Pipeline
from streams.projection import graph_store
from streams.publisher import Publisher
from streams.relay import Relay
from streams.remote import KafkaTruth, origin
from streams.service import journal_of, mqtt_address, pipeline_of, sparkplug_host
from streams.settings import Settings
from streams.shards import Shards
from streams.topics import Topics
from streams.worker import Worker

logger = logging.getLogger(__name__)


def cluster_of(settings: Settings) -> Cluster:
    """Raises ClusterError."""
    if settings.kafka_servers is None:
        raise ClusterError("setting kafka_servers: where is Kafka? For example 127.0.0.1:9092")
    secret = settings.kafka_password
    return Cluster(
        servers=settings.kafka_servers,
        protocol=settings.kafka_protocol,
        mechanism=settings.kafka_mechanism,
        username=settings.kafka_username,
        password=lambda: secret.get_secret_value() if secret else None,
        authorities=settings.kafka_authorities,
    )


def truth_of(settings: Settings) -> KafkaTruth:
    """Raises ClusterError."""
    return KafkaTruth(cluster_of(settings), Names(settings.kafka_prefix), settings.site)


async def prepare_topics(settings: Settings, cluster: Cluster, names: Names) -> int:
    """Make the topics; how many partitions they have. Raises ClusterError, ConnectionError."""
    return await prepare(
        cluster,
        names,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
        retention=settings.kafka_retention,
    )


async def prepared(settings: Settings, cluster: Cluster, names: Names) -> int:
    """The same, when the cluster is there. Raises ClusterError."""
    partitions = await when_there(lambda: prepare_topics(settings, cluster, names))
    logger.info("Kafka at %s: topics %s.* with %d partitions", cluster.servers, names.prefix, partitions)
    return partitions


class Pipelines:
    """Makes the pipelines of sites; a trained model is that of the site's own folder, or else of the folder itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: dict[str, Model] = {}

    def __call__(self, site: str) -> Pipeline:
        projected = self._settings.neo4j_uri is not None
        return pipeline_of(self._settings, site, self._model(site), projected=projected)

    def _model(self, site: str) -> Model | None:
        folder = self._settings.model
        if folder is None:
            return None
        own = folder / site
        key = site if own.is_dir() else ""
        if key not in self._models:
            self._models[key] = load(own if key else folder)
        return self._models[key]


async def run_worker(settings: Settings) -> None:
    """Until cancelled. Raises ClusterError, DamagedStateError, SnapshotError, StalledError."""
    cluster, names = cluster_of(settings), Names(settings.kafka_prefix)
    shards = Shards(
        cluster,
        names,
        partitions=await prepared(settings, cluster, names),
        pipeline_of=Pipelines(settings),
        every=settings.checkpoint_every,
        crash=CrashPoints(settings.crash_at),
    )
    if settings.neo4j_uri is not None:
        named = partial(origin, await identity(cluster), names)
        shards.watch = Projections(graph_store(settings, Folder(settings.data)), origin=named, executor=shards.executor)
    worker = Worker(cluster, names, shards, identity=settings.worker_identity or None, stalled_after=settings.stalled_after)
    await worker.run()


async def run_gateway(settings: Settings) -> None:
    """Until cancelled. Raises InUseError, ClusterError."""
    cluster, names = cluster_of(settings), Names(settings.kafka_prefix)
    folder, topics, crash = Folder(settings.data), Topics(settings.site), CrashPoints(settings.crash_at)
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.locked())
        address = await mqtt_address(settings, stack)
        outbox = stack.enter_context(closing(Outbox(folder.outbox)))
        store = stack.enter_context(closing(FindingStore(folder.findings)))
        log = KafkaLog(cluster, names, prepared=lambda: prepare_topics(settings, cluster, names))
        stack.push_async_callback(log.close)
        gateway = Gateway(topics, address=address, outbox=outbox, log=log, crash=crash)
        journal = journal_of(settings, store, None)
        journal.restore()
        relay = Relay(settings.site, cluster=cluster, names=names, journal=journal)
        publisher = Publisher(topics, address=address, store=store, crash=crash)
        sparkplug = sparkplug_host(settings, address=address, outbox=outbox, crash=crash, stored=gateway.look)
        logger.info("site %s: MQTT on %s:%d to Kafka at %s", settings.site, address.host, address.port, cluster.servers)
        async with asyncio.TaskGroup() as tasks:
            parts = (
                ("gateway", gateway),
                ("relay", relay),
                ("publisher", publisher),
                ("sparkplug", sparkplug),
                ("alarms", journal),
            )
            for name, part in parts:
                if part is not None:
                    tasks.create_task(part.run(), name=f"{settings.site}: {name}")
