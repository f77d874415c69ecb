"""Products of float32 matrices whose last bit does not depend on how many rows are multiplied at once.

A library for matrices (BLAS) picks its order of summation by the shapes, so that a batch of 200 events and 200 single events
differ in their last bits, and then in more of them, since a memory is fed back. Here each element is one chain of fused
multiply-adds over the inner dimension, first to last, whatever the block it is computed in. The instructions are written with
llvmlite because numba's own loops would keep the sums in the cache instead of in registers. A matrix of weights is packed once,
in panels of `PANEL` columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from llvmlite import binding  # type: ignore[import-untyped]
from numpy.typing import NDArray

from graph.nn.instructions import FLOAT, LANES, VECTOR, WORD, Emitter, cgutils, instruction

STRIPS = 2
PANEL = LANES * STRIPS
BYTES = 4
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])
SOURCES = ("instructions", "tiles", "curves", "vectors", "weights", "memory", "rings", "desk", "kernels", "attention", "intake")


def _stamp() -> str:
    """Of all that is compiled here: what is called is compiled into the caller, but numba looks at the caller's file alone."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in SOURCES)).hexdigest()


STAMP = _stamp()


def compiled(function: F) -> F:
    """Compiled by numba at the first call and kept on disk; without fast-math, which would let the order of sums vary.

    Where the package's folder cannot be written to, numba uses the user's cache folder; without one, it is for this process.
    """
    made: Any = numba.njit(error_model="numpy")(function)
    try:
        made.enable_caching()
    except RuntimeError:
        return cast("F", made)
    made._cache._cache_file._source_stamp = STAMP  # noqa: SLF001 - numba has no way to say what else a function is made of
    return cast("F", made)


def _tall_blocks() -> bool:
    """Whether 8 rows of two strips fit the registers: 32 of 64 bytes. Else two rows do."""
    return bool(binding.get_host_cpu_features().get("avx512f", False))


TALL = _tall_blocks()


def pack(weight: Any) -> Floats:
    """A matrix (inner, columns) as panels (ceil(columns / PANEL), inner, PANEL), flat, the last filled up with zeros."""
    inner, columns = weight.shape
    panels = -(-columns // PANEL)
    wide = np.zeros((inner, panels * PANEL), dtype=np.float32)
    wide[:, :columns] = weight
    return np.ascontiguousarray(wide.reshape(inner, panels, PANEL).transpose(1, 0, 2)).reshape(-1)


def padded(columns: int) -> int:
    """How many columns a product has in memory."""
    return -(-columns // PANEL) * PANEL


def _tile(rows: int, strips: int) -> Any:
    """The first strips of one panel of `rows` rows of a product. Strides and addresses are in bytes."""

    def emit(e: Emitter, *, left: Any, left_step: Any, right: Any, bias: Any, inner: Any, out: Any, out_step: Any) -> None:
        builder = e.builder
        lefts = [builder.add(left, builder.mul(left_step, WORD(row))) for row in range(rows)]
        places = [WORD(strip * LANES) for strip in range(strips)]
        sums = [[e.held(e.load(bias, strip)) for strip in places] for _ in range(rows)]
        with cgutils.for_range(builder, inner) as loop:
            line = builder.mul(loop.index, WORD(PANEL))
            columns = [e.load(right, builder.add(line, strip)) for strip in places]
            for row in range(rows):
                factor = e.spread(builder.load(e.place(lefts[row], loop.index), typ=FLOAT))
                for total, column in zip(sums[row], columns, strict=True):
                    e.add(total, factor, column)
        for row in range(rows):
            address = builder.add(out, builder.mul(out_step, WORD(row)))
            for total, strip in zip(sums[row], places, strict=True):
                e.store(builder.load(total, typ=VECTOR), address, strip)

    return instruction(emit)


class Matrix(NamedTuple):
    """What inputs are multiplied with from the right, packed, and what is added, a padded row."""

    inner: int
    columns: int
    width: int
    weights: Floats
    bias: Floats


def matrix(weight: Floats, bias: Floats | None = None) -> Matrix:
    """From torch's layout, a row for each output."""
    columns, inner = weight.shape
    row = np.zeros(padded(columns), dtype=np.float32)
    row[:columns] = 0 if bias is None else bias
    return Matrix(inner, columns, len(row), pack(weight.T), row)


def _panel(strips: int) -> Any:
    """A function for all rows of one panel, in blocks of as many rows as the registers hold."""
    tile_8, tile_4, tile_2, tile_1 = (_tile(rows, strips) for rows in (8, 4, 2, 1))

    def panel(left: int, step: int, weights: int, bias: int, inner: int, out: int, out_step: int, rows: int) -> None:  # noqa: PLR0917
        row = 0
        if TALL:
            while row + 8 <= rows:
                tile_8(left + row * step, step, weights, bias, inner, out + row * out_step, out_step)
                row += 8
            while row + 4 <= rows:
                tile_4(left + row * step, step, weights, bias, inner, out + row * out_step, out_step)
                row += 4
        while row + 2 <= rows:
            tile_2(left + row * step, step, weights, bias, inner, out + row * out_step, out_step)
            row += 2
        if row < rows:
            tile_1(left + row * step, step, weights, bias, inner, out + row * out_step, out_step)

    return compiled(panel)


_whole_panel, _half_panel = _panel(STRIPS), _panel(1)


@compiled
def product(left: Floats, left_at: int, stride: int, rows: int, right: Matrix, out: Floats, out_at: int) -> None:  # noqa: PLR0917
    """`rows` rows of `out` become left @ right + bias. All flat: row r of `left` begins at left_at + r * stride."""
    step, out_step, inner = BYTES * stride, BYTES * right.width, right.inner
    source, sink = left.ctypes.data + BYTES * left_at, out.ctypes.data + BYTES * out_at
    for panel in range(0, right.width, PANEL):
        weights, bias = right.weights.ctypes.data + BYTES * panel * inner, right.bias.ctypes.data + BYTES * panel
        if right.columns - panel > LANES:
            _whole_panel(source, step, weights, bias, inner, sink + BYTES * panel, out_step, rows)
        else:
            _half_panel(source, step, weights, bias, inner, sink + BYTES * panel, out_step, rows)
