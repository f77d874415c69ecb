"""The acting side of a gateway on Kafka: what workers ask for, read once or again, old or forged, and after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.dispatcher import Dispatcher, NotSentError
from agents.entry import Entry, Stage
from agents.facts import FactsPolicy, requested
from agents.fakes import FakeOutlet
from agents.policy import Approver
from agents.policyfolder import Policy
from schemas.action import MQTT, Action
from schemas.event import ActionResult, ActionStatus
from schemas.facts import Request
from streams.cluster import Cluster, Names
from streams.findings import FindingStore
from streams.kafka import Placed
from streams.ledger import SqliteLedger
from streams.mqtt import Address
from streams.outbox import Outbox
from streams.outlets import MqttOutlet
from streams.plantclock import PlantClock
from streams.requestbook import RequestBook
from streams.requests import NoGraph, Requests
from streams.responder import Responder
from streams.topics import Topics
from tests.agents.plant import PIPE, action, event, plant, second
from tests.streams.phrasebook import permits

WALL = 1_000_000.0
"""The wall's time when it is noon in the plant."""
RULES = """\
@id("isolate") permit (principal, action == Action::"isolate", resource);
@id("close") @approval("person") permit (principal, action == Action::"close", resource);
@id("back") permit (principal, action == Action::"reconnect", resource);
"""


class DiedError(BaseException):
    """The process does not come to record anything more."""


class Gateway(NamedTuple):
    requests: Requests
    responder: Responder
    outlet: FakeOutlet
    book: RequestBook
    wall: list[float]

    async def take(self, asked: Action, *, at: float = WALL, offset: int = 0, key: str = "demo") -> Entry | None:
        await self.requests.take(Placed(offset, key, msgspec.json.encode(asked), at))
        return self.responder.entry(asked.action_id)


