"""An action happens at most once, never without a decision on record, and its end is known or said to be unknown."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agents.dispatcher import (
    Dispatcher,
    NotSentError,
    NotWaitingError,
    Outlet,
)
from agents.entry import Entry, Ledger, Stage
from agents.fakes import FakeEngine, FakeOutlet, MemoryLedger
from agents.policy import Approver, Rates
from schemas.action import Action
from schemas.event import ActionResult, ActionStatus, Event, Log, Severity, rfc3339
from streams.ledger import SqliteLedger
from tests.agents.plant import PIPE, PUMP, action, event, plant, second


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    opened = SqliteLedger(tmp_path / "data" / "actions.db")
    yield opened
    opened.close()


def dispatcher(ledger: Ledger, outlet: Outlet | None = None, *, allowed: bool = True) -> Dispatcher:
    return Dispatcher(engine=FakeEngine(allowed=allowed), ledger=ledger, outlets={"mqtt": outlet or FakeOutlet()})


async def done(acting: Dispatcher, asked: Action, at: float = 0) -> Entry:
    return await acting.dispatch(asked, topology=plant(), now=second(at))


def answer(asked: Action, status: ActionStatus = ActionStatus.SUCCEEDED, at: float = 5, detail: str | None = None) -> Event:
    assert asked.device_id is not None
    return event(ActionResult(asked.action_id, asked.device_id, status, detail), at)


def stages(ledger: Ledger, asked: Action) -> list[Stage]:
    return [entry.stage for entry in ledger.history(asked.action_id)]


async def test_an_allowed_action_is_sent_and_answered(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = dispatcher(ledger, outlet)
    assert (await done(acting, action())).stage is Stage.SENT
    closed = acting.result(answer(action()))
    assert outlet.sent == [action()]
    assert closed is not None
    assert closed == ledger.entry(action().action_id)
    assert (closed.stage, closed.at, closed.claimed_at) == (Stage.SUCCEEDED, second(5), second(0))
    assert closed.decision is not None
    assert closed.decision.allowed
    assert stages(ledger, action()) == [Stage.ALLOWED, Stage.CLAIMED, Stage.SENT, Stage.SUCCEEDED]


async def test_a_repeat_is_not_sent(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = dispatcher(ledger, outlet)
    for at in range(3):
        assert (await done(acting, action(), at)).stage is Stage.SENT
    acting.result(answer(action()))
    assert (await done(acting, action(), 9)).stage is Stage.SUCCEEDED
    assert len(outlet.sent) == 1


async def test_many_at_once_send_one(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = dispatcher(ledger, outlet)
    await asyncio.gather(*(done(acting, action()) for _ in range(10)))
    assert len(outlet.sent) == 1


async def test_a_refusal_is_on_record_and_nothing_is_sent(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    entry = await done(dispatcher(ledger, outlet, allowed=False), action())
    assert (entry.stage, entry.claimed_at, outlet.sent) == (Stage.REFUSED, None, [])
    assert ledger.entry(action().action_id) == entry
    assert entry.decision is not None


async def test_a_refused_action_is_judged_again_only_when_its_cause_grows(ledger: Ledger) -> None:
    cause = msgspec.structs.replace(action().cause, severity=Severity.CRITICAL)
    await done(dispatcher(ledger, allowed=False), action())
    acting = dispatcher(ledger)
    assert (await done(acting, action())).stage is Stage.REFUSED
    assert (await done(acting, action(cause=cause))).stage is Stage.SENT


async def test_without_a_way_nothing_is_sent(ledger: Ledger) -> None:
    entry = await done(dispatcher(ledger), action(via="orders"))
    assert (entry.stage, entry.detail) == (Stage.REFUSED, "there is no way orders")


async def test_what_is_asked_too_late_has_expired(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    assert (await done(dispatcher(ledger, outlet), action(), 60)).stage is Stage.EXPIRED
    assert outlet.sent == []


async def test_cooldown_is_per_verb_and_target(ledger: Ledger) -> None:
    acting = dispatcher(ledger)
    cooled = [
        (await done(acting, action(device, verb, action_id=f"a{number}", cooldown_seconds=10.0), at)).stage
        for number, (device, verb, at) in enumerate(
            [(PIPE, "isolate", 0), (PIPE, "isolate", 9), (PIPE, "inspect", 9), (PUMP, "isolate", 9), (PIPE, "isolate", 10)]
        )
    ]
    assert cooled == [Stage.SENT, Stage.REFUSED, Stage.SENT, Stage.SENT, Stage.SENT]


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        (ActionStatus.SUCCEEDED, Stage.SUCCEEDED),
        (ActionStatus.FAILED, Stage.FAILED),
        (ActionStatus.REFUSED, Stage.FAILED),
        (ActionStatus.EXPIRED, Stage.EXPIRED),
    ],
)
async def test_results(ledger: Ledger, status: ActionStatus, stage: Stage) -> None:
    acting = dispatcher(ledger)
    await done(acting, action())
    closed = acting.result(answer(action(), status))
    assert closed is not None
    assert closed.stage is stage


async def test_answers_that_answer_nothing(ledger: Ledger) -> None:
    acting = dispatcher(ledger, allowed=False)
    await done(acting, action())
    assert acting.result(answer(action())) is None
    assert acting.result(answer(action(PUMP))) is None
    assert acting.result(event(Log(PIPE, "done"), 5)) is None
    acting = dispatcher(ledger)
    sent = action(verb="inspect")
    await done(acting, sent)
    assert acting.result(event(ActionResult(sent.action_id, PUMP, ActionStatus.SUCCEEDED), 5)) is None
    assert acting.result(answer(sent)) is not None
    assert acting.result(answer(sent, ActionStatus.FAILED)) is None


async def test_no_answer_in_time_and_one_that_comes_later_still(ledger: Ledger) -> None:
    acting = dispatcher(ledger)
    await done(acting, action())
    assert acting.expire(second(59)) == []
    (expired,) = acting.expire(second(60))
    assert (expired.stage, acting.expire(second(61))) == (Stage.EXPIRED, [])
    late = acting.result(answer(action(), at=70))
    assert late is not None
    assert late.stage is Stage.SUCCEEDED


async def test_an_answer_before_the_outlet_returns_stands(ledger: Ledger) -> None:
    class Quick:
        async def send(self, sent: Action) -> None:
            acting.result(answer(sent))

    acting = dispatcher(ledger, Quick())
    assert (await done(acting, action())).stage is Stage.SUCCEEDED


@pytest.mark.parametrize(("error", "stage"), [(NotSentError("offline"), Stage.FAILED), (TimeoutError("slow"), Stage.UNKNOWN)])
async def test_an_outlet_that_fails(ledger: Ledger, error: Exception, stage: Stage) -> None:
    outlet = FakeOutlet(error)
    acting = dispatcher(ledger, outlet)
    assert (await done(acting, action())).stage is stage
    assert (await done(acting, action())).stage is stage
    assert len(outlet.sent) == 1


async def test_cancelling_parks_what_was_being_sent(ledger: Ledger) -> None:
    class Slow:
        async def send(self, action: Action) -> None:
            await asyncio.sleep(action.expiry)

    task = asyncio.create_task(done(dispatcher(ledger, Slow()), action()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [held.stage for held in ledger.at_stage(Stage.UNKNOWN)] == [Stage.UNKNOWN]


# --- Crashes ------------------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: nothing after it happens."""


