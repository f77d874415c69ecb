"""From the strangeness that history showed to thresholds, in units that can be compared.

A column's strangeness beyond the value that it exceeds 2 % of the time falls off about exponentially, so it is measured in mean
excesses beyond that value (the generalised Pareto tail with shape zero; Coles, Statistical Modelling of Extreme Values, 2001,
ch. 4). The plant's threshold is the lowest that would have raised no more than `ALARMS_PER_DAY` alarms on history.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL_SHARE = 0.02
LEAST_START = 1.0
LEAST_EXCESS = 0.25
"""Spreads: no tail is taken to begin sooner or to fall faster, whatever a short history says."""
ALARMS_PER_DAY = 0.5
"""Aims at 0.7: recordings that the model has never seen raise half as many again as history says."""
ALARMS_PER_RECORDING = 0.2
"""Where recordings last minutes, an allowance by the day says nothing: one in five of them may hold an alarm, because history
that nobody has labelled holds set-ups and troubles too."""
LEAST_ALARMS = 0.5
"""A short history is allowed no whole alarm, and no threshold is extrapolated far beyond it."""
MOST_TIME_IN_ALARM = 0.01
MOST_TIME_IN_SHORT = 0.04
"""Shares of history, and the second where recordings last less than a day."""
PAUSE_STEPS = 6
BEYOND_HISTORY = 1.05


def tails(strangeness: Floats) -> tuple[Floats, Floats]:
    """Start and mean excess of each column's tail; (n, ...) -> two of (...)."""
    start = np.quantile(strangeness, 1 - TAIL_SHARE, axis=0)
    over = strangeness > start
    excess = np.where(over, strangeness - start, 0.0).sum(axis=0) / np.maximum(over.sum(axis=0), 1)
    return np.maximum(start, LEAST_START), np.maximum(excess, LEAST_EXCESS)


def episodes(scores: Sequence[Floats], threshold: float) -> int:
    """Alarms that a threshold would have raised; a pause of a few steps does not end one."""
    count = 0
    for part in scores:
        on = np.flatnonzero(part > threshold)
        count += int(len(on) > 0) + int((np.diff(on) > PAUSE_STEPS).sum())
    return count


def alarm_threshold(scores: Sequence[Floats], *, days: float, recordings: int) -> float:
    """The lowest of history's scores above which there are no more alarms than allowed, and little time in alarm.

    `scores` are blocks of history, `recordings` how many recordings they come from.
    """
    ranked = np.sort(np.concatenate(scores))[::-1]
    if not len(ranked):
        return 1.0
    allowed = max(ALARMS_PER_DAY * days, ALARMS_PER_RECORDING * recordings, LEAST_ALARMS)
    most = max(int((MOST_TIME_IN_SHORT if days < recordings else MOST_TIME_IN_ALARM) * len(ranked)), 1)
    low, high = 0, min(most, len(ranked) - 1)
    if episodes(scores, float(ranked[0])) > allowed:
        return float(ranked[0])
    while low < high:  # more alarms the lower the threshold, up to where they merge
        middle = (low + high + 1) // 2
        if episodes(scores, float(ranked[middle])) <= allowed:
            low = middle
        else:
            high = middle - 1
    highest = float(ranked[0])
    return highest + (BEYOND_HISTORY - 1) * abs(highest) if low == 0 else float(ranked[low])
