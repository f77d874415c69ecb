"""Linear prediction of each sampled signal from the other signals now, all signals a step ago and the time of day.

The residual of a signal given everything else is a row of the precision matrix: with Z = [now, past, day] standardised,
S = cov(Z) + ridge and P = S^-1, the residual of signal i is (P Z)_i / P_ii (Lauritzen, Graphical Models, 1996, prop. 5.2). The
innovation, which leaves out what the others show now, is the ordinary ridge regression on [past, day].

Up to `DENSE_COLUMNS` signals all of it is one inverse; above, each signal gets the `NEIGHBOURS` signals that it correlates with
most as its predictors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.table import Row

Floats = NDArray[np.float64]

RIDGE = 1e-2
DAY = 86_400_000_000
DAY_SCALE = 0.7
HARMONICS = 8
SEASONAL_DAYS = 2.0
"""The time of day predicts only where history covers so many days."""
DENSE_COLUMNS = 400
NEIGHBOURS = 48
LEAST_SPREAD_OF_RANGE = 0.02
LEAST_SPREAD_OF_MEAN = 1e-3


class Rows(msgspec.Struct, frozen=True):
    """One recording's rows: times (n) in micros and values (n, d), NaN where missing."""

    at: NDArray[np.int64]
    values: Floats

    @classmethod
    def of(cls, listed: Sequence[Row], columns: int) -> Self:
        at = np.array([row.at for row in listed], dtype=np.int64)
        return cls(at, np.array([row.values for row in listed]).reshape(len(listed), columns))

    def part(self, begin: int, end: int) -> Rows:
        return Rows(self.at[begin:end], self.values[begin:end])

    def __len__(self) -> int:
        return len(self.at)


class Scale(msgspec.Struct, frozen=True):
    """Mean and spread of each signal (d). A signal that hardly moved must not turn its first move into infinity."""

    mean: Floats
    spread: Floats
    seasonal: bool

    @classmethod
    def learn(cls, parts: Sequence[Rows]) -> Self:
        values = np.concatenate([part.values for part in parts])
        empty = np.isnan(values).all(axis=0)
        values = np.where(empty, 0.0, values)
        mean = np.nanmean(values, axis=0)
        reach = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        least = np.maximum(LEAST_SPREAD_OF_RANGE * reach, LEAST_SPREAD_OF_MEAN * np.maximum(np.abs(mean), LEAST_SPREAD_OF_MEAN))
        covered = sum(int(part.at[-1] - part.at[0]) for part in parts if len(part))
        return cls(mean, np.maximum(np.nanstd(values, axis=0), least), covered >= SEASONAL_DAYS * DAY)

    def apply(self, values: Floats) -> Floats:
        """Standardised; what is missing stands at its mean."""
        scaled: Floats = np.nan_to_num((values - self.mean) / self.spread, nan=0.0, posinf=0.0, neginf=0.0)
        return scaled

    def day(self, at: NDArray[np.int64]) -> Floats:
        """Sine and cosine of the time of day (n, 2 * HARMONICS); (n, 0) where history is too short to tell."""
        if not self.seasonal:
            return np.zeros((len(at), 0))
        angle = 2 * np.pi * (at % DAY) / DAY
        waves = [wave(order * angle) for order in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)]
        return DAY_SCALE * np.stack(waves, axis=1)

    def features(self, rows: Rows) -> tuple[Floats, Floats, Floats]:
        """Now (n, d), a step ago (n, d) and time of day; the first row is its own past."""
        now = self.apply(rows.values)
        return now, np.concatenate([now[:1], now[:-1]]), self.day(rows.at)


