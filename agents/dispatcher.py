"""Acts at most once: decides by the policy, keeps the decision, claims the id, sends, keeps that it was sent.

Fed by the pipeline's shell with actions and `action.result` events; sends through outlets (MQTT, webhooks) that `streams`
provides. Claiming is durable before anything is sent, so after a crash an action is either not claimed, and may be asked for
again, or claimed, and then it is never sent again: what became of it is unknown until its device tells.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from agents.entry import Entry, Ledger, Stage, Step
from agents.policy import Approver, Decision, PolicyEngine, decided, is_same, refusal
from agents.severity import at_least
from agents.undo import NotUndoableError, undoing
from graph.topology import Topology
from schemas.action import LOCAL, Action
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


class WrongPersonError(NotWaitingError):
    """The action waits on, for somebody else: this person asked for it, or may not approve it."""


class NotParkedError(Exception):
    """It is known what became of the action, or it was never sent."""


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


class Outcome(StrEnum):
    """What a person says became of an action of which nobody knew."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEVER_SENT = "never-sent"


class Begun(NamedTuple):
    """What is on record of an action, and whether it was claimed now, by whom this is given to: then it must be sent."""

    entry: Entry
    sends: bool


class Dispatcher:
    """One per site. Any thread may use it; what is decided and claimed is decided and claimed in one go."""

    def __init__(self, *, engine: PolicyEngine, ledger: Ledger, outlets: Mapping[str, Outlet]) -> None:
        self._engine = engine
        self._ledger = ledger
        self._outlets = outlets
        self._lock = threading.RLock()

    async def dispatch(self, action: Action, *, topology: Topology, now: Micros) -> Entry:
        """Do an action if it may be done and was not yet; what is on record of it afterwards."""
        return await self.go(self.begin(action, topology=topology, now=now), now)

    async def approve(self, action_id: str, approver: Approver, *, topology: Topology, now: Micros) -> Entry:
        """A person says yes: the policy is asked once more, then it is done. Raises NotWaitingError, WrongPersonError."""
        return await self.go(self.begin_approved(action_id, approver, topology=topology, now=now), now)

    async def undo(self, action_id: str, principal: str, role: str, *, topology: Topology, now: Micros) -> Entry:
        """Take back what was done, by an action of its own and if the policy allows that. Raises NotUndoableError."""
        return await self.go(self.begin_undoing(action_id, principal, role, topology=topology, now=now), now)

    def begin(self, action: Action, *, topology: Topology, now: Micros) -> Begun:
        """Decide, record, and claim what is allowed. The topology must not move meanwhile."""
        with self._lock:
            held = self._ledger.entry(action.action_id)
            if held is not None and not _is_open(held, action):
                return Begun(held, sends=False)
            return self._claimed(self._decide(action, topology, now), now)

    def begin_approved(self, action_id: str, approver: Approver, *, topology: Topology, now: Micros) -> Begun:
        """The same for what waits. Raises NotWaitingError, WrongPersonError."""
        with self._lock:
            held = self._waiting(action_id)
            entry = self._decide(held.action, topology, now, approver=approver)
            if _needs_second(held, entry) and (reason := _unfit(approver.name, held.action.cause.principal)):
                raise self._turned_away(held, approver, f"needs a second person: {reason}", now)
            if entry.stage is Stage.REFUSED and self._decide(held.action, topology, now).stage is not Stage.REFUSED:
                why = "" if entry.decision is None else entry.decision.reason
                reason = f"is not approved: with the word of {approver.name} ({approver.role}) it would be refused: {why}"
                raise self._turned_away(held, approver, reason, now)
            return self._claimed(_in_pairs(held, entry), now)

    def _turned_away(self, held: Entry, approver: Approver, reason: str, now: Micros) -> WrongPersonError:
        """It waits on; that this one tried is in the audit."""
        self._recorded(held.then(Stage.WAITING, now, reason, step=Step.TURNED_AWAY, by=approver.name))
        return WrongPersonError(f"action {held.action.action_id} {reason}")

    def begin_undoing(self, action_id: str, principal: str, role: str, *, topology: Topology, now: Micros) -> Begun:
        """The same for what takes an action back. Raises NotUndoableError."""
        with self._lock:
            held = self._ledger.entry(action_id)
            if held is None:
                raise NotUndoableError(f"action {action_id} is not known")
            action = undoing(held, self._ledger, principal=principal, role=role, now=now)
            return self._claimed(self._decide(action, topology, now), now)

    def preview(self, action: Action, *, topology: Topology, now: Micros) -> Decision:
        """What would be decided now; nothing is recorded."""
        return self._obstacle(action, now) or decided(self._engine, action, topology=topology, now=now)

    @property
    def ways(self) -> Collection[str]:
        """By which actions can go."""
        return self._outlets.keys()

    async def go(self, begun: Begun, now: Micros) -> Entry:
        """Send what was begun, if it is to be sent."""
        return await self._send(begun.entry, now) if begun.sends else begun.entry

    def reject(self, action_id: str, actor: str, reason: str, *, now: Micros) -> Entry:
        """A person says no, for good. Raises NotWaitingError."""
        with self._lock:
            held = msgspec.structs.replace(self._waiting(action_id), approved_by=actor)
            detail = f"rejected by {actor}: {reason}"
            return self._recorded(held.then(Stage.REFUSED, now, detail, step=Step.REJECTION, by=actor))

    def resolve(self, action_id: str, actor: str, outcome: Outcome, note: str, *, now: Micros) -> Entry:
        """A person says what became of an action of which nobody knew. Raises NotParkedError."""
        with self._lock:
            held = self._ledger.entry(action_id)
            if held is None or held.claimed_at is None or held.stage not in (Stage.UNKNOWN, Stage.EXPIRED):
                raise NotParkedError(f"action {action_id} is {held.stage if held else 'not known'}, its end is not in doubt")
            stage = Stage.SUCCEEDED if outcome is Outcome.SUCCEEDED else Stage.FAILED
            detail = f"{outcome}, says {actor}: {note}"
            return self._recorded(held.then(stage, now, detail, step=Step.RESOLUTION, by=actor))

    def _waiting(self, action_id: str) -> Entry:
        held = self._ledger.entry(action_id)
        if held is None or held.stage is not Stage.WAITING:
            raise NotWaitingError(f"action {action_id} is {held.stage if held else 'not known'}, it does not wait for approval")
        return held

    def _claimed(self, entry: Entry, now: Micros) -> Begun:
        self._ledger.record(entry)
        sends = entry.stage is Stage.ALLOWED and self._ledger.claim(entry.action.action_id, now)
        return Begun(self._newest(entry), sends)

    def _decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Entry:
        step, by = (Step.DECISION, None) if approver is None else (Step.APPROVAL, approver.name)
        entry = Entry(action=action, stage=Stage.REQUESTED, at=now, approved_by=by)
        if now >= action.expiry:
            late = "asked for too late" if approver is None else "approved too late"
            return entry.then(Stage.EXPIRED, now, late, step=step, by=by or "")
        decision = self._obstacle(action, now) or decided(self._engine, action, topology=topology, now=now, approver=approver)
        detail = decision.reason if approver is None else f"{decision.reason}; approved by {by}"
        stage = Stage.REFUSED
        if decision.allowed:
            stage = Stage.WAITING if decision.approval and approver is None else Stage.ALLOWED
        return msgspec.structs.replace(entry.then(stage, now, detail, step=step, by=by or ""), decision=decision)

    def _obstacle(self, action: Action, now: Micros) -> Decision | None:
        """A refusal for reasons that are not the policy's."""
        if action.via not in self._outlets:
            return refusal(action, f"there is no way {action.via}", now)
        if self._is_cooling(action, now):
            reason = f"{action.verb} was sent to {action.target} less than {action.cooldown_seconds:g} s ago"
            return refusal(action, reason, now)
        return None

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
        with self._lock:
            held = self._newest(entry)
            if held.stage is not Stage.CLAIMED:
                return held  # the device has answered before the outlet returned
            return self._recorded(held.then(stage, now, detail, step=Step.SENDING))

    # --- What became of it ------------------------------------------------------------------------------------------------

    def result(self, event: Event) -> Entry | None:
        """Take a device's answer; None if it answers nothing that this device was sent and has not answered yet."""
        body = event.body
        if not isinstance(body, ActionResult):
            return None
        with self._lock:
            held = self._ledger.entry(body.action_id)
            if held is None or held.claimed_at is None or held.stage not in AWAITING or held.action.device_id != body.device_id:
                return None
            detail = body.detail or ("refused by the device" if body.status is ActionStatus.REFUSED else "")
            return self._recorded(held.then(OUTCOMES[body.status], event.stamp.at, detail, step=Step.RESULT))

    def expire(self, now: Micros) -> list[Entry]:
        """Close what was not answered, approved or sent in time; the last where the process died before it could."""
        reasons = {Stage.SENT: "no answer in time", Stage.WAITING: "not approved in time", Stage.ALLOWED: "not sent in time"}
        with self._lock:
            due = [entry for stage in reasons for entry in self._ledger.at_stage(stage) if now >= entry.action.expiry]
            return [self._recorded(entry.then(Stage.EXPIRED, now, reasons[entry.stage], step=Step.EXPIRY)) for entry in due]

    def recover(self, now: Micros) -> list[Entry]:
        """After a start, before the first dispatch: park what the last run had claimed and not recorded as sent.

        What somebody had approved and nobody had claimed waits again: the plant may be another by now.
        """
        claimed = self._ledger.at_stage(Stage.CLAIMED)
        stopped = "stopped while it was being sent"
        parked = [self._recorded(entry.then(Stage.UNKNOWN, now, stopped, step=Step.PARKING)) for entry in claimed]
        approved = [entry for entry in self._ledger.at_stage(Stage.ALLOWED) if entry.approved_by is not None]
        return parked + [self._recorded(_waiting_again(entry, now)) for entry in approved]

    def _recorded(self, entry: Entry) -> Entry:
        self._ledger.record(entry)
        return entry

    def _newest(self, entry: Entry) -> Entry:
        return self._ledger.entry(entry.action.action_id) or entry


