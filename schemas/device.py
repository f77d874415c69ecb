"""Devices, their signals, and the relations between them.

Fed by `device.connected` and `device.linked` events; used by the live graph and everything above it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NewType

import msgspec

DeviceId = NewType("DeviceId", str)
SignalName = NewType("SignalName", str)

DEVICE_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$"
"""CONTRACT 1. Linear in the length: no alternatives, no nested repetition."""


class SignalKind(StrEnum):
    """How a signal's values behave, which decides the model that watches it."""

    NUMERIC = "numeric"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    COUNTER = "counter"


class Relation(StrEnum):
    """What an edge stands for. An edge leads from what acts to what is acted upon."""

    CONTAINS = "CONTAINS"
    FEEDS = "FEEDS"
    CONTROLS = "CONTROLS"
    POWERS = "POWERS"
    NETWORK = "NETWORK"
    AFFECTS = "AFFECTS"
    DEPENDS_ON = "DEPENDS_ON"

    # Enum's own hash is a Python function; edges are looked up by relation millions of times a second.
    __hash__ = str.__hash__


class Signal(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One quantity that a device sends; `min` and `max` are the limits its maker gives, in `unit`."""

    name: SignalName
    kind: SignalKind
    unit: str | None = None
    min: float | None = None
    max: float | None = None


class Edge(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A typed edge of the plant. If it is not `directed`, influence may run both ways."""

    source: DeviceId
    target: DeviceId
    relation: Relation
    directed: bool = True
    weight: float | None = None
    properties: dict[str, Any] = {}
