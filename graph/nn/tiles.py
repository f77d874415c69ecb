"""Products of float32 matrices whose last bit does not depend on how many rows are multiplied at once.

A library for matrices (BLAS) picks its order of summation by the shapes, so that a batch of 200 events and 200 single events
differ in their last bits, and then in more of them, since a memory is fed back. Here each element is one chain of fused
multiply-adds over the inner dimension, first to last, whatever the block it is computed in. The instructions are written with
llvmlite because numba's own loops would keep the sums in the cache instead of in registers. A matrix of weights is packed once,
in panels of `PANEL` columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba.core import cgutils as untyped
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 16
STRIPS = 2
PANEL = LANES * STRIPS
cgutils: Any = untyped
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])
SOURCES = ("tiles", "curves", "weights", "memory", "rings", "desk", "kernels", "attention", "intake")


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
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
WORD = ir.IntType(64)


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


def filled(columns: int) -> int:
    """How many numbers whole vectors hold."""
    return -(-columns // LANES) * LANES


class _Emitter:
    """Writes instructions on the arrays that an intrinsic was given, all flat float32."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder = builder
        self.values = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def at(self, data: Any, *offsets: Any) -> Any:
        place = offsets[0]
        for offset in offsets[1:]:
            place = self.builder.add(place, offset)
        return self.builder.gep(data, [place], source_etype=FLOAT)

    def vector(self, pointer: Any) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, VECTOR.as_pointer()), typ=VECTOR, align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, self.builder.bitcast(pointer, VECTOR.as_pointer()), align=4)

    def spread(self, scalar: Any) -> Any:
        lanes = ir.VectorType(ir.IntType(32), LANES)
        single = self.builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(single, ir.Constant(VECTOR, ir.Undefined), ir.Constant(lanes, None))

    def fma(self, left: Any, right: Any, total: Any) -> Any:
        kind, name = (VECTOR, f"llvm.fma.v{LANES}f32") if left.type == VECTOR else (FLOAT, "llvm.fma.f32")
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return self.builder.call(function, [left, right, total])

    def total(self, vector: Any) -> Any:
        """The sum of the lanes, by halves."""
        count = LANES
        while count > 1:
            count //= 2
            low, high = (
                self.builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), count), [*places]))
                for places in (range(count), range(count, 2 * count))
            )
            vector = self.builder.fadd(low, high)
        return self.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    def lanes(self, width: Any) -> Iterator[Any]:
        """The body is written once, for a loop over the first lanes of as many vectors as cover `width` numbers."""
        with cgutils.for_range_slice(self.builder, WORD(0), width, WORD(LANES), inc=True) as (lane, _):
            yield lane

    def place(self, address: Any, lane: Any) -> Any:
        return self.at(self.builder.inttoptr(address, FLOAT.as_pointer()), lane)

    def load(self, address: Any, lane: Any) -> Any:
        return self.vector(self.place(address, lane))

    def add(self, total: Any, left: Any, right: Any) -> None:
        """What is held in `total` grows by left * right."""
        self.builder.store(self.fma(left, right, self.builder.load(total, typ=VECTOR)), total)

    def held(self, value: Any) -> Any:
        """A variable, which the compiler turns into a register."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place


def _tile(rows: int) -> Any:
    """An intrinsic that adds to `rows` rows of one panel of the product what the inner dimension gives."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emitter = _Emitter(context, builder, signature, arguments)
        left, left_at, left_stride, right, right_at, inner, out, out_at, out_stride = emitter.values
        starts = [builder.mul(left_stride, WORD(row)) for row in range(rows)]
        places = [
            emitter.at(out, out_at, builder.mul(out_stride, WORD(row)), WORD(strip * LANES))
            for row in range(rows)
            for strip in range(STRIPS)
        ]
        sums = [emitter.held(emitter.vector(place)) for place in places]
        with cgutils.for_range(builder, inner) as loop:
            line = builder.add(right_at, builder.mul(loop.index, WORD(PANEL)))
            columns = [emitter.vector(emitter.at(right, line, WORD(strip * LANES))) for strip in range(STRIPS)]
            for row in range(rows):
                factor = emitter.spread(builder.load(emitter.at(left, left_at, starts[row], loop.index), typ=FLOAT))
                for strip in range(STRIPS):
                    emitter.add(sums[row * STRIPS + strip], factor, columns[strip])
        for total, place in zip(sums, places, strict=True):
            emitter.store(builder.load(total, typ=VECTOR), place)
        return context.get_dummy_value()

    def tile(  # noqa: PLR0917
        typing: Any,
        left: Any,
        left_at: Any,
        stride: Any,
        right: Any,
        right_at: Any,
        inner: Any,
        out: Any,
        out_at: Any,
        step: Any,
    ) -> Any:
        del typing, left_at, stride, right_at, inner, out_at, step
        whole = types.int64
        return types.void(left, whole, whole, right, whole, whole, out, whole, whole), emit

    return intrinsic(tile)


