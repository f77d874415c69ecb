"""The parts of the detector against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from graph.detection.conditional import Rows, Scale, fit
from graph.detection.layout import Coding, learn_layout
from graph.detection.numeric import smooth
from graph.detection.readings import Recording
from graph.detection.survival import BINS, SECOND, SURPRISE_CAP, Spell, surprise_by_time, surprise_of_new
from graph.detection.thresholds import alarm_threshold, episodes, tails
from graph.topology import Topology
from schemas.device import SignalKind
from tests.graph.detection.plants import MINUTE, Writer, machine, sampled


def test_surprise_of_a_state_that_outlasts_its_time() -> None:
    spells = [SECOND] * 9
    table = surprise_by_time(spells, whole=1000 * SECOND)
    before, after = np.searchsorted(BINS, SECOND) - 1, np.searchsorted(BINS, SECOND) + 1
    assert table[before] == pytest.approx(-np.log(9.5 / 10))
    assert table[after] == pytest.approx(-np.log(0.5 / 10))


def test_what_fills_the_day_is_no_surprise() -> None:
    spells = [SECOND] * 99 + [900 * SECOND]
    late = int(np.searchsorted(BINS, 100 * SECOND))
    assert surprise_by_time(spells, whole=999 * SECOND)[late] == pytest.approx(-np.log((900 - BINS[late] / 1e6 + 1) / 1000))


def test_surprise_of_new_states() -> None:
    spells = [Spell(0, 5, run) for run in range(8)] + [Spell(1, 5, 3)]
    assert surprise_of_new(spells, 8) == pytest.approx(-np.log(2 / 10))
    assert surprise_of_new([], 10_000) == SURPRISE_CAP


def test_tails_begin_where_two_in_a_hundred_lie_beyond() -> None:
    values = np.arange(101.0)[:, None]
    start, excess = tails(values)
    assert start.tolist() == [98.0]
    assert excess.tolist() == [1.5]


def test_a_pause_does_not_end_an_alarm() -> None:
    score = np.array([0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0.0])
    assert episodes([score], 1.0) == 2


def test_threshold_allows_so_many_alarms() -> None:
    score = np.zeros(2000)
    score[100::200] = np.arange(1.0, 11.0)
    assert alarm_threshold([score], days=4.0, recordings=1) == 8.0
    assert alarm_threshold([score], days=0.1, recordings=1) == pytest.approx(10.5)


def test_a_large_level_is_let_go_when_the_deviation_is_over() -> None:
    level = np.array([5.0, 0.5])
    np.testing.assert_allclose(smooth(level, np.array([0.0, 0.0])), [2.5, 0.4])


def test_residual_of_a_signal_is_what_the_others_do_not_explain() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=5000)
    rows = Rows(np.arange(5000, dtype=np.int64) * MINUTE, np.stack([one, 2 * one + 0.1 * rng.normal(size=5000)], axis=1))
    scale = Scale.learn([rows])
    linear = fit([rows], scale)
    features = np.concatenate(scale.features(rows), axis=1)
    residuals = linear.many(features)
    np.testing.assert_allclose(residuals[7], linear.residuals(features[7]), atol=1e-12)
    assert residuals[:, 0, 1].std() < 0.15 < residuals[:, 1, 1].std()


def test_many_signals_are_predicted_from_those_that_correlate() -> None:
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(300, 90))
    values = np.repeat(waves, 5, axis=1) + 0.1 * rng.normal(size=(300, 450))
    rows = Rows(np.arange(300, dtype=np.int64) * MINUTE, values)
    scale = Scale.learn([rows])
    linear = fit([rows], scale)
    assert linear.index is not None
    features = np.concatenate(scale.features(rows), axis=1)
    assert np.abs(linear.many(features[:50])[:, 0]).mean() < 0.2
    weights, places = linear.row(17)
    assert weights[places == 17] == pytest.approx(1.0)


def test_the_step_is_learnt_and_late_samples_get_half_a_step() -> None:
    topology = Topology()
    punctual = learn_layout([Recording.of(sampled(1, 50), topology)], topology)
    assert (punctual.step, punctual.slack, punctual.aligned) == (MINUTE, 0, False)
    rng = np.random.default_rng(0)
    writer = Writer()
    writer.device("late", SignalKind.NUMERIC)
    for row in range(100):
        writer.value(row * MINUTE + int(rng.integers(0, 5_000_000)), "late", float(row))
    jittered = learn_layout([Recording.of(writer.events, topology)], topology)
    assert jittered.slack == jittered.step // 2


def test_what_reports_changes_is_a_state() -> None:
    topology = Topology()
    layout = learn_layout([Recording.of(machine(1, 30), topology)], topology)
    assert layout.sampled == ()
    assert layout.states == (("switch", "value"), ("valve", "value"))
    assert layout.codings == (Coding("labels", labels=("0", "1")),) * 2


def test_values_become_states() -> None:
    bins = Coding("bins", edges=(0.0, 1.0, 2.0))
    assert [bins.code(value) for value in (-1.0, 0.0, 1.5, 2.0, "x")] == [-1, 1, 2, -1, -1]
    assert bins.size == 3
    assert Coding("ticks").code(17.0) == 0
