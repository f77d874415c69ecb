"""Tools that act: each use of one becomes one action, which the policy decides on and the dispatcher sends at most once.

The action's id follows from run, task, verb and device, so a use that is made again after a crash finds what became of the
first. What is done is what was decided on: the action holds it all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from agents.dispatcher import NotWaitingError
from agents.entry import Entry, Stage, Step
from agents.identity import instructed
from agents.policy import Decision
from agents.run import Order
from agents.workshop import Call, ToolError, UnknownOutcomeError
from schemas.action import MQTT, Action, Cause
from schemas.device import DeviceId
from schemas.event import Micros, rfc3339
from streams.workshop.periods import Calendar
from streams.workshop.wishes import Wish

SECOND = 1_000_000
FOR_PEOPLE = 900.0
"""Seconds that somebody has to approve an action."""
LOOK = 1.0
"""Seconds after which the clock is looked at again, as the plant's may jump."""
GRACE = 5 * SECOND
"""How long after its time an action that nobody closed is waited for."""
OPEN = (Stage.REQUESTED, Stage.ALLOWED)
ANSWERED = (Step.RESULT, Step.SENDING)
"""Steps that tell the other side's word: that it was too late, say."""
WITHDRAWN = "the run was given up"
Wishes = Mapping[str, Callable[[Call], Awaitable[Wish]]]


class ActingSide(Protocol):
    """Who decides on actions, sends them, and knows what became of them."""

    def has_way(self, via: str) -> bool: ...

    def entry(self, action_id: str) -> Entry | None: ...

    async def request(self, action: Action) -> Entry:
        """Decide on an action and send it if it may be, unless that was done; what is on record of it then."""
        ...

    async def preview(self, action: Action) -> Decision:
        """What would be decided; nothing comes of it."""
        ...

    async def later(self, seen: Entry, patience: float) -> Entry:
        """What is on record of an action once it is another than what was seen, or after so many seconds."""
        ...

    async def reject(self, action_id: str, actor: str, reason: str) -> Entry:
        """Raises NotWaitingError."""
        ...


class Target(NamedTuple):
    """What an action's id follows from, besides run and task."""

    verb: str
    device: DeviceId | None


class Acting:
    """All tools of effect `act`. `wishes`: by tool, what is wanted of whom."""

    def __init__(self, side: ActingSide, wishes: Wishes, calendar: Calendar) -> None:
        self._side = side
        self._wishes = wishes
        self._calendar = calendar
        self._under_way: set[str] = set()
        self._withdrawn: dict[str, str] = {}
        """By action, who has cancelled its run before it was on record."""

    async def use(self, call: Call) -> Mapping[str, Any]:
        """Until it is known what became of the action."""
        action_id = _id(call)
        self._under_way.add(action_id)
        try:
            held = self._side.entry(action_id)
            if held is None or held.stage in OPEN:
                action = await self._action(call)
                if action_id in self._withdrawn:
                    raise ToolError(WITHDRAWN)
                held = await self._side.request(action)
                if held.stage is Stage.WAITING and (actor := self._withdrawn.get(action_id)) is not None:
                    await self.withdraw(call, actor)
                    held = self._side.entry(action_id) or held
            return await self._outcome(call, held)
        finally:
            self._under_way.discard(action_id)
            self._withdrawn.pop(action_id, None)

    async def preview(self, call: Call) -> Mapping[str, Any]:
        wish = await self._wishes[call.tool.id](call)
        self._check_way(wish)
        action = self._made(call, wish, wish.seconds)
        decision = await self._side.preview(action)
        would = "be refused" if not decision.allowed else "wait for approval" if decision.approval else "be done"
        facts = {"verb": action.verb, "device": action.device_id, "via": action.via, "arguments": action.arguments}
        return {"action": {**facts, "would": would, "rule": decision.rule, "reason": decision.reason}}

    async def withdraw(self, call: Call, actor: str) -> bool:
        action_id = _id(call)
        held = self._side.entry(action_id)
        if held is not None and held.stage is Stage.WAITING:
            try:
                held = await self._side.reject(action_id, actor, WITHDRAWN)
            except NotWaitingError:
                held = self._side.entry(action_id)
        if (held is None or held.stage in OPEN) and action_id in self._under_way:
            self._withdrawn[action_id] = actor
        return held is not None and held.claimed_at is not None

    async def _action(self, call: Call) -> Action:
        wish = await self._wishes[call.tool.id](call)
        self._check_way(wish)
        action = self._made(call, wish, wish.seconds)
        # Who must approve is a person, and needs longer than a device.
        waits = (await self._side.preview(action)).approval
        return self._made(call, wish, max(wish.seconds, FOR_PEOPLE)) if waits else action

    def _check_way(self, wish: Wish) -> None:
        if not self._side.has_way(wish.via):
            raise ToolError(f"setting webhooks: none is named {wish.via}, by which this would go")

    def _made(self, call: Call, wish: Wish, seconds: float) -> Action:
        order, now = call.order, self._calendar.now
        return Action(
            action_id=_id(call),
            site=order.site,
            verb=wish.verb,
            device_id=wish.device,
            via=wish.via,
            arguments=wish.arguments,
            cause=_cause(order, call.task.key),
            requested_at=rfc3339(now),
            expires_at=rfc3339(Micros(now + round(max(seconds, order.expires or 0.0) * SECOND))),
        )

    async def _outcome(self, call: Call, entry: Entry) -> Mapping[str, Any]:
        told = False
        while True:
            if entry.stage is Stage.WAITING and not told:
                told = True
                await call.waits(f"for approval of action {entry.action.action_id}: {entry.detail}")
            if (outputs := _settled(entry)) is not None:
                return outputs
            if self._calendar.now >= entry.action.expiry + GRACE and entry.stage is not Stage.WAITING:
                raise UnknownOutcomeError(f"action {entry.action.action_id}: {entry.detail or 'no answer in time'}")
            entry = await self._side.later(entry, LOOK)


