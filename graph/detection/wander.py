"""How sampled signals wander about their usual value for the time of day when nothing is wrong.

Known from history: how long a deviation lasts, how large it is in the signal's own unit, how rough it is from step to step, and
which signals deviate together. The fault tracker sees with it what a fault added to what would have been anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LAGS = 54
"""Steps for which it is known how much of a deviation is left."""
HORIZON = 6
"""Steps over which departures are compared."""
MOST_LASTING = 0.999
LEAST_LEFT = 0.02
"""Share of a signal's variance that no forecast takes away: readings are noisy."""
DENSE = 400
"""Signals up to which it is known which deviate together."""


class Wander(msgspec.Struct, frozen=True):
    """Of d signals, in spreads of their residuals given the time of day.

    `lasting` (LAGS + 1, d): autocorrelation by steps. `size` (d): one spread in the signal's unit. `rough` (d): standard
    deviation of the change in one step. `together` (d, d): correlation of departures over HORIZON steps; (0, 0) above DENSE.
    """

    lasting: Floats
    size: Floats
    rough: Floats
    together: Floats

    @classmethod
    def learn(cls, residuals: Sequence[Floats], size: Floats) -> Wander:
        """From blocks of history (n, d), in spreads."""
        lasting = np.stack([_alike(residuals, lag) for lag in range(LAGS + 1)])
        steps = [np.diff(part, axis=0) for part in residuals if len(part) > 1] or [np.zeros((1, len(size)))]
        rough = np.sqrt(np.mean(np.concatenate(steps) ** 2, axis=0))
        return cls(lasting, size, np.maximum(rough, 1e-6), _together(residuals, lasting[HORIZON]))

    def departures(self, rows: Floats, since: Floats) -> Floats:
        """What rows (n, d) show beyond what is left of `since` (d), the row before them, in their spreads (n, d)."""
        lags = np.minimum(np.arange(1, len(rows) + 1), LAGS)
        left = self.lasting[lags]
        found: Floats = (rows - left * since) / np.sqrt(1 - left**2 + LEAST_LEFT)
        return found


def _alike(residuals: Sequence[Floats], lag: int) -> Floats:
    """Autocorrelation (d), at least 0."""
    pairs = [(part[lag:], part[: len(part) - lag]) for part in residuals if len(part) > lag]
    if not pairs or not lag:
        return np.full(residuals[0].shape[1], MOST_LASTING if not lag else 0.0)
    product = sum((later * sooner).sum(axis=0) for later, sooner in pairs)
    squares = sum((later**2).sum(axis=0) for later, _ in pairs) * sum((sooner**2).sum(axis=0) for _, sooner in pairs)
    found: Floats = np.clip(product / np.sqrt(np.maximum(squares, 1e-12)), 0.0, MOST_LASTING)
    return found


def _together(residuals: Sequence[Floats], left: Floats) -> Floats:
    columns = residuals[0].shape[1]
    if columns > DENSE:
        return np.zeros((0, 0))
    parts = [part[HORIZON:] - left * part[:-HORIZON] for part in residuals if len(part) > HORIZON]
    departures = np.concatenate(parts) if parts else np.zeros((0, columns))
    if len(departures) < 2:  # noqa: PLR2004 - no correlation of one
        return np.eye(columns)
    covariance = departures.T @ departures / len(departures)
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    found: Floats = covariance / np.outer(spread, spread)
    np.fill_diagonal(found, 1.0)
    return found
