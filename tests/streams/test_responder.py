"""What is asked for beside the main loop: decided in the thread that owns the graph, sent once, and followed to its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from agents.dispatcher import Dispatcher, NotWaitingError, Outcome
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, FakeOutlet
from agents.policy import Approver, Decision
from graph.topology import Topology
from schemas.action import Action
from schemas.event import Micros
from streams.findings import FindingStore, Kind
from streams.ledger import SqliteLedger, audit_trail
from streams.mqtt import Address
from streams.outlets import MqttOutlet
from streams.plantclock import PlantClock
from streams.responder import Responder
from streams.topics import Topics
from tests.agents.plant import PUMP, action, plant, second
from tests.waiting import HUNG

Result = TypeVar("Result")


class Owned:
    """`streams.plantview.Live` in a thread of its own."""

    version, now = 0, second(0)

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.topology = plant()

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self.topology))


class Watched(FakeEngine):
    """Knows in which thread it was asked."""

    thread = ""

    def decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision:
        self.thread = threading.current_thread().name
        return super().decide(action, topology, now, approver=approver)


class Slow(FakeOutlet):
    """Sends when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.begun = asyncio.Event(), asyncio.Event()

    async def send(self, action: Action) -> None:
        self.begun.set()
        await self.let.wait()
        await super().send(action)


class Bench:
    def __init__(self, folder: Path, ledger: SqliteLedger, store: FindingStore) -> None:
        self.folder, self.store = folder, store
        self.engine, self.outlet, self.heard = Watched(allowed=True), FakeOutlet(), list[Entry]()
        clock = PlantClock(lambda: 0.0)
        clock.noticed(second(0))
        self.dispatcher = Dispatcher(engine=self.engine, ledger=ledger, outlets={"mqtt": self.outlet, "slow": Slow()})
        mqtt = MqttOutlet(Topics("demo"), Address("127.0.0.1", 1))
        self.responder = Responder(self.dispatcher, ledger, mqtt, store=store, clock=clock)
        self.responder.live = Owned()
        self.responder.observers.append(self.heard.append)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger, closing(FindingStore(tmp_path / "findings.db")) as store:
        yield Bench(tmp_path, ledger, store)


def test_the_plant_s_time_is_that_of_what_was_dealt_with_and_later_of_what_has_come() -> None:
    passed = [0.0]
    clock = PlantClock(lambda: passed[0])
    assert (clock.now, clock.latest) == (0, 0)
    clock.noticed(second(0))
    clock.heard(second(300))
    passed[0] = 5
    assert (clock.now, clock.latest) == (second(5), second(305))
    clock.noticed(second(2))  # later by now
    clock.noticed(second(400))
    assert (clock.now, clock.latest) == (second(400), second(400))


async def test_it_is_decided_where_the_graph_is_owned_and_told_once(bench: Bench) -> None:
    entry = await bench.responder.request(action())
    assert (entry.stage, bench.engine.thread.startswith("model")) == (Stage.SENT, True)
    assert await bench.responder.request(action()) == entry
    assert (bench.outlet.sent, bench.heard) == ([action()], [entry])
    assert len(bench.store.newest(Kind.ACTIONS)) == 1


async def test_the_same_request_many_times_at_once_is_sent_once(bench: Bench) -> None:
    entries = await asyncio.gather(*(bench.responder.request(action()) for _ in range(20)))
    assert (len(bench.outlet.sent), {entry.action.action_id for entry in entries}) == (1, {action().action_id})
    assert (await bench.responder.outcome(action().action_id, 0)).stage is Stage.SENT


async def test_what_was_claimed_goes_on_though_who_asked_has_gone(bench: Bench) -> None:
    slow = bench.dispatcher._outlets["slow"]
    assert isinstance(slow, Slow)
    asking = asyncio.create_task(bench.responder.request(action(via="slow")))
    await slow.begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    slow.let.set()
    async with asyncio.timeout(HUNG):
        while not bench.heard:
            await asyncio.sleep(0.01)
    assert [entry.stage for entry in bench.heard] == [Stage.SENT]


async def test_an_end_is_waited_for(bench: Bench) -> None:
    bench.engine.approval = True
    waiting = await bench.responder.request(action())
    assert waiting.stage is Stage.WAITING
    assert (await bench.responder.outcome(action().action_id, 0.01)).stage is Stage.WAITING
    following = asyncio.create_task(bench.responder.outcome(action().action_id, 20))
    await asyncio.sleep(0)
    await bench.responder.reject(action().action_id, "ann", "no")
    assert (await following).stage is Stage.REFUSED
    assert bench.responder._listening == {}
    with pytest.raises(LookupError):
        await bench.responder.outcome("nothing", 1)


async def test_approve_resolve_and_undo(bench: Bench) -> None:
    bench.engine.approval, bench.outlet.error = True, TimeoutError()
    await bench.responder.request(action())
    assert (await bench.responder.approve(action().action_id, Approver("bob", "operator"))).stage is Stage.UNKNOWN
    assert (await bench.responder.outcome(action().action_id, 5)).stage is Stage.UNKNOWN
    assert (await bench.responder.resolve(action().action_id, "bob", Outcome.SUCCEEDED, "seen")).stage is Stage.SUCCEEDED
    bench.engine.approval, bench.outlet.error = False, None
    undone = await bench.responder.undo(action().action_id, "ann", "operator")
    assert (undone.stage, undone.action.verb, undone.action.cause.undoes) == (Stage.SENT, "reconnect", action().action_id)
    with pytest.raises(NotWaitingError):
        await bench.responder.approve(action(PUMP).action_id, Approver("bob", "operator"))
    with audit_trail(bench.folder / "ledger.db") as trail:
        assert trail.verify().number == len(trail.newest(100)) == 8


async def test_the_head_is_said_at_start_and_end(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await bench.responder.recover(second(0))
        await bench.responder.request(action())
        bench.responder.close()
    said = [record.getMessage() for record in caplog.records if "audit" in record.getMessage()]
    assert [line.split(":")[1].strip().split()[1] for line in said] == ["0", "3"]
