"""Steps written by hand on small graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graph.detection import Step
from graph.topology import Topology
from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import Connected, Event, Linked, Micros, Stamp

SECOND = 1_000_000


def graph(
    devices: Sequence[str],
    links: Sequence[tuple[str, str]],
    *,
    directed: bool = True,
    silent: Sequence[str] = (),
    carried: Sequence[tuple[str, str]] = (),
) -> Topology:
    """Devices with a signal each, but for the silent ones; `carried` are edges over which data goes."""
    bodies: list[Connected | Linked] = []
    for device in devices:
        signals = () if device in silent else (Signal(SignalName("value"), SignalKind.NUMERIC),)
        bodies.append(Connected(DeviceId(device), "sensor", signals=signals))
    bodies += [Linked(DeviceId(one), DeviceId(other), Relation.FEEDS, directed=directed) for one, other in links]
    bodies += [Linked(DeviceId(one), DeviceId(other), Relation.NETWORK) for one, other in carried]
    return Topology().merge(
        Event(Stamp(Micros(0), "/test", 0, number, str(number)), body) for number, body in enumerate(bodies)
    )


def step(second: int, devices: Sequence[str], plant: float, *, gone: Sequence[str] = (), **values: Mapping[str, float]) -> Step:
    """A step in which only the named devices show something, e.g. alone={"a": 5.0}."""
    fields: dict[str, Any] = {}
    for name in ("score", "alone", "conflict", "conditional", "marginal", "shift", "tail"):
        fields[name] = np.array([values.get(name, {}).get(device, 0.0) for device in devices])
    numeric = np.array([device in values.get("shift", {}) or "tail" in values for device in devices])
    names = tuple(DeviceId(device) for device in devices)
    absent = frozenset(DeviceId(device) for device in gone)
    fields |= {"threshold": np.ones(len(devices)), "numeric": numeric, "gone": absent}
    return Step(Micros(second * SECOND), plant, 1.0, names, **fields)
