"""From alarms to actions: hands what the runbook asks for to the dispatcher, and the devices' answers back to it.

Called by the main loop after the findings are on disk and before the checkpoint. The loop waits for it: so the graph that the
policy looks at does not move, and an action that was not claimed when the service dies is asked for again by the log's replay.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from agents.dispatcher import Dispatcher, Outlet
from agents.entry import Entry
from agents.ledger import SqliteLedger
from agents.policy import Policy, PolicyFile
from graph.topology import Topology
from schemas.action import MQTT, Progress
from schemas.device import DeviceId
from schemas.event import Micros, rfc3339
from streams.findings import FindingStore
from streams.folder import Folder
from streams.mqtt import Address
from streams.outlets import MqttOutlet, WebhookOutlet
from streams.pipeline import Pipeline, Reaction
from streams.plantclock import PlantClock
from streams.settings import Settings
from streams.topics import Topics

logger = logging.getLogger(__name__)
TICK = 1.0
RETOLD = 1_000
"""The newest actions, whose stage may not have been told when the last run ended."""


class Responder:
    """One site's acting side. Each stage that an action reaches is on record for subscribers; `observers` are told of it."""

    def __init__(
        self, dispatcher: Dispatcher, ledger: SqliteLedger, mqtt: MqttOutlet, *, store: FindingStore, clock: PlantClock
    ) -> None:
        self._store = store
        self._clock = clock
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._mqtt = mqtt
        self.observers: list[Callable[[Entry], None]] = []

    @classmethod
    def of(
        cls, settings: Settings, folder: Folder, topics: Topics, address: Address, *, store: FindingStore, clock: PlantClock
    ) -> Self:
        """Raises RuleFileError or OSError."""
        ledger = SqliteLedger(folder.ledger)
        rules = Policy.load(settings.policy, ledger) if settings.policy else Policy(PolicyFile(version=1), ledger)
        mqtt = MqttOutlet(topics, address)
        outlets: dict[str, Outlet] = {name: WebhookOutlet(url) for name, url in settings.webhooks.items()}
        dispatcher = Dispatcher(engine=rules, ledger=ledger, outlets=outlets | {MQTT: mqtt})
        return cls(dispatcher, ledger, mqtt, store=store, clock=clock)

    async def recover(self, now: Micros) -> None:
        """Before the first reaction: park what the last run was about to send, and tell of what it did not come to tell."""
        await self._tell(self._dispatcher.recover(now))
        await self._store.add(progress_of(entry) for entry in self._ledger.newest(RETOLD))

    async def respond(self, reaction: Reaction, pipeline: Pipeline) -> None:
        """Do what a reaction asks for, as far as it is allowed, and take in what devices answered."""
        for action in reaction.actions:
            known = self._ledger.entry(action.action_id)
            entry = await self._dispatcher.dispatch(action, topology=pipeline.topology, now=pipeline.now)
            await self._tell([] if entry == known else [entry])
        for result in reaction.results:
            answered = self._dispatcher.result(result)
            await self._tell([] if answered is None else [answered])
        if reaction.steps:
            await self._tell(self._dispatcher.expire(pipeline.now))

    async def run(self) -> None:
        """Keep up the connection for commands, and close what nobody answered or approved in time, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mqtt.run(), name="responder: MQTT")
            while True:
                await asyncio.sleep(TICK)
                await self._tell(self._dispatcher.expire(self._clock.now))

    def device_of(self, action_id: str) -> DeviceId | None:
        """The device that an action is for."""
        entry = self._ledger.entry(action_id)
        return None if entry is None else entry.action.device_id

    async def approve(self, action_id: str, actor: str, topology: Topology) -> Entry:
        """Of the graph the action's own device is enough. Raises NotWaitingError."""
        entry = await self._dispatcher.approve(action_id, actor, topology=topology, now=self._clock.now)
        await self._tell([entry])
        return entry

    async def reject(self, action_id: str, actor: str, reason: str) -> Entry:
        """Raises NotWaitingError."""
        entry = self._dispatcher.reject(action_id, actor, reason, now=self._clock.now)
        await self._tell([entry])
        return entry

    async def _tell(self, entries: list[Entry]) -> None:
        if entries:
            await self._store.add(map(progress_of, entries))
        for entry in entries:
            logger.info("%s of %s: %s %s", entry.action.verb, entry.action.target, entry.stage, entry.detail)
            for observe in self.observers:
                observe(entry)

    def close(self) -> None:
        self._ledger.close()


def progress_of(entry: Entry) -> Progress:
    """As subscribers see it."""
    decision = entry.decision
    return Progress(
        action=entry.action,
        stage=entry.stage,
        at=rfc3339(entry.at),
        detail=entry.detail,
        allowed=None if decision is None else decision.allowed,
        rule="" if decision is None else decision.rule,
    )
