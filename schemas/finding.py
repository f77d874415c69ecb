"""What the service finds: scores, alerts and faults, as CONTRACT 3 writes them.

Made by the detector, the fault tracker and the alarms; published and written to files by `streams`. Times are RFC 3339
strings here, because these are the wire's types; the core keeps int64 microseconds.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.device import DeviceId, Relation
from schemas.event import Severity


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A line of an output file or a message to subscribers."""


class DeviceScore(Finding, frozen=True, kw_only=True, tag_field="scope", tag="device"):
    """`anomalous` is `score > threshold`; the threshold comes from history alone and stays for a model's life."""

    time: str
    device_id: DeviceId
    score: float
    threshold: float
    anomalous: bool


class PlantScore(Finding, frozen=True, kw_only=True, tag_field="scope", tag="plant"):
    time: str
    score: float
    threshold: float
    anomalous: bool


class SignalShare(Finding, frozen=True):
    """How much of a score one signal carries; all shares of one explanation sum to 1."""

    name: str
    share: float


class NeighbourShare(Finding, frozen=True):
    device_id: DeviceId
    share: float


class Explanation(Finding, frozen=True, omit_defaults=False):
    signals: tuple[SignalShare, ...] = ()
    neighbours: tuple[NeighbourShare, ...] = ()


class AlertState(StrEnum):
    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Alert(Finding, frozen=True, kw_only=True):
    """One transition of one alarm. The id follows from site, device, condition and opening event, so a repeat is harmless."""

    alert_id: str
    time: str
    device_id: DeviceId
    condition: str
    severity: Severity
    state: AlertState
    score: float
    fault_id: str | None = None
    suppressed_by: str | None = None
    explanation: Explanation


class Origin(Finding, frozen=True):
    device_id: DeviceId
    probability: float


class Affected(Finding, frozen=True):
    device_id: DeviceId
    onset: str


class PathStep(Finding, frozen=True):
    """An edge of the graph that the fault took; `lag_seconds` is target's onset less source's, null where one has none."""

    source: DeviceId
    target: DeviceId
    relation: Relation
    lag_seconds: float | None
    probability: float


class Forecast(Finding, frozen=True):
    """A device that a fault will likely affect, and when."""

    device_id: DeviceId
    expected_at: str
    probability: float


class Fault(Finding, frozen=True, kw_only=True, omit_defaults=True):
    """One state of one fault; the newest line of a `fault_id` is what is known.

    `origins` is sorted, most probable first, and sums to at most 1. `path` leads along edges from an origin to the affected.
    """

    fault_id: str
    opened_at: str
    updated_at: str
    closed_at: str | None = None
    origins: tuple[Origin, ...]
    affected: tuple[Affected, ...]
    path: tuple[PathStep, ...]
    forecast: tuple[Forecast, ...] = ()


class Invalid(Finding, frozen=True, kw_only=True, omit_defaults=False):
    """A rejected input: where it stood, why it was refused, the JSON pointer of the fault, and what came, as text."""

    offset: int
    reason: str
    pointer: str
    raw: str


class Mark(Finding, frozen=True):
    """A gateway's watermark: all events of `source` in `epoch` up to and including `sequence` are safe."""

    source: str
    epoch: int
    sequence: int
