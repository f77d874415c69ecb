"""The composition root: every part of one site's service, made from settings and joined.

`Service.run` starts the parts in the order in which they need each other and stops them in reverse; a part that fails stops the
service, because an error is handled or it is fatal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from agents.alarmrules import AlarmRules
from agents.annunciator import Annunciator
from agents.runbook import Runbook
from graph.detection.model import Model, load
from schemas.device import DeviceId
from streams.analysis import Analysis
from streams.broker import SqliteLog
from streams.commandfile import Commands
from streams.controlroom import ControlRoom
from streams.crashpoints import CrashPoints
from streams.feed import Feed
from streams.findings import FindingStore
from streams.folder import Folder
from streams.gateway import Gateway
from streams.graphstore import graph_store
from streams.instructions import Interpreter, PlantInterpreter
from streams.journal import AlarmJournal, Records
from streams.listening import ApiServer
from streams.liveplant import LiveHands, LivePlant
from streams.mqtt import Address, EmbeddedBroker
from streams.outbox import Outbox
from streams.outlets import SparkplugOutlet, SparkplugPlace, place_of
from streams.pipeline import Pipeline
from streams.plantclock import PlantClock
from streams.plantview import Live
from streams.projection import PipelineSource, Projection
from streams.publisher import Publisher
from streams.readiness import Progress
from streams.responder import Responder
from streams.settings import Settings, SparkplugRole
from streams.sparkplug import Manner, SparkplugHost
from streams.topics import Topics
from streams.traces import Traces
from streams.webhooks.body import Origin
from streams.webhooks.book import Webhooks
from streams.windows import Lateness
from streams.workroom import Workroom, errands
from streams.workshop.training import Training

logger = logging.getLogger(__name__)
SECOND = 1_000_000


@dataclass
class Parts:
    """What runs, for whoever watches: the demo, the API, tests."""

    address: Address
    topics: Topics
    outbox: Outbox
    store: FindingStore
    gateway: Gateway
    sparkplug: SparkplugHost | None
    analysis: Analysis
    responder: Responder
    publisher: Publisher
    projection: Projection
    journal: AlarmJournal
    clock: PlantClock
    feed: Feed
    room: ControlRoom
    webhooks: Webhooks
    workroom: Workroom
    url: str | None = None
    """Of API and console."""


class Service:
    """One site. `settings` are read once; a trained model may be handed in instead of a folder, and who understands

    instructions instead of the product's own interpreter.
    """

    def __init__(self, settings: Settings, *, model: Model | None = None, interpreter: Interpreter | None = None) -> None:
        self._settings = settings
        self._interpreter = interpreter or PlantInterpreter()
        self._model = model if model is not None or settings.model is None else load(settings.model)

    async def run(self) -> None:
        """Until cancelled."""
        async with self.started() as parts:
            where = f"{parts.address.host}:{parts.address.port}"
            logger.info("site %s: MQTT on %s, data in %s", self._settings.site, where, self._settings.data)
            if parts.url is not None:
                logger.info("console and API: %s", parts.url)
            await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Parts]:
        """The running parts; they stop when the block ends. Raises InUseError, DamagedError, SnapshotError, RuleError."""
        settings, folder = self._settings, Folder(self._settings.data)
        async with AsyncExitStack() as stack:
            stack.enter_context(folder.locked())
            server = stack.enter_context(closing(ApiServer(settings))) if settings.api else None
            address = await mqtt_address(settings, stack)
            parts = self._parts(stack, folder, address)
            parts.url = None if server is None else server.url
            parts.analysis.restore()
            parts.journal.restore()
            parts.clock.noticed(parts.analysis.pipeline.now)
            await parts.responder.recover(parts.clock.now)
            await parts.workroom.recover()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for name, part in (
                ("gateway", parts.gateway),
                ("sparkplug", parts.sparkplug),
                ("analysis", parts.analysis),
                ("publisher", parts.publisher),
                ("responder", parts.responder),
                ("instructions", parts.workroom),
                ("projection", parts.projection),
                ("alarms", parts.journal),
                ("feed", parts.feed),
                ("webhooks", parts.webhooks),
            ):
                if part is None:
                    continue
                task = tasks.create_task(part.run(), name=f"{settings.site}: {name}")
                stack.callback(task.cancel)
            if server is not None:
                # Late, since its packages take a second to import, and the plant does not wait for its watchers.
                task = tasks.create_task(self._serve(server, folder, parts), name=f"{settings.site}: API")
                stack.callback(task.cancel)
            yield parts

    async def _serve(self, server: ApiServer, folder: Folder, parts: Parts) -> None:
        from streams.api.composition import serve  # noqa: PLC0415
        from streams.front import Front  # noqa: PLC0415
        from streams.metrics import Metrics, ServiceFigures  # noqa: PLC0415

        front = Front(parts.room, parts.feed, parts.webhooks, ready=Progress(parts), metrics=Metrics([ServiceFigures(parts)]))
        await serve(self._settings, server, folder, front)

    def _parts(self, stack: AsyncExitStack, folder: Folder, address: Address) -> Parts:
        settings, topics, crash = self._settings, Topics(self._settings.site), CrashPoints(self._settings.crash_at)
        outbox = stack.enter_context(closing(Outbox(folder.outbox)))
        log = stack.enter_context(closing(SqliteLog(folder.log)))
        store = stack.enter_context(closing(FindingStore(folder.findings)))
        pipeline, clock = pipeline_of(settings, settings.site, self._model, projected=True), PlantClock()

        async def think(work: Callable[[], Records]) -> Records:
            return await analysis.in_model_thread(work)

        annunciator = Annunciator(settings.site, AlarmRules.load(settings.alarm_rules))
        journal = AlarmJournal(annunciator, store, clock=clock, topology=lambda: pipeline.topology, think=think)
        training = Training(folder, settings.site)
        stay = errands(settings, journal, training)
        responder = Responder.of(settings, folder, topics, address, store=store, clock=clock, errands=stay)
        stack.callback(responder.close)
        analysis = Analysis(
            pipeline,
            log=log,
            journal=journal,
            clock=clock,
            respond=responder.respond,
            folder=folder.path,
            every=settings.checkpoint_every,
            keep=settings.keep_records,
            crash=crash,
        )
        responder.live = live = LivePlant(analysis)
        gateway = Gateway(topics, address=address, outbox=outbox, log=log, crash=crash)
        sparkplug = sparkplug_host(settings, address=address, outbox=outbox, crash=crash, stored=gateway.look)
        responder.mqtt.sparkplug = sparkplug_outlet(settings, sparkplug, live)

        def zone_of(device: DeviceId) -> str | None:
            return pipeline.topology.zone_of(device)  # another object after a restore

        feed = Feed(store, zone_of=zone_of)
        webhooks = stack.enter_context(closing(webhooks_of(settings, folder, feed)))
        room = self._room(stack, folder, analysis, responder, journal=journal, store=store, feed=feed, outbox=outbox)
        workroom = Workroom(
            settings, folder, analysis, responder, room=room, training=training, interpreter=self._interpreter, crash=crash
        )
        stack.callback(workroom.close)
        return Parts(
            address=address,
            topics=topics,
            outbox=outbox,
            store=store,
            gateway=gateway,
            sparkplug=sparkplug,
            analysis=analysis,
            responder=responder,
            publisher=Publisher(topics, address=address, store=store, crash=crash),
            projection=self._projection(folder, analysis),
            journal=journal,
            clock=clock,
            feed=feed,
            webhooks=webhooks,
            room=room,
            workroom=workroom,
        )

    def _room(
        self,
        stack: AsyncExitStack,
        folder: Folder,
        analysis: Analysis,
        responder: Responder,
        *,
        journal: AlarmJournal,
        store: FindingStore,
        feed: Feed,
        outbox: Outbox,
    ) -> ControlRoom:
        traces, database = Traces(), stack.enter_context(closing(graph_store(self._settings, folder)))
        analysis.observers.append(lambda reaction: traces.observe(reaction.steps))
        return ControlRoom(
            self._settings.site,
            journal=journal,
            store=store,
            feed=feed,
            outbox=outbox,
            traces=traces,
            live=responder.live,
            hands=LiveHands(responder),
            database=database,
        )

    def _projection(self, folder: Folder, analysis: Analysis) -> Projection:
        source = PipelineSource(
            analysis.pipeline, origin=folder.identity(), offset=lambda: analysis.seen, run=analysis.in_model_thread
        )
        analysis.observers.append(lambda _: source.noticed())
        return Projection(graph_store(self._settings, folder), source)


async def mqtt_address(settings: Settings, stack: AsyncExitStack) -> Address:
    """Of the broker that is set; without one, of an embedded broker that lives as long as the stack."""
    if settings.mqtt_host is not None:
        secret = settings.mqtt_password
        return Address(
            settings.mqtt_host,
            settings.mqtt_port,
            username=settings.mqtt_username,
            password=lambda: secret.get_secret_value() if secret else None,
            tls=settings.mqtt_tls,
        )
    broker = await stack.enter_async_context(EmbeddedBroker(settings.mqtt_bind, settings.mqtt_port))
    return Address(settings.mqtt_bind, broker.port)


def sparkplug_host(
    settings: Settings, *, address: Address, outbox: Outbox, crash: CrashPoints, stored: Callable[[], None]
) -> SparkplugHost | None:
    """The host in its role, if it has one."""
    if settings.sparkplug_role is SparkplugRole.OFF:
        return None
    return SparkplugHost(Manner.of(settings), address=address, outbox=outbox, crash=crash, stored=stored)


def sparkplug_outlet(settings: Settings, host: SparkplugHost | None, live: Live) -> SparkplugOutlet:
    """The way to devices that came by Sparkplug, as the live graph has it. Raises RuleFileError, OSError."""

    async def place(device: DeviceId) -> SparkplugPlace | None:
        return await live.read(lambda topology: place_of(topology, device))

    return SparkplugOutlet(host, commands_of(settings), place)


def commands_of(settings: Settings) -> Commands:
    """What Sparkplug's devices are told by which verb. Raises RuleFileError, OSError."""
    if settings.sparkplug_commands is None:
        return Commands()
    return Commands.load(settings.sparkplug_commands, settings.policy)


def webhooks_of(settings: Settings, folder: Folder, feed: Feed) -> Webhooks:
    """Raises ValueError for a network that is none."""
    origin = Origin(settings.site, settings.external_url or "")
    return Webhooks.of(folder.webhooks, feed=feed, origin=origin, private=settings.webhook_private)


def pipeline_of(settings: Settings, site: str, model: Model | None, *, projected: bool) -> Pipeline:
    """A site's pipeline as the settings want it, in the service and in a worker alike. Raises RuleFileError, OSError."""
    return Pipeline(
        site,
        model=model,
        lateness=Lateness(allowed=int(settings.allowed_lateness * SECOND), idle=int(settings.idle_source * SECOND)),
        horizon=int(settings.horizon * SECOND),
        runbook=Runbook.load(settings.runbook, site=site) if settings.runbook else None,
        alarm_rules=AlarmRules.load(settings.alarm_rules),
        projected=projected,
    )
