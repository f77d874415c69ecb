"""Steps written by hand on small graphs, and what a fault shows on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graph.detection.evidence import Sensing, Step
from graph.detection.wander import LAGS, Wander
from graph.faultpath.clues import Clues
from graph.faultpath.finder import Verdict
from graph.faultpath.influence import Influence
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
    kinds: Mapping[str, str] | None = None,
) -> Topology:
    """Devices with a signal each, but for the silent ones; `carried` are edges over which data goes.

    Devices are sensors where `kinds` does not say otherwise.
    """
    bodies: list[Connected | Linked] = []
    for device in devices:
        signals = () if device in silent else (Signal(SignalName("value"), SignalKind.NUMERIC),)
        bodies.append(Connected(DeviceId(device), (kinds or {}).get(device, "sensor"), signals=signals))
    bodies += [Linked(DeviceId(one), DeviceId(other), Relation.FEEDS, directed=directed) for one, other in links]
    bodies += [Linked(DeviceId(one), DeviceId(other), Relation.NETWORK) for one, other in carried]
    return Topology().merge(
        Event(Stamp(Micros(0), "/test", 0, number, str(number)), body) for number, body in enumerate(bodies)
    )


def step(
    second: int,
    devices: Sequence[str],
    plant: float,
    *,
    gone: Sequence[str] = (),
    sensing: Sensing | None = None,
    **values: Mapping[str, float],
) -> Step:
    """A step in which only the named devices show something, e.g. alone={"a": 5.0}.

    With `sensing` each of its signals shows the shift of its device.
    """
    fields: dict[str, Any] = {}
    for name in ("score", "alone", "conflict", "conditional", "marginal", "shift", "tail"):
        fields[name] = np.array([values.get(name, {}).get(device, 0.0) for device in devices])
    numeric = np.array([device in values.get("shift", {}) or "tail" in values for device in devices])
    names = tuple(DeviceId(device) for device in devices)
    absent = frozenset(DeviceId(device) for device in gone)
    fields |= {"threshold": np.ones(len(devices)), "numeric": numeric, "gone": absent}
    if sensing is not None:
        shifts = np.array([values.get("shift", {}).get(device, np.nan) for device, _ in sensing.columns])
        fields |= {"sensing": sensing, "shifts": shifts}
    return Step(Micros(second * SECOND), plant, 1.0, names, **fields)


def at(influence: Influence, names: Iterable[str]) -> list[int]:
    """Places of devices."""
    return [influence.place[DeviceId(name)] for name in names]


def restless(*columns: tuple[str, str]) -> Sensing:
    """Signals that are new at each step and apart from one another, with spread 1."""
    count = len(columns)
    return Sensing(columns, Wander(np.zeros((LAGS + 1, count)), np.ones(count), np.full(count, np.sqrt(2)), np.eye(count)))


def shown(sensing: Sensing, shift: Mapping[str, float], *, rows: int = 6) -> tuple[Clues, Step]:
    """Clues of a fault that was noticed when these shifts of devices began, and its last step."""
    devices = sorted({device for device, _ in sensing.columns})
    moved = dict.fromkeys(devices, 0.0) | dict(shift)
    nothing = dict.fromkeys(devices, 0.0)
    clues = Clues.begin(step(0, devices, 0.0), np.zeros(len(devices)))
    for second in range(3):
        clues.add(step(second, devices, 0.0, shift=nothing, sensing=sensing))
    clues.notice()
    size = {device: abs(value) for device, value in shift.items()}
    for second in range(3, 3 + rows):
        last = step(second, devices, 2.0, score=size, tail=size, conditional=size, shift=moved, sensing=sensing)
        clues.add(last)
    return clues, last


@dataclass(frozen=True)
class Oracle:
    """A finder that says of each device what it is told to: origin, already, affected, carrying."""

    says: Mapping[str, tuple[float, float, float, float]]
    silent: bool = False

    def judge(self, influence: Influence, clues: Clues, sensing: Sensing) -> Verdict | None:  # noqa: ARG002 - a port
        if self.silent:
            return None
        return Verdict(*np.array([self.says.get(name, (0.0, 0.0, 0.0, 0.0)) for name in influence.names]).T)
