"""Laws of the live graph: a function of the set of events, whatever their order, repetition, batches, parts or age."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.topology import TooLongAgoError, Topology
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import (
    Body,
    Connected,
    ControlAlarm,
    Disconnected,
    Event,
    Linked,
    Log,
    Micros,
    Quality,
    Stamp,
    Telemetry,
    Unlinked,
)

LAST = 12
"""Times run from 0 to here, so that they often meet."""

laws = settings(derandomize=True, database=None, max_examples=100, deadline=None)

devices = st.sampled_from([DeviceId(name) for name in ("a", "b", "c", "d", "e")])
relations = st.sampled_from([Relation.CONTAINS, Relation.FEEDS, Relation.CONTROLS])
values = st.dictionaries(
    st.sampled_from([SignalName("x"), SignalName("y")]), st.sampled_from([0.0, 1.0, True, "on"]), max_size=2
)
links = st.builds(Linked, devices, devices, relations, st.booleans(), st.sampled_from([None, 1.0]))
bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(
        Connected,
        devices,
        st.sampled_from(["pump", "tank"]),
        parent=st.none() | devices,
        children=st.lists(devices, max_size=3).map(tuple),
    ),
    st.builds(Disconnected, devices),
    links,
    links,
    st.builds(Unlinked, devices, devices, relations),
    st.builds(Telemetry, devices, values, st.sampled_from(Quality)),
    st.builds(ControlAlarm, devices, st.sampled_from(["dry", "hot"]), st.booleans()),
    st.builds(Log, devices, st.just("text")),
)


def stamped(bodies: Sequence[tuple[int, str, Body]]) -> list[Event]:
    """Events with stamps of their own: times and sources repeat, ids do not."""
    return [
        Event(Stamp(Micros(at), source, 0, number % 3, f"{number}"), body) for number, (at, source, body) in enumerate(bodies)
    ]


def histories(bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Event]]:
    return st.lists(st.tuples(st.integers(0, LAST), st.sampled_from(["gw-1", "gw-2"]), bodies), max_size=30).map(stamped)


events = histories(bodies)
draws = st.randoms(use_true_random=False)


def answers(topology: Topology) -> object:
    """All that a reader can ask, in an order of its own."""
    found = sorted(topology.devices(), key=lambda device: device.device_id)
    return (
        topology.digest(),
        found,
        sorted(topology.edges(), key=lambda edge: (edge.source, edge.target, edge.relation)),
        [sorted((edge.source, edge.target, edge.relation) for edge in topology.edges_of(device.device_id)) for device in found],
        [dict(topology.readings(device.device_id)) for device in found],
        sorted(event.stamp.id for event in topology.active_alarms()),
    )


def past(topology: Topology, since: int = 0) -> list[object]:
    return [answers(topology.as_of(Micros(time))) for time in range(since, LAST + 1)]


@laws
@given(events, draws)
def test_order_and_repetition_do_not_matter(history: list[Event], draw: Any) -> None:
    again = history + [event for event in history if draw.randrange(2)]
    draw.shuffle(again)
    expected, found = Topology().merge(history), Topology().merge(again)
    assert answers(found) == answers(expected)
    assert past(found) == past(expected)


@laws
@given(events, st.lists(st.integers(0, 30), max_size=4))
def test_batches_do_not_matter(history: list[Event], cuts: list[int]) -> None:
    topology = Topology()
    places = [0, *sorted(cuts), len(history)]
    for begin, end in pairwise(places):
        topology.merge(history[begin:end])
    assert answers(topology) == answers(Topology().merge(history))


@laws
@given(events, draws)
def test_parts_that_are_split_and_merged_give_the_whole(history: list[Event], draw: Any) -> None:
    parts = [Topology(), Topology(), Topology()]
    for event in history:
        draw.choice(parts).merge([event])
    draw.shuffle(parts)
    whole = Topology()
    for part in parts:
        whole.merge(part.kept())
    expected = Topology().merge(history)
    assert answers(whole) == answers(expected)
    assert past(whole) == past(expected)


@laws
@given(events, events, st.integers(0, LAST))
def test_a_snapshot_goes_on_as_if_never_stopped(history: list[Event], later: list[Event], horizon: int) -> None:
    later = [Event(Stamp(event.stamp.at, "gw-3", 0, 0, event.stamp.id), event.body) for event in later]
    topology = Topology().merge(history)
    topology.forget(Micros(horizon))
    restored = Topology().merge(topology.kept())
    assert answers(restored) == answers(topology)
    assert past(restored, horizon) == past(topology, horizon)
    assert answers(restored.merge(later)) == answers(topology.merge(later))
    assert past(restored, horizon) == past(topology, horizon)


@laws
@given(events, st.integers(0, LAST))
def test_forgetting_changes_no_answer_within_the_horizon(history: list[Event], horizon: int) -> None:
    topology, expected = Topology().merge(history), Topology().merge(history)
    topology.forget(Micros(horizon))
    assert answers(topology) == answers(expected)
    assert past(topology, horizon) == past(expected, horizon)
    for time in range(horizon):
        assert _is_too_long_ago(topology, time)


def _is_too_long_ago(topology: Topology, time: int) -> bool:
    try:
        topology.as_of(Micros(time))
    except TooLongAgoError:
        return True
    return False


@laws
@given(events, st.integers(0, LAST))
def test_forgetting_as_one_goes_is_forgetting_at_the_end(history: list[Event], horizon: int) -> None:
    """For events that come in their order, as after a window."""
    ordered = sorted(history, key=lambda event: event.stamp)
    steadily = Topology()
    for event in ordered:
        steadily.merge([event]).forget(Micros(min(event.stamp.at, horizon)))
    once = Topology().merge(ordered)
    once.forget(Micros(horizon))
    assert answers(steadily) == answers(once)


@laws
@given(events, st.integers(0, LAST))
def test_as_of_is_the_graph_of_what_had_happened(history: list[Event], time: int) -> None:
    """Structure in full; of readings and mere mentions only the newest is kept, so older ones may be missing."""
    then = Topology().merge(history).as_of(Micros(time))
    expected = Topology().merge(event for event in history if event.stamp.at <= time)
    assert set(map(str, then.edges())) == set(map(str, expected.edges()))
    assert sorted(map(str, then.active_alarms())) == sorted(map(str, expected.active_alarms()))
    for device in expected.devices():
        found = then.device(device.device_id)
        assert found is None or (found.state, found.type, found.parent) == (device.state, device.type, device.parent)
        assert then.readings(device.device_id).items() <= expected.readings(device.device_id).items()


# --- Oracles ------------------------------------------------------------------------------------------------------------------


@laws
@given(histories(links), st.integers(1, 7))
def test_links_only_give_the_white_papers_edges(history: list[Event], size: int) -> None:
    """The white paper keeps its edges by `torch.cat(...).unique(dim=1)`; here with the relation as a third row."""
    interned: dict[str, int] = {}
    table = torch.empty((3, 0), dtype=torch.long)
    topology = Topology()
    for begin in range(0, len(history), size):
        batch = history[begin : begin + size]
        topology.merge(batch)
        rows = [[interned.setdefault(part, len(interned)) for part in _ends(event.body)] for event in batch]
        joined = torch.cat([table, torch.tensor(rows, dtype=torch.long).T], dim=1)
        table = joined.unique(dim=1)  # type: ignore[no-untyped-call]
    names = list(interned)
    expected = [tuple(names[number] for number in column) for column in table.T.tolist()]
    found = [(edge.source, edge.target, edge.relation) for edge in topology.edges()]
    assert sorted(found) == sorted(expected)


def _ends(body: Body) -> tuple[str, str, str]:
    assert isinstance(body, Linked | Unlinked)
    return body.source, body.target, body.relation


@laws
@given(histories(links | st.builds(Unlinked, devices, devices, relations)), draws)
def test_neighbours_are_those_of_networkx(history: list[Event], draw: Any) -> None:
    oracle: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for event in sorted(history, key=lambda event: event.stamp):
        source, target, relation = _ends(event.body)
        change: Callable[..., Any] = oracle.add_edge if isinstance(event.body, Linked) else _remove
        change(source, target, key=relation, **({} if isinstance(event.body, Linked) else {"oracle": oracle}))
    draw.shuffle(history)
    topology = Topology().merge(history)
    for device in "abcde":
        found = {(edge.source, edge.target, edge.relation) for edge in topology.edges_of(DeviceId(device))}
        held = set(oracle.in_edges(device, keys=True)) | set(oracle.out_edges(device, keys=True)) if device in oracle else set()
        assert found == held


def _remove(source: str, target: str, *, key: str, oracle: nx.MultiDiGraph[str]) -> None:
    if oracle.has_edge(source, target, key):
        oracle.remove_edge(source, target, key)
