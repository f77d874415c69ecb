"""Ways and walks on graphs small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from graph.faultpath.features import random_walk
from graph.faultpath.influence import Influence
from graph.faultpath.network import FAR
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Connected, Event, Micros, Stamp
from tests.graph.faultpath.plants import graph


def test_influence_runs_along_edges_and_both_ways_where_it_may() -> None:
    one_way = Influence(graph("abc", [("a", "b"), ("b", "c")]))
    assert one_way.hops(0, most=8) == {0: 0, 1: 1, 2: 2}
    assert one_way.hops(2, most=8) == {2: 0}
    assert one_way.hops(2, most=1, backward=True) == {2: 0, 1: 1}
    both_ways = Influence(graph("abc", [("a", "b"), ("b", "c")], directed=False))
    assert both_ways.tree(2) == {1: 2, 0: 1}


def test_containment_joins_parts_but_carries_no_influence() -> None:
    bodies = [
        Connected(DeviceId("rig"), "machine"),
        *(Connected(DeviceId(name), "sensor", parent=DeviceId("rig")) for name in "ab"),
    ]
    events = [Event(Stamp(Micros(0), "/test", 0, number, str(number)), body) for number, body in enumerate(bodies)]
    influence = Influence(Topology().merge(events))
    assert influence.relations == {}
    assert len(set(influence.part.tolist())) == 1


def test_the_network_of_a_plant_has_its_types_properties_and_edges() -> None:
    """Pipes between tanks: their type makes them links, their properties say how well they conduct."""
    bodies = [
        *(Connected(DeviceId(name), "tank") for name in "abc"),
        Connected(DeviceId("p"), "pipe", properties={"length": 10.0, "diameter": 0.2}),
        Connected(DeviceId("q"), "pipe", properties={"length": 10.0, "diameter": 0.4}),
        Connected(DeviceId("r"), "pipe"),
    ]
    listed = [Event(Stamp(Micros(0), "/test", 0, number, str(number)), body) for number, body in enumerate(bodies)]
    joined = graph([], [("a", "p"), ("p", "b"), ("b", "q"), ("q", "a"), ("b", "r"), ("r", "c")]).kept()
    events = [*listed, *(Event(Stamp(Micros(1), "/more", 0, n, str(n)), event.body) for n, event in enumerate(joined))]
    influence = Influence(Topology().merge(events), (DeviceId("ghost"),))
    assert influence.names == ("a", "b", "c", "ghost", "p", "q", "r")
    network = influence.network
    assert network is not None
    assert network.is_link.tolist() == [False, False, False, False, True, True, True]
    assert network.hops[0].tolist() == [0, 2, 4, FAR, 1, 1, 3]
    assert network.conductance[4] < 1 < network.conductance[6] < network.conductance[5]


def test_a_walk_goes_against_the_direction_of_influence() -> None:
    influence = Influence(graph("abc", [("a", "b"), ("b", "c")]))
    rank = random_walk(influence, np.array([0.0, 0.0, 1.0]))
    assert rank.sum() == pytest.approx(1)
    assert rank[0] > rank[2] > 0


def test_a_walk_from_nowhere_is_anywhere() -> None:
    influence = Influence(graph("abc", [("a", "b"), ("b", "c")]))
    assert random_walk(influence, np.zeros(3)).tolist() == [1 / 3] * 3
