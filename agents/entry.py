"""What is on record of an action, and the port to where the record is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from agents.policy import Decision, Rates
from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros


class Stage(StrEnum):
    """How far an action has come.

    requested -> refused | waiting | allowed | expired; waiting (for a person's approval) -> refused | allowed | expired;
    allowed -> claimed -> sent -> succeeded | failed | expired. `UNKNOWN` is a claimed
    action of which nobody can say whether it was sent; it stays so until the device or a person tells. Never is an action sent
    twice.
    """

    REQUESTED = "requested"
    REFUSED = "refused"
    WAITING = "waiting"
    ALLOWED = "allowed"
    CLAIMED = "claimed"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


FINAL = frozenset({Stage.REFUSED, Stage.SUCCEEDED, Stage.FAILED, Stage.EXPIRED, Stage.UNKNOWN})
"""Stages that do not end by themselves."""


class Step(StrEnum):
    """What brought an action to its stage, as the audit says it."""

    DECISION = "decision"
    APPROVAL = "approval"
    TURNED_AWAY = "turned-away"
    """Somebody approved it whose word does not count here; it waits on."""
    REJECTION = "rejection"
    CLAIM = "claim"
    SENDING = "sending"
    RESULT = "result"
    EXPIRY = "expiry"
    PARKING = "parking"
    REOPENING = "reopening"
    RESOLUTION = "resolution"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One action at one time. `claimed_at` is when it was about to be sent; None if it never was.

    `approved_by`: who has approved or rejected it, where that was asked. `step` brought it here, and `by` is whose doing that
    was, if a person's.
    """

    action: Action
    stage: Stage
    at: Micros
    decision: Decision | None = None
    claimed_at: Micros | None = None
    detail: str = ""
    approved_by: str | None = None
    step: Step = Step.DECISION
    by: str = ""

    def then(self, stage: Stage, at: Micros, detail: str = "", *, step: Step = Step.DECISION, by: str = "") -> Entry:
        return msgspec.structs.replace(self, stage=stage, at=at, detail=detail, step=step, by=by)


class Ledger(Protocol):
    """Where actions are on record. What a method wrote is on disk when it returns. Any thread may use it."""

    def claim(self, action_id: str, at: Micros) -> bool:
        """True for one caller ever: the action was allowed, and is now claimed."""

    def record(self, entry: Entry) -> None:
        """Keep an entry as the newest of its action, and as a line of the action's history."""

    def entry(self, action_id: str) -> Entry | None: ...

    def history(self, action_id: str) -> list[Entry]:
        """All that was recorded of an action, oldest first."""

    def at_stage(self, stage: Stage) -> list[Entry]:
        """The actions that are at this stage now, oldest first."""

    def last_claimed(self, verb: str, device_id: DeviceId | None) -> Micros | None:
        """When an action of this verb was last about to be sent to this device."""

    def rates(self, action: Action, since: Micros) -> Rates:
        """How many actions but this one were allowed after a time."""
