"""What the control room answers: plain types, the same for the API, the console and the command line. Times are RFC 3339."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from graph.questions import Near
from graph.store import KnownDevice
from schemas.alarm import Alarm, AlarmState
from schemas.device import DeviceId, Edge, SignalKind, SignalName
from schemas.event import Micros, Severity, SignalValue
from streams.webhooks.endpoint import Webhook

Item = TypeVar("Item")


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer."""


class Page(Answer, Generic[Item], frozen=True):
    """Some items in the order of their keys; `next` is the cursor of those behind them, None at the end."""

    items: list[Item]
    next: str | None = None


class Condition(Answer, frozen=True):
    """How a device is: the worst of its alarms that ask for an operator, and how many do; `hidden` ones are put aside."""

    severity: Severity | None = None
    state: AlarmState = AlarmState.NORMAL
    alarms: int = 0
    hidden: int = 0
    suppressed: int = 0
    """Alarms that hang under a fault's."""


class DeviceNow(Answer, frozen=True):
    device_id: DeviceId
    state: str
    type: str = "unknown"
    location: str | None = None
    parent: DeviceId | None = None
    zone: str | None = None
    signals: tuple[SignalName, ...] = ()
    properties: dict[str, Any] = {}
    condition: Condition = Condition()

    @classmethod
    def of(cls, device: KnownDevice, condition: Condition) -> DeviceNow:
        parts = {name: getattr(device, name) for name in KnownDevice.__struct_fields__}
        return cls(**parts | {"properties": dict(device.properties)}, condition=condition)


class Zone(Answer, frozen=True):
    """A zone of the plant: its devices by type, and the sum of their conditions. Devices without a zone are in None."""

    name: str | None
    devices: int
    types: dict[str, int]
    condition: Condition


class Link(Answer, frozen=True):
    """Edges from the devices of one zone to those of another."""

    source: str | None
    target: str | None
    edges: int


class Overview(Answer, frozen=True):
    """The plant at a glance. `plant_time` is the event time up to which it is known."""

    site: str
    plant_time: str | None
    devices: int
    edges: int
    zones: list[Zone]
    links: list[Link]


class TopologyNow(Answer, frozen=True):
    """Devices and the edges between them; `at` is the time asked for. `cut_short`: there is more than the limit."""

    at: str | None
    devices: list[DeviceNow]
    edges: list[Edge]
    cut_short: bool = False


class ReachNow(Answer, frozen=True):
    """Devices around or behind one, nearest first, each with the edge by which it was first reached."""

    device_id: DeviceId
    near: list[Near]
    cut_short: bool = False


class Route(Answer, frozen=True):
    """A shortest way from one device to another."""

    source: DeviceId
    target: DeviceId
    edges: list[Edge]


class Point(msgspec.Struct, frozen=True, rename="camel"):
    """A signal at a step, in its own unit; it is strange beyond `low` and `high`. `surprise` is strange from 1 on."""

    at: Micros
    value: float | None
    expected: float | None
    low: float | None
    high: float | None
    surprise: float | None


class SignalNow(Answer, frozen=True):
    """A signal, its newest reading, and where the model watches it the newest of its trace."""

    name: SignalName
    kind: SignalKind
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    """The limits that its maker gives, in `unit`."""
    value: SignalValue | None = None
    quality: str | None = None
    at: str | None = None
    expected: Point | None = None


class Trace(Answer, frozen=True):
    device_id: DeviceId
    signal: SignalName
    points: list[Point]


class AlarmDetail(Answer, frozen=True):
    """An alarm with the verbs that are possible now."""

    alarm: Alarm
    verbs: list[str]


class Readiness(Answer, frozen=True):
    """Whether the service makes progress; `checks` says of each part what is wrong, or nothing."""

    ready: bool
    checks: dict[str, str]


class Secret(Answer, frozen=True):
    """Shown once."""

    secret: str


class WebhookMade(Secret, frozen=True):
    webhook: Webhook


class Health(Answer, frozen=True):
    """The process answers."""

    status: str = "alive"
