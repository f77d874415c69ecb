"""What a device can be set to, as it has announced that itself. Looked at whenever an action is decided on, so at approval too.

Of a signal that a device never announced nothing is known, and nothing is refused here: that is for the policy.
"""

from __future__ import annotations

from typing import TypeGuard

from graph.topology import Topology
from schemas.action import Action
from schemas.device import Signal, SignalKind, SignalName

SET = "set"
"""The verb that names a signal and a value."""
LONGEST = 32
"""Characters of a value that are shown."""


def unfit(action: Action, topology: Topology) -> str:
    """Why the device of an action cannot be set to what it asks for; empty if it can."""
    device = None if action.device_id is None else topology.device(action.device_id)
    if action.verb != SET or device is None:
        return ""
    name = action.arguments.get("signal")
    signal = device.signals.get(SignalName(name)) if isinstance(name, str) else None
    return "" if signal is None else misfit(device.device_id, signal, action.arguments.get("value"))


def misfit(device: str, signal: Signal, value: object) -> str:
    """Why a signal does not take a value; empty if it does.

    >>> speed = Signal("speed", SignalKind.NUMERIC, min=0, max=1500)
    >>> misfit("pump-1", speed, 1400), misfit("pump-1", speed, 1600)
    ('', '1600 is beyond what speed of pump-1 takes: 0 to 1500')
    >>> misfit("pump-1", Signal("running", SignalKind.BINARY), True), misfit("pump-1", Signal("running", SignalKind.BINARY), 2)
    ('', '2 is not what running of pump-1 takes: true or false')
    """
    match signal.kind:
        case SignalKind.CATEGORICAL:
            fits, takes = isinstance(value, str), "a text"
        case SignalKind.BINARY:
            fits, takes = isinstance(value, int | float) and value in (0, 1), "true or false"
        case _:
            fits, takes = _is_number(value), "a number"
    if not fits:
        return f"{_shown(value)} is not what {signal.name} of {device} takes: {takes}"
    if not _is_number(value) or _within(value, signal):
        return ""
    return f"{_shown(value)} is beyond what {signal.name} of {device} takes: {_limit(signal.min)} to {_limit(signal.max)}"


def _within(value: float, signal: Signal) -> bool:
    """Never of a NaN."""
    low, high = (-float("inf") if signal.min is None else signal.min), (float("inf") if signal.max is None else signal.max)
    return low <= value <= high


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """As an operator would write it, if it is short enough."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        return "so large a number"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _limit(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:.12g}"
