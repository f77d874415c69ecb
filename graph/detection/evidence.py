"""What the detector says at the end of a step: scores, and the evidence behind them that alarms and fault paths need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from graph.detection.wander import Wander
from schemas.device import DeviceId, SignalName
from schemas.event import Micros
from schemas.finding import Explanation, NeighbourShare, SignalShare

Floats = NDArray[np.float64]
PASSING = ("sensing", "outlook")
"""Parts of a step that are not kept."""

Shares = tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]]
"""Signals and neighbours of one device with their unscaled parts of its score."""


@dataclass(frozen=True)
class Sensing:
    """The sampled signals behind a step, as the model knows them; the same object from step to step."""

    columns: tuple[tuple[str, str], ...]
    wander: Wander


@dataclass(frozen=True)
class Outlook:
    """What each of `columns` showed at a step and was expected to show given all else, in the signal's own unit.

    `width`: how far from `expected` it may be before it is strange. `surprise` counts all views of it, in units of its own
    limit. NaN where a signal is missing.
    """

    columns: tuple[tuple[str, str], ...]
    value: Floats
    expected: Floats
    width: Floats
    surprise: Floats


@dataclass(frozen=True)
class Step:
    """The plant and its devices at one grid time; arrays have one entry for each of `devices`.

    `score` is strange beyond `threshold`, both in units of the device's own limit. `alone` and `conflict` are the nats of
    states, by themselves and beside what acts on them. `conditional` and `marginal` are spreads of numeric signals, given all
    else and given the time of day, each at least 0; `shift` is the marginal one with its sign. `tail` says how far the
    strangest signal is in its tail, in mean excesses; `numeric` marks the devices with a sampled signal at hand. `shifts` are
    the marginal ones of each of `sensing.columns`, NaN where it is missing. `sensing` and `outlook` are not packed.
    """

    at: Micros
    plant: float
    plant_threshold: float
    devices: tuple[DeviceId, ...]
    score: Floats
    threshold: Floats
    alone: Floats
    conflict: Floats
    conditional: Floats
    marginal: Floats
    shift: Floats
    tail: Floats
    numeric: NDArray[np.bool_]
    gone: frozenset[DeviceId] = frozenset()
    shares: Mapping[DeviceId, Shares] = field(default_factory=dict)
    shifts: Floats = field(default_factory=lambda: np.zeros(0))
    sensing: Sensing | None = None
    outlook: Outlook | None = None

    def packed(self) -> dict[str, Any]:
        """As what a message can hold; without what comes with the next step again."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray) and name not in PASSING}
        arrays = {
            name: (value.dtype.str, value.tobytes()) for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return {"plain": plain | {"gone": sorted(self.gone)}, "arrays": arrays}

    @classmethod
    def unpacked(cls, held: Mapping[str, Any]) -> Self:
        """The inverse of `packed`."""
        plain = dict(held["plain"])
        plain["devices"], plain["gone"] = tuple(plain["devices"]), frozenset(plain["gone"])
        pairs = {device: tuple(tuple(map(tuple, part)) for part in parts) for device, parts in plain["shares"].items()}
        arrays: dict[str, Any] = {name: np.frombuffer(data, dtype=kind).copy() for name, (kind, data) in held["arrays"].items()}
        return cls(**{**plain, "shares": pairs, **arrays})

    @property
    def anomalous(self) -> bool:
        return self.plant > self.plant_threshold

    def explain(self, device: DeviceId) -> Explanation:
        """Which signals and neighbours carry a device's score; all shares sum to 1 (none where nothing is known)."""
        signals, neighbours = self.shares.get(device, ((), ()))
        total = sum(part for _, part in (*signals, *neighbours))
        if total <= 0:
            return Explanation()
        return Explanation(
            tuple(SignalShare(SignalName(name), part / total) for name, part in signals),
            tuple(NeighbourShare(DeviceId(name), part / total) for name, part in neighbours),
        )
