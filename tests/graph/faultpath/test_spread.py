"""How far a fault has spread and will: with an oracle in the model's place, on a chain and in two parts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest

from graph.faultpath.clues import Clues
from graph.faultpath.finder import Verdict
from graph.faultpath.influence import Influence
from graph.faultpath.spread import MOST_AHEAD, Spread
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Micros
from tests.graph.faultpath.plants import SECOND, Oracle, graph, restless, step

LINE = ("a", "b", "c", "d", "e")
SENSING = restless(*((name, "value") for name in LINE))
OPENED = Micros(10 * SECOND)
SHOWS = {"a": 10, "b": 20, "c": 40}
"""When each device has left its level for two steps running, in seconds."""

Says = Mapping[str, tuple[float, float, float, float]]


def line() -> Influence:
    return Influence(graph(LINE, list(pairwise(LINE))))


def clues(**alone: float) -> Clues:
    """A fault that spreads along the line until second 50; some devices show surprising states as well, from the first on."""
    found = Clues.begin(step(0, LINE, 0.0), np.zeros(len(LINE)))
    for second in range(0, 60, 10):
        shift = {name: 8.0 if second + 10 >= SHOWS.get(name, 99) else 0.0 for name in LINE}
        found.add(step(second, LINE, 2.0, shift=shift, alone=alone, sensing=SENSING))
        if second == 0:
            found.notice()
    return found


def verdict(influence: Influence, says: Says) -> Verdict:
    found = Oracle(says).judge(influence, clues(), SENSING)
    assert found is not None
    return found


def spread(says: Says | None, seen: Clues | None = None, *, plant: Influence | None = None) -> Spread:
    influence = plant or line()
    return Spread(0, OPENED, seen or clues(), influence, None if says is None else verdict(influence, says))


CERTAIN = {"a": (0.9, 0.95, 0.99, 0.99), "b": (0.1, 0.9, 0.95, 0.9), "c": (0.0, 0.6, 0.9, 0.9)}
AHEAD = CERTAIN | {"d": (0.0, 0.2, 0.8, 0.7), "e": (0.0, 0.1, 0.6, 0.1)}


def test_without_a_verdict_marks_decide() -> None:
    """A mark must be passed two steps running, so each onset is a step later than the shift."""
    assert spread(None).affected() == {"a": 10 * SECOND, "b": 20 * SECOND, "c": 40 * SECOND}
    assert spread(None).reached() == spread(None).affected()
    assert spread(None).certain() == {}


def test_with_a_verdict_what_is_more_likely_than_not_is_affected() -> None:
    assert spread(CERTAIN).affected() == {"a": 10 * SECOND, "b": 20 * SECOND, "c": 40 * SECOND}
    unlikely = CERTAIN | {"b": (0.1, 0.4, 0.9, 0.9)}
    assert spread(unlikely).affected() == {"a": 10 * SECOND, "c": 40 * SECOND}


def test_what_passed_no_mark_is_affected_since_the_fault_was_noticed() -> None:
    assert spread(CERTAIN | {"e": (0.0, 0.7, 0.9, 0.5)}).affected()[DeviceId("e")] == OPENED


def test_states_decide_by_their_surprise_whatever_the_verdict() -> None:
    found = spread(CERTAIN, clues(e=6.0))
    assert found.affected() == {"e": 0, "a": 10 * SECOND, "b": 20 * SECOND, "c": 40 * SECOND}
    sure = {str(name): share for name, share in found.certain().items()}
    assert sure == {"a": 0.95, "b": 0.9, "c": 0.6, "d": 0.0, "e": pytest.approx(1 - np.exp(-6))}


def test_devices_without_signals_are_reached_but_show_no_onset() -> None:
    plant = Influence(graph([*LINE, "hidden"], [*pairwise(LINE), ("b", "hidden")], silent=["hidden"]))
    found = spread(CERTAIN | {"hidden": (0.0, 0.8, 0.9, 0.9)}, plant=plant)
    assert "hidden" not in found.affected()
    assert dict(found.reached()) == {"hidden": None, "a": 10 * SECOND, "b": 20 * SECOND, "c": 40 * SECOND}


def test_the_forecast_goes_on_at_the_pace_at_which_the_fault_came() -> None:
    """From a at 10 s: b after 10 s and one hop, c after 30 s and two: 12.5 s a hop. d is three hops away, e four."""
    listed = spread(AHEAD).forecast(0, Micros(45 * SECOND))
    assert [(ahead.device, ahead.expected, ahead.probability) for ahead in listed] == [
        ("d", 47.5 * SECOND, 0.8),
        ("e", 60 * SECOND, 0.6),
    ]


def test_nothing_is_forecast_for_the_past() -> None:
    listed = spread(AHEAD).forecast(0, Micros(55 * SECOND))
    assert [ahead.expected for ahead in listed] == [55 * SECOND, 60 * SECOND]


def test_nothing_is_forecast_that_influence_does_not_reach_or_that_is_unlikely() -> None:
    assert [ahead.device for ahead in spread(AHEAD).forecast(3, Micros(0))] == ["d", "e"]
    assert [ahead.device for ahead in spread(AHEAD).forecast(4, Micros(0))] == ["e"]
    assert spread(CERTAIN).forecast(0, Micros(0)) == ()
    assert spread(None).forecast(0, Micros(0)) == ()


def test_a_fault_that_has_not_spread_yet_is_expected_everywhere_now() -> None:
    says = {"a": (0.9, 0.9, 0.9, 0.9), "b": (0.0, 0.1, 0.7, 0.7)}
    assert [(ahead.device, ahead.expected) for ahead in spread(says).forecast(0, Micros(12 * SECOND))] == [("b", 12 * SECOND)]


def test_a_forecast_names_so_many_devices_at_most() -> None:
    many = [f"x{number:02}" for number in range(30)]
    plant = Influence(graph([*LINE, *many], [*pairwise(LINE), *(("a", name) for name in many)], silent=many))
    says = CERTAIN | {name: (0.0, 0.1, 0.5 + number / 100, 0.5) for number, name in enumerate(many)}
    listed = spread(says, plant=plant).forecast(0, Micros(0))
    assert [ahead.device for ahead in listed] == many[
        : -MOST_AHEAD - 1 : -1
    ]  # the likeliest of those expected at the same time


def test_a_fault_stays_in_its_part() -> None:
    apart: Topology = graph(LINE, [("a", "b"), ("b", "c"), ("d", "e")])
    influence = Influence(apart)
    says = dict.fromkeys(LINE, (0.2, 0.9, 0.9, 0.9))
    found = {part: Spread(part, OPENED, clues(), influence, verdict(influence, says)) for part in set(influence.part.tolist())}
    assert [set(one.affected()) for one in found.values()] == [{"a", "b", "c"}, {"d", "e"}]
    assert [set(one.reached()) for one in found.values()] == [{"a", "b", "c"}, {"d", "e"}]


def test_where_nothing_is_likely_the_strangest_device_is_affected() -> None:
    seen = clues()
    last = step(60, LINE, 2.0, tail={"b": 9.0, "c": 4.0}, score={"b": 3.0}, shift=dict.fromkeys(LINE, 0.0), sensing=SENSING)
    seen.add(last)
    assert spread({}, seen).affected() == {"b": 60 * SECOND}
