"""How long states last: tables of surprise by state and time spent in it, from spells of which some were cut off.

The surprise of state x after d seconds is -ln((spells of x that lasted d + 1/2) / (spells of x + 1)), spells cut off by a
recording's end counting as far as they were seen, but no more than -ln of the share of time in which x had lasted d seconds.
A state that history never showed has -ln((n1 + 1) / (R + 2)) with n1 the states seen in one of R runs only (Good, Biometrika
40, 1953).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECOND = 1_000_000
SURPRISE_CAP = 8.0
FIRST_BIN = 100_000
BIN_RATIO = 1.15
BIN_COUNT = 128
BINS: Ints = np.round(FIRST_BIN * BIN_RATIO ** np.arange(BIN_COUNT)).astype(np.int64)
"""Micros, a tenth of a second to ten weeks; a time counts as the bin it has reached."""


class Spell(NamedTuple):
    """A state held for `micros` in run number `run`."""

    state: int
    micros: int
    run: int


def surprise_by_time(spells: Sequence[int], whole: int) -> Floats:
    """One row of a table: surprise at each bin (BIN_COUNT), from the lengths of all spells of a state, cut off or not.

    `whole` is the time for which the column was watched. A time that few spells reach can still be a large part of the day (a
    counter that ticks each second and rests each noon), so what lasts is surprising only as far as it takes little of the time.
    """
    lengths = np.sort(np.array(spells, dtype=np.int64))
    begin = np.searchsorted(lengths, BINS, side="left")
    lasting = len(lengths) - begin
    after = np.concatenate([np.cumsum(lengths[::-1])[::-1], [0]])[begin]
    by_spell = -np.log((lasting + 0.5) / (len(lengths) + 1))
    by_time = -np.log((after - lasting * BINS + SECOND) / (whole + SECOND))
    surprise: Floats = np.clip(np.minimum(by_spell, by_time), 0.0, SURPRISE_CAP)
    return surprise


def surprise_of_new(spells: Iterable[Spell], runs: int) -> float:
    """Nats for a state never seen."""
    seen: defaultdict[int, set[int]] = defaultdict(set)
    for spell in spells:
        seen[spell.state].add(spell.run)
    once = sum(len(found) == 1 for found in seen.values())
    return float(np.clip(-np.log((once + 1) / (runs + 2)), 0.0, SURPRISE_CAP))


def bin_of(micros: Ints) -> Ints:
    """The bin that each time has reached; -1 before the first."""
    found: Ints = np.searchsorted(BINS, micros, side="right") - 1
    return found