def _waiting_again(entry: Entry, now: Micros) -> Entry:
    detail = "stopped before it was sent; approve again"
    return msgspec.structs.replace(entry.then(Stage.WAITING, now, detail, step=Step.REOPENING), approved_by=None)


def _needs_second(*entries: Entry) -> bool:
    return any(entry.decision is not None and entry.decision.second for entry in entries)


def _in_pairs(held: Entry, approved: Entry) -> Entry:
    """What has waited for a second person needs one again, should it have to wait again."""
    if approved.decision is None or not _needs_second(held):
        return approved
    return msgspec.structs.replace(approved, decision=msgspec.structs.replace(approved.decision, second=True))


def _unfit(actor: str, principal: str) -> str:
    """Why this actor is not certainly a second person; empty if they are."""
    if is_same(actor, principal) and not is_same(actor, LOCAL):
        return f"{actor} asked for it, and may not approve it too"
    if is_same(actor, LOCAL) or is_same(principal, LOCAL):
        which = "approves it" if is_same(actor, LOCAL) else "asked for it"
        return f"nobody knows who {which}: both need a key or token of their own (openautoglm key add; setting api_auth)"
    return ""


def _is_open(held: Entry, action: Action) -> bool:
    """Whether to decide anew: a crash came before the claim, or a refused action's cause has grown worse since.

    Where a person had a word in it, a refusal stands.
    """
    if held.stage in (Stage.REQUESTED, Stage.ALLOWED):
        return True
    was, now = held.action.cause.severity, action.cause.severity
    worse = was is not None and now is not None and now != was and at_least(now, was)
    return worse and held.stage is Stage.REFUSED and held.approved_by is None
