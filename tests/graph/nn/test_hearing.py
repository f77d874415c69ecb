"""Whom a signal hears, on plants of a few devices."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from graph.nn.hearing import MOST_HOPS, NEAR, Hearing
from schemas.device import DeviceId, Edge, Relation
from tests.graph.faultpath.plants import graph


def edges(*pairs: tuple[str, str], relation: Relation = Relation.FEEDS) -> list[Edge]:
    return [Edge(DeviceId(one), DeviceId(other), relation) for one, other in pairs]


def columns(*devices: str) -> list[tuple[str, str]]:
    """A signal of each device; of one that is named again, another."""
    return [(device, f"value-{number}") for number, device in enumerate(devices)]


def test_the_nearest_come_first_whichever_way_an_edge_runs() -> None:
    heard = Hearing.of(edges(("a", "b"), ("b", "c"), ("c", "d")), columns("d", "c", "b", "a"))
    assert heard.near == ((1, 2, 3), (2, 0, 3), (3, 1, 0), (2, 1, 0))
    assert heard.causes == ((), (), (), ())


def test_devices_without_signals_are_passed_through() -> None:
    heard = Hearing.of(edges(("a", "x"), ("x", "y"), ("y", "b"), ("x", "c")), columns("a", "b", "c"))
    assert heard.near == ((2, 1), (0, 2), (0, 1))


def test_a_devices_other_signals_come_first_then_what_controls_it() -> None:
    """Of pump p: its own second signal, then the controllers k and m by name, then its neighbour t."""
    commands = edges(("m", "p"), ("k", "p"), relation=Relation.CONTROLS)
    heard = Hearing.of([*edges(("t", "p")), *commands], columns("t", "p", "m", "p", "k"))
    assert heard.near[1] == (3, 4, 2, 0)
    assert heard.near[3] == (1, 4, 2, 0)
    assert heard.causes == ((), (4, 2), (), (4, 2), ())


def test_nobody_hears_what_it_controls() -> None:
    heard = Hearing.of(edges(("k", "p"), relation=Relation.CONTROLS), columns("k", "p"))
    assert heard.near == ((), (0,))
    assert heard.causes == ((), (0,))


def test_a_cause_that_is_near_as_well_is_heard_once() -> None:
    heard = Hearing.of([*edges(("k", "p")), *edges(("k", "p"), relation=Relation.CONTROLS)], columns("k", "p"))
    assert heard.near == ((1,), (0,))


@pytest.mark.parametrize("relation", [Relation.CONTAINS, Relation.NETWORK])
def test_what_only_belongs_together_is_not_heard(relation: Relation) -> None:
    assert Hearing.of(edges(("a", "b"), relation=relation), columns("a", "b")).near == ((), ())


def test_a_signal_hears_so_many_at_most() -> None:
    leaves = [f"leaf-{number:02}" for number in range(2 * NEAR)]
    heard = Hearing.of(edges(*(("hub", leaf) for leaf in leaves)), columns("hub", *leaves))
    assert heard.near[0] == tuple(range(1, NEAR + 1))
    assert heard.near[1] == (0, *range(2, NEAR + 1))
    masters = edges(*((leaf, "hub") for leaf in leaves), relation=Relation.CONTROLS)
    heard = Hearing.of(masters, columns("hub", *leaves))
    assert heard.near[0] == heard.causes[0] == tuple(range(1, NEAR + 1))


@pytest.mark.parametrize(("between", "heard"), [(MOST_HOPS - 1, True), (MOST_HOPS, False)])
def test_what_is_too_far_away_is_not_heard(between: int, *, heard: bool) -> None:
    line = ["a", *(f"x{number:02}" for number in range(between)), "b"]
    assert Hearing.of(edges(*pairwise(line)), columns("a", "b")).near == (((1,), (0,)) if heard else ((), ()))


def test_a_ring_ends() -> None:
    assert Hearing.of(edges(("a", "b"), ("b", "c"), ("c", "a")), columns("a", "b", "c")).near == ((1, 2), (0, 2), (0, 1))


def test_the_order_of_edges_and_repeats_change_nothing() -> None:
    """Devices at the same distance are heard in the order of their names."""
    rng = random.Random(3)
    names = [f"d{number}" for number in range(12)]
    listed = edges(*((rng.choice(names), rng.choice(names)) for _ in range(16)))
    listed += edges(*((rng.choice(names), rng.choice(names)) for _ in range(5)), relation=Relation.CONTROLS)
    signals = columns(*names[::2], *names[::3])
    first = Hearing.of(listed, signals)
    for _ in range(10):
        assert Hearing.of(rng.sample(listed, len(listed)) + listed[:3], signals) == first


def test_a_live_topology_is_heard_as_its_edges() -> None:
    topology = graph("abc", [("a", "b"), ("b", "c")], silent=["b"], carried=[("gateway", "a"), ("gateway", "c")])
    assert Hearing.live(topology, columns("a", "c")) == Hearing(near=((1,), (0,)), causes=((), ()))


def test_signals_of_unknown_devices_hear_nobody() -> None:
    assert Hearing.of([], columns("a", "b", "a")) == Hearing(near=((2,), (), (0,)), causes=((), (), ()))