class Crashing(MemoryLedger):
    """Dies at its n-th write, before it or after it."""

    def __init__(self, write: int, *, before: bool) -> None:
        super().__init__()
        self._left = write
        self._before = before

    def record(self, entry: Entry) -> None:
        self._left -= 1
        if self._left == 0 and self._before:
            raise Crash
        super().record(entry)
        if self._left == 0:
            raise Crash


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_whenever_it_crashes_it_is_sent_at_most_once_and_never_lost_unseen(write: int, *, before: bool) -> None:
    ledger, outlet = Crashing(write, before=before), FakeOutlet()
    with pytest.raises(Crash):
        await done(dispatcher(ledger, outlet), action())
    again = dispatcher(ledger, outlet)
    again.recover(second(10))
    entry = await done(again, action(), 11)
    assert len(outlet.sent) == (0 if (write, before) == (2, False) else 1)
    assert entry.stage is {(2, False): Stage.UNKNOWN, (3, True): Stage.UNKNOWN}.get((write, before), Stage.SENT)


async def test_after_a_crash_while_sending_the_outcome_is_unknown_until_the_device_tells(ledger: Ledger) -> None:
    outlet = FakeOutlet(Crash())
    with pytest.raises(Crash):
        await done(dispatcher(ledger, outlet), action())
    again = dispatcher(ledger, outlet)
    (parked,) = again.recover(second(10))
    assert (parked.stage, again.recover(second(11))) == (Stage.UNKNOWN, [])
    assert (await done(again, action(), 12)).stage is Stage.UNKNOWN
    told = again.result(answer(action()))
    assert told is not None
    assert told.stage is Stage.SUCCEEDED
    assert len(outlet.sent) == 1


