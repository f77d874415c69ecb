"""The composition roots of what runs on Kafka: the gateway beside the plant, and the workers of the cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, closing
from functools import partial
from typing import Any

from agents.alarmrules import AlarmRules
from agents.annunciator import Annunciator
from graph.detection.model import Model, load
from streams.announcer import Announcer
from streams.answers import Readiness
from streams.cluster import Cluster, ClusterError, Names
from streams.controlroom import ControlRoom
from streams.crashpoints import CrashPoints
from streams.edgehands import acting
from streams.feed import Feed
from streams.findings import FindingStore
from streams.folder import Folder
from streams.followed import Projections
from streams.front import Front
from streams.gateway import Gateway
from streams.graphstore import graph_store
from streams.journal import AlarmJournal
from streams.kafka import KafkaLog, when_there
from streams.kafka_admin import identity, prepare
from streams.listening import ApiServer
from streams.liveplant import LiveHands
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.pipeline import Pipeline
from streams.plantclock import PlantClock
from streams.publisher import Publisher
from streams.relay import Relay
from streams.remote import KafkaTruth, origin
from streams.requests import Requests
from streams.service import mqtt_address, pipeline_of, sparkplug_host, webhooks_of
from streams.settings import Settings
from streams.shards import Shards
from streams.topics import Topics
from streams.traces import Traces
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
        pipeline = pipeline_of(self._settings, site, self._model(site), projected=projected)
        if pipeline.asks_for_runs:
            logger.warning("site %s: a worker carries out no runs, so the tasks of the runbook's rules are not done", site)
        return pipeline

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
    """Until cancelled. Raises InUseError, ClusterError, PolicyError, RuleFileError."""
    cluster, names = cluster_of(settings), Names(settings.kafka_prefix)
    folder, topics, crash = Folder(settings.data), Topics(settings.site), CrashPoints(settings.crash_at)
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.locked())
        server = stack.enter_context(closing(ApiServer(settings))) if settings.api else None
        address = await mqtt_address(settings, stack)
        outbox = stack.enter_context(closing(Outbox(folder.outbox)))
        store = stack.enter_context(closing(FindingStore(folder.findings)))
        log = KafkaLog(cluster, names, prepared=lambda: prepare_topics(settings, cluster, names))
        stack.push_async_callback(log.close)
        gateway = Gateway(topics, address=address, outbox=outbox, log=log, crash=crash)
        clock = PlantClock()
        journal = AlarmJournal(Annunciator(settings.site, AlarmRules.load(settings.alarm_rules)), store, clock=clock)
        journal.restore()
        own = KafkaLog(cluster, names)
        stack.push_async_callback(own.close)
        sparkplug = sparkplug_host(settings, address=address, outbox=outbox, crash=crash, stored=gateway.look)
        relay = Relay(settings.site, cluster=cluster, names=names, journal=journal, clock=clock)
        hand = acting(
            settings,
            folder,
            stack,
            cluster=cluster,
            names=names,
            address=address,
            outbox=outbox,
            store=store,
            clock=clock,
            sparkplug=sparkplug,
        )
        await hand.requests.recover()
        readers = Readers(gateway, relay, hand.requests)
        hands = LiveHands(hand.responder)
        front = _front(settings, folder, stack, journal=journal, store=store, outbox=outbox, ready=readers, hands=hands)
        parts: tuple[tuple[str, Callable[[], Coroutine[Any, Any, None]]], ...] = (
            ("gateway", gateway.run),
            ("relay", relay.run),
            ("publisher", Publisher(topics, address=address, store=store, crash=crash).run),
            ("requests", hand.requests.run),
            ("responder", hand.responder.run),
            ("announcer", Announcer(settings.site, log=own, names=names, store=store).run),
            ("alarms", journal.run),
            ("feed", front.feed.run),
            ("webhooks", front.webhooks.run),
            *((("sparkplug", sparkplug.run),) if sparkplug is not None else ()),
            *((("API", lambda: _serve(settings, server, folder, front)),) if server is not None else ()),
        )
        logger.info("site %s: MQTT on %s:%d to Kafka at %s", settings.site, address.host, address.port, cluster.servers)
        async with asyncio.TaskGroup() as tasks:
            for name, run in parts:
                tasks.create_task(run(), name=f"{settings.site}: {name}")


async def _serve(settings: Settings, server: ApiServer, folder: Folder, front: Front) -> None:
    from streams.api.composition import serve  # noqa: PLC0415 - a second that workers need not wait

    await serve(settings, server, folder, front)


class Readers:
    """Whether what a gateway reads from is there."""

    def __init__(self, gateway: Gateway, relay: Relay, requests: Requests) -> None:
        self._gateway = gateway
        self._relay = relay
        self._requests = requests

    def __call__(self) -> Readiness:
        lost = "" if self._gateway.connected.is_set() else "not connected to the MQTT broker"
        checks = {"gateway": lost, "relay": self._relay.trouble, "actions": self._requests.trouble}
        return Readiness(ready=not any(checks.values()), checks=checks)


def _front(
    settings: Settings,
    folder: Folder,
    stack: AsyncExitStack,
    *,
    journal: AlarmJournal,
    store: FindingStore,
    outbox: Outbox,
    ready: Readers,
    hands: LiveHands,
) -> Front:
    """Alarms and faults of the site; the plant as the graph's database has it, if one is set."""
    feed = Feed(store)
    webhooks = webhooks_of(settings, folder, feed)
    stack.callback(webhooks.close)
    database = stack.enter_context(closing(graph_store(settings, folder))) if settings.neo4j_uri else None
    room = ControlRoom(
        settings.site,
        journal=journal,
        store=store,
        feed=feed,
        outbox=outbox,
        traces=Traces(),
        live=None,
        hands=hands,
        database=database,
    )
    return Front(room, feed, webhooks, ready=ready, metrics=Metrics())
