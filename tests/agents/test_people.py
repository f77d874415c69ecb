"""What people do about actions: approve in pairs, tell the end of what nobody knew, and take back what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from agents.dispatcher import (
    Answered,
    Dispatcher,
    NotParkedError,
    NotSentError,
    NotWaitingError,
    Outcome,
    Outlet,
    WrongPersonError,
)
from agents.entry import Entry, Ledger, Stage, Step
from agents.fakes import FakeEngine, FakeOutlet, MemoryLedger
from agents.policy import Approver
from agents.undo import INVERSES, NotUndoableError
from schemas.action import Action, Cause
from schemas.event import ActionResult, ActionStatus, Event, Micros
from streams.ledger import SqliteLedger
from tests.agents.plant import PIPE, PUMP, action, event, plant, second


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    opened = SqliteLedger(tmp_path / "actions.db")
    yield opened
    opened.close()


def dispatcher(ledger: Ledger, outlet: Outlet | None = None, *, allowed: bool = True) -> Dispatcher:
    return Dispatcher(engine=FakeEngine(allowed=allowed), ledger=ledger, outlets={"mqtt": outlet or FakeOutlet()})


def careful(ledger: Ledger, outlet: Outlet) -> Dispatcher:
    return Dispatcher(engine=FakeEngine(allowed=True, approval=True), ledger=ledger, outlets={"mqtt": outlet})


async def done(acting: Dispatcher, asked: Action, at: float = 0) -> Entry:
    return await acting.dispatch(asked, topology=plant(), now=second(at))


async def approved(acting: Dispatcher, asked: Action, name: str, role: str = "operator") -> Entry:
    return await acting.approve(asked.action_id, Approver(name, role), topology=plant(), now=second(1))


class Mortal:
    """A ledger in a process that dies when something is to be claimed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def claim(self, action_id: str, at: Micros) -> bool:
        raise KeyboardInterrupt(action_id, at)


def answer(asked: Action, at: float = 5) -> Event:
    assert asked.device_id is not None
    return event(ActionResult(asked.action_id, asked.device_id, ActionStatus.SUCCEEDED), at)


def stages(ledger: Ledger, asked: Action) -> list[Stage]:
    return [entry.stage for entry in ledger.history(asked.action_id)]


# --- A second person --------------------------------------------------------------------------------------------------------


def pairs(ledger: Ledger, outlet: Outlet | None = None) -> Dispatcher:
    return Dispatcher(engine=FakeEngine(allowed=True, second=True), ledger=ledger, outlets={"mqtt": outlet or FakeOutlet()})


def by(principal: str) -> Action:
    return action(cause=Cause(instruction_id="in-1", task="t", principal=principal, role="operator"))


@pytest.mark.parametrize("name", ["ann", "Ann", " ANN ", "\uff41nn"])
async def test_who_asked_is_not_the_second_person_however_the_name_is_written(ledger: Ledger, name: str) -> None:
    outlet = FakeOutlet()
    acting = pairs(ledger, outlet)
    asked = by("ann")
    assert (await done(acting, asked)).stage is Stage.WAITING
    with pytest.raises(WrongPersonError, match="second person"):
        await approved(acting, asked, name)
    assert (stages(ledger, asked), outlet.sent) == ([Stage.WAITING, Stage.WAITING], [])
    assert ledger.history(asked.action_id)[-1].by == name
    assert (await approved(acting, asked, "bob")).stage is Stage.SENT


@pytest.mark.parametrize(("asks", "approves"), [("ann", "local"), ("ann", " Local"), ("local", "bob"), ("local", "local")])
async def test_who_does_not_say_who_they_are_is_nobodys_second_person(ledger: Ledger, asks: str, approves: str) -> None:
    """Leaving one's key out on a loopback address makes nobody another person."""
    outlet = FakeOutlet()
    acting = pairs(ledger, outlet)
    asked = by(asks)
    await done(acting, asked)
    with pytest.raises(WrongPersonError, match="both need a key or token of their own"):
        await approved(acting, asked, approves)
    assert (stages(ledger, asked), outlet.sent) == ([Stage.WAITING, Stage.WAITING], [])


async def test_where_anybody_may_so_may_who_does_not_say_who_they_are(ledger: Ledger) -> None:
    acting = careful(ledger, FakeOutlet())
    asked = by("local")
    await done(acting, asked)
    assert (await approved(acting, asked, "local")).stage is Stage.SENT


async def test_who_asked_may_be_the_person_where_anybody_may(ledger: Ledger) -> None:
    acting = careful(ledger, FakeOutlet())
    asked = by("ann")
    await done(acting, asked)
    assert (await approved(acting, asked, "ann")).stage is Stage.SENT


async def test_a_policy_that_has_become_stricter_counts_at_the_approval(ledger: Ledger) -> None:
    asked = by("ann")
    await done(careful(ledger, FakeOutlet()), asked)
    with pytest.raises(WrongPersonError):
        await approved(pairs(ledger), asked, "ann")


