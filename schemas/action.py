"""What the service asks of a device: made by the runbook, allowed by the policy, sent by the dispatcher.

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


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The alarm that the action answers, as it was when the action was asked for."""

    alert_id: str
    condition: str
    severity: Severity
    fault_id: str | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One thing to do, `verb`, by one device. The id follows from fault or alert, verb and target, so a repeat is harmless.

    It is not to be sent after `expires_at`, nor within `cooldown_seconds` of the same verb to the same device.
    """

    action_id: str
    site: str
    verb: str
    device_id: DeviceId
    via: str = MQTT
    arguments: dict[str, Any] = {}
    cause: Cause
    requested_at: str
    expires_at: str
    cooldown_seconds: float = 0.0

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
