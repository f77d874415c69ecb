"""Ways, walks and responses on graphs small enough to work out by hand; and what the rehearsal teaches."""

from __future__ import annotations

import numpy as np
import pytest

from graph.faultpath.features import NAMES, random_walk
from graph.faultpath.influence import Influence
from graph.faultpath.network import FAR
from graph.faultpath.prior import WEIGHTS
from graph.faultpath.rehearsal import cases, learn, mean_reciprocal_rank
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


def test_hops_and_responses_of_a_chain() -> None:
    network = Influence(graph("abcd", [("a", "b"), ("b", "c")], directed=False)).network
    assert network is not None
    assert network.hops[0].tolist() == [0, 1, 2, FAR]
    assert network.ends.tolist() == [[0, 0], [0, 2], [2, 2], [3, 3]]
    assert network.response[0, 0] > network.response[0, 1] > network.response[0, 2] > network.response[0, 3] == 0


def test_a_walk_goes_against_the_direction_of_influence() -> None:
    influence = Influence(graph("abc", [("a", "b"), ("b", "c")]))
    rank = random_walk(influence, np.array([0.0, 0.0, 1.0]))
    assert rank.sum() == pytest.approx(1)
    assert rank[0] > rank[2] > 0


def test_rehearsal_is_the_same_each_time_and_teaches_more_than_chance() -> None:
    listed, again = list(cases(3, 10)), list(cases(3, 10))
    assert [case.origin for case in listed] == [case.origin for case in again]
    weights = learn(listed)
    assert mean_reciprocal_rank(listed, weights) > 0.5
    shipped = np.array([WEIGHTS[name] for name in NAMES])
    assert mean_reciprocal_rank(listed, shipped) > 0.3