def by_engineers() -> FakeEngine:
    """Takes nobody else's approval."""
    return FakeEngine(allowed=True, approval=True, role="engineer")


async def test_whose_word_the_policy_does_not_take_leaves_it_to_others(ledger: Ledger) -> None:
    """An operator who presses the button for what engineers approve has not ended it."""
    outlet, asked = FakeOutlet(), by("ann")
    acting = Dispatcher(engine=by_engineers(), ledger=ledger, outlets={"mqtt": outlet})
    await done(acting, asked)
    with pytest.raises(WrongPersonError, match=r"with the word of bob \(operator\) it would be refused: always"):
        await approved(acting, asked, "bob")
    assert (stages(ledger, asked), outlet.sent) == ([Stage.WAITING, Stage.WAITING], [])
    assert (ledger.history(asked.action_id)[-1].by, ledger.history(asked.action_id)[-1].step) == ("bob", Step.TURNED_AWAY)
    entry = await approved(acting, asked, "eve", "engineer")
    assert (entry.stage, entry.approved_by, outlet.sent) == (Stage.SENT, "eve", [asked])


async def test_so_it_does_where_it_needs_no_approval_any_more(ledger: Ledger) -> None:
    engine, asked = by_engineers(), by("ann")
    acting = Dispatcher(engine=engine, ledger=ledger, outlets={"mqtt": FakeOutlet()})
    await done(acting, asked)
    engine.approval = False
    with pytest.raises(WrongPersonError, match="is not approved"):
        await approved(acting, asked, "bob")
    assert (await approved(acting, asked, "eve", "engineer")).stage is Stage.SENT


async def test_a_second_person_is_needed_again_after_a_crash_between_approval_and_claim(ledger: Ledger) -> None:
    """Though the policy, once somebody has approved, no longer says so."""
    engine = FakeEngine(allowed=True, second=True)
    asked = by("ann")
    await done(Dispatcher(engine=engine, ledger=ledger, outlets={"mqtt": FakeOutlet()}), asked)
    engine.second = False
    dying = Dispatcher(engine=engine, ledger=cast("Ledger", Mortal(ledger)), outlets={"mqtt": FakeOutlet()})
    with pytest.raises(KeyboardInterrupt):
        await approved(dying, asked, "bob")
    again = Dispatcher(engine=engine, ledger=ledger, outlets={"mqtt": FakeOutlet()})
    assert [entry.stage for entry in again.recover(second(2))] == [Stage.WAITING]
    with pytest.raises(WrongPersonError, match="second person"):
        await approved(again, asked, "ann")
    assert (await approved(again, asked, "bob")).stage is Stage.SENT


# --- Answers at once, ends that a person tells, and undoing ------------------------------------------------------------------


@pytest.mark.parametrize(("status", "stage"), [(ActionStatus.SUCCEEDED, Stage.SUCCEEDED), (ActionStatus.REFUSED, Stage.FAILED)])
async def test_an_outlet_that_knows_the_end_says_so(ledger: Ledger, status: ActionStatus, stage: Stage) -> None:
    told = msgspec.structs.replace(action(verb="notify"), device_id=None)
    entry = await done(dispatcher(ledger, FakeOutlet(answer=Answered(status, "read by two"))), told)
    assert (entry.stage, entry.detail) == (stage, "read by two")


@pytest.mark.parametrize(
    ("outcome", "stage"),
    [(Outcome.SUCCEEDED, Stage.SUCCEEDED), (Outcome.FAILED, Stage.FAILED), (Outcome.NEVER_SENT, Stage.FAILED)],
)
async def test_a_person_says_what_nobody_knew_and_it_is_never_sent_again(
    ledger: Ledger, outcome: Outcome, stage: Stage
) -> None:
    outlet = FakeOutlet(TimeoutError())
    acting = dispatcher(ledger, outlet)
    assert (await done(acting, action())).stage is Stage.UNKNOWN
    entry = acting.resolve(action().action_id, "ann", outcome, "seen on site", now=second(5))
    assert (entry.stage, entry.by, entry.detail) == (stage, "ann", f"{outcome}, says ann: seen on site")
    assert (await done(acting, action(), 6)).stage is stage
    assert len(outlet.sent) == 1
    with pytest.raises(NotParkedError, match="not in doubt"):
        acting.resolve(action().action_id, "ann", outcome, "again", now=second(7))


async def test_what_was_not_answered_can_be_resolved_and_what_was_never_sent_cannot(ledger: Ledger) -> None:
    acting = dispatcher(ledger)
    await done(acting, action())
    acting.expire(second(1e6))
    assert acting.resolve(action().action_id, "ann", Outcome.SUCCEEDED, "seen", now=second(1e6)).stage is Stage.SUCCEEDED
    await done(careful(ledger, FakeOutlet()), action(PUMP))
    acting.expire(second(1e6))
    for name in (action(PUMP).action_id, "nothing"):
        with pytest.raises(NotParkedError):
            acting.resolve(name, "ann", Outcome.FAILED, "?", now=second(1e6))


