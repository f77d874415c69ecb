"""Joins what both parts find at a step into one score for the plant and one for each device, with the evidence behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from graph.detection.discrete import Surprise, by_device, plant_surprise
from graph.detection.evidence import Outlook, Sensing, Shares, Step
from graph.detection.model import Model
from graph.detection.numeric import Numeric, Strangeness
from graph.detection.readings import Key
from schemas.device import DeviceId
from schemas.event import Micros

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STATE_LIMIT = 4.0
"""Nats at which the states of one device are anomalous."""
LEAST_NEWS = 4.5
"""Nats of what history never had, however short it is."""
GONE_SCORE = 2.0
GONE_PLANT = 1.5
GONE_SHOWS = 1_800_000_000
"""Micros for which a device that disconnected makes the plant anomalous."""
GONE_PER_DAY = 0.7
"""Where history has more of them, they are part of the plant's life."""
EXPLAINED_FROM = 0.5
MOST_NEIGHBOURS = 5


@dataclass
class Findings:
    """What the parts found at one step; a part that has nothing to say leaves its fields as they are.

    `gone` says since when devices are disconnected, `silent` since when it is known that others say nothing any more.
    """

    at: Micros
    gone: Mapping[DeviceId, int]
    news: tuple[Key, ...]
    silent: Mapping[DeviceId, int] = field(default_factory=dict)
    surprise: Surprise | None = None
    strangeness: Strangeness | None = None
    known: Bools | None = None
    now: Floats | None = None


