"""What tools put out and take in of a signal: its readings over a stretch of time, and figures of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.workshop import ToolError
from schemas.device import DeviceId, SignalName
from schemas.event import Micros, rfc3339
from streams.history import Stretch
from streams.workshop.periods import Span

MOST_POINTS = 10_000
"""Of more readings, the least and the greatest of each piece are kept, so that a picture looks the same."""
NOT_A_SERIES = "series: not one that signal_history puts out"


class Statistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of all readings of a stretch; None where there are none. `spread`: the standard deviation."""

    count: int
    mean: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    spread: float | None = None
    median: float | None = None
    first: float | None = None
    latest: float | None = None

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Statistics:
        if not len(values):
            return cls(count=0)
        scale = max(float(np.abs(values).max()), 1.0)  # as squares of the greatest doubles are none
        return cls(
            count=len(values),
            mean=_finite((values / scale).mean() * scale),
            minimum=float(values.min()),
            maximum=float(values.max()),
            spread=_finite((values / scale).std() * scale),
            median=_finite(np.median(values / scale) * scale),
            first=float(values[0]),
            latest=float(values[-1]),
        )


class Series(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Readings from `start` until before `end`. `since`: of the oldest that is kept; `thinned`: there were more points."""

    device: DeviceId
    signal: SignalName
    unit: str | None = None
    start: str
    end: str
    since: str | None = None
    points: list[tuple[str, float]]
    thinned: bool = False
    statistics: Statistics


def series_of(device: DeviceId, signal: SignalName, unit: str | None, stretch: Stretch, within: Span) -> Series:
    kept = _kept(stretch.value)
    return Series(
        device=device,
        signal=signal,
        unit=unit,
        start=rfc3339(within.start),
        end=rfc3339(within.end),
        since=None if stretch.since is None else rfc3339(stretch.since),
        points=[(rfc3339(Micros(int(stretch.at[place]))), float(stretch.value[place])) for place in kept],
        thinned=len(kept) < len(stretch.at),
        statistics=Statistics.of(stretch.value),
    )


def read_series(value: Any) -> Series:
    """What another tool has put out. Raises ToolError."""
    try:
        return msgspec.convert(value, Series)
    except msgspec.ValidationError as error:
        raise ToolError(f"{NOT_A_SERIES}: {error}") from None


def _kept(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of the points that stay."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MOST_POINTS // 2 + 1).astype(int)
    found = {0, len(values) - 1}
    for begin, end in pairwise(edges):
        piece = values[begin:end]
        found |= {int(begin + piece.argmin()), int(begin + piece.argmax())}
    return np.array(sorted(found))


def _finite(value: np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None
