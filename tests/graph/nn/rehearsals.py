"""Faults of rehearsed plants that no weights were learnt on, told by the real detector and tracker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np

from graph.detection.conditional import Rows
from graph.faultpath.finder import Finder
from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker
from graph.nn.cases import Stage
from graph.rehearsal import Rehearsal, Trial, rehearse, topology
from graph.topology import Topology

HELD_OUT = 100_000
"""Seeds from here on are no plants to learn from."""


@cache
def plant(family: str, seed: int) -> Rehearsal:
    return rehearse(HELD_OUT + seed, family=family, trials=12, history_days=4.0)


def told(rehearsal: Rehearsal, finder: Finder | None, live: Topology | None = None) -> Iterator[tuple[Trial, list[FaultState]]]:
    """Each fault with all that was said until it ended; `live` takes the place of the plant's own graph."""
    stage, known = Stage(rehearsal), live or topology(rehearsal)
    for trial in rehearsal.trials:
        if trial.begins == trial.ends:
            continue
        tracker = FaultTracker(finder)
        at = trial.start + rehearsal.step * np.arange(trial.ends, dtype=np.int64)
        listed = stage.steps(Rows(at, trial.readings[: trial.ends]))
        states = [state for each in listed for state in tracker.update(each, known)]
        yield trial, [state for state in states if state.updated_at >= at[trial.begins]]


def reciprocal_rank(trial: Trial, states: Iterable[FaultState]) -> float:
    """Of the first true origin in what was said last; 0 where none is named."""
    last = [state.origins for state in states][-1:]
    return max((1 / rank for named in last for rank, (name, _) in enumerate(named, 1) if name in trial.origins), default=0.0)


def by_chance(devices: int) -> float:
    """Mean reciprocal rank of a random order."""
    return float(np.mean(1 / np.arange(1, devices + 1)))


def shuffled(rehearsal: Rehearsal, seed: int) -> Topology:
    """The same devices and the same shape of graph, but who stands where is drawn."""
    names = [device for device, _, _ in rehearsal.devices]
    drawn = np.random.default_rng(seed).permutation(len(names))
    elsewhere = {name: names[place] for name, place in zip(names, drawn, strict=True)}
    links = (
        msgspec.structs.replace(link, source=elsewhere[link.source], target=elsewhere[link.target]) for link in rehearsal.links
    )
    return topology(replace(rehearsal, links=tuple(links)))
