"""What the temporal graph computes with: products whose bits do not depend on the block, and curves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.nn.curves import cosine, exponential, logistic, tangent
from graph.nn.tiles import compiled, matrix, product


@pytest.mark.parametrize(("inner", "columns"), [(1, 1), (7, 33), (100, 64), (50, 100)])
def test_a_product_is_right_and_the_same_for_any_number_of_rows(inner: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    left, weight = rng.normal(size=(29, inner)).astype(np.float32), rng.normal(size=(columns, inner)).astype(np.float32)
    bias = rng.normal(size=columns).astype(np.float32)
    by = matrix(weight, bias)
    whole, single = np.zeros((29, by.width), dtype=np.float32), np.zeros((29, by.width), dtype=np.float32)
    product(left.reshape(-1), 0, inner, 29, by, whole.reshape(-1), 0)
    for row in range(29):
        product(left.reshape(-1), row * inner, inner, 1, by, single.reshape(-1), row * by.width)
    assert whole.tobytes() == single.tobytes()
    np.testing.assert_allclose(whole[:, :columns], left.astype(np.float64) @ weight.T + bias, atol=1e-4)
    assert not whole[:, columns:].any()


@compiled
def curves(x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for place in range(len(x)):
        out[0, place] = exponential(x[place])
        out[1, place] = logistic(x[place])
        out[2, place] = tangent(x[place])


@compiled
def cosines(turns: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    for place in range(len(turns)):
        out[place] = cosine(turns[place])


def test_curves_are_right_to_the_last_digits() -> None:
    x = np.linspace(-87, 87, 100_001).astype(np.float32)
    out = np.zeros((3, len(x)), dtype=np.float32)
    curves(x, out)
    exact = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(out[0], exact, rtol=2e-7)
    np.testing.assert_allclose(out[1], 1 / (1 + 1 / exact), atol=1.5e-7)
    np.testing.assert_allclose(out[2], np.tanh(x.astype(np.float64)), atol=2e-7)


def test_curves_stay_finite_far_out() -> None:
    x = np.array([-1e30, -1000, 1000, 1e30], dtype=np.float32)
    out = np.zeros((3, 4), dtype=np.float32)
    curves(x, out)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[2], [-1, -1, 1, 1])


def test_cosines_are_right_up_to_thirty_years_of_radians() -> None:
    turns = np.concatenate([np.linspace(-3, 3, 60_001), np.random.default_rng(1).uniform(0, 2e8, 60_000)])
    out = np.zeros(len(turns), dtype=np.float32)
    cosines(turns, out)
    np.testing.assert_allclose(out, np.cos(2 * np.pi * (turns % 1)), atol=3e-7)
