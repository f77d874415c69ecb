"""What the world does to a plant: slow noise and the course of a day, drawn anew for each plant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from graph.rehearsal.plant import DAY, Floats, Ints


def slow_noise(rng: np.random.Generator, rows: int, columns: int, memory: float) -> Floats:
    """Autoregressive noise (rows, columns) of unit variance, stationary from its first row."""
    shocks = rng.normal(size=(rows, columns)) * np.sqrt(1 - memory**2)
    shocks[0] /= np.sqrt(1 - memory**2)
    noise: Floats = lfilter([1.0], [1.0, -memory], shocks, axis=0)
    return noise


@dataclass(frozen=True)
class Day:
    """A curve over the day about a mean of 1: a wave for the day and smaller ones for its parts."""

    height: Floats
    peak: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, swing: float) -> Day:
        height = swing * np.array([1.0, rng.uniform(0.2, 0.9), rng.uniform(0.0, 0.35)])
        return cls(height, np.array([rng.normal(15, 3), rng.normal(8, 1.5), rng.uniform(0, 24)]) / 24)

    def at(self, clock: Ints) -> Floats:
        """(rows) at times of day in seconds."""
        orders = np.arange(1, len(self.height) + 1)
        angle = 2 * np.pi * orders * (clock[:, None] / DAY - self.peak)
        return np.maximum(1 + np.cos(angle) @ self.height, 0.05)


def memory(rng: np.random.Generator, step: int, shortest: float, longest: float) -> float:
    """How much of the noise lasts for one step, its time constant drawn between two numbers of hours."""
    hours = np.exp(rng.uniform(np.log(shortest), np.log(longest)))
    return float(np.exp(-step / 3600 / hours))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Drawn so that each doubling between the bounds is as likely as any other."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
