"""Learns the discrete part: spells of states and of pairs of states over edges, from recordings of what changed when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graph.detection.discrete import Discrete
from graph.detection.layout import Layout
from graph.detection.readings import Recording, is_alarm_key
from graph.detection.survival import BIN_COUNT, Floats, Spell, surprise_by_time, surprise_of_new
from graph.topology import Topology
from schemas.device import Relation

LEAST_RUNS = 20
"""A long recording counts as several runs, so that even one tells how often something new comes up."""
MOST_COLUMNS_PER_DEVICE = 4
MOST_STATES = 64
"""Columns with more states than this are watched alone, not in pairs."""

Pair = tuple[int, int]


def is_renewed(layout: Layout, column: int) -> bool:
    """Whether each value begins a new spell even if it is the same."""
    return layout.codings[column].kind == "ticks"


def pairs_over_edges(layout: Layout, topology: Topology) -> list[Pair]:
    """Pairs of columns (cause, effect) of devices that an edge of influence joins."""
    columns: defaultdict[str, list[int]] = defaultdict(list)
    for column, (device, _) in enumerate(layout.states):
        if layout.codings[column].size <= MOST_STATES and len(columns[device]) < MOST_COLUMNS_PER_DEVICE:
            columns[device].append(column)
    ways = {(edge.source, edge.target) for edge in topology.edges() if edge.relation is not Relation.CONTAINS}
    ways |= {
        (edge.target, edge.source) for edge in topology.edges() if edge.relation is not Relation.CONTAINS and not edge.directed
    }
    return sorted(
        (cause, effect)
        for source, target in ways
        if source != target
        for cause in columns[source]
        for effect in columns[target]
    )


@dataclass
class Tally:
    """Spells of one recording: of columns, and of pairs with their joint states."""

    alone: dict[int, list[Spell]] = field(default_factory=lambda: defaultdict(list))
    joint: dict[Pair, list[Spell]] = field(default_factory=lambda: defaultdict(list))
    runs: int = 1


class _Counter:
    """Walks through a recording and writes down each spell as it ends."""

    def __init__(self, layout: Layout, pairs: Sequence[Pair], recording: Recording, pieces: int) -> None:
        self.tally = Tally(runs=pieces)
        self._layout = layout
        self._start = recording.start
        self._piece = max(1, (recording.end - recording.start) // pieces + 1)
        self._held: dict[int, tuple[int, int]] = {}
        self._pairs: defaultdict[int, list[Pair]] = defaultdict(list)
        for pair in pairs:
            self._pairs[pair[0]].append(pair)
            self._pairs[pair[1]].append(pair)

    def assume(self, column: int, at: int) -> None:
        self._held[column] = (0, at)

    def take(self, column: int, state: int, at: int) -> None:
        held = self._held.get(column)
        if held is not None:
            if held[0] == state and not is_renewed(self._layout, column):
                return
            self._close(column, held, at)
        self._held[column] = (state, at)

    def _close(self, column: int, held: tuple[int, int], at: int) -> None:
        run = (at - self._start) // self._piece
        self.tally.alone[column].append(Spell(held[0], at - held[1], run))
        for pair in self._pairs[column]:
            self._close_pair(pair, at, run)

    def _close_pair(self, pair: Pair, at: int, run: int) -> None:
        cause, effect = self._held.get(pair[0]), self._held.get(pair[1])
        if cause is not None and effect is not None:
            state = cause[0] * self._layout.codings[pair[1]].size + effect[0]
            self.tally.joint[pair].append(Spell(state, at - max(cause[1], effect[1]), run))

    def close(self, at: int) -> None:
        """The recording's end cuts off what still goes on."""
        run = (at - self._start) // self._piece
        for column, held in self._held.items():
            self.tally.alone[column].append(Spell(held[0], at - held[1], run))
        for pair in {pair for pairs in self._pairs.values() for pair in pairs}:
            self._close_pair(pair, at, run)


def tally(recording: Recording, layout: Layout, pairs: Sequence[Pair], pieces: int) -> Tally:
    """All spells of a recording."""
    places = {key: column for column, key in enumerate(layout.states)}
    counter = _Counter(layout, pairs, recording, pieces)
    for key, column in places.items():
        if is_alarm_key(key):
            counter.assume(column, recording.start)
    for at, key, value in recording:
        column = places.get(key, -1)
        if column >= 0 and (state := layout.codings[column].code(value)) >= 0:
            counter.take(column, state, at)
    counter.close(recording.end)
    return counter.tally


def build(tallies: Sequence[Tally], layout: Layout, pairs: Sequence[Pair], devices: Sequence[str]) -> Discrete:
    """The model of the tallies' spells, without a threshold yet. `devices` names the device of each column."""
    sizes = [coding.size for coding in layout.codings]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)[:-1]
    runs = sum(part.runs for part in tallies)
    spells = [_gather(tallies, column=column) for column in range(len(sizes))]
    rows = [row for column, size in enumerate(sizes) for row in _rows(spells[column], size, runs)]
    joint = [_gather(tallies, pair=pair) for pair in pairs]
    widths = [sizes[effect] for _, effect in pairs]
    spans = [sizes[cause] * sizes[effect] for cause, effect in pairs]
    pair_first = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)[:-1]
    place = np.full(sum(spans) + 1, -1, dtype=np.int64)
    tables: list[Floats] = [np.zeros(BIN_COUNT)]
    for number, found in enumerate(joint):
        whole = sum(spell.micros for spell in found)
        for state, lengths in _by_state(found).items():
            place[pair_first[number] + state] = len(tables)
            tables.append(surprise_by_time(lengths, whole))
    return Discrete(
        devices=tuple(devices),
        first=first,
        alone=np.array(rows).reshape(-1, BIN_COUNT),
        new_alone=np.array([surprise_of_new(found, runs) for found in spells]),
        source=np.array([cause for cause, _ in pairs], dtype=np.int64),
        target=np.array([effect for _, effect in pairs], dtype=np.int64),
        pair_first=pair_first,
        width=np.array(widths, dtype=np.int64),
        place=place,
        joint=np.array(tables),
        new_joint=np.array([surprise_of_new(found, runs) for found in joint]),
        runs=runs,
        threshold=1.0,
    )


def _gather(tallies: Sequence[Tally], *, column: int = -1, pair: Pair | None = None) -> list[Spell]:
    """Spells of a column or a pair over all recordings, their runs numbered through."""
    found, before = [], 0
    for part in tallies:
        spells = part.alone.get(column, ()) if pair is None else part.joint.get(pair, ())
        found += [spell._replace(run=spell.run + before) for spell in spells]
        before += part.runs
    return found


def _by_state(spells: Sequence[Spell]) -> Mapping[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for spell in spells:
        found[spell.state].append(spell.micros)
    return found


def _rows(spells: Sequence[Spell], size: int, runs: int) -> Iterator[Floats]:
    """A row for each state; one that these spells lack is as surprising as a new one from the start."""
    by_state = _by_state(spells)
    whole = sum(spell.micros for spell in spells)
    new = np.full(BIN_COUNT, surprise_of_new(spells, runs))
    for state in range(size):
        yield surprise_by_time(by_state[state], whole) if state in by_state else new
