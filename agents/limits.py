"""What a device can be set to, as it has announced that itself. Looked at whenever an action is decided on, so at approval too.

Of a signal that a device never announced nothing is known, and nothing is refused here: that is for the policy.
"""

from __future__ import annotations

from typing import Protocol, TypeGuard

from graph.topology import Topology
from schemas.action import Action
from schemas.device import SignalKind, SignalName

SET = "set"
"""The verb that names a signal and a value."""


def unfit(action: Action, topology: Topology) -> str:
    """Why the device of an action cannot be set to what it asks for; empty if it can."""
    device = None if action.device_id is None else topology.device(action.device_id)
    if action.verb != SET or device is None:
        return ""
    name = action.arguments.get("signal")
    signal = device.signals.get(SignalName(name)) if isinstance(name, str) else None
    return "" if signal is None else beyond(device.device_id, signal, action.arguments.get("value"))


class Ranged(Protocol):
    """A signal, as far as its values go."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> SignalKind: ...

    @property
    def min(self) -> float | None: ...

    @property
    def max(self) -> float | None: ...


def beyond(device: str, signal: Ranged, value: object) -> str:
    """Why a signal does not take a value; empty if it does.

    >>> from schemas.device import Signal
    >>> speed = Signal("speed", SignalKind.NUMERIC, min=0, max=1500)
    >>> beyond("pump-1", speed, 1400), beyond("pump-1", speed, 1600)
    ('', '1600 is beyond what speed of pump-1 takes: 0 to 1500')
    """
    if signal.kind is SignalKind.CATEGORICAL:
        return f"{signal.name} of {device} has no numbers, so it cannot be set to one" if _is_number(value) else ""
    if signal.min is None and signal.max is None:
        return ""
    low, high = (-float("inf") if signal.min is None else signal.min), (float("inf") if signal.max is None else signal.max)
    if _is_number(value) and low <= value <= high:
        return ""
    shown = f"{value:g}" if _is_number(value) else "what is asked for"
    return f"{shown} is beyond what {signal.name} of {device} takes: {_said(signal.min)} to {_said(signal.max)}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _said(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:g}"
