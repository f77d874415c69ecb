"""Faults as examples to learn from: rehearsed plants run through the real detector, and what it showed of each device.

Nothing here knows what the fault is until the labels are written: the same rows go through the same scaling, residuals and
scores as in service; a fault counts only from the step in which the plant's score crosses its threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph.detection.conditional import Rows
from graph.detection.evidence import Step
from graph.detection.judge import Findings, Judge
from graph.detection.layout import Layout
from graph.detection.model import Model
from graph.detection.numeric import Follower, train_numeric
from graph.detection.table import Row
from graph.faultpath.clues import Clues
from graph.faultpath.features import Evidence, Patterns, features
from graph.faultpath.influence import Influence
from graph.faultpath.tracker import LOOK_BACK
from graph.rehearsal import Rehearsal, Trial, topology
from schemas.event import Micros

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS = 4
LOOKED_AT = 6
"""Steps after the alarm at which a fault is looked at; the second time is drawn."""
LEAST_SENSORS = 5


@dataclass(frozen=True)
class Case:
    """A fault so many steps after its alarm; `final` when it ends. `table` (n, features), marks of each device (n)."""

    kind: str
    steps: int
    final: bool
    table: NDArray[np.float32]
    origin: NDArray[np.bool_]
    already: NDArray[np.bool_]
    affected: NDArray[np.bool_]
    carrying: NDArray[np.bool_]


@dataclass(frozen=True)
class Example:
    """A plant's graph as pairs (2, m), cause and effect, and its faults. `sensed` (n) are devices with a sampled signal."""

    family: str
    count: int
    pairs: Ints
    sensed: NDArray[np.bool_]
    cases: tuple[Case, ...]
    missed: int


class Stage:
    """A plant with a trained model, on which rows are shown."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        parts = [
            _rows(start, rehearsal.step, values)
            for start, values in zip(rehearsal.history_start, rehearsal.history, strict=True)
        ]
        layout = Layout(rehearsal.step, aligned=False, slack=0, sampled=tuple(rehearsal.sensors), states=(), codings=())
        self.model = Model(layout, train_numeric(parts, rehearsal.step, FOLDS))
        self.influence = Influence(topology(rehearsal))
        self._patterns: Patterns | None = None

    def steps(self, rows: Rows) -> Iterator[Step]:
        """What the detector says of rows, from a fresh start."""
        assert self.model.numeric is not None
        follower, judge = Follower(self.model.numeric), Judge(self.model)
        for at, values in zip(rows.at, rows.values, strict=True):
            row = Row(Micros(int(at)), values, fresh=True)
            findings = Findings(row.at, {}, (), strangeness=follower.follow(row), known=~np.isnan(values))
            yield judge.step(findings)

    def clues(self, steps: Sequence[Step], alarm: int, until: int) -> Clues:
        """What the tracker would have gathered until a step of a fault that it noticed at another."""
        level = np.mean([step.shift for step in steps[max(alarm - 24, 0) : alarm]] or [steps[0].shift], axis=0)
        clues = Clues.begin(steps[alarm], level)
        for step in steps[max(alarm - LOOK_BACK, 0) : alarm]:
            clues.add(step)
        clues.notice()
        for step in steps[alarm : until + 1]:
            clues.add(step)
        return clues

    def table(self, clues: Clues, step: Step) -> NDArray[np.float32]:
        """Features of all devices."""
        assert step.sensing is not None
        network = self.influence.network
        assert network is not None
        evidence = Evidence.of(self.influence, clues, step.sensing)
        if self._patterns is None:
            self._patterns = Patterns(network, evidence)
        return features(self.influence, network, clues, evidence, self._patterns).astype(np.float32)


def _rows(start: int, step: int, values: Floats) -> Rows:
    return Rows(start + step * np.arange(len(values), dtype=np.int64), values)


def example(rehearsal: Rehearsal, rng: np.random.Generator) -> Example | None:
    """The faults of a plant that raise an alarm; None where it has too few sensors."""
    if len(rehearsal.sensors) < LEAST_SENSORS:
        return None
    stage = Stage(rehearsal)
    cases: list[Case] = []
    missed = 0
    for trial in rehearsal.trials:
        if trial.ends <= trial.begins:
            continue
        found = _cases(stage, trial, rehearsal.step, rng)
        missed += not found
        cases += found
    influence = stage.influence
    sensed = np.zeros(len(influence), dtype=bool)
    sensed[[influence.place[device] for device, _ in rehearsal.sensors]] = True
    pairs = np.array(sorted(influence.relations), dtype=np.int64).reshape(-1, 2).T
    return Example(rehearsal.family, len(influence), pairs, sensed, tuple(cases), missed)


def _cases(stage: Stage, trial: Trial, step: int, rng: np.random.Generator) -> list[Case]:
    listed = list(stage.steps(_rows(trial.start, step, trial.readings)))
    alarm = next((row for row in range(trial.begins, trial.ends) if listed[row].anomalous), None)
    if alarm is None:
        return []
    last = trial.ends - 1
    looks = {min(alarm + LOOKED_AT, last), int(rng.integers(alarm, last + 1)), last}
    tables = {look: stage.table(stage.clues(listed, alarm, look), listed[look]) for look in sorted(looks)}
    return [_case(stage, trial, (alarm, look), table) for look, table in tables.items()]


def _case(stage: Stage, trial: Trial, when: tuple[int, int], table: NDArray[np.float32]) -> Case:
    place, count = stage.influence.place, len(stage.influence)
    alarm, look = when
    already = [device for device, onset in trial.affected.items() if onset <= look]
    marks = []
    for devices in (trial.origins, already, trial.affected, trial.carriers | set(trial.origins)):
        mark = np.zeros(count, dtype=bool)
        mark[[place[device] for device in devices]] = True
        marks.append(mark)
    return Case(trial.kind, look - alarm, look == trial.ends - 1, table, *marks)


def keep(found: Example, path: Path) -> None:
    """Write an example as an npz file, whole or not at all; tables in half precision."""
    cases = found.cases
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        allow_pickle=False,
        family=np.array(found.family),
        pairs=found.pairs,
        sensed=found.sensed,
        missed=np.array(found.missed),
        kinds=np.array([case.kind for case in cases]),
        steps=np.array([case.steps for case in cases]),
        final=np.array([case.final for case in cases]),
        tables=np.stack([case.table for case in cases]).astype(np.float16),
        marks=np.stack([(case.origin, case.already, case.affected, case.carrying) for case in cases]),
    )
    part.replace(path)


def kept(path: Path) -> Example:
    """The inverse of `keep`."""
    with np.load(path, allow_pickle=False) as held:
        tables, marks = held["tables"].astype(np.float32), held["marks"]
        kinds, steps, final = held["kinds"], held["steps"], held["final"]
        cases = tuple(
            Case(str(kinds[number]), int(steps[number]), bool(final[number]), tables[number], *marks[number])
            for number in range(len(kinds))
        )
        sensed = held["sensed"]
        return Example(str(held["family"]), len(sensed), held["pairs"], sensed, cases, int(held["missed"]))
