"""The control room of one site: everything that operators and programs may see and do, behind one door.

The API, the console and the command line are thin on it. `plant` is the plant as it is seen; the rest is what was found in it,
what people do about it, and what is done.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import msgspec

from agents.annunciator import RefusedError, Request
from agents.dispatcher import Outcome
from agents.kpis import kpis
from agents.severity import ASCENDING
from graph.store import GraphStore
from schemas.action import Progress, moment
from schemas.alarm import PEOPLES, Alarm, AlarmState, Flood, Kpis, Transition, Verb
from schemas.device import DeviceId
from schemas.event import Micros
from schemas.finding import Fault
from streams.answers import Condition
from streams.feed import Feed
from streams.findings import FindingStore, Kind
from streams.journal import AlarmJournal, wall_clock
from streams.outbox import DeadLetter, Outbox, Replayed
from streams.plantview import Live, NotHereError, PlantView, summed
from streams.roles import Role
from streams.traces import Traces

if TYPE_CHECKING:
    from streams.instructions import Instructions  # loads what few commands need

Found = TypeVar("Found", Transition, Fault, Progress)


class Hands(Protocol):
    """Who does what people decide about actions. Raises NotWaitingError, WrongPersonError, NotParkedError, NotUndoableError."""

    async def approve(self, action_id: str, actor: str, role: Role) -> Progress: ...

    async def reject(self, action_id: str, actor: str, reason: str) -> Progress: ...

    async def resolve(self, action_id: str, actor: str, outcome: Outcome, note: str) -> Progress: ...

    async def undo(self, action_id: str, actor: str, role: Role) -> Progress: ...


class Picture(NamedTuple):
    """What is made of the alarms for everybody who asks, as long as they are these."""

    seen: list[Alarm]
    alarms: list[Alarm]
    conditions: Mapping[DeviceId, Condition]


class ControlRoom:
    """`live` is None where the process has no live graph, `hands` where it does not act, `database` where there is none."""

    def __init__(
        self,
        site: str,
        *,
        journal: AlarmJournal,
        store: FindingStore,
        feed: Feed,
        outbox: Outbox,
        traces: Traces,
        live: Live | None,
        hands: Hands | None,
        database: GraphStore | None,
    ) -> None:
        self.site = site
        self.feed = feed
        self.plant = PlantView(site, live=live, database=database, traces=traces, conditions=self.conditions)
        self._journal = journal
        self._store = store
        self._outbox = outbox
        self._hands = hands
        self._last = Picture([], [], {})
        self.hears: Instructions | None = None
        """Where instructions are carried out; whoever joins the parts says it."""

    # --- Alarms and faults ------------------------------------------------------------------------------------------------

    def alarms(self) -> list[Alarm]:
        """Those that are not normal, or are put aside, the highest `rank` first. The list is shared: it must not be changed."""
        return self._picture.alarms

    def alarms_of(self, device: DeviceId) -> list[Alarm]:
        """Those of a device that are not normal, the highest `rank` first."""
        return [alarm for alarm in self._picture.alarms if alarm.device_id == device]

    @property
    def _picture(self) -> Picture:
        """Anew when there is another alarm: they never change, so lists of the same ones compare at the cost of a glance."""
        seen = list(self._journal.annunciator.alarms())
        if seen != self._last.seen:
            alarms = sorted((alarm for alarm in seen if alarm.state is not AlarmState.NORMAL), key=rank, reverse=True)
            by_device: dict[DeviceId, list[Alarm]] = defaultdict(list)
            for alarm in alarms:
                by_device[alarm.device_id].append(alarm)
            self._last = Picture(seen, alarms, {device: _condition(among) for device, among in by_device.items()})
        return self._last

    def alarm(self, name: str) -> Alarm:
        """Raises UnknownAlarmError."""
        return self._journal.annunciator.alarm(name)

    async def transitions(self, name: str, *, limit: int = 1000) -> list[Transition]:
        """An alarm's life, oldest first. Raises UnknownAlarmError."""
        return await self._history(Kind.ALARMS, self.alarm(name).alarm_id, Transition, limit)

    def verbs(self, alarm: Alarm) -> list[Verb]:
        """What people can do with an alarm now: each is tried, and nothing comes of trying."""
        annunciator, now = self._journal.annunciator, wall_clock()
        found = []
        for verb in PEOPLES:
            with suppress(RefusedError):
                annunciator.asked(Request(verb=verb, alarm_id=alarm.alarm_id, actor="?", reason="?"), recorded_at=now)
                found.append(verb)
        return found

    async def act(self, request: Request) -> Alarm:
        """Raises RefusedError, UnknownAlarmError."""
        return await self._journal.ask(request)

    def conditions(self) -> Mapping[DeviceId, Condition]:
        """Of every device that has an alarm which is not normal."""
        return self._picture.conditions

    async def faults(self, *, limit: int = 1000) -> list[Fault]:
        """The last state of each, newest first."""
        return await self._newest(Kind.FAULTS, Fault, limit)

    async def fault(self, fault_id: str, *, at: Micros | None = None) -> Fault | None:
        """What is known of a fault, or was at a time."""
        states = await self.fault_history(fault_id, limit=1 if at is None else -1)
        known = [state for state in states if at is None or moment(state.updated_at) <= at]
        return known[-1] if known else None

    async def fault_history(self, fault_id: str, *, limit: int = 1000) -> list[Fault]:
        """Every state of a fault, oldest first."""
        return await self._history(Kind.FAULTS, fault_id, Fault, limit)

    @property
    def flood(self) -> Flood | None:
        return self._journal.annunciator.flood

    async def kpis(self, start: Micros, end: Micros) -> Kpis:
        """How well alarms served people between two times of the plant."""
        bodies = await asyncio.to_thread(self._store.between, Kind.ALARMS, start, end)
        annunciator = self._journal.annunciator

        def count() -> Kpis:
            transitions = (msgspec.json.decode(body, type=Transition) for body in bodies)
            return kpis(transitions, alarms, start=start, end=end, limits=annunciator.limits)

        alarms = list(annunciator.alarms())
        return await asyncio.to_thread(count)

    # --- Actions and refused inputs ---------------------------------------------------------------------------------------

    async def actions(self, *, limit: int = 1000) -> list[Progress]:
        """How far each action has come, newest first."""
        return await self._newest(Kind.ACTIONS, Progress, limit)

    async def action_history(self, action_id: str) -> list[Progress]:
        return await self._history(Kind.ACTIONS, action_id, Progress, 1000)

    async def approve(self, action_id: str, actor: str, role: Role) -> Progress:
        """Raises NotWaitingError, WrongPersonError, NotHereError."""
        return await self._acting.approve(action_id, actor, role)

    async def reject(self, action_id: str, actor: str, reason: str) -> Progress:
        """Raises NotWaitingError, NotHereError."""
        return await self._acting.reject(action_id, actor, reason)

    async def resolve(self, action_id: str, actor: str, outcome: Outcome, note: str) -> Progress:
        """Say what became of an action of which nobody knew. Raises NotParkedError, NotHereError."""
        return await self._acting.resolve(action_id, actor, outcome, note)

    async def undo(self, action_id: str, actor: str, role: Role) -> Progress:
        """Take back what was done, if the policy allows that. Raises NotUndoableError, NotHereError."""
        return await self._acting.undo(action_id, actor, role)

    @property
    def _acting(self) -> Hands:
        if self._hands is None:
            raise NotHereError("this process does not act: actions are decided by the service with the live graph")
        return self._hands

    @property
    def instructions(self) -> Instructions:
        """Raises NotHereError."""
        if self.hears is None:
            raise NotHereError("this process carries out no instructions: the service with the live graph does")
        return self.hears

    async def deadletters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """The newest inputs that were refused, newest last."""
        return await asyncio.to_thread(self._outbox.deadletters, limit=limit)

    async def retry(self, number: int) -> Replayed:
        """Try a refused input again: what is valid now goes to the log. Raises UnknownInputError."""
        return await self._outbox.retry(number)

    async def _newest(self, kind: Kind, of: type[Found], limit: int) -> list[Found]:
        bodies = await asyncio.to_thread(self._store.newest, kind, limit=limit)
        return [msgspec.json.decode(body, type=of) for body in reversed(bodies)]

    async def _history(self, kind: Kind, subject: str, of: type[Found], limit: int) -> list[Found]:
        bodies = await asyncio.to_thread(self._store.history, kind, subject, limit=limit)
        return [msgspec.json.decode(body, type=of) for body in bodies]


def rank(alarm: Alarm) -> tuple[int, int, int, str]:
    """The highest is what an operator should see first: what asks for one, then the worst, then the newest."""
    return int(alarm.annunciated), ASCENDING.index(alarm.severity), moment(alarm.raised_at), alarm.alarm_id


def _condition(alarms: Sequence[Alarm]) -> Condition:
    asking = [alarm for alarm in alarms if alarm.annunciated]
    under = [alarm for alarm in alarms if not alarm.annunciated and alarm.alert.suppressed_by is not None]
    worst = summed(Condition(severity=alarm.severity, state=alarm.state) for alarm in asking or under)
    return Condition(
        severity=worst.severity,
        state=worst.state if asking or under else alarms[0].state,
        alarms=len(asking),
        hidden=len(alarms) - len(asking) - len(under),
        suppressed=len(under),
    )