_tile_8, _tile_4, _tile_2, _tile_1 = _tile(8), _tile(4), _tile(2), _tile(1)


class Matrix(NamedTuple):
    """What inputs are multiplied with from the right, packed, and what is added, a padded row."""

    inner: int
    width: int
    weights: Floats
    bias: Floats


def matrix(weight: Floats, bias: Floats | None = None) -> Matrix:
    """From torch's layout, a row for each output."""
    columns, inner = weight.shape
    row = np.zeros(padded(columns), dtype=np.float32)
    row[:columns] = 0 if bias is None else bias
    return Matrix(inner, len(row), pack(weight.T), row)


@compiled
def product(left: Floats, left_at: int, stride: int, rows: int, right: Matrix, out: Floats, out_at: int) -> None:  # noqa: PLR0917
    """`rows` rows of `out` become left @ right + bias. All flat: row r of `left` begins at left_at + r * stride."""
    inner, width, weights, bias = right
    for row in range(rows):
        for column in range(width):
            out[out_at + row * width + column] = bias[column]
    for panel in range(0, width, PANEL):
        at, to, row = panel * inner, out_at + panel, 0
        if TALL:
            while row + 8 <= rows:
                _tile_8(left, left_at + row * stride, stride, weights, at, inner, out, to + row * width, width)
                row += 8
            while row + 4 <= rows:
                _tile_4(left, left_at + row * stride, stride, weights, at, inner, out, to + row * width, width)
                row += 4
        while row + 2 <= rows:
            _tile_2(left, left_at + row * stride, stride, weights, at, inner, out, to + row * width, width)
            row += 2
        if row < rows:
            _tile_1(left, left_at + row * stride, stride, weights, at, inner, out, to + row * width, width)


def _similarity(  # noqa: PLR0917
    typing: Any, ask: Any, key: Any, edge: Any, width: Any, wanted: Any, age: Any, times: Any
) -> Any:
    """It is ask . (key + edge) + wanted . age.

    Over `width` and `times` numbers; all but those two are addresses. Whole vectors are read: beyond the end, `ask` and
    `wanted` hold zeros and the others something finite.
    """
    del typing, ask, key, edge, width, wanted, age, times
    return types.float32(*[types.int64] * 7), _emit_similarity


def _emit_similarity(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    emitter = _Emitter(context, builder, signature, arguments)
    ask, key, edge, width, wanted, age, times = arguments
    none = ir.Constant(VECTOR, None)
    first, second = emitter.held(none), emitter.held(none)
    for lane in emitter.lanes(width):
        here = emitter.load(ask, lane)
        emitter.add(first, here, emitter.load(key, lane))
        emitter.add(second, here, emitter.load(edge, lane))
    for lane in emitter.lanes(times):
        emitter.add(first, emitter.load(wanted, lane), emitter.load(age, lane))
    total = builder.fadd(builder.load(first, typ=VECTOR), builder.load(second, typ=VECTOR))
    return emitter.total(total)


def _blend(  # noqa: PLR0917
    typing: Any, share: Any, value: Any, edge: Any, width: Any, values: Any, age: Any, times: Any, ages: Any
) -> Any:
    """It does values += share * (value + edge), ages += share * age.

    Over `width` and `times` numbers; all but those and `share` are addresses. Whole vectors are read and written.
    """
    del typing, share, value, edge, width, values, age, times, ages
    return types.void(types.float32, *[types.int64] * 7), _emit_blend


def _emit_blend(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    emitter = _Emitter(context, builder, signature, arguments)
    share, value, edge, width, values, age, times, ages = arguments
    factor = emitter.spread(share)
    for lane in emitter.lanes(width):
        both = builder.fadd(emitter.load(value, lane), emitter.load(edge, lane))
        emitter.store(emitter.fma(factor, both, emitter.load(values, lane)), emitter.place(values, lane))
    for lane in emitter.lanes(times):
        emitter.store(emitter.fma(factor, emitter.load(age, lane), emitter.load(ages, lane)), emitter.place(ages, lane))
    return context.get_dummy_value()


similarity: Any = intrinsic(_similarity)
blend: Any = intrinsic(_blend)