# --- The ledger ---------------------------------------------------------------------------------------------------------------


def entry(stage: Stage, asked: Action) -> Entry:
    return Entry(action=asked, stage=stage, at=second(0))


def test_only_what_was_allowed_is_claimed_and_only_once(ledger: Ledger) -> None:
    assert not ledger.claim("action-1", second(0))
    ledger.record(entry(Stage.REFUSED, action()))
    assert not ledger.claim(action().action_id, second(0))
    ledger.record(entry(Stage.ALLOWED, action()))
    assert ledger.claim(action().action_id, second(1))
    assert not ledger.claim(action().action_id, second(2))
    assert ledger.last_claimed("isolate", PIPE) == second(1)
    assert ledger.last_claimed("isolate", PUMP) is None


def test_a_late_decision_does_not_undo_a_claim(ledger: Ledger) -> None:
    ledger.record(entry(Stage.ALLOWED, action()))
    assert ledger.claim(action().action_id, second(1))
    ledger.record(entry(Stage.ALLOWED, action()))
    assert not ledger.claim(action().action_id, second(2))
    assert [held.stage for held in ledger.at_stage(Stage.CLAIMED)] == [Stage.CLAIMED]


async def test_the_file_outlives_the_process(tmp_path: Path) -> None:
    path, outlet = tmp_path / "actions.db", FakeOutlet()
    for _ in range(2):
        opened = SqliteLedger(path)
        assert (await done(dispatcher(opened, outlet), action())).stage is Stage.SENT
        opened.close()
    assert len(outlet.sent) == 1
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (3,)
    connection.close()


async def test_rates_count_what_was_allowed_and_is_on_record(ledger: Ledger) -> None:
    late = rfc3339(second(9000))
    acting = dispatcher(ledger)
    for at in (0, 1, 2):
        await done(acting, action(action_id=f"a{at}", expires_at=late), at)
    await done(acting, action(PUMP, "isolate", action_id="other"), 3)
    await done(dispatcher(ledger, allowed=False), action(action_id="refused", expires_at=late), 3)
    assert ledger.rates(action(), second(-1)) == Rates(4, 3, 4)
    assert ledger.rates(action(action_id="a1"), second(-1)) == Rates(3, 2, 3)
    assert ledger.rates(action(), second(1)) == Rates(2, 1, 2)
    assert ledger.rates(action(PIPE, "stop"), second(-1)) == Rates(0, 3, 4)


# --- Approval -----------------------------------------------------------------------------------------------------------------


def careful(ledger: Ledger, outlet: Outlet) -> Dispatcher:
    return Dispatcher(engine=FakeEngine(allowed=True, approval=True), ledger=ledger, outlets={"mqtt": outlet})


