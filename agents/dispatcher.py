"""Acts at most once: decides by the policy, keeps the decision, claims the id, sends, keeps that it was sent.

Fed by the pipeline's shell with actions and `action.result` events; sends through outlets (MQTT, webhooks) that `streams`
provides. Claiming is durable before anything is sent, so after a crash an action is either not claimed, and may be asked for
again, or claimed, and then it is never sent again: what became of it is unknown until its device tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from agents.entry import Entry, Ledger, Stage
from agents.policy import Decision, PolicyEngine, decided
from agents.severity import at_least
from graph.topology import Topology
from schemas.action import Action
from schemas.event import ActionResult, ActionStatus, Event, Micros

OUTCOMES = {
    ActionStatus.SUCCEEDED: Stage.SUCCEEDED,
    ActionStatus.FAILED: Stage.FAILED,
    ActionStatus.REFUSED: Stage.FAILED,
    ActionStatus.EXPIRED: Stage.EXPIRED,
}
AWAITING = (Stage.CLAIMED, Stage.SENT, Stage.UNKNOWN, Stage.EXPIRED)
"""Stages in which a device's word is news; even after its time, since the device knows better than the clock."""


class NotWaitingError(Exception):
    """The action does not wait for anybody's approval."""


class NotSentError(Exception):
    """An outlet is certain that nothing left the house."""


class Answered(NamedTuple):
    """What became of an action, where its outlet knows that at once."""

    status: ActionStatus
    detail: str = ""


class Outlet(Protocol):
    """A way to devices, or to what does the plant's own errands."""

    async def send(self, action: Action) -> Answered | None:
        """Returns once the other side has taken the action over; with its answer, if that comes at once.

        Raises:
            NotSentError: it certainly was not sent. After any other error nobody knows.
        """