class Judge:
    """Holds the places of columns among the devices."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.use(model.numeric)
        self._extra: tuple[str, ...] = ()
        self._arrange()

    def use(self, numeric: Numeric | None) -> None:
        """Explain by this numeric model from now on."""
        self.numeric = numeric
        self.sensing = Sensing(self._model.layout.sampled, numeric.wander) if numeric else None

    def _arrange(self) -> None:
        layout = self._model.layout
        names = sorted({device for device, _ in (*layout.sampled, *layout.states)} | set(self._extra))
        index = {name: place for place, name in enumerate(names)}
        self._devices = tuple(DeviceId(name) for name in names)
        self._index = index
        self._sampled = np.array([index[device] for device, _ in layout.sampled], dtype=np.int64)
        self._states = np.array([index[device] for device, _ in layout.states], dtype=np.int64)
        self._sampled_of = _columns_of(self._sampled, len(names))
        self._states_of = _columns_of(self._states, len(names))

    def step(self, findings: Findings) -> Step:
        """The step's scores."""
        extra = tuple(sorted({*findings.gone, *findings.silent, *(device for device, _ in findings.news)}))
        if extra != self._extra:
            self._extra = extra
            self._arrange()
        count = len(self._devices)
        alone, conflict = self._nats(findings)
        strange = np.maximum(alone, conflict)
        score = strange / STATE_LIMIT
        plant = self._gone_now(findings)
        if self._model.discrete is not None:
            plant = max(plant, plant_surprise(strange) / self._model.discrete.threshold)
        fields = {name: np.zeros(count) for name in ("conditional", "marginal", "shift", "tail")}
        numeric = np.zeros(count, dtype=bool)
        if findings.strangeness is not None and findings.known is not None:
            plant = max(plant, findings.strangeness.plant)
            score = np.maximum(score, by_device(findings.strangeness.scores, self._sampled, count))
            fields = self._numbers(findings.strangeness)
            np.logical_or.at(numeric, self._sampled, findings.known)
        for device in (*findings.gone, *findings.silent):
            score[self._index[device]] = max(score[self._index[device]], GONE_SCORE)
        return Step(
            at=findings.at,
            plant=plant,
            plant_threshold=1.0,
            devices=self._devices,
            score=score,
            threshold=np.ones(count),
            alone=alone,
            conflict=conflict,
            numeric=numeric,
            gone=frozenset((*findings.gone, *findings.silent)),
            shares=self._shares(findings, score),
            sensing=self.sensing,
            shifts=self._shifts(findings),
            outlook=self._outlook(findings),
            **fields,
        )

    def _outlook(self, findings: Findings) -> Outlook | None:
        """By the residual given all else, where a signal stands in spreads of it."""
        if self.numeric is None or findings.strangeness is None or findings.known is None or findings.now is None:
            return None
        numeric, scale = self.numeric, self.numeric.scale
        missing = np.where(findings.known, 0.0, np.nan)
        value = scale.mean + scale.spread * findings.now + missing
        unit = scale.spread * numeric.spread[0]
        return Outlook(
            columns=self._model.layout.sampled,
            value=value,
            expected=value - unit * findings.strangeness.residual,
            width=unit * (numeric.start[0] + numeric.limits * numeric.excess[0]) + missing,
            surprise=findings.strangeness.scores + missing,
        )

    def _shifts(self, findings: Findings) -> Floats:
        if findings.strangeness is None or findings.known is None:
            return np.full(len(self._sampled) if self.numeric else 0, np.nan)
        return np.where(findings.known, findings.strangeness.marginal, np.nan)

    def _nats(self, findings: Findings) -> tuple[Floats, Floats]:
        count = len(self._devices)
        alone, conflict = np.zeros(count), np.zeros(count)
        if findings.surprise is not None:
            alone = by_device(findings.surprise.alone, self._states, count)
            conflict = by_device(findings.surprise.conflict, self._states, count)
        runs = self._model.discrete.runs if self._model.discrete else 0
        new = max(LEAST_NEWS, float(np.log(runs + 2)))
        for device in {*findings.gone, *_shown(findings.silent, findings.at), *(device for device, _ in findings.news)}:
            alone[self._index[device]] = max(alone[self._index[device]], new)
        return alone, conflict

    def _gone_now(self, findings: Findings) -> float:
        usual = self._model.figures.disconnects_per_day > GONE_PER_DAY
        left = bool(_shown(findings.gone, findings.at)) and not usual
        return GONE_PLANT if left or _shown(findings.silent, findings.at) else 0.0

    def _numbers(self, strangeness: Strangeness) -> dict[str, Floats]:
        """The numeric evidence by device; `shift` is that of the signal with the largest one."""
        count = len(self._devices)
        shift = np.zeros(count)
        order = np.argsort(np.abs(strangeness.marginal), kind="stable")
        shift[self._sampled[order]] = strangeness.marginal[order]
        return {
            "conditional": by_device(np.abs(strangeness.residual), self._sampled, count),
            "marginal": np.abs(shift),
            "shift": shift,
            "tail": by_device(strangeness.excess, self._sampled, count),
        }

    # --- Explanations -----------------------------------------------------------------------------------------------------

    def _shares(self, findings: Findings, score: Floats) -> dict[DeviceId, Shares]:
        """For each device that is at least half strange."""
        found: dict[DeviceId, Shares] = {}
        for place in np.flatnonzero(score >= EXPLAINED_FROM):
            signals: dict[str, float] = {}
            neighbours: dict[str, float] = {}
            self._explain_states(findings, int(place), signals, neighbours)
            self._explain_numbers(findings, int(place), signals, neighbours)
            device = self._devices[place]
            signals |= {name: STATE_LIMIT for owner, name in findings.news if owner == device}
            most = sorted(neighbours.items(), key=lambda item: (-item[1], item[0]))[:MOST_NEIGHBOURS]
            found[device] = (tuple(sorted(signals.items(), key=lambda item: (-item[1], item[0]))), tuple(most))
        return found

    def _explain_states(self, findings: Findings, place: int, signals: dict[str, float], neighbours: dict[str, float]) -> None:
        """Surprise alone counts for the signal, conflict half for it and half for the device it conflicts with."""
        surprise, discrete = findings.surprise, self._model.discrete
        if surprise is None or discrete is None:
            return
        for column in self._states_of[place]:
            name = self._model.layout.states[column][1]
            conflict, pair = float(surprise.conflict[column]), int(surprise.blame[column])
            part = float(surprise.alone[column]) + conflict / 2
            if part > 0:
                signals[name] = part
            if pair >= 0 and conflict > 0:
                other = discrete.devices[discrete.source[pair]]
                neighbours[other] = neighbours.get(other, 0.0) + conflict / 2

    def _explain_numbers(self, findings: Findings, place: int, signals: dict[str, float], neighbours: dict[str, float]) -> None:
        """The parts of the residual: what the signal shows itself, and what each other device would have it show."""
        if findings.strangeness is None or findings.now is None or self.numeric is None:
            return
        layout = self._model.layout
        for column in self._sampled_of[place]:
            row, places = self.numeric.linear.row(int(column))
            excess = max(float(findings.strangeness.excess[column]), 0.0)
            parts = np.abs(row * findings.now[places])
            total = float(parts.sum())
            if excess <= 0 or total <= 0:
                continue
            for part, other in zip(parts / total * excess, places, strict=True):
                device = layout.sampled[other][0]
                if other == column:
                    signals[layout.sampled[column][1]] = float(part)
                elif device != self._devices[place] and part > 0:
                    neighbours[device] = neighbours.get(device, 0.0) + float(part)


def _shown(absent: Mapping[DeviceId, int], at: int) -> list[DeviceId]:
    """Devices that are absent, but not for long."""
    return [device for device, since in absent.items() if at - since <= GONE_SHOWS]


def _columns_of(places: NDArray[np.int64], devices: int) -> list[NDArray[np.int64]]:
    """The columns of each device."""
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(devices + 1))
    return [order[begin:end] for begin, end in pairwise(ends)]
