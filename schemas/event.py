"""What gateways send: CloudEvents 1.0, one type of event for each `type` of CONTRACT 2.

`schemas.decode` makes these from bytes; windows, pipeline and graph consume them in the order of their `Stamp`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NewType

import msgspec

from schemas.device import DeviceId, Relation, Signal, SignalName

Micros = NewType("Micros", int)
"""Event time: int64 microseconds since 1970, UTC. Only differences become floats."""

SignalValue = bool | float | str
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class EventType(StrEnum):
    CONNECTED = "device.connected"
    DISCONNECTED = "device.disconnected"
    TELEMETRY = "device.telemetry"
    LINKED = "device.linked"
    UNLINKED = "device.unlinked"
    ALARM = "device.alarm"
    LOG = "device.log"
    IMAGE = "device.image"
    ACTION_RESULT = "action.result"


class Quality(StrEnum):
    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ActionStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"


class Data(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", tag=True, gc=False):
    """The body of an event in the core; logs and snapshots hold it as a tagged array. Its wire form is in `schemas.wire`."""


class Connected(Data, frozen=True, gc=False):
    device_id: DeviceId
    type: str
    location: str | None = None
    parent: DeviceId | None = None
    children: tuple[DeviceId, ...] = ()
    zone: str | None = None
    signals: tuple[Signal, ...] = ()
    properties: dict[str, Any] = {}


class Disconnected(Data, frozen=True, gc=False):
    device_id: DeviceId
    reason: str | None = None


class Telemetry(Data, frozen=True, gc=False):
    device_id: DeviceId
    values: dict[SignalName, SignalValue]
    quality: Quality = Quality.GOOD


class Linked(Data, frozen=True, gc=False):
    source: DeviceId
    target: DeviceId
    relation: Relation
    directed: bool = True
    weight: float | None = None
    properties: dict[str, Any] = {}


class Unlinked(Data, frozen=True, gc=False):
    source: DeviceId
    target: DeviceId
    relation: Relation


class ControlAlarm(Data, frozen=True, gc=False):
    """An alarm that the control system itself raises or clears."""

    device_id: DeviceId
    alarm: str
    active: bool
    severity: Severity = Severity.MEDIUM
    text: str | None = None


class Log(Data, frozen=True, gc=False):
    device_id: DeviceId
    text: str
    level: str | None = None


class Image(Data, frozen=True, gc=False):
    """A picture as base64 `data` (at most 1 MiB) or by `uri`."""

    device_id: DeviceId
    media_type: str
    data: str | None = None
    uri: str | None = None


class ActionResult(Data, frozen=True, gc=False):
    action_id: str
    device_id: DeviceId
    status: ActionStatus
    detail: str | None = None


Body = Connected | Disconnected | Telemetry | Linked | Unlinked | ControlAlarm | Log | Image | ActionResult


class Stamp(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """The total order of all events (DESIGN 3): last writer wins by it, windows sort by it.

    A struct, not a named tuple: eight times as fast to make, and the garbage collector need not look at it.
    """

    at: Micros
    source: str
    epoch: int
    sequence: int
    id: str


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A valid event, ready for the core: where it stands in the order of all events, and what it says."""

    stamp: Stamp
    body: Body


def micros(moment: datetime) -> Micros:
    """Exact microseconds since 1970 of an aware datetime."""
    return Micros((moment - EPOCH) // MICROSECOND)


def instant(at: Micros) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + at * MICROSECOND


def rfc3339(at: Micros) -> str:
    """As the contract writes it: UTC with a Z, the fraction only where there is one.

    >>> rfc3339(Micros(1_767_571_200_000_000)), rfc3339(Micros(1_767_571_200_250_000))
    ('2026-01-05T00:00:00Z', '2026-01-05T00:00:00.250Z')
    """
    timespec = "microseconds" if at % 1000 else "milliseconds" if at % 1_000_000 else "seconds"
    return instant(at).isoformat(timespec=timespec).replace("+00:00", "Z")
