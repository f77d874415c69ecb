"""What a worker says of the graph along with an action, so that the gateway can decide on it without one."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.action import Action
from schemas.device import DeviceId, Signal


class Described(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The action's device as it has announced itself.

    `properties`: those that say where it is in Sparkplug's namespace; `signals`: the one that the action names, if any.
    """

    type: str
    zone: str | None = None
    connected: bool = True
    properties: dict[str, Any] = {}
    signals: tuple[Signal, ...] = ()


class Down(msgspec.Struct, frozen=True, array_like=True):
    """A device that goes down with the action's, after so many steps of influence."""

    device_id: DeviceId
    hops: int
    zone: str | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """As of `at`, the plant's time, RFC 3339. `device`: None where it never announced itself. `down` is all if `complete`."""

    at: str
    device: Described | None = None
    down: tuple[Down, ...] = ()
    complete: bool = False


class Request(Action, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An action as a worker publishes it: nobody has decided on it yet."""

    facts: Facts
