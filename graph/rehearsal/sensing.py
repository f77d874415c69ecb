"""Sensors: which quantities are sent at all, what the instruments make of them, and what goes wrong in an instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graph.rehearsal.noise import between
from graph.rehearsal.plant import Channel, Fault, Floats, Ints, Plant

SENSOR_FAULTS = ("sensor_bias", "sensor_stuck", "sensor_drift")
LEAST_SENSORS = 6
COARSE = 0.2
"""Share of plants that send fewer digits than the noise deserves."""

Share = tuple[float, float]


def place(rng: np.random.Generator, channels: Sequence[Channel], shares: Mapping[str, Share]) -> Ints:
    """The columns that are sent: of each kind of device a share drawn between bounds; a few at least."""
    by_kind: dict[str, list[int]] = {}
    for column, channel in enumerate(channels):
        if not channel.hidden:
            by_kind.setdefault(channel.kind, []).append(column)
    sent: set[int] = set()
    for kind, columns in by_kind.items():
        share = between(rng, *shares[kind])
        count = min(len(columns), max(1, round(share * len(columns))))
        sent.update(rng.permutation(columns)[:count].tolist())
    spare = [column for columns in by_kind.values() for column in columns if column not in sent]
    sent.update(rng.permutation(spare)[: max(0, LEAST_SENSORS - len(sent))].tolist() if spare else [])
    return np.array(sorted(sent), dtype=np.int64)


def spread_by_hour(exact: Floats, hour: Ints) -> Floats:
    """How far each column of `exact` (rows, s) strays from its mean at that hour of the day (rows)."""
    rest = exact.copy()
    for one in np.unique(hour):
        rest[hour == one] -= exact[hour == one].mean(axis=0)
    found: Floats = rest.std(axis=0)
    return found


@dataclass(frozen=True)
class Instruments:
    """The sensors of a plant at the `sent` columns (s); `spread` (s) is how much each strays from the hour's usual."""

    sent: Ints
    noise: Floats
    relative: Floats
    grain: Floats
    spread: Floats

    @classmethod
    def of(cls, rng: np.random.Generator, plant: Plant, sent: Ints, spread: Floats) -> Instruments:
        noise = np.array([plant.channels[column].noise for column in sent])
        relative = np.array([plant.channels[column].relative_noise for column in sent])
        digits = np.array([plant.channels[column].decimals for column in sent]) - int(rng.random() < COARSE)
        return cls(sent, noise, relative, 10.0**-digits, spread)

    def read(self, rng: np.random.Generator, exact: Floats) -> Floats:
        """What is sent (rows, s) of exact channels (rows, channels)."""
        true = exact[:, self.sent]
        noisy = true * (1 + self.relative * rng.normal(size=true.shape)) + self.noise * rng.normal(size=true.shape)
        return self.rounded(noisy)

    def rounded(self, values: Floats) -> Floats:
        found: Floats = np.round(values / self.grain) * self.grain
        return found

    def spoil(self, values: Floats, column: int, fault: Fault) -> None:
        """Brings a sensor's own fault into one column of exact channels or of readings."""
        if fault.kind == "sensor_stuck":
            values[fault.begins : fault.ends, column] = values[max(fault.begins - 1, 0), column]
        else:
            values[:, column] += fault.size * fault.growth(len(values))