async def test_what_was_done_is_undone_once_and_by_an_action_of_its_own(ledger: Ledger) -> None:
    outlet = FakeOutlet()
    acting = dispatcher(ledger, outlet)
    asked = action(arguments={"speed": "slow"})
    await done(acting, asked)
    acting.result(answer(asked))
    entry = await acting.undo(asked.action_id, "ann", "operator", topology=plant(), now=second(9))
    assert (entry.stage, entry.action.verb, entry.action.device_id, entry.action.arguments) == (
        Stage.SENT,
        "reconnect",
        PIPE,
        {},
    )
    assert entry.action.cause == Cause(undoes=asked.action_id, principal="ann", role="operator")
    assert entry.action.expiry == second(69)
    with pytest.raises(NotUndoableError, match="is undone by"):
        await acting.undo(asked.action_id, "ann", "operator", topology=plant(), now=second(10))
    acting.result(answer(entry.action, at=11))
    again = await acting.undo(entry.action.action_id, "ann", "operator", topology=plant(), now=second(12))
    assert [sent.verb for sent in outlet.sent] == ["isolate", "reconnect", "isolate"]
    assert again.action.action_id not in (asked.action_id, entry.action.action_id)


async def test_an_undoing_that_was_refused_may_be_asked_for_again(ledger: Ledger) -> None:
    await done(dispatcher(ledger), action())
    refused = [
        await dispatcher(ledger, allowed=False).undo(action().action_id, "vic", "viewer", topology=plant(), now=second(at))
        for at in (1, 2)
    ]
    assert [entry.stage for entry in refused] == [Stage.REFUSED, Stage.REFUSED]
    entry = await dispatcher(ledger).undo(action().action_id, "ann", "operator", topology=plant(), now=second(3))
    assert (entry.stage, len({one.action.action_id for one in (*refused, entry)})) == (Stage.SENT, 3)


async def test_an_undoing_of_which_nothing_came_may_be_asked_for_again(ledger: Ledger) -> None:
    """The broker was away; or the process died between decision and claim."""
    asked = action()
    await done(dispatcher(ledger), asked)
    lost = await dispatcher(ledger, FakeOutlet(NotSentError("away"))).undo(
        asked.action_id, "ann", "operator", topology=plant(), now=second(1)
    )
    assert lost.stage is Stage.FAILED
    mortal: Any = Mortal(ledger)
    with pytest.raises(KeyboardInterrupt):
        await dispatcher(mortal).undo(asked.action_id, "ann", "operator", topology=plant(), now=second(2))
    with pytest.raises(NotUndoableError, match="is allowed"):
        await dispatcher(ledger).undo(asked.action_id, "ann", "operator", topology=plant(), now=second(3))
    dispatcher(ledger).expire(second(600))
    entry = await dispatcher(ledger).undo(asked.action_id, "ann", "operator", topology=plant(), now=second(601))
    assert entry.stage is Stage.SENT


async def test_what_cannot_be_undone(ledger: Ledger) -> None:
    outlet = FakeOutlet(TimeoutError())
    acting = dispatcher(ledger, outlet)
    await done(acting, action())
    await done(dispatcher(ledger, allowed=False), action(PUMP, "stop"))
    await done(dispatcher(ledger), action(PUMP, "inspect"))
    said = {
        name: await refusal_to_undo(acting, name)
        for name in (action().action_id, action(PUMP, "stop").action_id, action(PUMP, "inspect").action_id, "nothing")
    }
    assert list(said.values()) == [
        "action action-isolate-pipe-1 is unknown: only what was sent can be undone",
        "action action-stop-pump-1 is refused: only what was sent can be undone",
        "nothing undoes inspect",
        "action nothing is not known",
    ]


async def refusal_to_undo(acting: Dispatcher, name: str) -> str:
    with pytest.raises(NotUndoableError) as refused:
        await acting.undo(name, "ann", "operator", topology=plant(), now=second(2))
    return str(refused.value)


def test_every_inverse_is_undone_by_what_it_undoes() -> None:
    assert [verb for verb, back in INVERSES.items() if back.verb in INVERSES and INVERSES[back.verb].verb != verb] == []


async def test_many_at_once_from_two_threads_are_each_sent_once(tmp_path: Path) -> None:
    opened, outlet = SqliteLedger(tmp_path / "actions.db"), FakeOutlet()
    acting = careful(opened, outlet)
    asked = [action(action_id=f"a{number}") for number in range(40)]
    for one in asked:
        await done(acting, one)

    async def approved(name: str, one: Action) -> None:
        with suppress(NotWaitingError):
            begun = await asyncio.to_thread(
                acting.begin_approved, one.action_id, Approver(name, "operator"), topology=plant(), now=second(1)
            )
            await acting.go(begun, second(1))

    await asyncio.gather(*(approved(name, one) for one in asked for name in ("ann", "bob", "eve")))
    assert sorted(sent.action_id for sent in outlet.sent) == sorted(one.action_id for one in asked)
    opened.close()