class Folders:
    """A gateway that may be started again on the same folder."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack

    async def start(self, *, wall: float = WALL, error: BaseException | None = None) -> Gateway:
        keep = self._stack.enter_context
        book = keep(closing(RequestBook(self.folder / "requests.db")))
        store = keep(closing(FindingStore(self.folder / "findings.db")))
        ledger, now = SqliteLedger(self.folder / "ledger.db"), [wall]
        self._stack.callback(ledger.close)
        policy = Policy.load(permits(self.folder / "policy", RULES), ledger)
        outlet, clock = FakeOutlet(error), PlantClock(lambda: 0.0)
        engine = FactsPolicy(policy, book.facts_of, oldest=60_000_000)
        dispatcher = Dispatcher(engine=engine, ledger=ledger, outlets={MQTT: outlet})
        mqtt = MqttOutlet(Topics("demo"), Address("127.0.0.1", 1))
        responder = Responder(dispatcher, ledger, mqtt, store=store, clock=clock)
        responder.live = NoGraph(clock)
        where: dict[str, Any] = {"cluster": Cluster("127.0.0.1:1"), "names": Names("x"), "book": book}
        requests = Requests("demo", responder=responder, clock=clock, wall=lambda: now[0], **where)
        await requests.recover()
        return Gateway(requests, responder, outlet, book, now)


@pytest.fixture
async def folders(tmp_path: Path) -> AsyncIterator[Folders]:
    async with AsyncExitStack() as stack:
        yield Folders(tmp_path, stack)


def asked(verb: str = "isolate", **changed: Any) -> Request:
    return requested(action(verb=verb, **changed), plant(), second(0))


async def test_what_is_allowed_is_sent_once_however_often_it_is_read(folders: Folders) -> None:
    gateway = await folders.start()
    for _ in range(3):
        entry = await gateway.take(asked())
        assert entry is not None
        assert (entry.stage, entry.decision is not None and entry.decision.rule) == (Stage.SENT, "isolate")
    assert [type(one) for one in gateway.outlet.sent] == [Action]
    again = await folders.start()
    await again.take(asked())
    assert again.outlet.sent == []


async def test_what_was_on_its_way_at_a_crash_is_not_sent_again(folders: Folders) -> None:
    gateway = await folders.start(error=DiedError())
    with pytest.raises(DiedError):
        await gateway.take(asked())
    again = await folders.start(wall=WALL + 5)
    entry = await again.take(asked())
    assert entry is not None
    assert (entry.stage, again.outlet.sent) == (Stage.UNKNOWN, [])
    assert entry.at == second(5), "the plant's time went on meanwhile"


async def test_facts_that_were_long_under_way_are_too_old(folders: Folders) -> None:
    gateway = await folders.start(wall=WALL + 61)
    entry = await gateway.take(asked(expires_at="2026-01-05T13:00:00Z"))
    assert entry is not None
    assert (entry.stage, "61 s old" in entry.detail) == (Stage.REFUSED, True)
    late = await folders.start(wall=WALL + 7200)
    entry = await late.take(asked("reconnect", expires_at="2026-01-05T13:00:00Z"))
    assert entry is not None
    assert (entry.stage, entry.detail) == (Stage.EXPIRED, "asked for too late")


@pytest.mark.parametrize("at", ["2027-01-05T12:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_a_stray_time_does_not_move_the_plant_s_clock(folders: Folders, at: str) -> None:
    gateway = await folders.start()
    await gateway.take(asked())
    stray = asked("reconnect")
    assert await gateway.take(msgspec.structs.replace(stray, facts=msgspec.structs.replace(stray.facts, at=at))) is None
    entry = await gateway.take(stray)
    assert entry is not None
    assert entry.at == second(0)


async def test_an_approval_asks_once_more_by_the_facts_that_were_said(folders: Folders) -> None:
    gateway = await folders.start()
    for device in (PIPE, "valve-1"):
        entry = await gateway.take(asked("close", device=device, expires_at="2026-01-05T13:00:00Z"))
        assert entry is not None
        assert entry.stage is Stage.WAITING
    again = await folders.start(wall=WALL + 10)
    assert (await again.responder.approve(f"action-close-{PIPE}", Approver("ann", "operator"))).stage is Stage.SENT
    later = await folders.start(wall=WALL + 62)
    refused = await later.responder.approve("action-close-valve-1", Approver("ann", "operator"))
    assert (refused.stage, "62 s old" in refused.detail) == (Stage.REFUSED, True)


async def test_answers_come_back_and_what_was_done_can_be_undone(folders: Folders) -> None:
    gateway = await folders.start()
    await gateway.take(asked())
    name = action().action_id
    await gateway.responder.answered([event(ActionResult(name, PIPE, ActionStatus.SUCCEEDED, "shut"))])
    entry = gateway.responder.entry(name)
    assert entry is not None
    assert (entry.stage, entry.detail) == (Stage.SUCCEEDED, "shut")
    undone = await gateway.responder.undo(name, "ann", "operator")
    assert (undone.stage, undone.action.verb, len(gateway.outlet.sent)) == (Stage.SENT, "reconnect", 2)


@pytest.mark.parametrize(
    "forged",
    [
        {"site": "other"},
        {"cause": {"instructionId": "run-1", "task": "t", "principal": "ann", "role": "admin"}},
        {"expiresAt": "soon"},
        {"facts": None},
        {"facts": {"at": "never"}},
        {"facts": {"at": "99999-01-01T00:00:00Z"}},
    ],
)
async def test_what_no_rule_of_the_site_asks_for_is_passed_over(forged: dict[str, Any], folders: Folders) -> None:
    gateway = await folders.start()
    record = msgspec.to_builtins(asked()) | forged
    await gateway.requests.take(Placed(0, "demo", msgspec.json.encode(record), WALL))
    await gateway.requests.take(Placed(1, "demo", b"{", WALL))
    await gateway.requests.take(Placed(2, "demo", None, WALL))
    assert await gateway.take(asked("close"), key="other") is None
    assert gateway.responder.entry(action().action_id) is None


async def test_a_way_that_is_away_is_said(folders: Folders) -> None:
    gateway = await folders.start(error=NotSentError("the broker is away"))
    entry = await gateway.take(asked())
    assert entry is not None
    assert (entry.stage, entry.detail) == (Stage.FAILED, "not sent: the broker is away")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.db")) as made:
        yield made


async def test_what_is_stored_is_handed_on_before_it_counts(outbox: Outbox) -> None:
    got: list[Any] = []

    async def take(events: Any) -> None:
        assert await outbox.waiting(1)
        got.extend(events)

    outbox.takers.append(take)
    answer = event(ActionResult("a", PIPE, ActionStatus.FAILED))
    await outbox.store([answer], [])
    assert got == [answer]


async def test_the_book_keeps_positions_and_what_was_last_said(tmp_path: Path) -> None:
    with closing(RequestBook(tmp_path / "requests.db")) as book:
        assert (book.position("t"), book.plant_time(1.0), book.newest_of(PIPE)) == (0, None, None)
        await book.read("t", 7)
        await book.asked(asked(), 10.0)
        assert (book.position("t"), book.plant_time(12.5)) == (7, second(2.5))
        assert book.newest_of(PIPE) == book.facts_of(action()) == asked().facts
