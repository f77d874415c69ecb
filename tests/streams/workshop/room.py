"""A plant of four devices with a workshop: the real parts, but for the thread of the live graph and the ways to devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from agents.annunciator import Annunciator
from agents.catalogue import plant_tools
from agents.dispatcher import Answered, Dispatcher, Outlet
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, FakeOutlet, MemoryLedger
from agents.policy import Approver, Decision, PolicyEngine
from agents.run import Order
from agents.taskgraph import Task, TaskGraph
from agents.workshop import Call, Part
from graph.sqlite_store import SqliteGraphStore
from graph.topology import Topology
from schemas.action import Action
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import ActionStatus, Event, Micros, Severity, rfc3339
from schemas.finding import Affected, Alert, AlertState, Explanation, Fault, Origin, PathStep, SignalShare
from streams.controlroom import ControlRoom
from streams.feed import Feed
from streams.findings import FindingStore
from streams.history import History
from streams.journal import AlarmJournal
from streams.outbox import Outbox
from streams.plantclock import PlantClock
from streams.traces import Traces
from streams.workshop.errands import AlarmErrands, Bulletin
from streams.workshop.periods import Calendar
from streams.workshop.plantworkshop import PlantWorkshop
from streams.workshop.runfiles import RunFiles
from tests.streams.plant import START, STEP, recording

Result = TypeVar("Result")
RUN = "run-0123456789abcdef01234567"
NOW = Micros(START + 120 * STEP)
PUMP, PIPE, TANK = (DeviceId(name) for name in ("pump-1", "pipe-1", "tank-1"))


class Still:
    """`streams.plantview.Live` of a graph that stands still."""

    version = 0
    now = NOW

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return work(self.topology)


class Side:
    """`ActingSide` of a real dispatcher; what waits is approved by `approve`, and devices answer by `answer`."""

    def __init__(self, topology: Topology, outlets: Mapping[str, Outlet], engine: PolicyEngine) -> None:
        self.engine = engine
        self.ledger = MemoryLedger()
        self.outlets = dict(outlets)
        self.requested: list[Action] = []
        self._topology = topology
        self._dispatcher = Dispatcher(engine=engine, ledger=self.ledger, outlets=self.outlets)
        self.waiting = asyncio.Event()
        self.slowly: asyncio.Event | None = None
        """Holds up what is asked for."""

    def has_way(self, via: str) -> bool:
        return via in self.outlets

    def entry(self, action_id: str) -> Entry | None:
        return self.ledger.entry(action_id)

    async def request(self, action: Action) -> Entry:
        self.requested.append(action)
        if self.slowly is not None:
            await self.slowly.wait()
        return await self._dispatcher.dispatch(action, topology=self._topology, now=NOW)

    async def preview(self, action: Action) -> Decision:
        return self.engine.decide(action, self._topology, NOW)

    async def later(self, seen: Entry, patience: float) -> Entry:
        if seen.stage is Stage.WAITING:
            self.waiting.set()
        await asyncio.sleep(min(patience, 0.002))
        return self.ledger.entry(seen.action.action_id) or seen

    async def reject(self, action_id: str, actor: str, reason: str) -> Entry:
        return self._dispatcher.reject(action_id, actor, reason, now=NOW)

    async def undo(self, action_id: str, actor: str) -> Entry:
        return await self._dispatcher.undo(action_id, actor, "operator", topology=self._topology, now=NOW)

    def expire(self, seconds: float) -> None:
        self._dispatcher.expire(Micros(NOW + round(seconds * 1e6)))

    async def approve(self, action_id: str) -> Entry:
        return await self._dispatcher.approve(action_id, Approver("ben", "operator"), topology=self._topology, now=NOW)


class Bench:
    """The workshop, and all that is behind it."""

    def __init__(self, folder: Path, events: Sequence[Event], engine: PolicyEngine, via: Mapping[str, Outlet]) -> None:
        self.store = FindingStore(folder / "findings.db")
        self.database = SqliteGraphStore(folder / "graph.db")
        self.outbox = Outbox(folder / "outbox.db")
        self.topology = Topology().merge(events)
        self.journal = AlarmJournal(Annunciator("s"), self.store)
        self.clock = PlantClock(monotonic=lambda: 0.0)
        self.clock.noticed(NOW)
        self.room = ControlRoom(
            "s",
            journal=self.journal,
            store=self.store,
            feed=Feed(self.store),
            outbox=self.outbox,
            traces=Traces(),
            live=Still(self.topology),
            hands=None,
            database=self.database,
        )
        self.history = History()
        self.history.observe(events)
        self.files = RunFiles(folder / "runs")
        self.device = FakeOutlet(answer=Answered(ActionStatus.SUCCEEDED, "done"))
        ways: dict[str, Outlet] = {"mqtt": self.device, "alarms": AlarmErrands(self.journal), "notify": Bulletin()}
        self.side = Side(self.topology, {**ways, **via}, engine)
        self.workshop = PlantWorkshop(
            self.room, self.history, self.files, self.side, Calendar(self.clock, ZoneInfo("Europe/Berlin"))
        )
        self.waits: list[str] = []

    async def use(self, tool: str, **arguments: Any) -> Mapping[str, Any]:
        return await self.workshop.use(self.call(tool, **arguments))

    def call(self, tool: str, *, parts: tuple[Part, ...] = (), text: str = "do it", key: str = "", **arguments: Any) -> Call:
        """With the defaults of the catalogue."""
        known = plant_tools()[tool]
        given = {slot.name: slot.default for slot in known.inputs if slot.default is not None} | arguments
        task = Task(key or tool, tool, dict(arguments))
        order = Order(
            run_id=RUN, site="s", text=text, principal="anna", role="operator", asked_at=rfc3339(NOW), graph=TaskGraph((task,))
        )

        async def waits(detail: str) -> None:
            self.waits.append(detail)

        return Call(order, task, known, given, parts, waits)

    async def alarm(
        self,
        device: DeviceId = PUMP,
        *,
        name: str = "control:dry",
        fault: Fault | None = None,
        severity: Severity = Severity.HIGH,
        state: AlertState = AlertState.RAISED,
        alert: str = "al",
        after: int = 0,
    ) -> str:
        """Raise one, or go on with it so many seconds later; its id."""
        said = Alert(
            alert_id=f"{alert}-{device}-{name}",
            time=rfc3339(Micros(NOW + after * 1_000_000)),
            device_id=device,
            condition=name,
            severity=severity,
            state=state,
            score=3.0,
            explanation=Explanation(signals=(SignalShare(SignalName("level"), 1.0),)),
        )
        await self.journal.save([said], [] if fault is None else [fault])
        return self.journal.annunciator.alarm(said.alert_id).alarm_id


def fault(name: str = "fault-1", *, opened: int = 0, origin: DeviceId = PIPE) -> Fault:
    at = rfc3339(Micros(NOW - 60_000_000 + opened))
    return Fault(
        fault_id=name,
        opened_at=at,
        updated_at=at,
        origins=(Origin(origin, 0.8),),
        affected=(Affected(origin, at), Affected(TANK, at)),
        path=(PathStep(origin, TANK, Relation.FEEDS, 12.0, 0.9),),
    )


@contextmanager
def opened(
    folder: Path,
    events: Sequence[Event] | None = None,
    *,
    engine: PolicyEngine | None = None,
    via: Mapping[str, FakeOutlet] | None = None,
) -> Iterator[Bench]:
    folder.mkdir(exist_ok=True)
    bench = Bench(folder, recording(120) if events is None else events, engine or FakeEngine(allowed=True), via or {})
    try:
        yield bench
    finally:
        bench.store.close()
        bench.database.close()
        bench.outbox.close()
