"""What the service asks of a device or a plant: by a runbook or an instruction, allowed by the policy, sent by the dispatcher.

Its answer is an `action.result` event with the same `actionId`. Wire types like `schemas.finding`: times are RFC 3339 strings.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from schemas.device import DeviceId
from schemas.event import Micros, Severity, micros

MQTT = "mqtt"
"""The way by the device's own command topic; every other way is the name of a webhook."""


LOCAL = "local"
"""The name of whoever comes without a key or token, where none is needed: perhaps somebody who also has one."""
RUNBOOK = "runbook"
"""The role of rules, which ask without a person."""


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Why, and who asks: an alarm, as it was then; a task of an instruction; or an action that this one undoes. One of them.

    Where an alarm's rule asks by a run, `run_id` and `task` say by which of its tasks.
    `principal` is a person's or key's name, or `runbook:` and a rule's; `role` is one of `streams.roles` or `RUNBOOK`. Both are
    empty in records of before they were kept.
    """

    alert_id: str | None = None
    condition: str | None = None
    severity: Severity | None = None
    fault_id: str | None = None
    instruction_id: str | None = None
    run_id: str | None = None
    task: str | None = None
    undoes: str | None = None
    principal: str = ""
    role: str = ""

    def __post_init__(self) -> None:
        if sum(name is not None for name in (self.alert_id, self.instruction_id, self.undoes)) != 1:
            raise ValueError("needs one of alertId, instructionId and undoes")
        if (self.alert_id is None) is not (self.condition is None) or (self.alert_id is None) is not (self.severity is None):
            raise ValueError("alertId, condition and severity go together")
        if self.run_id is not None and self.alert_id is None:
            raise ValueError("runId is of an alarm's run: it needs alertId")
        if (self.instruction_id is None and self.run_id is None) is not (self.task is None):
            raise ValueError("instructionId, or an alarm's runId, and task go together")


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One thing to do, `verb`, by one device; without one, by the plant as a whole.

    The id follows from cause, verb and target, so a repeat is harmless. It is not to be sent after `expires_at`, nor within
    `cooldown_seconds` of the same verb to the same device.
    """

    action_id: str
    site: str
    verb: str
    device_id: DeviceId | None = None
    via: str = MQTT
    arguments: dict[str, Any] = {}
    cause: Cause
    requested_at: str
    expires_at: str
    cooldown_seconds: float = 0.0

    @property
    def target(self) -> str:
        """For people."""
        return self.device_id or "the plant"

    @property
    def expiry(self) -> Micros:
        return moment(self.expires_at)


def moment(text: str) -> Micros:
    """The inverse of `schemas.event.rfc3339`.

    >>> moment("2026-01-05T00:00:00.250Z")
    1767571200250000
    """
    return micros(datetime.fromisoformat(text))


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """How far an action has come, for subscribers. `stage` is one of `agents.entry.Stage`; `rule` the one that decided."""

    action: Action
    stage: str
    at: str
    detail: str = ""
    allowed: bool | None = None
    rule: str = ""
