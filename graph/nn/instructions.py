"""Instructions for vectors, written with llvmlite where numba's own loops would be slow or would not fix the order of sums.

A vector has `LANES` lanes; LLVM splits it on machines with shorter ones. Functions made here take addresses: numba would count
references to arrays at each call, look for overlaps, and do the ends of rows number by number. So rows are filled up to whole
vectors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils as untyped
from numba.core import types
from numba.extending import intrinsic

LANES = 16
FLOAT = ir.FloatType()
DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(FLOAT, LANES)
WORD = ir.IntType(64)
cgutils: Any = untyped


def filled(columns: int) -> int:
    """How many numbers whole vectors hold."""
    return -(-columns // LANES) * LANES


class Emitter:
    """Writes instructions for vectors of float32, which addresses name."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def place(self, address: Any, number: Any, kind: Any = FLOAT) -> Any:
        """A pointer to the number of that place from an address on."""
        return self.builder.gep(self.builder.inttoptr(address, kind.as_pointer()), [number], source_etype=kind)

    def load(self, address: Any, number: Any, kind: Any = FLOAT) -> Any:
        vector, size = ir.VectorType(kind, LANES), 8 if kind == DOUBLE else 4
        return self.builder.load(
            self.builder.bitcast(self.place(address, number, kind), vector.as_pointer()), typ=vector, align=size
        )

    def store(self, value: Any, address: Any, number: Any) -> None:
        self.builder.store(value, self.builder.bitcast(self.place(address, number), VECTOR.as_pointer()), align=4)

    def constant(self, value: float, kind: Any = FLOAT) -> Any:
        return ir.Constant(ir.VectorType(kind, LANES), [float(value)] * LANES)

    def spread(self, scalar: Any) -> Any:
        """The same number in each lane."""
        vector = ir.VectorType(scalar.type, LANES)
        first, nothing = ir.Constant(ir.IntType(32), 0), ir.Constant(vector, ir.Undefined)
        single = self.builder.insert_element(nothing, scalar, first)
        return self.builder.shuffle_vector(single, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))

    def call(self, name: str, *arguments: Any) -> Any:
        """One of LLVM's own functions of vectors."""
        kind = arguments[0].type
        suffix = "f64" if kind.element == DOUBLE else "f32"
        made = ir.FunctionType(kind, [kind] * len(arguments))
        function = cgutils.get_or_insert_function(self.builder.module, made, f"llvm.{name}.v{LANES}{suffix}")
        return self.builder.call(function, arguments)

    def fma(self, left: Any, right: Any, total: Any) -> Any:
        """Left * right + total, rounded once."""
        return self.call("fma", left, right, total)

    def polynomial(self, x: Any, *coefficients: float) -> Any:
        """Highest power first."""
        total = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.fma(total, x, self.constant(coefficient))
        return total

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

    def add(self, total: Any, left: Any, right: Any) -> None:
        """What is held in `total` grows by left * right."""
        self.builder.store(self.fma(left, right, self.builder.load(total, typ=VECTOR)), total)

    def held(self, value: Any) -> Any:
        """A variable, which the compiler turns into a register."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place


def instruction(emit: Callable[..., Any], *, result: Any = types.void, **kinds: Any) -> Any:
    """A function for compiled code: `emit(emitter, *, ...)` writes what it does; arguments not in `kinds` are int64."""
    names = [*inspect.signature(emit).parameters][1:]
    made = result(*[kinds.get(name, types.int64) for name in names])

    def code(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return emit(Emitter(builder), **dict(zip(names, arguments, strict=True))) or context.get_dummy_value()

    def typed(*_: Any) -> Any:
        return made, code

    # numba reads the names of arguments from here.
    positions = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("typing", *names)]
    typed.__signature__ = inspect.Signature(positions)  # type: ignore[attr-defined]
    return intrinsic(typed)
