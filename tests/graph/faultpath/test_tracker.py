"""Faults on small graphs: where they began, what they affect, which way they went, and when they end."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from graph.detection.evidence import Step
from graph.faultpath.clues import MOST_ROWS, Clues
from graph.faultpath.paths import FADES
from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker
from graph.topology import Topology
from schemas.finding import Fault
from tests.graph.faultpath.plants import SECOND, Oracle, graph, restless, shown, step

CHAIN = ("root", "pump", "valve", "meter", "other")
LINKS = (("root", "pump"), ("pump", "valve"), ("valve", "meter"))
SEEN = ("meter", "other", "pump", "valve")


def follow(tracker: FaultTracker, topology: Topology, listed: list[Step]) -> list[FaultState]:
    return [state for each in listed for state in tracker.update(each, topology)]


def spreading() -> list[Step]:
    """The pump is strange first, the valve ten seconds later, the meter after twenty; quiet from second 60 on."""
    listed = []
    for second in range(0, 120, 5):
        alone = {name: 6.0 for name, begins in (("pump", 10), ("valve", 20), ("meter", 30)) if begins <= second < 60}
        score = {name: nats / 4 for name, nats in alone.items()}
        listed.append(step(second, SEEN, 2.0 if alone else 0.0, alone=alone, score=score))
    return listed


def test_a_fault_opens_spreads_and_closes() -> None:
    states = follow(FaultTracker(), graph(CHAIN, LINKS, silent=["root"]), spreading())
    assert {state.fault_id for state in states} == {states[0].fault_id}
    assert states[0].opened_at == 10 * SECOND
    assert [name for name, _ in states[0].affected] == ["pump"]
    last = states[-1]
    assert last.closed_at == last.updated_at == 90 * SECOND
    assert all(state.closed_at is None for state in states[:-1])
    assert last.affected == (("pump", 10 * SECOND), ("valve", 20 * SECOND), ("meter", 30 * SECOND))
    assert last.origins[0][0] == "pump"
    assert [(way.source, way.target, way.lag) for way in last.path] == [
        ("pump", "valve", 10 * SECOND),
        ("valve", "meter", 10 * SECOND),
    ]


def test_origins_are_a_sorted_distribution_over_the_whole_plant() -> None:
    for state in follow(FaultTracker(), graph(CHAIN, LINKS, silent=["root"]), spreading()):
        shares = [probability for _, probability in state.origins]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-9
        assert {name for name, _ in state.origins} == set(CHAIN)
        assert all(0 <= way.probability <= 1 for way in state.path)


def test_a_cause_that_is_not_watched_can_be_the_origin() -> None:
    devices = ("hub", "one", "two", "three")
    topology = graph(devices, [("hub", name) for name in devices[1:]], silent=["hub"])
    alone = dict.fromkeys(devices[1:], 6.0)
    listed = [step(second, ("one", "three", "two"), 3.0, alone=alone, score=alone) for second in range(5)]
    last = follow(FaultTracker(), topology, listed)[-1]
    assert last.origins[0][0] == "hub"
    assert {(way.source, way.target) for way in last.path} == {("hub", name) for name in devices[1:]}
    assert {way.lag for way in last.path} == {None}


def test_a_wrong_sensor_affects_only_itself() -> None:
    devices = [f"s{number}" for number in range(6)]
    topology = graph(devices, list(pairwise(devices)), directed=False)
    quiet = [step(second, devices, 0.0, shift=dict.fromkeys(devices, 0.0)) for second in range(10)]
    odd = [
        step(
            second,
            devices,
            5.0,
            score={"s2": 4.0, "s1": 1.2, "s3": 1.2},
            tail={"s2": 40.0, "s1": 6.0, "s3": 6.0},
            conditional={"s2": 9.0, "s1": 3.0, "s3": 3.0},
            shift=dict.fromkeys(devices, 0.1) | {"s2": 8.0},
        )
        for second in range(10, 20)
    ]
    last = follow(FaultTracker(), topology, [*quiet, *odd])[-1]
    assert last.origins[0][0] == "s2"
    assert [name for name, _ in last.affected] == ["s2"]
    assert last.path == ()


def test_faults_in_parts_that_nothing_joins_are_two() -> None:
    devices = ("a1", "a2", "b1", "b2")
    topology = graph(devices, [("a1", "a2"), ("b1", "b2")])
    listed = [step(second, devices, 3.0, alone={"a1": 6.0, "b2": 7.0}, score={"a1": 1.5, "b2": 1.7}) for second in range(3)]
    states = follow(FaultTracker(), topology, listed)
    assert {tuple(name for name, _ in state.affected) for state in states} == {("a1",), ("b2",)}
    assert len({state.fault_id for state in states}) == 2


def test_updates_become_rare() -> None:
    topology = graph(("a", "b"), [("a", "b")])
    listed = [step(second, ("a", "b"), 3.0, alone={"a": 6.0}, score={"a": 1.5}) for second in range(240)]
    assert len(follow(FaultTracker(), topology, listed)) == 24 + 36


@pytest.mark.parametrize("stop", [1, 5, 9, 14])
def test_restored_is_as_never_stopped(stop: int) -> None:
    topology = graph(CHAIN, LINKS, silent=["root"])
    whole = follow(FaultTracker(), topology, spreading())
    first, second = FaultTracker(), FaultTracker()
    before = follow(first, topology, spreading()[:stop])
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    assert [*before, *follow(second, topology, spreading()[stop:])] == whole


def test_the_finding_is_what_the_contract_says() -> None:
    state = follow(FaultTracker(), graph(CHAIN, LINKS, silent=["root"]), spreading())[-1]
    finding = state.finding()
    assert isinstance(finding, Fault)
    assert (finding.opened_at, finding.closed_at) == ("1970-01-01T00:00:10Z", "1970-01-01T00:01:30Z")
    assert finding.path[0].lag_seconds == 10.0


def test_devices_may_come_and_go_while_a_fault_is_open() -> None:
    topology = graph(CHAIN, LINKS, silent=["root"])
    tracker = FaultTracker()
    follow(tracker, topology, spreading()[:4])
    few = step(25, ("pump", "valve"), 2.0, alone={"pump": 6.0}, score={"pump": 1.5})
    last = tracker.update(few, topology)[-1]
    assert last.affected[0] == ("pump", 10 * SECOND)


def test_a_device_that_the_plant_does_not_have_is_never_named() -> None:
    devices = ("a", "b", "ghost")
    topology = graph(devices[:2], [("a", "b")])
    odd = step(0, devices, 3.0, alone={"a": 6.0, "ghost": 8.0}, score={"a": 1.5, "ghost": 2.0})
    states = FaultTracker().update(odd, topology)
    assert [state.affected for state in states] == [(("a", 0),)]
    assert {name for state in states for name, _ in state.origins} == {"a", "b"}


# --- With a finder ------------------------------------------------------------------------------------------------------------

LINE = ("a", "b", "c", "d")
SENSING = restless(*((name, "value") for name in LINE))


def shifting() -> list[Step]:
    """Quiet for 100 s; then a leaves its level, ten seconds later b; quiet again from second 160 on."""
    listed = []
    for second in range(0, 250, 10):
        odd = {name: 8.0 for name, begins in (("a", 100), ("b", 110)) if begins <= second < 160}
        strange = dict.fromkeys(odd, 20.0)
        shift = dict.fromkeys(LINE, 0.0) | odd
        plant = 2.0 if odd else 0.0
        listed.append(step(second, LINE, plant, score=odd, tail=strange, conditional=odd, shift=shift, sensing=SENSING))
    return listed


SAYS = {
    "hidden": (0.7, 0.8, 0.9, 0.9),
    "a": (0.2, 0.9, 0.95, 0.9),
    "b": (0.1, 0.6, 0.9, 0.8),
    "c": (0.0, 0.2, 0.7, 0.6),
    "d": (0.0, 0.1, 0.3, 0.2),
}


def hidden() -> Topology:
    return graph(["hidden", *LINE], [("hidden", "a"), *pairwise(LINE)], silent=["hidden"])


def test_a_finder_says_where_what_and_what_next() -> None:
    states = follow(FaultTracker(Oracle(SAYS)), hidden(), shifting())
    told = next(state for state in states if state.updated_at == 150 * SECOND)
    assert told.origins == (("hidden", 0.7), ("a", 0.2), ("b", 0.1), ("c", 0.0), ("d", 0.0))
    assert told.affected == (("a", 100 * SECOND), ("b", 110 * SECOND))
    assert [(way.source, way.target, way.lag) for way in told.path] == [("hidden", "a", None), ("a", "b", 10 * SECOND)]
    assert [way.probability for way in told.path] == pytest.approx([0.9 * FADES, 0.6 * FADES**2])
    assert [(ahead.device, ahead.probability) for ahead in told.forecast] == [("c", 0.7)]
    assert all(ahead.expected >= state.updated_at for state in states for ahead in state.forecast)


def test_a_closed_fault_has_no_forecast() -> None:
    states = follow(FaultTracker(Oracle(SAYS)), hidden(), shifting())
    assert states[-1].closed_at is not None
    assert states[-1].forecast == ()
    assert [bool(state.forecast) for state in states[:-1]] == [True] * (len(states) - 1)
    assert states[-1].finding().forecast == ()
    first = states[0].finding().forecast[0]
    assert (first.device_id, first.probability) == ("c", 0.7)
    assert first.expected_at.endswith("Z")


def test_a_finder_that_says_nothing_is_as_none() -> None:
    assert follow(FaultTracker(Oracle(SAYS, silent=True)), hidden(), shifting()) == follow(FaultTracker(), hidden(), shifting())


def test_without_a_finder_a_walk_ranks_the_origins_and_nothing_is_forecast() -> None:
    states = follow(FaultTracker(), hidden(), shifting())
    assert {state.origins[0][0] for state in states} <= {"hidden", "a"}
    assert {state.forecast for state in states} == {()}
    assert [name for name, _ in states[-1].affected] == ["a", "b"]


def test_a_device_that_the_plant_does_not_have_is_never_named_by_a_finder() -> None:
    gone = graph(LINE[1:], list(pairwise(LINE[1:])))
    for state in follow(FaultTracker(Oracle(SAYS)), gone, shifting()):
        named = {name for name, _ in (*state.origins, *state.affected)}
        assert named <= set(LINE[1:])
        assert {way.source for way in state.path} <= set(LINE[1:])


@pytest.mark.parametrize("stop", [1, 11, 13, 17])
def test_restored_with_a_finder_is_as_never_stopped(stop: int) -> None:
    whole = follow(FaultTracker(Oracle(SAYS)), hidden(), shifting())
    first, second = FaultTracker(Oracle(SAYS)), FaultTracker(Oracle(SAYS))
    before = follow(first, hidden(), shifting()[:stop])
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    assert [*before, *follow(second, hidden(), shifting()[stop:])] == whole


def test_a_packed_step_has_all_but_what_comes_with_the_next() -> None:
    one = shifting()[12]
    other = Step.unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(one.packed())))
    assert other.sensing is None
    for name, value in vars(one).items():
        if name != "sensing":
            assert np.array_equal(getattr(other, name), value)


def test_packed_clues_have_all() -> None:
    clues, _ = shown(SENSING, {"a": 8.0, "b": -3.0}, rows=2)
    other = Clues.unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(clues.packed())))
    assert (clues.rows.shape, clues.opened, clues.steps) == ((5, 4), 3, 2)
    for name in clues.__struct_fields__:
        assert np.array_equal(getattr(other, name), getattr(clues, name))


def test_clues_keep_so_many_rows_and_begin_anew_with_other_signals() -> None:
    clues, last = shown(SENSING, {"a": 8.0}, rows=2 * MOST_ROWS)
    assert clues.rows.shape == (MOST_ROWS, 4)
    assert clues.opened == 3
    more = restless(*SENSING.columns, ("a", "other"))
    clues.add(step(500, LINE, 2.0, shift={"a": 8.0}, sensing=more))
    assert clues.rows.shape == (1, 5)
    assert clues.opened == 0
    assert last.shifts.tolist() == [8.0, 0.0, 0.0, 0.0]
