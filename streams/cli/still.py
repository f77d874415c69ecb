"""Rooms without a service: a data folder at rest, the output of a replay, and recordings."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agents.alarmrules import AlarmRules
from agents.annunciator import Annunciator, RefusedError, Request, UnknownAlarmError
from agents.dispatcher import Outcome
from graph.questions import Changed
from graph.store import GraphStore
from graph.topology import TooLongAgoError, Topology
from schemas.action import Progress, moment
from schemas.alarm import Alarm, Kpis, Transition, Verb
from schemas.device import DeviceId, Relation
from schemas.event import Micros
from schemas.finding import Alert, Fault
from streams import checkpoint
from streams.answers import AlarmDetail, ReachNow, Route, TopologyNow
from streams.cli.rooms import RoomError, Wanted
from streams.cli.terminal import Exit
from streams.controlroom import ControlRoom
from streams.feed import Feed
from streams.findings import FindingStore
from streams.folder import Folder
from streams.graphstore import graph_store
from streams.journal import AlarmJournal, wall_clock
from streams.outbox import Outbox
from streams.plantview import Live, NotHereError, PlantView, UnknownDeviceError
from streams.recordings import events as read_events
from streams.roles import Role
from streams.settings import Settings
from streams.snapshots import topology_of
from streams.traces import Traces

Result = TypeVar("Result")
Found = TypeVar("Found", Alert, Fault)
MEMORY = Path(":memory:")
DAY = 86_400_000_000
REPLAY = "replay"


# --- Live graphs that stand still -------------------------------------------------------------------------------------------


class Saved:
    """`streams.plantview.Live` of a checkpoint. Made when asked for: a large plant takes seconds, and alarms do without."""

    version = 0

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _snapshot(self) -> bytes:
        held = checkpoint.load(self._path)
        if held is None:
            raise RoomError(f"{self._path}: it was there, and is gone", Exit.UNREADABLE)
        return held.snapshot

    @cached_property
    def topology(self) -> Topology:
        return topology_of(self._snapshot)

    @cached_property
    def now(self) -> Micros:
        return msgspec.msgpack.decode(self._snapshot, type=_Clock).now

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return work(self.topology)


class _Clock(msgspec.Struct):
    """Of a pipeline's snapshot, the event time alone."""

    now: Micros


class Recorded:
    """`streams.plantview.Live` of recordings."""

    version = 0
    now = Micros(0)

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return work(self._topology)


# --- The room ---------------------------------------------------------------------------------------------------------------


class Still:
    """`streams.cli.rooms.Room` over a control room that nobody else uses.

    `no_findings`, `no_plant`: why there is none of that, or nothing; `now`: where key figures end if not told otherwise.
    """

    def __init__(
        self,
        room: ControlRoom,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
        *,
        now: Micros | None = None,
        database: GraphStore | None = None,
        no_findings: str = "",
        no_plant: str = "",
    ) -> None:
        self._room = room
        self._run = run
        self._now = now
        self._database = database
        self._no_findings = no_findings
        self._no_plant = no_plant

    @property
    def _findings(self) -> ControlRoom:
        if self._no_findings:
            raise RoomError(self._no_findings, Exit.UNREADABLE)
        return self._room

    @property
    def _plant(self) -> PlantView:
        if self._no_plant:
            raise RoomError(self._no_plant, Exit.UNREADABLE)
        return self._room.plant

    def _asked(self, work: Coroutine[Any, Any, Result]) -> Result:
        with refusals():
            found: Result = self._run(work)
            return found

    def alarms(self, wanted: Wanted) -> list[AlarmDetail]:
        return [self._detailed(alarm) for alarm in self._findings.alarms() if wanted.wants(alarm)]

    def alarm(self, name: str) -> AlarmDetail:
        with refusals():
            return self._detailed(self._findings.alarm(name))

    def _detailed(self, alarm: Alarm) -> AlarmDetail:
        return AlarmDetail(alarm=alarm, verbs=[verb.value for verb in self._room.verbs(alarm)])

    def transitions(self, name: str) -> list[Transition]:
        return self._asked(self._findings.transitions(name))

    def act(self, verb: Verb, name: str, *, reason: str, until: str | None) -> AlarmDetail:
        with refusals():
            alarm_id = self._findings.alarm(name).alarm_id
        request = Request(verb=verb, alarm_id=alarm_id, actor=_user(), reason=reason, until=until)
        return self._detailed(self._asked(self._findings.act(request)))

    def kpis(self, start: Micros | None, end: Micros | None) -> Kpis:
        last = self._now or self._findings.plant.now or wall_clock()
        until = Micros(last + 1) if end is None else end
        since = Micros(max(until - DAY, 0)) if start is None else start
        return self._asked(self._findings.kpis(since, until))

    def faults(self) -> list[Fault]:
        return self._asked(self._findings.faults())

    def fault(self, fault_id: str, at: Micros | None) -> Fault:
        """From the database too, which holds what is known now: all that there is of a site on Kafka."""
        found = None if self._no_findings else self._asked(self._room.fault(fault_id, at=at))
        if found is None and at is None and self._database is not None:
            found = self._database.fault(self._room.site, fault_id)
        if found is None and self._no_findings and (self._database is None or at is not None):
            raise RoomError(self._no_findings, Exit.UNREADABLE)
        if found is None:
            raise RoomError(f"Not found: no fault {fault_id}" + ("" if at is None else " at that time"))
        return found

    def actions(self) -> list[Progress]:
        return self._asked(self._findings.actions())

    def approve(self, action_id: str) -> Progress:
        return self._asked(self._findings.approve(action_id, _user(), Role.OPERATOR))

    def reject(self, action_id: str, reason: str) -> Progress:
        return self._asked(self._findings.reject(action_id, _user(), reason))

    def resolve(self, action_id: str, outcome: Outcome, note: str) -> Progress:
        return self._asked(self._findings.resolve(action_id, _user(), outcome, note))

    def undo(self, action_id: str) -> Progress:
        return self._asked(self._findings.undo(action_id, _user(), Role.OPERATOR))

    def topology(self, around: DeviceId | None, *, hops: int, at: Micros | None, limit: int) -> TopologyNow:
        return self._asked(self._plant.topology(around=around, hops=hops, at=at, limit=limit))

    def neighbours(
        self, device: DeviceId, *, hops: int, relations: Collection[Relation], at: Micros | None, limit: int
    ) -> ReachNow:
        return self._asked(self._plant.neighbours(device, hops=hops, relations=relations, at=at, limit=limit))

    def impact(self, device: DeviceId, *, hops: int | None, at: Micros | None, limit: int) -> ReachNow:
        return self._asked(self._plant.impact(device, hops=hops, at=at, limit=limit))

    def route(self, source: DeviceId, target: DeviceId, *, onward: bool, at: Micros | None) -> Route:
        found = self._asked(self._plant.route(source, target, onward=onward, at=at))
        if found is None:
            raise RoomError(f"Not found: no way leads from {source} to {target}")
        return found

    def changed(self, after: Micros, until: Micros, *, limit: int) -> Changed:
        return self._asked(self._plant.changed(after, until, limit=limit))


