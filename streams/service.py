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

from agents.runbook import Runbook
from graph.detection import Model, load
from streams.analysis import Analysis
from streams.broker import SqliteLog
from streams.crashpoints import CrashPoints
from streams.findings import FindingStore
from streams.folder import Folder
from streams.gateway import Gateway
from streams.mqtt import Address, EmbeddedBroker
from streams.outbox import Outbox
from streams.pipeline import Pipeline
from streams.projection import PipelineSource, Projection, graph_store
from streams.publisher import Publisher
from streams.responder import Responder
from streams.settings import Settings, SparkplugRole
from streams.sparkplug import Manner, SparkplugHost
from streams.topics import Topics
from streams.windows import Lateness

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


class Service:
    """One site. `settings` are read once; a trained model may be handed in instead of a folder."""

    def __init__(self, settings: Settings, *, model: Model | None = None) -> None:
        self._settings = settings
        self._model = model if model is not None or settings.model is None else load(settings.model)

    async def run(self) -> None:
        """Until cancelled."""
        async with self.started() as parts:
            where = f"{parts.address.host}:{parts.address.port}"
            logger.info("site %s: MQTT on %s, data in %s", self._settings.site, where, self._settings.data)
            await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Parts]:
        """The running parts; they stop when the block ends. Raises InUseError, DamagedError, SnapshotError, RuleError."""
        settings, folder = self._settings, Folder(self._settings.data)
        async with AsyncExitStack() as stack:
            stack.enter_context(folder.locked())
            address = await mqtt_address(settings, stack)
            parts = self._parts(stack, folder, address)
            parts.analysis.restore()
            parts.responder.recover(parts.analysis.pipeline.now)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for name, part in (
                ("gateway", parts.gateway),
                ("sparkplug", parts.sparkplug),
                ("analysis", parts.analysis),
                ("publisher", parts.publisher),
                ("responder", parts.responder),
                ("projection", parts.projection),
            ):
                if part is None:
                    continue
                task = tasks.create_task(part.run(), name=f"{settings.site}: {name}")
                stack.callback(task.cancel)
            yield parts

    def _parts(self, stack: AsyncExitStack, folder: Folder, address: Address) -> Parts:
        settings, topics, crash = self._settings, Topics(self._settings.site), CrashPoints(self._settings.crash_at)
        outbox = stack.enter_context(closing(Outbox(folder.outbox)))
        log = stack.enter_context(closing(SqliteLog(folder.log)))
        store = stack.enter_context(closing(FindingStore(folder.findings)))
        responder = Responder.of(settings, folder, topics, address)
        stack.callback(responder.close)
        pipeline = pipeline_of(settings, settings.site, self._model, projected=True)
        analysis = Analysis(
            pipeline,
            log=log,
            store=store,
            respond=responder.respond,
            folder=folder.path,
            every=settings.checkpoint_every,
            keep=settings.keep_records,
            crash=crash,
        )
        gateway = Gateway(topics, address=address, outbox=outbox, log=log, crash=crash)
        sparkplug = sparkplug_host(settings, address=address, outbox=outbox, crash=crash, stored=gateway.look)
        publisher = Publisher(topics, address=address, store=store, found=analysis.found, crash=crash)
        return Parts(
            address,
            topics,
            outbox,
            store,
            gateway,
            sparkplug,
            analysis,
            responder,
            publisher,
            self._projection(folder, analysis),
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


def pipeline_of(settings: Settings, site: str, model: Model | None, *, projected: bool) -> Pipeline:
    """A site's pipeline as the settings want it, in the service and in a worker alike. Raises RuleFileError, OSError."""
    return Pipeline(
        site,
        model=model,
        lateness=Lateness(allowed=int(settings.allowed_lateness * SECOND), idle=int(settings.idle_source * SECOND)),
        horizon=int(settings.horizon * SECOND),
        runbook=Runbook.load(settings.runbook, site=site) if settings.runbook else None,
        projected=projected,
    )