class Dispatcher:
    """One per site."""

    def __init__(self, *, engine: PolicyEngine, ledger: Ledger, outlets: Mapping[str, Outlet]) -> None:
        self._engine = engine
        self._ledger = ledger
        self._outlets = outlets

    async def dispatch(self, action: Action, *, topology: Topology, now: Micros) -> Entry:
        """Do an action if it may be done and was not yet; what is on record of it afterwards."""
        held = self._ledger.entry(action.action_id)
        if held is not None and not _is_open(held, action):
            return held
        return await self._go(self._decide(action, topology, now), now)

    async def approve(self, action_id: str, actor: str, *, topology: Topology, now: Micros) -> Entry:
        """A person says yes: the policy is asked once more, then it is done. Raises NotWaitingError."""
        held = self._waiting(action_id)
        return await self._go(self._decide(held.action, topology, now, approved_by=actor), now)

    def reject(self, action_id: str, actor: str, reason: str, *, now: Micros) -> Entry:
        """A person says no, for good. Raises NotWaitingError."""
        held = msgspec.structs.replace(self._waiting(action_id), approved_by=actor)
        return self._recorded(held.then(Stage.REFUSED, now, f"rejected by {actor}: {reason}"))

    def _waiting(self, action_id: str) -> Entry:
        held = self._ledger.entry(action_id)
        if held is None or held.stage is not Stage.WAITING:
            raise NotWaitingError(f"action {action_id} is {held.stage if held else 'not known'}, it does not wait for approval")
        return held

    async def _go(self, entry: Entry, now: Micros) -> Entry:
        self._ledger.record(entry)
        if entry.stage is not Stage.ALLOWED or not self._ledger.claim(entry.action.action_id, now):
            return self._newest(entry)
        return await self._send(entry, now)

    def _decide(self, action: Action, topology: Topology, now: Micros, *, approved_by: str | None = None) -> Entry:
        entry = Entry(action=action, stage=Stage.REQUESTED, at=now, approved_by=approved_by)
        if now >= action.expiry:
            return entry.then(Stage.EXPIRED, now, "asked for too late" if approved_by is None else "approved too late")
        decision = self._obstacle(action, now) or decided(self._engine, action, topology=topology, now=now)
        detail = decision.reason if approved_by is None else f"{decision.reason}; approved by {approved_by}"
        stage = Stage.REFUSED
        if decision.allowed:
            stage = Stage.WAITING if decision.approval and approved_by is None else Stage.ALLOWED
        return msgspec.structs.replace(entry.then(stage, now, detail), decision=decision)

    def _obstacle(self, action: Action, now: Micros) -> Decision | None:
        """A refusal for reasons that are not the policy's."""
        reason = ""
        if action.via not in self._outlets:
            reason = f"there is no way {action.via}"
        elif self._is_cooling(action, now):
            reason = f"{action.verb} was sent to {action.target} less than {action.cooldown_seconds:g} s ago"
        return Decision(action.action_id, allowed=False, rule="", reason=reason, at=now) if reason else None

    def _is_cooling(self, action: Action, now: Micros) -> bool:
        last = self._ledger.last_claimed(action.verb, action.device_id)
        return last is not None and now - last < action.cooldown_seconds * 1e6

    async def _send(self, entry: Entry, now: Micros) -> Entry:
        try:
            answered = await self._outlets[entry.action.via].send(entry.action)
        except NotSentError as error:
            return self._after_sending(entry, Stage.FAILED, now, f"not sent: {error}")
        except asyncio.CancelledError:
            self._after_sending(entry, Stage.UNKNOWN, now, "cancelled while it was being sent")
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it may have been sent, so it is parked
            return self._after_sending(entry, Stage.UNKNOWN, now, f"{type(error).__name__}: {error}")
        if answered is None:
            return self._after_sending(entry, Stage.SENT, now, "")
        return self._after_sending(entry, OUTCOMES[answered.status], now, answered.detail)

    def _after_sending(self, entry: Entry, stage: Stage, now: Micros, detail: str) -> Entry:
        held = self._newest(entry)
        if held.stage is not Stage.CLAIMED:
            return held  # the device has answered before the outlet returned
        return self._recorded(held.then(stage, now, detail))

    # --- What became of it ------------------------------------------------------------------------------------------------

    def result(self, event: Event) -> Entry | None:
        """Take a device's answer; None if it answers nothing that this device was sent and has not answered yet."""
        body = event.body
        if not isinstance(body, ActionResult):
            return None
        held = self._ledger.entry(body.action_id)
        if held is None or held.claimed_at is None or held.stage not in AWAITING or held.action.device_id != body.device_id:
            return None
        detail = body.detail or ("refused by the device" if body.status is ActionStatus.REFUSED else "")
        return self._recorded(held.then(OUTCOMES[body.status], event.stamp.at, detail))

    def expire(self, now: Micros) -> list[Entry]:
        """Close what was sent and not answered, or waited and was not approved, in time."""
        reasons = {Stage.SENT: "no answer in time", Stage.WAITING: "not approved in time"}
        due = [entry for stage in reasons for entry in self._ledger.at_stage(stage) if now >= entry.action.expiry]
        return [self._recorded(entry.then(Stage.EXPIRED, now, reasons[entry.stage])) for entry in due]

    def recover(self, now: Micros) -> list[Entry]:
        """After a start, before the first dispatch: park what the last run had claimed and not recorded as sent.

        What somebody had approved and nobody had claimed waits again: the plant may be another by now.
        """
        claimed = self._ledger.at_stage(Stage.CLAIMED)
        parked = [self._recorded(entry.then(Stage.UNKNOWN, now, "stopped while it was being sent")) for entry in claimed]
        approved = [entry for entry in self._ledger.at_stage(Stage.ALLOWED) if entry.approved_by is not None]
        return parked + [self._recorded(_waiting_again(entry, now)) for entry in approved]

    def _recorded(self, entry: Entry) -> Entry:
        self._ledger.record(entry)
        return entry

    def _newest(self, entry: Entry) -> Entry:
        return self._ledger.entry(entry.action.action_id) or entry


def _waiting_again(entry: Entry, now: Micros) -> Entry:
    detail = "stopped before it was sent; approve again"
    return msgspec.structs.replace(entry.then(Stage.WAITING, now, detail), approved_by=None)


def _is_open(held: Entry, action: Action) -> bool:
    """Whether to decide anew: a crash came before the claim, or a refused action's cause has grown worse since.

    Where a person had a word in it, a refusal stands.
    """
    if held.stage in (Stage.REQUESTED, Stage.ALLOWED):
        return True
    was, now = held.action.cause.severity, action.cause.severity
    worse = was is not None and now is not None and now != was and at_least(now, was)
    return worse and held.stage is Stage.REFUSED and held.approved_by is None