def _user() -> str:
    """Who acts without a service. Raises RoomError."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise RoomError("the system has no name for this user, who would be the actor: set LOGNAME") from error


@contextmanager
def refusals() -> Iterator[None]:
    """In the words of the service's API. Raises RoomError."""
    try:
        yield
    except (UnknownAlarmError, UnknownDeviceError, NotHereError, TooLongAgoError) as error:
        raise RoomError(f"Not found: {error}") from error
    except RefusedError as error:
        raise RoomError(f"Not possible now: {error}") from error


# --- Where they come from ---------------------------------------------------------------------------------------------------


@contextmanager
def at_rest(settings: Settings, *, acting: bool) -> Iterator[Still]:
    """What a service has left, or keeps while it runs without an API. `acting`: hold the folder. Raises InUseError."""
    folder = Folder(settings.data)
    has_findings = folder.findings.is_file()
    with ExitStack() as stack:
        if acting and has_findings:
            stack.enter_context(folder.locked())
        has_checkpoint = folder.checkpoint.is_file()
        has_database = settings.neo4j_uri is not None or folder.graph.is_file()
        database = stack.enter_context(closing(graph_store(settings, folder))) if has_database else None
        store = stack.enter_context(closing(FindingStore(folder.findings if has_findings else MEMORY)))
        journal = AlarmJournal(Annunciator(settings.site, AlarmRules.load(settings.alarm_rules)), store)
        journal.restore()
        room = _room(
            stack, settings.site, journal, store, live=Saved(folder.checkpoint) if has_checkpoint else None, database=database
        )
        nothing = not has_checkpoint and database is None
        yield Still(
            room,
            stack.enter_context(asyncio.Runner()).run,
            database=database,
            no_findings="" if has_findings else f"--data {folder.path}: no service has left findings here",
            no_plant=f"--data {folder.path}: no service has left a graph here, and neo4j_uri is not set" if nothing else "",
        )


@contextmanager
def replayed(out: Path, *, site: str | None) -> Iterator[Still]:
    """The files of a replay, as if its findings had just come to a control room. Raises RoomError."""
    alerts, faults = _lines(out / "alerts.ndjson", Alert), _lines(out / "faults.ndjson", Fault)
    clock = [Micros(0)]
    with ExitStack() as stack:
        store = stack.enter_context(closing(FindingStore(MEMORY)))
        journal = AlarmJournal(Annunciator(site or REPLAY), store, wall=lambda: clock[0])
        run = stack.enter_context(asyncio.Runner()).run
        for time, some in groupby(alerts, key=lambda alert: alert.time):
            clock[0] = moment(time)
            run(journal.save(list(some), ()))
        run(journal.save((), faults))
        room = _room(stack, site or REPLAY, journal, store, live=None, database=None)
        last = max([moment(alert.time) for alert in alerts] + [moment(fault.updated_at) for fault in faults], default=None)
        yield Still(room, run, now=last)


def _lines(path: Path, of: type[Found]) -> list[Found]:
    try:
        return msgspec.json.Decoder(of).decode_lines(path.read_bytes())
    except OSError as error:
        raise RoomError(f"{path}: {error.strerror}", Exit.UNREADABLE) from error
    except msgspec.MsgspecError as error:
        raise RoomError(f"{path}: {error}", Exit.UNREADABLE) from error


@contextmanager
def recorded(events: Sequence[Path], *, at: Micros | None) -> Iterator[Still]:
    """The graph that files of events make, up to a time. Raises UnreadableError, RoomError."""
    topology = Topology()
    for path in events:
        topology.merge(event for event in read_events(path) if at is None or event.stamp.at <= at)
    with ExitStack() as stack:
        store = stack.enter_context(closing(FindingStore(MEMORY)))
        journal = AlarmJournal(Annunciator(REPLAY), store)
        room = _room(stack, REPLAY, journal, store, live=Recorded(topology), database=None)
        yield Still(room, stack.enter_context(asyncio.Runner()).run)


def _room(
    stack: ExitStack, site: str, journal: AlarmJournal, store: FindingStore, *, live: Live | None, database: GraphStore | None
) -> ControlRoom:
    return ControlRoom(
        site,
        journal=journal,
        store=store,
        feed=Feed(store),
        outbox=stack.enter_context(closing(Outbox(MEMORY))),
        traces=Traces(),
        live=live,
        hands=None,
        database=database,
    )
