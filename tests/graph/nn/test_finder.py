"""The shipped weights in the tracker, on rehearsed plants that they were not learnt on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graph.detection.conditional import Rows
from graph.faultpath.finder import Finder
from graph.faultpath.tracker import FaultTracker
from graph.nn.cases import Stage
from graph.nn.finder import GraphFinder
from graph.nn.origins import shipped
from graph.rehearsal import topology
from tests.graph.nn.rehearsals import by_chance, plant, reciprocal_rank, shuffled, told

PLANTS = [(family, seed) for family in ("grid", "process", "water") for seed in (0, 1)]


def ranks(family: str, seeds: Sequence[int], finder: Finder | None, *, shuffle: bool = False) -> float:
    """Mean reciprocal rank over all faults."""
    listed = []
    for seed in seeds:
        made = plant(family, seed)
        live = shuffled(made, seed) if shuffle else None
        listed += [reciprocal_rank(trial, states) for trial, states in told(made, finder, live)]
    return float(np.mean(listed))


@pytest.mark.parametrize("family", ["grid", "process", "water"])
def test_origins_are_found_far_better_than_by_chance(family: str) -> None:
    chance = float(np.mean([by_chance(len(plant(family, seed).devices)) for seed in (0, 1)]))
    assert ranks(family, (0, 1), GraphFinder(shipped())) > max(4 * chance, 0.3)


@pytest.mark.parametrize(("family", "seed"), PLANTS)
def test_what_is_said_of_a_fault_holds_together(family: str, seed: int) -> None:
    made = plant(family, seed)
    devices = {name for name, _, _ in made.devices}
    edges = {(edge.source, edge.target) for edge in topology(made).edges()}
    edges |= {(edge.target, edge.source) for edge in topology(made).edges() if not edge.directed}
    forecasts = 0
    for _, states in told(made, GraphFinder(shipped())):
        for state in states:
            shares = [share for _, share in state.origins]
            assert shares == sorted(shares, reverse=True)
            assert 0 < sum(shares) <= 1 + 1e-9
            affected = {name for name, _ in state.affected}
            assert affected <= devices
            assert {(way.source, way.target) for way in state.path} <= edges
            assert all(0 <= way.probability <= 1 for way in state.path)
            assert affected.isdisjoint(ahead.device for ahead in state.forecast)
            assert all(ahead.expected >= state.updated_at and 0.5 <= ahead.probability <= 1 for ahead in state.forecast)
            assert state.closed_at is None or not state.forecast
            forecasts += len(state.forecast)
    assert forecasts > 0


def test_restored_in_the_middle_of_a_fault_says_the_same() -> None:
    made = plant("process", 0)
    stage, live = Stage(made), topology(made)
    trial = next(one for one in made.trials if one.ends)
    rows, stop = range(max(trial.begins - 10, 0), trial.ends), (trial.begins + trial.ends) // 2
    at = trial.start + made.step * np.arange(len(trial.readings), dtype=np.int64)
    listed = list(stage.steps(Rows(at, trial.readings)))
    whole, first, second = (FaultTracker(GraphFinder(shipped())) for _ in range(3))
    for row in rows:
        said = whole.update(listed[row], live)
        if row < stop:
            assert first.update(listed[row], live) == said
            second.restore(first.snapshot())
        else:
            assert second.update(listed[row], live) == said


@pytest.mark.slow
def test_the_graph_earns_its_place() -> None:
    """The same weights where edges join other devices, and no weights at all, name the origin later."""
    finder, seeds = GraphFinder(shipped()), (0, 1)
    true = {family: ranks(family, seeds, finder) for family in ("grid", "process", "water")}
    drawn = [ranks(family, seeds, finder, shuffle=True) for family in true]
    walked = [ranks(family, seeds, None) for family in true]
    assert np.mean(list(true.values())) > np.mean(drawn)
    assert np.mean(list(true.values())) > np.mean(walked)
