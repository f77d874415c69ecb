"""From alarms to actions: hands what the runbook asks for to the dispatcher, and the devices' answers back to it.

Called by the main loop after the findings are on disk and before the checkpoint. The loop waits for it: so the graph that the
policy looks at does not move, and an action that was not claimed when the service dies is asked for again by the log's replay.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Self
from zoneinfo import ZoneInfo

from agents.dispatcher import Begun, Dispatcher, Outcome, Outlet
from agents.entry import FINAL, Entry
from agents.policy import Approver, Decision, NoPolicy
from agents.policyfolder import Policy
from graph.topology import Topology
from schemas.action import MQTT, Action, Progress
from schemas.event import Event, Micros, rfc3339
from streams.findings import FindingStore
from streams.folder import Folder
from streams.ledger import SqliteLedger
from streams.mqtt import Address
from streams.outlets import MqttOutlet, WebhookOutlet
from streams.pipeline import Pipeline, Reaction
from streams.plantclock import PlantClock
from streams.plantview import Live
from streams.settings import Settings
from streams.topics import Topics

logger = logging.getLogger(__name__)
UTC = ZoneInfo("UTC")
TICK = 1.0
LAST = 20.0
"""Seconds that what is under way has when the service is to end: a webhook may take 15."""
RETOLD = 1_000
"""The newest actions, whose stage may not have been told when the last run ended."""


class Responder:
    """One site's acting side. Each stage that an action reaches is on record for subscribers; `observers` are told of it."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        ledger: SqliteLedger,
        mqtt: MqttOutlet,
        *,
        store: FindingStore,
        clock: PlantClock,
        zone: ZoneInfo = UTC,
    ) -> None:
        self.zone = zone
        self.store = store
        self.clock = clock
        self._dispatcher = dispatcher
        self._ledger = ledger
        self.mqtt = mqtt
        self.observers: list[Callable[[Entry], None]] = []
        self.live: Live | None = None
        """Where the graph is to be had while it does not move."""
        self._listening: dict[str, set[asyncio.Event]] = {}
        self._under_way: set[asyncio.Future[Entry]] = set()

    @classmethod
    def of(
        cls,
        settings: Settings,
        folder: Folder,
        topics: Topics,
        address: Address,
        *,
        store: FindingStore,
        clock: PlantClock,
        errands: Mapping[str, Outlet] | None = None,
    ) -> Self:
        """`errands`: ways by which actions stay in the house. Raises RuleFileError or OSError."""
        ledger = SqliteLedger(folder.ledger)
        rules = Policy.load(settings.policy, ledger) if settings.policy else NoPolicy()
        mqtt = MqttOutlet(topics, address)
        outlets: dict[str, Outlet] = {name: WebhookOutlet(url) for name, url in settings.webhooks.items()}
        dispatcher = Dispatcher(engine=rules, ledger=ledger, outlets=outlets | dict(errands or {}) | {MQTT: mqtt})
        zone = rules.plant.zone if isinstance(rules, Policy) else UTC
        return cls(dispatcher, ledger, mqtt, store=store, clock=clock, zone=zone)

    async def recover(self, now: Micros) -> None:
        """Before the first reaction: park what the last run was about to send, and tell of what it did not come to tell."""
        logger.info("audit: head %s at the start", self._ledger.head())
        await self._tell(self._dispatcher.recover(now))
        await self.store.add(progress_of(entry) for entry in self._ledger.newest(RETOLD))

    async def respond(self, reaction: Reaction, pipeline: Pipeline) -> None:
        """Do what a reaction asks for, as far as it is allowed, and take in what devices answered."""
        # What has waited for this process to come back is not in time because it is looked at only now.
        now = max(pipeline.now, self.clock.now)
        for action in reaction.actions:
            known = self._ledger.entry(action.action_id)
            entry = await self._dispatcher.dispatch(action, topology=pipeline.topology, now=now)
            await self._tell([] if entry == known else [entry])
        await self.answered(reaction.results)
        if reaction.steps:
            await self._tell(self._dispatcher.expire(now))

    async def answered(self, events: Sequence[Event]) -> None:
        """Take in what devices answered, among whatever else."""
        for event in events:
            answered = self._dispatcher.result(event)
            await self._tell([] if answered is None else [answered])

    async def run(self) -> None:
        """Keep up the connection for commands, and close what nobody answered or approved in time, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.mqtt.run(), name="responder: MQTT")
                while True:
                    await asyncio.sleep(TICK)
                    await self._tell(self._dispatcher.expire(self.clock.now))
        finally:
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=LAST)

    # --- What is asked for from outside the main loop -------------------------------------------------------------------------

    async def request(self, action: Action) -> Entry:
        """Decide on an action and send it if it is allowed; what is on record of it then. A repeat changes nothing."""
        return await self._done(
            action.action_id, lambda topology, now: self._dispatcher.begin(action, topology=topology, now=now)
        )

    async def preview(self, action: Action) -> Decision:
        """What would be decided on an action now; nothing comes of it."""
        now = self.clock.now
        return await self._graph.read(lambda topology: self._dispatcher.preview(action, topology=topology, now=now))

    def has_way(self, via: str) -> bool:
        """Whether actions can go by it."""
        return via in self._dispatcher.ways

    def entry(self, action_id: str) -> Entry | None:
        """What is on record of an action."""
        return self._ledger.entry(action_id)

    async def approve(self, action_id: str, approver: Approver) -> Entry:
        """Raises NotWaitingError, WrongPersonError."""

        def begin(topology: Topology, now: Micros) -> Begun:
            return self._dispatcher.begin_approved(action_id, approver, topology=topology, now=now)

        return await self._done(action_id, begin)

    async def undo(self, action_id: str, principal: str, role: str) -> Entry:
        """The entry of the action that takes this one back. Raises NotUndoableError."""

        def begin(topology: Topology, now: Micros) -> Begun:
            return self._dispatcher.begin_undoing(action_id, principal, role, topology=topology, now=now)

        return await self._done(action_id, begin)

    async def reject(self, action_id: str, actor: str, reason: str) -> Entry:
        """Raises NotWaitingError."""
        entry = self._dispatcher.reject(action_id, actor, reason, now=self.clock.now)
        await self._tell([entry])
        return entry

    async def resolve(self, action_id: str, actor: str, outcome: Outcome, note: str) -> Entry:
        """Raises NotParkedError."""
        entry = self._dispatcher.resolve(action_id, actor, outcome, note, now=self.clock.now)
        await self._tell([entry])
        return entry

    async def outcome(self, action_id: str, patience: float) -> Entry:
        """What became of an action, as soon as its stage is one of `agents.entry.FINAL`, or as it is after so many seconds.

        Raises LookupError if there is none of this id.
        """
        heard = asyncio.Event()
        listening = self._listening.setdefault(action_id, set())
        listening.add(heard)
        try:
            async with asyncio.timeout(patience):
                while self._entry(action_id).stage not in FINAL:
                    await heard.wait()
                    heard.clear()
        except TimeoutError:
            logger.debug("action %s has not ended in %g s", action_id, patience)
        finally:
            listening.discard(heard)
            if not listening:
                self._listening.pop(action_id, None)
        return self._entry(action_id)

    def _entry(self, action_id: str) -> Entry:
        entry = self._ledger.entry(action_id)
        if entry is None:
            raise LookupError(f"no action {action_id}")
        return entry

    async def _done(self, action_id: str, begin: Callable[[Topology, Micros], Begun]) -> Entry:
        """What is begun goes on to its end, though nobody waits for it any more: it may have been claimed."""
        task = asyncio.ensure_future(self._carried(action_id, begin))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _carried(self, action_id: str, begin: Callable[[Topology, Micros], Begun]) -> Entry:
        """Decided and claimed in the thread that owns the graph, so that it does not move meanwhile."""
        now, known = self.clock.now, self._ledger.entry(action_id)
        entry = await self._dispatcher.go(await self._graph.read(lambda topology: begin(topology, now)), now)
        await self._tell([] if entry == known else [entry])
        return entry

    @property
    def _graph(self) -> Live:
        assert self.live is not None, "nobody has said where the graph is"
        return self.live

    async def _tell(self, entries: list[Entry]) -> None:
        if entries:
            await self.store.add(map(progress_of, entries))
        for entry in entries:
            logger.info("%s of %s: %s %s", entry.action.verb, entry.action.target, entry.stage, entry.detail)
            for observe in self.observers:
                observe(entry)
            for heard in self._listening.get(entry.action.action_id, ()):
                heard.set()

    def close(self) -> None:
        logger.info("audit: head %s at the end", self._ledger.head())
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
