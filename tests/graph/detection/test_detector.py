"""The laws of the detector: causal, independent of batches, restartable bit by bit, finite, and right about simple faults."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.detection.training import train
from graph.topology import Topology
from schemas.device import DeviceId, SignalKind
from schemas.event import ControlAlarm, Disconnected, Event, Severity
from tests.graph.detection.plants import MINUTE, SECOND, SENSORS, Writer, machine, sampled, scored, steps

BIASED = sampled(9, 200, bias=[("sensor-c", 120, 5.0)])
STUCK = machine(9, 12, stuck=True)


def same(one: Sequence[Step], other: Sequence[Step]) -> None:
    assert [step.at for step in one] == [step.at for step in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine.plant == theirs.plant
        assert mine.devices == theirs.devices
        assert mine.shares == theirs.shares
        for name, value in vars(mine).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(theirs, name), err_msg=name)


def boundary(events: Sequence[Event], number: int) -> int:
    """The first event from a number on that is later than the one before it: `close` must not be told of half a moment."""
    return next(at for at in range(number, len(events)) if events[at].stamp.at > events[at - 1].stamp.at)


def case(name: str, request: pytest.FixtureRequest) -> tuple[Model | None, list[Event]]:
    if name == "cold":
        return None, sampled(9, 500, bias=[("sensor-c", 450, 5.0)])
    model: Model = request.getfixturevalue(f"{name}_model")
    return model, STUCK if name == "discrete" else BIASED


CASES = pytest.mark.parametrize("name", ["numeric", "network", "discrete", "cold"])


@CASES
def test_batches_do_not_matter(name: str, request: pytest.FixtureRequest) -> None:
    model, events = case(name, request)
    whole = steps(model, events)
    for every in (10_000,) if name == "cold" else (7, 10_000):
        same(whole, steps(model, events, every=every))


@CASES
def test_what_comes_later_does_not_matter(name: str, request: pytest.FixtureRequest) -> None:
    model, events = case(name, request)
    whole = steps(model, events)
    cut = events[: len(events) * 2 // 3]
    upto = [step for step in whole if step.at < cut[-1].stamp.at]
    same(upto, [step for step in steps(model, cut) if step.at < cut[-1].stamp.at])


@CASES
def test_restored_is_as_never_stopped(name: str, request: pytest.FixtureRequest) -> None:
    model, events = case(name, request)
    whole = steps(model, events)
    for share in (0.3,) if name == "cold" else (0.3, 0.95):
        middle = boundary(events, int(len(events) * share))
        topology, first, second = Topology(), Detector(model), Detector(model)
        before = list(scored(first, topology, events[:middle]))
        second.restore(first.snapshot())
        assert second.snapshot() == first.snapshot()
        same(whole, [*before, *scored(second, topology, events[middle:])])


@CASES
def test_scores_are_finite_and_thresholds_stay(name: str, request: pytest.FixtureRequest) -> None:
    for step in steps(*case(name, request)):
        assert np.isfinite(step.plant)
        assert step.plant_threshold == 1.0
        assert np.isfinite(step.score).all()
        assert (step.threshold == 1.0).all()


def test_one_step_for_each_sampling_time(numeric_model: Model) -> None:
    assert [step.at for step in steps(numeric_model, BIASED)] == [row * MINUTE for row in range(200)]


def test_a_biased_sensor_is_the_strangest(numeric_model: Model) -> None:
    found = steps(numeric_model, BIASED)
    assert not any(step.anomalous for step in found[:120])
    assert found[120].anomalous
    assert found[120].devices[int(np.argmax(found[120].score))] == "sensor-c"


def test_explanations_sum_to_one_and_name_neighbours(numeric_model: Model) -> None:
    explanation = steps(numeric_model, BIASED)[120].explain(DeviceId("sensor-c"))
    signals = sum(part.share for part in explanation.signals)
    assert signals + sum(part.share for part in explanation.neighbours) == pytest.approx(1)
    assert 0 < signals < 1
    assert [signal.name for signal in explanation.signals] == ["value"]
    assert {neighbour.device_id for neighbour in explanation.neighbours} <= set(SENSORS) - {"sensor-c"}


def test_a_stuck_switch_conflicts_with_its_valve(discrete_model: Model) -> None:
    found = steps(discrete_model, STUCK)
    switch = found[0].devices.index(DeviceId("switch"))
    stuck_from = 8 * MINUTE
    assert max(step.conflict[switch] for step in found if step.at < stuck_from) < 1
    conflicting = [step for step in found if step.at >= stuck_from and step.conflict[switch] > 3]
    assert conflicting
    assert conflicting[0].at - stuck_from < 10 * SECOND
    blamed = conflicting[0].explain(DeviceId("switch")).neighbours
    assert [neighbour.device_id for neighbour in blamed] == ["valve"]


def test_a_sensor_that_falls_silent_leaves_scores_finite(numeric_model: Model) -> None:
    events = [event for event in sampled(9, 60) if event.stamp.at < 30 * MINUTE or "sensor-e" not in repr(event.body)]
    last = steps(numeric_model, events)[-1]
    assert last.at == 59 * MINUTE
    assert last.numeric.tolist() == [True, True, True, True, False]
    assert np.isfinite(last.score).all()


def test_an_alarm_that_history_never_saw_is_strange(discrete_model: Model) -> None:
    events = [*machine(9, 2)]
    writer = Writer()
    writer.events = events
    writer.add(2 * MINUTE, ControlAlarm(DeviceId("switch"), "E-17", active=True, severity=Severity.HIGH))
    last = steps(discrete_model, writer.events, until=2 * MINUTE + SECOND)[-1]
    assert last.score[last.devices.index(DeviceId("switch"))] > 1
    assert last.explain(DeviceId("switch")).signals[0].name == "alarm:E-17"


def test_a_device_that_disconnects_is_anomalous_at_once(numeric_model: Model) -> None:
    writer = Writer()
    writer.events = sampled(9, 20)
    writer.add(19 * MINUTE + 1, Disconnected(DeviceId("sensor-b")))
    writer.value(20 * MINUTE, "sensor-a", 0.0)
    last = steps(numeric_model, writer.events)[-1]
    assert last.anomalous
    assert last.gone == {"sensor-b"}
    assert last.score[last.devices.index(DeviceId("sensor-b"))] > 1


def test_untrained_says_nothing_until_it_has_learnt() -> None:
    found = steps(None, sampled(9, 500, bias=[("sensor-c", 450, 5.0)]))
    assert not any(step.anomalous for step in found if step.at < 300 * MINUTE)
    assert found[-1].anomalous


def test_recordings_that_differ_are_learnt_anew_each() -> None:
    def shifted(seed: int, rows: int, bias: float = 0.0) -> list[Event]:
        levels = [(device, 0, float(30 * ((seed * 7 + place * 3) % 5))) for place, device in enumerate(SENSORS)]
        return sampled(seed, rows, bias=[*levels, ("sensor-c", 250, bias)])

    model = train([shifted(seed, 150) for seed in range(6)])
    assert model.numeric is None
    assert model.settle_rows == 150
    found = steps(model, shifted(11, 300, 6.0))
    assert not any(step.anomalous for step in found[:150])
    assert found[250].anomalous
    topology, first, second = Topology(), Detector(model), Detector(model)
    events = shifted(11, 300, 6.0)
    middle = boundary(events, 1300)
    before = list(scored(first, topology, events[:middle]))
    second.restore(first.snapshot())
    same(found, [*before, *scored(second, topology, events[middle:])])


def test_bad_readings_tell_nothing(numeric_model: Model) -> None:
    writer = Writer()
    writer.device("sensor-a", SignalKind.NUMERIC)
    writer.value(0, "sensor-a", float("nan"))
    writer.value(MINUTE, "sensor-a", "broken")
    for step in steps(numeric_model, writer.events):
        assert np.isfinite(step.score).all()
