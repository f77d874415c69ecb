"""Tools that act: one action each, which goes the way of all actions, and what becomes of it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.catalogue import plant_tools
from agents.dispatcher import Answered, NotSentError
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, FakeOutlet
from agents.identity import instructed
from agents.run import TaskState
from agents.toolset import Effect
from agents.undo import INVERSES
from agents.workshop import Part, ToolError, UnknownOutcomeError
from schemas.alarm import AlarmState
from schemas.device import Signal, SignalKind, SignalName
from schemas.event import ActionStatus, Connected, Event, Micros, Severity
from schemas.finding import AlertState
from streams.workshop.acting import target_of
from streams.workshop.errands import VERBS
from tests.agents.test_policy import HEAD, policy
from tests.streams.plant import stamp
from tests.streams.workshop.room import NOW, PIPE, PUMP, RUN, Bench, opened
from tests.waiting import until

ACTING: dict[str, dict[str, Any]] = {
    "acknowledge_alarm": {"device": PUMP},
    "shelve_alarm": {"device": PUMP, "duration": 600},
    "notify": {"text": "look"},
    "open_work_order": {"device": PUMP, "priority": "high"},
    "command_device": {"device": PUMP, "verb": "stop"},
    "set_point": {"device": PUMP, "signal": "level", "value": 2.5},
    "isolate_device": {"device": PUMP, "reason": "leak"},
    "reconnect_device": {"device": PUMP},
    "retrain_model": {},
}
WAYS = {"work-orders": FakeOutlet(), "training": FakeOutlet(answer=Answered(ActionStatus.SUCCEEDED, "models/x"))}


def test_these_are_all_that_act() -> None:
    assert set(ACTING) == {tool.id for tool in plant_tools().tools if tool.effect is Effect.ACT}


@pytest.mark.parametrize("tool", ACTING)
async def test_a_use_is_one_action_with_its_cause(tool: str, tmp_path: Path) -> None:
    with opened(tmp_path, via=WAYS) as bench:
        await bench.alarm()
        outputs = await bench.use(tool, **ACTING[tool])
        (action,) = bench.side.requested
        target = target_of(bench.call(tool, **ACTING[tool]))
        assert action.action_id == instructed("s", RUN, tool, verb=target.verb, device_id=target.device)
        assert (action.verb, action.device_id) == target
        cause = action.cause
        assert (cause.instruction_id, cause.task, cause.principal, cause.role) == (RUN, tool, "anna", "operator")
        assert outputs["action"]["actionId"] == action.action_id
        assert outputs["action"]["stage"] == (Stage.SENT if tool == "open_work_order" else Stage.SUCCEEDED)
        assert outputs["action"]["rule"] == "fake"


@pytest.mark.parametrize("tool", ACTING)
async def test_nothing_happens_without_a_permit(tool: str, tmp_path: Path) -> None:
    work, training = FakeOutlet(), FakeOutlet()
    with opened(tmp_path, engine=FakeEngine(allowed=False), via={"work-orders": work, "training": training}) as bench:
        alarm = await bench.alarm()
        before = bench.room.alarm(alarm)
        with pytest.raises(ToolError, match="refused: always"):
            await bench.use(tool, **ACTING[tool])
        assert bench.device.sent == work.sent == training.sent == []
        assert bench.room.alarm(alarm) == before


@pytest.mark.parametrize("tool", ACTING)
async def test_trying_it_dry_says_what_would_be_and_records_nothing(tool: str, tmp_path: Path) -> None:
    for engine, would in (
        (FakeEngine(allowed=True), "be done"),
        (FakeEngine(allowed=False), "be refused"),
        (FakeEngine(allowed=True, approval=True), "wait for approval"),
    ):
        folder = tmp_path / would
        folder.mkdir()
        with opened(folder, engine=engine, via=WAYS) as bench:
            await bench.alarm()
            outputs = await bench.workshop.preview(bench.call(tool, **ACTING[tool]))
            assert outputs["action"]["would"] == would
            assert bench.side.requested == bench.device.sent == []
            assert bench.side.ledger.at_stage(Stage.REFUSED) == []


async def test_what_devices_are_told(tmp_path: Path) -> None:
    with opened(tmp_path, via=WAYS) as bench:
        await bench.use("set_point", device=PUMP, signal="level", value=2.5)
        await bench.use("isolate_device", device=PUMP, reason="leak")
        told = [(action.verb, action.via, action.arguments) for action in bench.device.sent]
        assert told == [("set", "mqtt", {"signal": "level", "value": 2.5}), ("isolate", "mqtt", {"reason": "leak"})]
        with pytest.raises(ToolError, match="pump-1 has no signal speed: level"):
            await bench.use("set_point", key="other", device=PUMP, signal="speed", value=1)


async def test_a_set_point_beyond_what_its_maker_says_is_refused(tmp_path: Path) -> None:
    signal = Signal(SignalName("speed"), SignalKind.NUMERIC, min=0.0, max=50.0)
    said = [Event(stamp(1, NOW - 1), Connected(PUMP, "pump", signals=(signal,)))]
    with opened(tmp_path, said, engine=policy(HEAD)) as bench:
        for number, wrong in enumerate((-0.5, 99_999)):
            with pytest.raises(ToolError, match=r"refused: .* is beyond what speed of pump-1 takes: 0 to 50"):
                await bench.use("set_point", key=f"t{number}", device=PUMP, signal="speed", value=wrong)
        await bench.use("set_point", device=PUMP, signal="speed", value=50)
        assert [action.arguments["value"] for action in bench.device.sent] == [50]


@pytest.mark.parametrize("tool", [tool for tool, arguments in ACTING.items() if "device" in arguments])
async def test_of_a_device_that_is_not_there_nothing_is_asked(tool: str, tmp_path: Path) -> None:
    with opened(tmp_path, via=WAYS) as bench:
        with pytest.raises(ToolError, match="no device pump-9"):
            await bench.use(tool, **{**ACTING[tool], "device": "pump-9"})
        assert bench.side.requested == []


async def test_alarms_are_acknowledged_and_shelved_in_the_askers_name(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        first, second = await bench.alarm(), await bench.alarm(name="control:hot")
        await bench.use("acknowledge_alarm", device=PUMP)
        for alarm in (first, second):
            found = bench.room.alarm(alarm)
            assert (found.state, found.acknowledged_by) == (AlarmState.ACKNOWLEDGED, "anna")
        assert sorted(bench.side.requested[0].arguments["alarms"]) == sorted([first, second])
        await bench.use("shelve_alarm", device=PUMP, duration=600, reason="being cleaned")
        shelf = bench.room.alarm(first).shelf
        assert shelf is not None
        assert (shelf.actor, shelf.until is not None) == ("anna", True)
        steps = await bench.room.transitions(first)
        assert steps[-1].reason == "being cleaned"
        with pytest.raises(ToolError, match="no alarm of pipe-1 to acknowledge"):
            await bench.use("acknowledge_alarm", device=PIPE)


async def approved_after(bench: Bench, meanwhile: Callable[[], Awaitable[object]]) -> Entry:
    """An acknowledgement that is approved once something else has happened."""
    asking = asyncio.ensure_future(bench.use("acknowledge_alarm", device=PUMP))
    await bench.side.waiting.wait()
    await meanwhile()
    entry = await bench.side.approve(bench.side.requested[0].action_id)
    with suppress(ToolError):
        await asking
    return entry


async def test_an_alarm_that_has_got_worse_since_is_not_what_was_approved(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        alarm = await bench.alarm()
        entry = await approved_after(bench, lambda: bench.alarm(severity=Severity.CRITICAL, state=AlertState.UPDATED, after=1))
        assert (entry.stage, bench.room.alarm(alarm).acknowledged) == (Stage.FAILED, False)
        assert "it has got worse since this was asked for: high then, critical now" in entry.detail


async def test_nor_is_one_that_was_raised_again(tmp_path: Path) -> None:
    async def again() -> None:
        await bench.alarm(state=AlertState.CLEARED, after=1)
        await bench.alarm(alert="second", after=2)

    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        alarm = await bench.alarm()
        entry = await approved_after(bench, again)
        assert (entry.stage, bench.room.alarm(alarm).acknowledged) == (Stage.FAILED, False)
        assert "it was raised again since this was asked for" in entry.detail


async def test_what_has_not_changed_or_got_better_is_acknowledged_once_it_is_approved(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        alarm = await bench.alarm()
        entry = await approved_after(bench, lambda: bench.alarm(severity=Severity.LOW, state=AlertState.UPDATED, after=1))
        assert (entry.stage, bench.room.alarm(alarm).acknowledged) == (Stage.SUCCEEDED, True), entry.detail


async def test_what_was_shelved_is_taken_off_the_shelf_by_an_undoing(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        alarm = await bench.alarm()
        await bench.use("shelve_alarm", device=PUMP, duration=600)
        assert bench.room.alarm(alarm).shelf is not None
        undone = await bench.side.undo(bench.side.requested[0].action_id, "ben")
        assert (undone.stage, bench.room.alarm(alarm).shelf) == (Stage.SUCCEEDED, None), undone.detail


def test_whatever_goes_to_alarms_can_be_undone_there_too() -> None:
    assert {INVERSES[verb].verb for verb in VERBS if verb in INVERSES} <= VERBS.keys()


async def test_an_alarm_of_another_device_is_left_alone(tmp_path: Path) -> None:
    """What was decided on was this device's."""
    with opened(tmp_path) as bench:
        other = await bench.alarm(PIPE)
        await bench.alarm()
        await bench.use("acknowledge_alarm", device=PUMP)
        action = msgspec.structs.replace(bench.side.requested[0], arguments={"alarms": [other]})
        answered = await bench.side.outlets["alarms"].send(action)
        assert answered is not None
        assert answered.status is ActionStatus.REFUSED
        assert bench.room.alarm(other).state is AlarmState.UNACKNOWLEDGED
        with pytest.raises(NotSentError):
            await bench.side.outlets["alarms"].send(msgspec.structs.replace(action, verb="suppress"))


