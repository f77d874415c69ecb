"""The load flow against first principles and a textbook's figures."""

import numpy as np
import pytest

from graph.rehearsal.gridworks import design
from graph.rehearsal.loadflow import Flows, Grid, Schedule, march
from graph.rehearsal.plant import UnsolvableError


def a_grid(ends: list[tuple[int, int]], series: list[complex], buses: int, voltage: float = 1.0) -> Grid:
    start, end = (np.array(column, dtype=np.int64) for column in zip(*ends, strict=True))
    branches = len(ends)
    parts = np.zeros(branches), np.ones(branches), np.zeros(buses, dtype=complex), np.full(branches, np.inf)
    return Grid(start, end, np.array(series), *parts, np.full(buses, voltage), 0)


def one_row(grid: Grid, active: list[float], reactive: list[float], holds: list[bool]) -> Flows:
    alive = np.ones((1, len(grid.start)), dtype=bool)
    plan = Schedule(np.array([active]), np.array([reactive]), np.array([holds]), alive)
    return march(grid, plan, np.zeros(len(active)), protected=False)


def test_the_three_buses_of_saadat() -> None:
    """Power System Analysis, example 6.7: slack at 1.05, loads of 256.6 + j110.2 and 138.6 + j45.2 MVA."""
    grid = a_grid([(0, 1), (0, 2), (1, 2)], [10 - 20j, 10 - 30j, 16 - 32j], 3, voltage=1.05)
    found = one_row(grid, [0, -2.566, -1.386], [0, -1.102, -0.452], [True, False, False])
    volts = found.size[0] * np.exp(1j * found.angle[0])
    assert volts[1] == pytest.approx(0.98 - 0.06j, abs=1e-4)
    assert volts[2] == pytest.approx(1.00 - 0.05j, abs=1e-4)
    assert found.fed[0, 0] == pytest.approx(4.095, abs=1e-3)


def test_a_lossless_line_carries_by_the_sine_of_the_angle() -> None:
    found = one_row(a_grid([(0, 1)], [-5j], 2), [0, -2.0], [0, 0], [True, True])
    assert found.angle[0, 1] == pytest.approx(-np.arcsin(2.0 / 5))
    assert found.power[0, 0] == pytest.approx(2.0)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_power_balances_at_each_bus_of_a_random_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = design(rng, 30)
    factors = rng.uniform(0.7, 1.1, (20, len(made.loads)))
    plan = made.schedule(factors, np.ones((20, len(made.share))), np.ones((20, len(made.grid.start)), dtype=bool))
    found = march(made.grid, plan, made.angle, protected=False)
    others = np.arange(len(made.angle)) != made.grid.slack
    assert np.abs(found.fed - plan.active)[:, others].max() < 1e-5
    assert (found.size[plan.holds] == np.tile(made.grid.voltage, (20, 1))[plan.holds]).all()
    assert (found.fed.sum(axis=1) >= 0).all()


def test_a_grid_that_falls_apart_has_no_load_flow() -> None:
    grid = a_grid([(0, 1), (1, 2)], [1 - 10j, 1 - 10j], 3)
    plan = Schedule(np.array([[0, 0, -0.5]]), np.zeros((1, 3)), np.array([[True, False, False]]), np.array([[True, False]]))
    with pytest.raises(UnsolvableError):
        march(grid, plan, np.zeros(3), protected=False)


def test_protection_switches_a_line_off_that_is_over_its_rating_for_two_rows() -> None:
    grid = a_grid([(0, 1), (0, 1)], [1 - 10j, 1 - 5j], 2)._replace(rating=np.array([0.5, np.inf]))
    rows = 5
    plan = Schedule(
        np.tile([0, -1.0], (rows, 1)), np.zeros((rows, 2)), np.tile([True, False], (rows, 1)), np.ones((rows, 2), dtype=bool)
    )
    found = march(grid, plan, np.zeros(2), protected=True)
    assert (found.power[:2, 0] > 0.5).all()
    assert (found.power[2:, 0] == 0).all()
