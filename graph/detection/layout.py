"""Which signals are sampled and which report changes, the step of the plant, and how values become numbers.

Learned once from history and kept in the model. A *sampled* signal sends at a steady interval and is a column of the numeric
part; all others are *states* that hold until they change, and belong to the discrete part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.readings import ALARM_PREFIX, Key, Recording
from graph.topology import Topology
from schemas.device import SignalKind
from schemas.event import SignalValue

SECOND = 1_000_000
EVENT_STEP = SECOND
"""Micros between looks at a plant that reports changes only."""
LEAST_STEP = 10_000
STEADY_SHARE = 0.8
"""A signal is sampled when so many of its intervals lie within half and twice the usual one,"""
COVERED_SHARE = 0.5
"""and when its samples fill so much of the recordings."""
MIN_SAMPLES = 20
BINS = 5
LEAST_REPEATS = 0.05
OUTSIDE_MARGIN = 0.1


class Coding(msgspec.Struct, frozen=True):
    """How the values of one discrete column become states 0, 1, ...: by name, by range, or all one (a counter's ticks)."""

    kind: str
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def code(self, value: SignalValue) -> int:
        """The state of a value; -1 for one that history never showed.

        >>> Coding("bins", edges=(0.0, 5.0, 10.0)).code(7.0), Coding("labels", labels=("off", "on")).code("on")
        (2, 1)
        """
        if self.kind == "labels":
            label = label_of(value)
            return self.labels.index(label) if label in self.labels else -1
        if self.kind == "ticks" or isinstance(value, str):
            return 0 if self.kind == "ticks" else -1
        place = int(np.searchsorted(self.edges, float(value), side="right"))
        return -1 if place in (0, len(self.edges)) else place

    @property
    def size(self) -> int:
        """States that history showed."""
        return len(self.labels) if self.kind == "labels" else max(1, len(self.edges))


def label_of(value: SignalValue) -> str:
    """A state's name: true and 1 are one state, as are 2 and 2.0."""
    return value if isinstance(value, str) else f"{float(value):g}"


class Layout(msgspec.Struct, frozen=True):
    """Columns of both parts and the step, in micros. `aligned` steps end on whole steps of the clock, others `slack` after a

    sample: none where samples are punctual, half a step where they are not, so that none falls into the next step.
    """

    step: int
    aligned: bool
    slack: int
    sampled: tuple[Key, ...]
    states: tuple[Key, ...]
    codings: tuple[Coding, ...]


@dataclass
class _Profile:
    intervals: NDArray[np.float64]
    covered: float


def learn_layout(recordings: Sequence[Recording], topology: Topology) -> Layout:
    """Survey the recordings. Signals are ordered by name, so the order of events does not matter."""
    series = [recording.series() for recording in recordings]
    keys = sorted({key for found in series for key in found})
    declared = declared_kinds(topology)
    span = sum(recording.end - recording.start for recording in recordings)
    profiles = {key: _profile([found[key] for found in series if key in found], span) for key in keys}
    sampled = tuple(key for key in keys if _is_sampled(key, declared.get(key), profiles[key], series))
    states = tuple(key for key in keys if key not in set(sampled))
    usual = [float(np.median(profiles[key].intervals)) for key in sampled]
    step = max(LEAST_STEP, round(float(np.quantile(usual, 0.1)))) if usual else EVENT_STEP
    codings = tuple(_coding(key, declared.get(key), [found[key][1] for found in series if key in found]) for key in states)
    return Layout(step, not sampled, _slack(step, [profiles[key] for key in sampled]), sampled, states, codings)


def _slack(step: int, profiles: Sequence[_Profile]) -> int:
    """Half a step if more than one interval in a hundred is off the grid by more than a hundredth of a step."""
    intervals = np.concatenate([profile.intervals for profile in profiles]) if profiles else np.zeros(0)
    off = np.abs(intervals - step * np.round(intervals / step))
    return step // 2 if len(off) and float(np.quantile(off, 0.99)) > step / 100 else 0


def declared_kinds(topology: Topology) -> dict[Key, SignalKind]:
    """What devices say of their signals."""
    return {(device.device_id, name): signal.kind for device in topology.devices() for name, signal in device.signals.items()}


def _profile(found: Iterable[tuple[list[int], list[SignalValue]]], span: int) -> _Profile:
    times = [np.diff(np.array(part[0], dtype=np.int64)) for part in found]
    intervals = np.concatenate(times).astype(float) if times else np.zeros(0)
    usual = float(np.median(intervals)) if len(intervals) else 0.0
    return _Profile(intervals, usual * len(intervals) / max(span, 1))


def _is_sampled(
    key: Key, kind: SignalKind | None, profile: _Profile, series: Sequence[Mapping[Key, tuple[list[int], list[SignalValue]]]]
) -> bool:
    if kind in (SignalKind.CATEGORICAL, SignalKind.COUNTER) or key[1].startswith(ALARM_PREFIX):
        return False
    if len(profile.intervals) < MIN_SAMPLES or profile.covered < COVERED_SHARE:
        return False
    if any(isinstance(found[key][1][0], str) for found in series if key in found):
        return False
    if _only_changes([found[key][1] for found in series if key in found]):
        return False
    usual = float(np.median(profile.intervals))
    steady = (profile.intervals >= usual / 2) & (profile.intervals <= 2 * usual)
    return usual > 0 and float(steady.mean()) >= STEADY_SHARE


def _only_changes(parts: Sequence[Sequence[SignalValue]]) -> bool:
    """Whether a signal of few values hardly ever repeats one: then it reports changes, however regular they are."""
    if len({value for part in parts for value in part}) > BINS:
        return False
    repeats = sum(one == other for part in parts for one, other in pairwise(part))
    return repeats < LEAST_REPEATS * sum(map(len, parts))


def _coding(key: Key, kind: SignalKind | None, parts: Sequence[Sequence[SignalValue]]) -> Coding:
    if key[1].startswith(ALARM_PREFIX):
        return Coding("labels", labels=("0", "1"))
    if kind is SignalKind.COUNTER:
        return Coding("ticks")
    values = [value for part in parts for value in part]
    numeric = kind in (SignalKind.NUMERIC, None) and not any(isinstance(value, str) for value in values)
    distinct = sorted({label_of(value) for value in values})
    if not numeric or len(distinct) <= BINS:
        return Coding("labels", labels=tuple(distinct))
    return Coding("bins", edges=_edges(np.array([float(value) for value in values])))


def _edges(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Ranges of equal share, and a margin around all that was seen; beyond it a value is a new state."""
    cuts = np.quantile(values, np.linspace(0, 1, BINS + 1))
    margin = OUTSIDE_MARGIN * (cuts[-1] - cuts[0])
    inner = sorted({float(cut) for cut in cuts[1:-1] if cuts[0] < cut < cuts[-1]})
    edges = (float(cuts[0] - margin), *inner, float(np.nextafter(cuts[-1] + margin, np.inf)))
    assert all(one < other for one, other in pairwise(edges))
    return edges