async def test_a_message_tells_what_was_found(tmp_path: Path) -> None:
    parts = (
        Part(key="count", tool="find_devices", state=TaskState.SUCCEEDED, outputs={"count": 3}, detail="", arguments={}),
        Part(key="trace", tool="trace_fault", state=TaskState.FAILED, outputs={}, detail="no fault is open", arguments={}),
    )
    with opened(tmp_path) as bench:
        await bench.workshop.use(bench.call("notify", parts=parts, to="maintenance"))
        assert bench.side.requested[0].arguments == {
            "to": "maintenance",
            "text": "count: count 3; trace: failed no fault is open",
        }


async def test_a_way_that_is_not_set_is_named(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        with pytest.raises(ToolError, match="setting webhooks: none is named work-orders"):
            await bench.use("open_work_order", device=PUMP)
        assert bench.side.requested == []


@pytest.mark.parametrize("status", [ActionStatus.FAILED, ActionStatus.REFUSED, ActionStatus.EXPIRED])
async def test_a_device_that_says_no(status: ActionStatus, tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.device.answer = Answered(status, "jammed")
        with pytest.raises(ToolError, match=r"stop of pump-1.*jammed"):
            await bench.use("command_device", device=PUMP, verb="stop")


async def test_a_device_answers_later(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.device.answer = None
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await until(lambda: bool(bench.device.sent))
        _say(bench, Stage.SUCCEEDED)
        assert (await use)["action"]["stage"] == "succeeded"


async def test_a_device_that_was_perhaps_told_may_still_answer(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.device.error = ConnectionError("lost")
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await until(lambda: bool(bench.side.ledger.at_stage(Stage.UNKNOWN)))
        _say(bench, Stage.SUCCEEDED)
        assert (await use)["action"]["stage"] == "succeeded"


async def test_nobody_knows(tmp_path: Path) -> None:
    work = FakeOutlet(TimeoutError("slow"))
    with opened(tmp_path, via={"work-orders": work}) as bench, pytest.raises(UnknownOutcomeError, match="slow"):
        await bench.use("open_work_order", device=PUMP)


async def test_nobody_knows_and_the_device_does_not_say(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.device.error = ConnectionError("lost")
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await until(lambda: bool(bench.side.ledger.at_stage(Stage.UNKNOWN)))
        bench.clock.noticed(Micros(NOW + 70_000_000))
        with pytest.raises(UnknownOutcomeError, match="lost"):
            await use


async def test_what_was_sent_and_not_answered_may_have_happened(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.device.answer = None
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await until(lambda: bool(bench.side.ledger.at_stage(Stage.SENT)))
        bench.side.expire(70)
        with pytest.raises(UnknownOutcomeError, match="stop of pump-1 was sent: no answer in time"):
            await use


async def test_what_nobody_approved_in_time_has_not_happened(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await bench.side.waiting.wait()
        bench.side.expire(1_000)
        with pytest.raises(ToolError, match="not approved in time"):
            await use
        assert bench.device.sent == []


async def test_it_waits_for_a_person_and_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await bench.side.waiting.wait()
        (action,) = bench.side.requested
        assert bench.waits == [f"for approval of action {action.action_id}: always"]
        assert bench.device.sent == []
        await bench.side.approve(action.action_id)
        assert (await use)["action"]["stage"] == "succeeded"
        assert len(bench.device.sent) == len(bench.waits) == 1


async def test_it_waits_and_somebody_says_no(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        use = asyncio.ensure_future(bench.use("command_device", device=PUMP, verb="stop"))
        await bench.side.waiting.wait()
        await bench.side.reject(bench.side.requested[0].action_id, "ben", "not now")
        with pytest.raises(ToolError, match="rejected by ben: not now"):
            await use
        assert bench.device.sent == []


async def test_what_waits_can_be_withdrawn_and_what_was_sent_cannot(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        call = bench.call("command_device", device=PUMP, verb="stop")
        assert await bench.workshop.withdraw(call, "anna") is False
        use = asyncio.ensure_future(bench.workshop.use(call))
        await bench.side.waiting.wait()
        assert await bench.workshop.withdraw(call, "anna") is False
        with pytest.raises(ToolError, match="rejected by anna: the run was given up"):
            await use
        assert bench.device.sent == []
    with opened(tmp_path / "sent") as bench:
        await bench.use("command_device", device=PUMP, verb="stop")
        assert await bench.workshop.withdraw(bench.call("command_device", device=PUMP, verb="stop"), "anna") is True


async def test_a_cancel_that_comes_before_it_is_asked_for(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        call = bench.call("command_device", device=PUMP, verb="stop")
        use = asyncio.ensure_future(bench.workshop.use(call))
        await asyncio.sleep(0)
        withdrawn = await bench.workshop.withdraw(call, "anna")
        if not withdrawn:
            with pytest.raises(ToolError, match="given up"):
                await use
            assert bench.device.sent == []


async def test_a_cancel_of_what_a_crash_left_before_its_claim(tmp_path: Path) -> None:
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        call = bench.call("command_device", device=PUMP, verb="stop")
        first = asyncio.ensure_future(bench.workshop.use(call))
        await bench.side.waiting.wait()
        first.cancel()
        entry = bench.side.ledger.entry(bench.side.requested[0].action_id)
        assert entry is not None
        bench.side.ledger.record(entry.then(Stage.ALLOWED, NOW, "approved, and the process died"))
        bench.side.slowly = asyncio.Event()
        use = asyncio.ensure_future(bench.workshop.use(call))
        await until(lambda: len(bench.side.requested) == 2)
        await bench.workshop.withdraw(call, "anna")
        bench.side.slowly.set()
        with pytest.raises(ToolError, match="given up"):
            await use
        assert bench.device.sent == []


@pytest.mark.parametrize("tool", ["command_device", "acknowledge_alarm", "open_work_order", "notify"])
async def test_used_again_after_a_crash_it_acts_no_second_time(tool: str, tmp_path: Path) -> None:
    work = FakeOutlet()
    with opened(tmp_path, via={"work-orders": work}) as bench:
        alarm = await bench.alarm()
        first = await bench.use(tool, **ACTING[tool])
        versions = bench.room.alarm(alarm).version
        assert await bench.use(tool, **ACTING[tool]) == first
        assert len(bench.side.requested) == 1
        assert len(bench.device.sent) + len(work.sent) <= 1
        assert bench.room.alarm(alarm).version == versions


def _say(bench: Bench, stage: Stage) -> None:
    """As a device's answer does."""
    entry: Entry | None = bench.side.ledger.entry(bench.device.sent[0].action_id)
    assert entry is not None
    bench.side.ledger.record(entry.then(stage, NOW, "done"))


async def test_a_cancel_that_comes_while_it_is_asked_for(tmp_path: Path) -> None:
    """What waits for a person by then is withdrawn; nobody has to reject it."""
    with opened(tmp_path, engine=FakeEngine(allowed=True, approval=True)) as bench:
        bench.side.slowly = asyncio.Event()
        call = bench.call("command_device", device=PUMP, verb="stop")
        use = asyncio.ensure_future(bench.workshop.use(call))
        await until(lambda: bool(bench.side.requested))
        assert await bench.workshop.withdraw(call, "anna") is False
        bench.side.slowly.set()
        with pytest.raises(ToolError, match="rejected by anna: the run was given up"):
            await use
        assert bench.device.sent == []
