"""What the temporal graph computes with: products whose bits do not depend on the block, and curves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.nn.tiles import compiled, matrix, product
from graph.nn.vectors import encode_row, gate, raise_row


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
def _raised(x: NDArray[np.float32], level: float) -> None:
    raise_row(x.ctypes.data, np.float32(level), len(x))


@compiled
def _gated(parts: NDArray[np.float32], out: NDArray[np.float32], count: int) -> None:
    nothing = parts.ctypes.data + 16 * count
    gate(parts.ctypes.data, nothing, nothing, nothing, nothing, out.ctypes.data, count)


@compiled
def _encoded(turns: NDArray[np.float64], start: NDArray[np.float64], gap: float, out: NDArray[np.float32]) -> None:
    encode_row(turns.ctypes.data, start.ctypes.data, gap, out.ctypes.data, len(turns))


def test_exponentials_are_right_to_the_last_digits() -> None:
    x = np.linspace(-87, 87, 1 << 16).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    _raised(x, 0.0)
    np.testing.assert_allclose(x, exact, rtol=3e-7)


def test_a_gate_is_right_and_stays_finite_far_out() -> None:
    """Without other inputs and memory: (1 - logistic(update)) * tanh(new + logistic(reset) * hidden)."""
    count = 1 << 12
    parts = np.zeros((7, count), dtype=np.float32)
    parts[:4] = np.random.default_rng(2).normal(size=(4, count)) * np.array([[5], [5], [2], [2]])
    parts[:4, :4] = [[1e30, -1e30, 1000, -1000]] * 4
    out = np.zeros(count, dtype=np.float32)
    _gated(parts.reshape(-1), out, count)
    with np.errstate(over="ignore"):
        reset, update = 1 / (1 + np.exp(-parts[:2].astype(np.float64)))
    exact = (1 - update) * np.tanh(parts[2] + reset * parts[3])
    np.testing.assert_allclose(out, exact, atol=5e-7)


def test_cosines_are_right_up_to_thirty_years_of_radians() -> None:
    turns = np.concatenate([np.linspace(-3, 3, 60_000), np.random.default_rng(1).uniform(0, 2e8, 60_000)])
    out = np.zeros(len(turns), dtype=np.float32)
    _encoded(turns, np.zeros(len(turns)), 1.0, out)
    np.testing.assert_allclose(out, np.cos(2 * np.pi * (turns % 1)), atol=3e-7)