class Linear(msgspec.Struct, frozen=True):
    """Residuals as a linear map of the features [now, past, day].

    Either `weights` is (3, d, p), or with `index` (d, k) the rows of `weights` (3, d, k + 1) belong to those features and the
    signal itself. The three maps: given all, given the past, given the time of day alone.
    """

    centre: Floats
    weights: Floats
    index: NDArray[np.int64] | None = None

    def residuals(self, features: Floats) -> Floats:
        """(p,) -> (3, d)."""
        shifted = features - self.centre
        if self.index is None:
            found: Floats = self.weights @ shifted
            return found
        sparse: Floats = np.einsum("fdk,dk->fd", self.weights, shifted[self.index])
        return sparse

    def completed(self, features: Floats, missing: NDArray[np.int64]) -> Floats:
        """The features (p,) with the signals now that are missing at their expectation given all the rest.

        There the residuals of the missing are 0 (Lauritzen 1996, prop. 5.2).
        """
        found = features.copy()
        found[missing] = self.centre[missing]
        found[missing] -= np.linalg.lstsq(self._among(missing), self.residuals(found)[0, missing])[0]
        return found

    def doubt(self, missing: NDArray[np.int64], spread: Floats) -> Floats:
        """By how much the variance of the residuals given all and given the past (2, d) grows if missing signals are expected.

        An expectation is wrong by e with A e = r, the residuals given all that would have been; of these `spread` (d) is known,
        and those of different signals and times are taken to be independent.
        """
        columns = self.weights.shape[1]
        wrong = np.linalg.lstsq(self._among(missing), np.diag(spread[missing]))[0]
        found: Floats = sum(((self._weights(since + missing) @ wrong) ** 2).sum(axis=2) for since in (0, columns))
        return found

    def _weights(self, places: NDArray[np.int64]) -> Floats:
        """How residuals given all and given the past depend on some features (2, d, k)."""
        if self.index is None:
            found: Floats = self.weights[:2, :, places]
        else:
            found = np.stack([(self.weights[:2] * (self.index == place)).sum(axis=2) for place in places], axis=2)
        return found

    def _among(self, columns: NDArray[np.int64]) -> Floats:
        """How the residuals given all of some signals depend on these signals now (k, k)."""
        found: Floats = self._weights(columns)[0, columns]
        return found

    def row(self, column: int) -> tuple[Floats, NDArray[np.int64]]:
        """How the residual of one signal depends on signals now: weights, and the places of those signals."""
        columns = self.weights.shape[1]
        weights = self.weights[0, column]
        if self.index is None:
            return weights[:columns], np.arange(columns)
        now = self.index[column] < columns
        return weights[now], self.index[column][now]

    def many(self, features: Floats) -> Floats:
        """(n, p) -> (n, 3, d)."""
        shifted = features - self.centre
        if self.index is None:
            return np.tensordot(shifted, self.weights, axes=(1, 2))
        return np.stack([np.einsum("fdk,dk->fd", self.weights, row[self.index]) for row in shifted])


def fit(parts: Sequence[Rows], scale: Scale) -> Linear:
    """Learn the maps from recordings; a recording's first row has no past and is left out."""
    features = [np.concatenate(scale.features(part), axis=1)[1:] for part in parts if len(part) > 1]
    stacked = np.concatenate(features)
    columns = len(scale.mean)
    return _dense(stacked, columns) if columns <= DENSE_COLUMNS else _sparse(stacked, columns)


def _dense(stacked: Floats, columns: int) -> Linear:
    centre = stacked.mean(axis=0)
    shifted = stacked - centre
    covariance = shifted.T @ shifted / max(len(stacked) - 1, 1) + RIDGE * np.eye(stacked.shape[1])
    weights = np.zeros((3, columns, stacked.shape[1]))
    precision = np.linalg.inv(covariance)
    weights[0] = precision[:columns] / np.diag(precision)[:columns, None]
    weights[1] = _regression(covariance, columns, slice(columns, None))
    weights[2] = _regression(covariance, columns, slice(2 * columns, None))
    return Linear(centre, weights)


def _regression(covariance: Floats, columns: int, given: slice) -> Floats:
    """Rows that leave of each signal what the given features do not explain."""
    weights = np.eye(columns, covariance.shape[1])
    if covariance[given, given].size:
        weights[:, given] = -np.linalg.solve(covariance[given, given], covariance[given, :columns]).T
    return weights


def _sparse(stacked: Floats, columns: int) -> Linear:
    centre = stacked.mean(axis=0)
    shifted = stacked - centre
    day = np.arange(2 * columns, stacked.shape[1])
    index, weights = zip(*_each(shifted, columns, day), strict=True)
    return Linear(centre, np.stack(weights, axis=1), np.stack(index))


def _each(shifted: Floats, columns: int, day: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """For each signal the places of its features, itself first, and its three rows of weights."""
    now = shifted[:, :columns]
    size = np.sqrt((now**2).sum(axis=0)) + 1e-12
    for place in range(columns):
        close = np.abs(now[:, place] @ now) / (size * size[place])
        close[place] = np.inf
        chosen = np.sort(np.argpartition(-close, NEIGHBOURS)[: NEIGHBOURS + 1])
        chosen = np.concatenate([[place], chosen[chosen != place]])
        places = np.concatenate([chosen, columns + chosen, day])
        part = shifted[:, places]
        covariance = part.T @ part / max(len(part) - 1, 1) + RIDGE * np.eye(len(places))
        rows = np.zeros((3, len(places)))
        precision = np.linalg.inv(covariance)
        rows[0] = precision[0] / precision[0, 0]
        rows[1] = _regression(covariance, 1, slice(NEIGHBOURS + 1, None))[0]
        rows[2] = _regression(covariance, 1, slice(2 * NEIGHBOURS + 2, None))[0]
        yield places, rows
