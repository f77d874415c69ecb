"""Faults on small graphs: where they began, what they affect, which way they went, and when they end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from graph.detection import Step
from graph.faultpath import FaultState, FaultTracker
from graph.topology import Topology
from schemas.finding import Fault
from tests.graph.faultpath.plants import SECOND, graph, step

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
