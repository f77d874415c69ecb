"""Devices that stop sending: when that is noticed, what it says, when it ends, and when it is usual."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
import pytest

from graph.detection.conditional import Rows, Scale, fit
from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.detection.silence import usual
from graph.detection.training import train
from graph.topology import Topology
from schemas.device import DeviceId, SignalName
from schemas.event import Disconnected, Event, Quality, Telemetry
from tests.graph.detection.plants import MINUTE, SENSORS, Writer, sampled, scored, steps
from tests.graph.detection.test_detector import boundary, same

LAST = SENSORS[-1]
LENGTH = 70


def muted(events: Sequence[Event], devices: Container[str], begin: int, end: int = 10_000) -> list[Event]:
    """The events but for the values of some devices from a minute on, before another."""
    minutes = range(begin, end)
    return [
        event
        for event in events
        if not isinstance(event.body, Telemetry)
        or event.body.device_id not in devices
        or event.stamp.at // MINUTE not in minutes
    ]


def absent(found: Sequence[Step]) -> dict[int, set[DeviceId]]:
    """Who is gone at each minute at which somebody is."""
    return {step.at // MINUTE: set(step.gone) for step in found if step.gone}


def test_a_device_that_falls_silent_is_gone_after_three_steps_and_alarms_for_half_an_hour(numeric_model: Model) -> None:
    found = steps(numeric_model, muted(sampled(9, LENGTH), {LAST}, 30))
    assert absent(found) == {minute: {LAST} for minute in range(32, LENGTH)}
    assert all(step.anomalous for step in found[32:63])
    assert not any(step.anomalous for step in found[63:])
    place = found[0].devices.index(LAST)
    assert {float(step.score[place]) for step in found[32:]} == {2.0}
    assert {float(step.alone[place]) for step in found[32:63]} == {4.5}


def test_nobody_else_becomes_strange(numeric_model: Model) -> None:
    for silent in (SENSORS[:1], SENSORS[1:4], SENSORS[:4]):
        others = [place for place, device in enumerate(SENSORS) if device not in silent]
        found = steps(numeric_model, muted(sampled(9, LENGTH), silent, 30))
        assert max(float(step.score[others].max()) for step in found[32:]) < 1
        assert not any(step.anomalous for step in found[63:])


def test_coming_back_ends_it(numeric_model: Model) -> None:
    found = steps(numeric_model, muted(sampled(9, LENGTH), {LAST}, 30, 40))
    assert absent(found) == {minute: {LAST} for minute in range(32, 40)}
    assert not any(step.anomalous for step in found[40:])


def test_a_device_that_was_never_heard_is_not_silent(numeric_model: Model) -> None:
    assert absent(steps(numeric_model, muted(sampled(9, 60), {LAST}, 0))) == {}


def test_a_pause_of_all_is_no_silence_of_the_one_that_comes_back_last(numeric_model: Model) -> None:
    events = muted(muted(sampled(9, 60), SENSORS, 20, 40), {LAST}, 40, 42)
    assert absent(steps(numeric_model, events)) == {}


def test_a_value_that_is_called_bad_is_a_sign_of_life(numeric_model: Model) -> None:
    writer = Writer()
    writer.events = muted(sampled(9, 30), {LAST}, 20)
    for minute in range(30, 40):
        writer.add(minute * MINUTE, Telemetry(LAST, {SignalName("value"): 0.0}, quality=Quality.BAD))
        writer.value(minute * MINUTE, SENSORS[0], 0.0)
    assert absent(steps(numeric_model, writer.events)) == {minute: {LAST} for minute in range(22, 30)} | {
        minute: set(SENSORS[1:4]) for minute in range(32, 40)
    }


def test_a_device_that_said_goodbye_is_not_missed_again(numeric_model: Model) -> None:
    writer = Writer()
    writer.events = sampled(9, 30)
    writer.add(29 * MINUTE + 1, Disconnected(LAST))
    later = [event for event in muted(sampled(9, LENGTH), {LAST}, 30) if event.stamp.at >= 30 * MINUTE]
    found = steps(numeric_model, [*writer.events, *later])
    assert absent(found) == {minute: {LAST} for minute in range(30, LENGTH)}
    assert all(step.anomalous for step in found[30:60])
    assert not any(step.anomalous for step in found[60:])


def test_silences_that_history_has_are_no_evidence() -> None:
    history = [muted(muted(sampled(seed, 400), {LAST}, 100, 110), {LAST}, 300, 310) for seed in range(4)]
    model = train(history)
    assert dict(model.figures.silences_per_day or {}) == {LAST: pytest.approx(8 / (4 * 399 / 1440))}
    found = steps(model, muted(sampled(9, 60), {LAST, SENSORS[0]}, 30))
    assert absent(found) == {minute: {SENSORS[0]} for minute in range(32, 60)}
    assert not any(step.anomalous for step in steps(model, muted(sampled(9, 60), {LAST}, 30)))


def test_history_without_silences_leaves_the_figures_as_they_were(numeric_model: Model) -> None:
    assert not numeric_model.figures.silences_per_day


def test_the_most_often_silent_are_usual_until_the_others_are_few() -> None:
    assert usual({}, 0.7) == frozenset()
    assert usual({"a": 0.3, "b": 0.4}, 0.7) == frozenset()
    assert usual({"a": 0.3, "b": 9.0, "c": 0.4}, 0.7) == {"b"}
    assert usual({"a": 0.4, "b": 0.4}, 0.7) == {"b"}


def test_an_untrained_detector_misses_them_too() -> None:
    found = steps(None, muted(sampled(9, 500), {LAST}, 450))
    assert absent(found) == {minute: {LAST} for minute in range(452, 500)}
    assert found[452].anomalous


@pytest.mark.parametrize("minute", [29, 31, 32, 35, 41])
def test_restored_is_as_never_stopped(numeric_model: Model, minute: int) -> None:
    events = muted(sampled(9, 60), {LAST, SENSORS[1]}, 30, 40)
    whole = steps(numeric_model, events)
    middle = boundary(events, next(place for place, event in enumerate(events) if event.stamp.at >= minute * MINUTE))
    topology, first, second = Topology(), Detector(numeric_model), Detector(numeric_model)
    before = list(scored(first, topology, events[:middle]))
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    same(whole, [*before, *scored(second, topology, events[middle:])])
    same(whole, steps(numeric_model, events, every=10_000))


@pytest.mark.parametrize("columns", [6, 450])
def test_what_is_missing_stands_where_all_others_expect_it(columns: int) -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(600, columns // 3)), 3, axis=1) + 0.1 * rng.normal(size=(600, columns))
    rows = Rows(np.arange(600, dtype=np.int64) * MINUTE, values)
    scale = Scale.learn([rows])
    linear = fit([rows], scale)
    features = np.concatenate(scale.features(rows), axis=1)[300]
    missing = np.array([1, 4])
    spoilt = features.copy()
    spoilt[missing] = 0.0
    completed = linear.completed(spoilt, missing)
    np.testing.assert_array_equal(np.delete(completed, missing), np.delete(features, missing))
    np.testing.assert_allclose(linear.residuals(completed)[0, missing], 0.0, atol=1e-9)
    np.testing.assert_allclose(completed[missing], features[missing], atol=0.6)
    assert np.abs(linear.residuals(completed)[0, [0, 2]]).max() < 0.3
