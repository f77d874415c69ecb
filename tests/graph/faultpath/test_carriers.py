"""Devices that are gone together: the gateway that carries their data is named, with the edges over which it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.detection.training import train
from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker
from graph.topology import Topology
from schemas.device import DeviceId, Relation
from schemas.event import Event, Linked
from tests.graph.detection.plants import MINUTE, SENSORS, Writer, sampled, scored
from tests.graph.detection.test_silence import muted
from tests.graph.faultpath.plants import SECOND, graph, step

BEHIND = ("a", "b", "c", "d")
PLANT = (*BEHIND, "e", "f", "g")
GATEWAYS = (*(("gw-1", name) for name in BEHIND), *(("gw-2", name) for name in "efg"))


def plant(*more: tuple[str, str]) -> Topology:
    """Two gateways without signals, four devices behind one and three behind the other, which feed each other in a line."""
    carried = (*GATEWAYS, *more)
    silent = sorted({one for one, _ in carried})
    return graph([*PLANT, *silent], list(pairwise(PLANT)), silent=silent, carried=carried)


def gone(*devices: str, second: int = 60, known: Sequence[str] = PLANT) -> Step:
    """A step in which some devices are gone and all others report."""
    alone, score = dict.fromkeys(devices, 4.5), dict.fromkeys(devices, 2.0)
    return step(second, known, 1.5, gone=devices, alone=alone, score=score, shift=dict.fromkeys(set(known) - {*devices}, 0.0))


def told(topology: Topology, *listed: Step) -> FaultState:
    tracker = FaultTracker()
    return [state for each in listed for state in tracker.update(each, topology)][-1]


def test_a_gateway_whose_devices_are_all_gone_is_the_origin() -> None:
    state = told(plant(), gone(*BEHIND))
    assert state.origins[0][0] == "gw-1"
    assert state.origins[0][1] > 0.9
    assert state.affected == tuple((name, 60 * SECOND) for name in BEHIND)
    ways = [(way.source, way.target, way.relation, way.lag) for way in state.path]
    assert ways == [("gw-1", name, Relation.NETWORK, None) for name in BEHIND]


def test_a_gateway_that_is_gone_itself_gives_lags() -> None:
    known = (*PLANT, "gw-1")
    state = told(plant(), gone("gw-1", known=known), gone("gw-1", *BEHIND, second=70, known=known))
    assert state.origins[0][0] == "gw-1"
    assert [(way.source, way.target, way.lag) for way in state.path] == [("gw-1", name, 10 * SECOND) for name in BEHIND]


def test_a_single_device_that_is_gone_is_its_own_origin() -> None:
    state = told(plant(), gone("b"))
    assert state.origins[0][0] == "b"
    assert state.affected == (("b", 60 * SECOND),)
    assert state.path == ()


@pytest.mark.parametrize("devices", [("a", "b", "c"), ("e", "f"), ("a", "b", "e", "f"), ("d",)])
def test_a_gateway_behind_which_many_report_is_not_named(devices: tuple[str, ...]) -> None:
    assert told(plant(), gone(*devices)).origins[0][0] in devices


def test_two_gateways_are_named_before_all_devices_unless_one_switch_carries_both() -> None:
    everybody = told(plant(), gone(*PLANT))
    assert [name for name, _ in everybody.origins[:2]] == ["gw-1", "gw-2"]
    switched = told(plant(("hub", "gw-1"), ("hub", "gw-2")), gone(*PLANT))
    assert switched.origins[0][0] == "hub"
    assert len(switched.path) == len(PLANT) + 2
    one = told(plant(("hub", "gw-1"), ("hub", "gw-2")), gone(*BEHIND))
    assert one.origins[0][0] == "gw-1"
    narrow = told(plant(("hub", "gw-1")), gone(*BEHIND))
    assert narrow.origins[0][0] == "gw-1"


def test_more_others_that_are_gone_speak_against_it() -> None:
    known = (*PLANT, "x", "y", "z")
    topology = graph([*known, "gw-2"], [], silent=["gw-2"], carried=[edge for edge in GATEWAYS if edge[0] == "gw-2"])
    assert told(topology, gone("e", "f", "g", "x", "y", "z", known=known)).origins[0][0] == "gw-2"
    assert told(topology, gone("e", "f", "g", *"xyz", "a", known=known)).origins[0][0] != "gw-2"


def test_devices_without_sampled_signals_count_once_one_of_them_is_gone() -> None:
    """Nobody would know of c and d that they are silent, but if b said goodbye they might have as well."""
    both = dict.fromkeys(("a", "b"), 4.5)
    before = [step(second, PLANT, 0.0, shift={"a": 0.0, "b": 0.0}) for second in range(4)]
    state = told(plant(), *before, step(60, PLANT, 1.5, gone=("a", "b"), alone=both, score=both))
    assert state.origins[0][0] == "gw-1"
    before = [step(second, PLANT, 0.0, shift={"a": 0.0}) for second in range(4)]
    state = told(plant(), *before, step(60, PLANT, 1.5, gone=("a", "b"), alone=both, score=both))
    assert state.origins[0][0] in {"a", "b"}


def test_the_last_that_silent_devices_sent_does_not_lead_elsewhere() -> None:
    held = step(50, PLANT, 2.0, tail={"d": 30.0}, score={"d": 4.0}, conditional={"d": 9.0}, shift=dict.fromkeys(PLANT, 0.0))
    assert told(plant(), held, gone(*BEHIND)).origins[0][0] == "gw-1"


def test_restored_is_as_never_stopped() -> None:
    listed = [gone("a", "b", second=60), gone(*BEHIND, second=70), gone(*BEHIND, second=80), gone("a", second=90)]
    topology = plant()
    for stop in range(1, 4):
        first, whole, second = FaultTracker(), FaultTracker(), FaultTracker()
        for each in listed[:stop]:
            assert first.update(each, topology) == whole.update(each, topology)
        second.restore(first.snapshot())
        assert second.snapshot() == first.snapshot()
        for each in listed[stop:]:
            assert second.update(each, topology) == whole.update(each, topology)


# --- From events ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Model:
    return train([sampled(seed, 400) for seed in range(4)])


def darkened(devices: Sequence[DeviceId], begin: int, end: int) -> list[Event]:
    """Five sensors, three of them behind a gateway, of which some are silent for a while."""
    writer = Writer()
    writer.device("gateway", None, "gateway")
    for device in SENSORS[2:]:
        writer.add(0, Linked(DeviceId("gateway"), device, Relation.NETWORK))
    return [*writer.events, *muted(sampled(9, 120), devices, begin, end)]


def followed(model: Model, events: Sequence[Event]) -> Iterator[FaultState]:
    topology, tracker = Topology(), FaultTracker()
    for each in scored(Detector(model), topology, events):
        yield from tracker.update(each, topology)


def test_a_dark_gateway_is_named_from_events(model: Model) -> None:
    states = list(followed(model, darkened(SENSORS[2:], 30, 50)))
    assert {state.fault_id for state in states} == {states[0].fault_id}
    noticed = [state for state in states if state.updated_at >= 32 * MINUTE]
    assert {state.origins[0][0] for state in noticed} == {"gateway"}
    assert {state.affected for state in noticed} == {tuple((device, 32 * MINUTE) for device in SENSORS[2:])}
    assert {(way.source, way.target) for way in states[-1].path} == {("gateway", device) for device in SENSORS[2:]}
    assert states[-1].closed_at == 56 * MINUTE


def test_a_silent_device_is_named_from_events(model: Model) -> None:
    states = [state for state in followed(model, darkened(SENSORS[2:3], 30, 50)) if state.updated_at >= 32 * MINUTE]
    assert {state.origins[0][0] for state in states} == {SENSORS[2]}
    assert [name for name, _ in states[-1].affected] == [SENSORS[2]]
    assert states[-1].path == ()
