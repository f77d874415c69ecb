"""The rules of truth on graphs of a few devices."""

import numpy as np

from graph.rehearsal.plant import Channel
from graph.rehearsal.sensing import spread_by_hour
from graph.rehearsal.truth import carrying, lasting, limits, onsets, onward, ways
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Linked

A, B, C, D, E = (DeviceId(name) for name in "abcde")


def link(one: DeviceId, other: DeviceId, *, directed: bool = False) -> Linked:
    return Linked(one, other, Relation.FEEDS, directed=directed)


def test_only_what_lasts_two_rows_counts() -> None:
    over = np.array([[1, 0], [0, 1], [1, 1], [1, 0], [0, 0]], dtype=bool)
    assert lasting(over).tolist() == [[False, False], [False, True], [True, True], [True, False], [False, False]]


def test_limits_are_absolute_or_a_share_of_the_usual() -> None:
    channels = [Channel(A, SignalName("flow"), "pipe", 0.1, 0.5, relative_limit=0.1)] * 2
    assert limits(channels, np.array([[2.0, 20.0], [4.0, -20.0]])).tolist() == [0.5, 2.0]


def test_a_hidden_channel_carries_but_does_not_affect() -> None:
    channels = [Channel(A, SignalName("x"), "t", 0, 1), Channel(B, SignalName("y"), "t", 0, 1, hidden=True)]
    over = np.array([[0, 1], [0, 1], [1, 0], [1, 0]], dtype=bool)
    assert onsets(channels, over) == {A: 2}
    assert carrying(channels, over) == {A, B}


def test_all_shortest_ways_and_no_others() -> None:
    near = onward([link(A, B), link(A, C), link(B, D), link(C, D), link(B, C), link(D, E)])
    assert set(ways(near, [A], {A, B, C, D, E}, {D})) == {(A, B), (A, C), (B, D), (C, D)}
    assert set(ways(near, [A], {A, C, D, E}, {E})) == {(A, C), (C, D), (D, E)}
    assert ways(near, [A], {A, D}, {D}) == ()


def test_no_way_leads_against_an_arrow() -> None:
    near = onward([link(B, A, directed=True), link(B, C)])
    assert ways(near, [A], {A, B, C}, {B, C}) == ()
    assert ways(near, [C], {A, B, C}, {A}) == ((C, B), (B, A))


def test_of_two_origins_the_nearer_one_explains() -> None:
    near = onward([link(A, B), link(B, C), link(C, D)])
    assert set(ways(near, [A, D], {A, B, C, D}, {B, C})) == {(A, B), (D, C)}


def test_what_a_usual_day_explains_is_no_spread() -> None:
    hour = np.array([0, 1, 0, 1])
    exact = np.array([[10.0, 5.0], [20.0, 5.0], [10.0, 7.0], [20.0, 3.0]])
    assert spread_by_hour(exact, hour).tolist() == [0.0, 1.0]
