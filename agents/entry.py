"""What is on record of an action, and the port to where the record is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from agents.policy import Decision
from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros


class Stage(StrEnum):
    """How far an action has come.

    requested -> refused | waiting | allowed | expired; waiting (for a person's approval) -> refused | allowed | expired;
    allowed -> claimed -> sent -> succeeded | failed | expired. `UNKNOWN` is a claimed
    action of which nobody can say whether it was sent; it stays so until the device tells. Never is an action sent twice.
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


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One action at one time. `claimed_at` is when it was about to be sent; None if it never was.

    `approved_by`: who has approved or rejected it, where that was asked.
    """

    action: Action
    stage: Stage
    at: Micros
    decision: Decision | None = None
    claimed_at: Micros | None = None
    detail: str = ""
    approved_by: str | None = None

    def then(self, stage: Stage, at: Micros, detail: str = "") -> Entry:
        return msgspec.structs.replace(self, stage=stage, at=at, detail=detail)


class Ledger(Protocol):
    """Where actions are on record. What a method wrote is on disk when it returns."""

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

    def allowed_since(self, rule: str, since: Micros, *, besides: str) -> int:
        """How many actions but this one the rule has allowed after a time."""
