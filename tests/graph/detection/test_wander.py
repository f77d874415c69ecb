"""How signals wander, on series whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from graph.detection.wander import HORIZON, LAGS, LEAST_LEFT, MOST_LASTING, Floats, Wander


def wandering(seed: int, rows: int, stays: float, columns: int = 1) -> Floats:
    """An AR(1) process of variance 1: a share `stays` of each deviation is left after a step."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=columns)]
    for _ in range(rows - 1):
        values.append(stays * values[-1] + np.sqrt(1 - stays**2) * rng.normal(size=columns))
    return np.array(values)


def test_what_is_left_of_a_deviation_falls_as_its_process_says() -> None:
    found = Wander.learn([wandering(1, 40_000, 0.9)], np.array([2.5]))
    assert found.lasting.shape == (LAGS + 1, 1)
    assert found.lasting[0, 0] == MOST_LASTING
    assert found.lasting[[1, 2, 5, 20], 0] == pytest.approx([0.9, 0.81, 0.59049, 0.121577], abs=0.03)
    assert found.rough == pytest.approx(np.sqrt(2 * 0.1), abs=0.01)
    assert found.size.tolist() == [2.5]


def test_what_alternates_leaves_nothing() -> None:
    alternating = np.array([[1.0], [-1.0]] * 50)
    found = Wander.learn([alternating], np.ones(1))
    assert found.lasting[1:4, 0].tolist() == [0.0, MOST_LASTING, 0.0]
    assert found.rough.tolist() == [2.0]


def test_blocks_are_not_joined() -> None:
    """One signal stands at +1 in one recording and at -1 in the other: between them nothing is learnt."""
    found = Wander.learn([np.ones((10, 1)), -np.ones((10, 1))], np.ones(1))
    assert found.lasting[:10, 0].tolist() == [MOST_LASTING] * 10
    assert found.lasting[10:, 0].tolist() == [0.0] * (LAGS - 9)
    assert found.rough.tolist() == [1e-6]


def test_departures_of_a_step_that_stays() -> None:
    """Half of a deviation is left after a step: of 2 spreads 1 was to be expected, then a half, then a quarter."""
    halves = np.array([0.5**lag for lag in range(LAGS + 1)])[:, None]
    found = Wander(halves, np.ones(1), np.ones(1), np.eye(1)).departures(np.full((3, 1), 4.0), np.array([2.0]))
    expected = [(4 - 2 * left) / np.sqrt(1 - left**2 + LEAST_LEFT) for left in (0.5, 0.25, 0.125)]
    assert found[:, 0].tolist() == pytest.approx(expected)


def test_no_departure_where_all_went_as_expected() -> None:
    lasting = np.array([0.9**lag for lag in range(LAGS + 1)])[:, None]
    rows = 3.0 * np.array([[0.9], [0.81], [0.729]])
    found = Wander(lasting, np.ones(1), np.ones(1), np.eye(1)).departures(rows, np.array([3.0]))
    assert found == pytest.approx(np.zeros((3, 1)), abs=1e-12)


def test_a_long_fault_is_judged_by_the_longest_lag_known() -> None:
    found = Wander.learn([wandering(1, 500, 0.5, 2)], np.ones(2)).departures(np.ones((LAGS + 20, 2)), np.zeros(2))
    assert np.isfinite(found).all()
    assert (found[LAGS - 1 :] == found[-1]).all()


def test_signals_that_wander_together_are_told() -> None:
    values = wandering(3, 20_000, 0.8, 3)
    pair = np.stack([values[:, 0], -values[:, 0], values[:, 1], 0.6 * values[:, 0] + 0.8 * values[:, 2]], axis=1)
    together = Wander.learn([pair], np.ones(4)).together
    expected = [[1, -1, 0, 0.6], [-1, 1, 0, -0.6], [0, 0, 1, 0], [0.6, -0.6, 0, 1]]
    assert together == pytest.approx(np.array(expected), abs=0.08)


@pytest.mark.parametrize("rows", [1, 2, HORIZON, HORIZON + 2])
def test_little_history_and_constants_give_numbers(rows: int) -> None:
    found = Wander.learn([np.zeros((rows, 2))], np.ones(2))
    for part in (found.lasting, found.rough, found.together, found.departures(np.ones((4, 2)), np.zeros(2))):
        assert np.isfinite(part).all()
    assert found.together.tolist() == np.eye(2).tolist()
