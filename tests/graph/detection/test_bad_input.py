"""What the world sends by mistake: scores stay finite, and what comes right later is judged as if nothing had been."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.faultpath.tracker import FaultTracker
from graph.nn.finder import GraphFinder
from graph.nn.origins import shipped
from graph.topology import Topology
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Connected, Event, Linked, Micros, SignalValue, Stamp, Telemetry
from tests.graph.detection.plants import MINUTE, SENSORS, Writer, sampled, scored, steps

ROWS = 60
MODELS = pytest.mark.parametrize("name", ["numeric", "network"])


def finite(listed: Sequence[Step]) -> None:
    assert listed
    for step in listed:
        assert np.isfinite(step.plant)
        for name in ("score", "threshold", "alone", "conflict", "conditional", "marginal", "shift", "tail"):
            assert np.isfinite(getattr(step, name)).all(), name


def spoilt(value: SignalValue, *, rows: range = range(30, 35)) -> list[Event]:
    """A plant in which one sensor sends something else for some rows."""
    wrong = {row * MINUTE for row in rows}
    return [
        Event(event.stamp, Telemetry(SENSORS[2], {SignalName("value"): value}))
        if isinstance(event.body, Telemetry) and event.body.device_id == SENSORS[2] and event.stamp.at in wrong
        else event
        for event in sampled(9, ROWS)
    ]


@MODELS
@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300, "offline", True, float(2**53)])
def test_a_value_that_cannot_be_or_is_of_another_kind(name: str, value: SignalValue, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(f"{name}_model")
    listed = steps(model, spoilt(value))
    finite(listed)
    assert any(step.anomalous for step in listed) or isinstance(value, str) or abs(float(value)) < 2
    assert not listed[-1].anomalous, "it lets go when the values are right again"


@MODELS
def test_a_signal_that_never_moves(name: str, request: pytest.FixtureRequest) -> None:
    finite(steps(request.getfixturevalue(f"{name}_model"), spoilt(0.25, rows=range(ROWS))))


@MODELS
@pytest.mark.parametrize("jump", [-40 * 365 * 86_400_000_000, 3 * 86_400_000_000, 20 * 365 * 86_400_000_000])
def test_a_clock_that_jumps(name: str, jump: int, request: pytest.FixtureRequest) -> None:
    """The pipeline hands events on in order, so a clock that jumps back begins a new detector's time early."""
    whole = sampled(9, ROWS, start=50 * 365 * 86_400_000_000)
    later = [Event(replace(event.stamp, at=Micros(event.stamp.at + jump)), event.body) for event in whole[len(whole) // 2 :]]
    events = [*whole[: len(whole) // 2], *later] if jump > 0 else [*later, *whole[: len(whole) // 2]]
    finite(steps(request.getfixturevalue(f"{name}_model"), events))


def test_a_storm_of_births_in_the_middle_of_a_fault(network_model: Model) -> None:
    """Ten thousand devices connect and are linked at once: the fault goes on, and no step is left out."""
    writer = Writer()
    for event in sampled(9, 120, bias=[("sensor-c", 60, 8.0)]):
        writer.events.append(event)
        if event.stamp.at == 80 * MINUTE and len(writer.events) < 5_000:
            for number in range(10_000):
                device = DeviceId(f"born-{number}")
                writer.events.append(_at(event.stamp.at, len(writer.events), Connected(device, "sensor")))
                link = Linked(SENSORS[number % 5], device, Relation.FEEDS)
                writer.events.append(_at(event.stamp.at, len(writer.events), link))
    topology, tracker = Topology(), FaultTracker(GraphFinder(shipped()))
    listed, states = [], []
    for step in scored(Detector(network_model), topology, writer.events):
        listed.append(step)
        states += tracker.update(step, topology)
    finite(listed)
    assert len(listed) == 120
    assert states[-1].origins[0][0] == "sensor-c"
    assert sum(1 for _ in topology.devices()) == 10_005


def _at(at: int, number: int, body: Connected | Linked) -> Event:
    return Event(Stamp(Micros(at), "/storm", 0, number, str(number)), body)


def test_a_device_that_says_another_kind_than_it_declared(network_model: Model) -> None:
    events = sampled(9, ROWS)
    changed = Connected(SENSORS[0], "sensor", signals=())
    events.insert(100, Event(Stamp(events[100].stamp.at, "/test", 0, 10_000, "again"), changed))
    finite(steps(network_model, events))