async def test_what_needs_approval_waits_for_it_and_goes_once(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = careful(ledger, outlet)
    assert [(await done(acting, action(), at)).stage for at in (0, 1)] == [Stage.WAITING, Stage.WAITING]
    assert outlet.sent == []
    entry = await acting.approve(action().action_id, Approver("ada", "operator"), topology=plant(), now=second(2))
    assert (entry.stage, entry.approved_by, outlet.sent) == (Stage.SENT, "ada", [action()])
    with pytest.raises(NotWaitingError, match="is sent"):
        await acting.approve(action().action_id, Approver("bob", "operator"), topology=plant(), now=second(3))
    assert stages(ledger, action()) == [Stage.WAITING, Stage.ALLOWED, Stage.CLAIMED, Stage.SENT]


async def test_what_was_rejected_stays_so(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = careful(ledger, outlet)
    await done(acting, action())
    entry = acting.reject(action().action_id, "ada", "people are in there", now=second(1))
    assert (entry.stage, entry.detail) == (Stage.REFUSED, "rejected by ada: people are in there")
    assert (await done(acting, action(), 2)).stage is Stage.REFUSED
    assert outlet.sent == []


async def test_what_was_rejected_stays_so_however_bad_its_cause_gets(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    await done(careful(ledger, outlet), action())
    careful(ledger, outlet).reject(action().action_id, "ada", "people are in there", now=second(1))
    worse = msgspec.structs.replace(action().cause, severity=Severity.CRITICAL)
    assert (await done(dispatcher(ledger, outlet), action(cause=worse), 2)).stage is Stage.REFUSED
    assert outlet.sent == []


async def test_what_was_approved_and_not_claimed_before_a_stop_waits_again(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = careful(ledger, outlet)
    waiting = await done(acting, action())
    ledger.record(msgspec.structs.replace(waiting.then(Stage.ALLOWED, second(1)), approved_by="ada"))
    (again,) = acting.recover(second(2))
    assert (again.stage, again.approved_by, again.detail) == (Stage.WAITING, None, "stopped before it was sent; approve again")
    assert (acting.recover(second(3)), ledger.entry(action().action_id), outlet.sent) == ([], again, [])
    entry = await acting.approve(action().action_id, Approver("bob", "operator"), topology=plant(), now=second(4))
    assert (entry.stage, entry.approved_by, outlet.sent) == (Stage.SENT, "bob", [action()])


async def test_what_was_allowed_without_anybody_is_left_to_be_asked_again(ledger: Ledger) -> None:
    ledger.record(entry(Stage.ALLOWED, action()))
    assert dispatcher(ledger).recover(second(2)) == []
    assert (await done(dispatcher(ledger), action(), 3)).stage is Stage.SENT


async def test_nobody_approves_in_time_or_too_late(ledger: Ledger) -> None:
    acting = careful(ledger, FakeOutlet())
    await done(acting, action())
    late = msgspec.structs.replace(action(), action_id="other")
    await done(acting, late)
    entry = await acting.approve("other", Approver("ada", "operator"), topology=plant(), now=second(1e6))
    assert (entry.stage, entry.detail) == (Stage.EXPIRED, "approved too late")
    (expired,) = acting.expire(second(1e6))
    assert (expired.stage, expired.detail) == (Stage.EXPIRED, "not approved in time")


async def test_an_approval_does_not_overrule_the_policy(ledger: Ledger) -> None:
    engine, outlet = FakeEngine(allowed=True, approval=True), FakeOutlet()
    acting = Dispatcher(engine=engine, ledger=ledger, outlets={"mqtt": outlet})
    await done(acting, action())
    engine.allowed = False
    entry = await acting.approve(action().action_id, Approver("ada", "operator"), topology=plant(), now=second(1))
    assert (entry.stage, outlet.sent) == (Stage.REFUSED, [])
