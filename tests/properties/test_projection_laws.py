"""Laws of the projection: asked for any time within the horizon it is the graph of that time, however it was written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import pending
from graph.sqlite_store import SqliteGraphStore
from graph.store import NOW, Outcome
from graph.topology import Topology
from graph.validity import device_row, edge_row
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Event, Linked, Micros, Unlinked
from tests.graph.projected import Projected, gist_of_graph, gist_of_store, named
from tests.properties.test_topology_laws import LAST, draws, histories, laws
from tests.properties.test_topology_laws import events as any_events

Turn = tuple[int, int | None]
"""How many events come next, and the time before which the graph then forgets."""

pair = st.sampled_from([DeviceId("a"), DeviceId("b")])
contained: st.SearchStrategy[Body] = st.one_of(
    st.builds(Connected, pair, st.just("tank"), parent=st.none() | pair, children=st.lists(pair, max_size=1).map(tuple)),
    st.builds(Linked, pair, pair, st.just(Relation.CONTAINS), st.booleans()),
    st.builds(Unlinked, pair, pair, st.just(Relation.CONTAINS)),
)
"""Two devices that claim, link and unlink one containment: most of what can go wrong."""

events = any_events | histories(contained)
turns = st.lists(st.tuples(st.integers(1, 6), st.none() | st.integers(0, LAST)), max_size=12)


def fresh(scratch: str) -> SqliteGraphStore:
    store = SqliteGraphStore(Path(scratch) / "graph.db")
    store.prepare()
    return store


def played(projected: Projected, history: Sequence[Event], plan: Sequence[Turn], draw: Any) -> None:
    """Events in batches of any size, forgetting and writing in between, in parts of any size."""
    left = list(history)
    for size, forget in [*plan, (len(left) + 1, None)]:
        projected.merge(left[:size])
        del left[:size]
        if draw.randrange(2):
            projected.step(limit=draw.randrange(1, 5))
        if forget is not None:
            projected.topology.forget(Micros(forget))
    projected.flush(limit=draw.randrange(1, 8))


def the_same(projected: Projected) -> None:
    topology, store, site = projected.topology, projected.store, projected.site
    assert gist_of_store(store, site, NOW) == gist_of_graph(topology)
    assert named(store, site, NOW) == {device.device_id for device in topology.devices()}
    for time in range(topology.forgotten or 0, LAST + 1):
        assert gist_of_store(store, site, Micros(time)) == gist_of_graph(topology.as_of(Micros(time))), time


@laws
@given(events, turns, draws)
def test_asked_for_a_time_it_is_the_graph_of_that_time(history: list[Event], plan: list[Turn], draw: Any) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        projected = Projected(fresh(scratch))
        played(projected, history, plan, draw)
        the_same(projected)
        projected.store.close()


@laws
@given(events, turns, draws)
def test_writing_everything_again_changes_nothing(history: list[Event], plan: list[Turn], draw: Any) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        projected = Projected(fresh(scratch))
        played(projected, history, plan, draw)
        held = list(projected.store.rows(projected.site))
        projected.pending.restart()
        projected.offset += 1
        assert set(projected.flush(limit=3)) == {Outcome.WRITTEN}
        assert list(projected.store.rows(projected.site)) == held
        projected.store.close()


@laws
@given(events, st.integers(0, LAST))
def test_rows_of_a_restored_graph_are_those_of_the_graph(history: list[Event], horizon: int) -> None:
    topology = Topology().merge(history)
    topology.forget(Micros(horizon))
    restored = Topology().merge(topology.kept())
    restored.forgotten = topology.forgotten
    devices, edges = topology.keys()
    assert sorted(devices) == sorted(restored.keys()[0])
    assert sorted(edges) == sorted(restored.keys()[1])
    assert [device_row(restored, name) for name in devices] == [device_row(topology, name) for name in devices]
    assert [edge_row(restored, key) for key in edges] == [edge_row(topology, key) for key in edges]


@pytest.mark.parametrize("most", [pending.MOST_KEYS, 1])
@laws
@given(history=events, saved=st.integers(0, 20), died=st.integers(0, 20), draw=draws)
def test_a_crash_at_any_time_ends_in_the_same_projection(
    most: int, history: list[Event], saved: int, died: int, draw: Any
) -> None:
    """A snapshot after `saved` events, death after some more and a few parts, and the log told again from the snapshot."""
    saved, died = sorted((min(saved, len(history)), min(died, len(history))))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr(pending, "MOST_KEYS", most)
        projected = Projected(fresh(scratch))
        for place, event in enumerate(history[:died]):
            if place == saved:
                state = projected.pending.state()
            projected.merge([event])
            if draw.randrange(2):
                projected.step(limit=2)
        if saved == died:
            state = projected.pending.state()
        again = projected.crash(state, history[:saved], saved)
        for event in history[saved:]:
            again.merge([event])
            if draw.randrange(2):
                again.step(limit=2)
        again.flush(limit=3)
        the_same(again)
        again.store.close()