def _cause(order: Order, task: str) -> Cause:
    """Of a runbook's run the alarm, as the policy asks how severe it is."""
    if order.cause is not None:
        return msgspec.structs.replace(order.cause, run_id=order.run_id, task=task)
    return Cause(instruction_id=order.run_id, task=task, principal=order.principal, role=order.role)


def _settled(entry: Entry) -> Mapping[str, Any] | None:
    """What an action has come to; None if that is not known yet. Raises ToolError, UnknownOutcomeError."""
    action = entry.action
    match entry.stage:
        case Stage.SUCCEEDED:
            return _shown(entry)
        case Stage.SENT if action.via != MQTT:
            return _shown(entry)
        case Stage.REFUSED:
            raise ToolError(f"refused: {entry.detail}")
        case Stage.FAILED:
            raise ToolError(f"{action.verb} of {action.target} failed: {entry.detail}")
        case Stage.EXPIRED if entry.claimed_at is not None and entry.step not in ANSWERED:
            raise UnknownOutcomeError(f"{action.verb} of {action.target} was sent: {entry.detail}")
        case Stage.EXPIRED:
            raise ToolError(f"{action.verb} of {action.target}: {entry.detail}")
        case Stage.UNKNOWN if action.via != MQTT:
            raise UnknownOutcomeError(f"action {action.action_id}: {entry.detail}")
    return None  # of a device, too, of which it is not known whether it was told: it may still answer


def _shown(entry: Entry) -> Mapping[str, Any]:
    action, decision = entry.action, entry.decision
    facts = {"actionId": action.action_id, "verb": action.verb, "device": action.device_id, "via": action.via}
    rule = "" if decision is None else decision.rule
    return {"action": msgspec.to_builtins({**facts, "stage": entry.stage, "rule": rule, "detail": entry.detail})}


def _id(call: Call) -> str:
    target = target_of(call)
    return instructed(call.order.site, call.order.run_id, call.task.key, verb=target.verb, device_id=target.device)


VERBS = {
    "acknowledge_alarm": "acknowledge",
    "shelve_alarm": "shelve",
    "notify": "notify",
    "open_work_order": "work-order",
    "set_point": "set",
    "isolate_device": "isolate",
    "reconnect_device": "reconnect",
    "retrain_model": "retrain",
}
"""What the tools ask for; `command_device` says it itself."""


def target_of(call: Call) -> Target:
    device = call.arguments.get("device")
    verb = VERBS.get(call.tool.id) or call.arguments["verb"]
    return Target(verb, None if device is None else DeviceId(device))
