"""What is done to rows of numbers between the products. Arguments are addresses and counts unless a docstring says more.

Whole vectors are read and written, beyond the count too: a row that is written is filled up, or the next one is written later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types

from graph.nn.curves import cosine, exponential, logistic, tangent
from graph.nn.instructions import DOUBLE, FLOAT, VECTOR, WORD, Emitter, cgutils, instruction
from graph.nn.tiles import BYTES


def _move(e: Emitter, *, source: Any, out: Any, count: Any) -> None:
    """Exactly `count` numbers."""
    bytes_ = e.builder.mul(count, WORD(BYTES))
    pointer = ir.IntType(8).as_pointer()
    cgutils.raw_memcpy(e.builder, e.builder.inttoptr(out, pointer), e.builder.inttoptr(source, pointer), bytes_, WORD(1))


def _plus(e: Emitter, *, left: Any, right: Any, out: Any, count: Any) -> None:
    for lane in e.lanes(count):
        e.store(e.builder.fadd(e.load(left, lane), e.load(right, lane)), out, lane)


def _encode(e: Emitter, *, turns: Any, start: Any, gap: Any, out: Any, count: Any) -> None:
    """Cosines of turns * gap + start, all three float64."""
    times = e.spread(gap)
    for lane in e.lanes(count):
        angle = e.fma(e.load(turns, lane, DOUBLE), times, e.load(start, lane, DOUBLE))
        e.store(cosine(e, angle), out, lane)


def _gate(e: Emitter, *, own: Any, other: Any, said: Any, since: Any, held: Any, out: Any, count: Any) -> None:
    """A GRU's step from its inputs' products (reset, update, new; `own` has also the hidden's new) and the old memory."""
    builder = e.builder

    def summed(lane: Any, part: int) -> Any:
        place = builder.add(lane, builder.mul(count, WORD(part)))
        first, second, third, fourth = (e.load(source, place) for source in (own, other, said, since))
        return builder.fadd(builder.fadd(first, second), builder.fadd(third, fourth))

    for lane in e.lanes(count):
        reset, update = logistic(e, summed(lane, 0)), logistic(e, summed(lane, 1))
        hidden = e.load(own, builder.add(lane, builder.mul(count, WORD(3))))
        new = tangent(e, e.fma(reset, hidden, summed(lane, 2)))
        e.store(e.fma(update, builder.fsub(e.load(held, lane), new), new), out, lane)


def _raise(e: Emitter, *, scores: Any, highest: Any, count: Any) -> None:
    """Scores become e**(score - highest), `highest` a float32."""
    level = e.spread(highest)
    for lane in e.lanes(count):
        e.store(exponential(e, e.builder.fsub(e.load(scores, lane), level)), scores, lane)


def _similarity(e: Emitter, *, ask: Any, key: Any, edge: Any, width: Any, wanted: Any, age: Any, times: Any) -> Any:
    """It is ask . (key + edge) + wanted . age. Beyond the end, `ask` and `wanted` hold zeros, the others something finite."""
    none = ir.Constant(VECTOR, None)
    first, second = e.held(none), e.held(none)
    for lane in e.lanes(width):
        here = e.load(ask, lane)
        e.add(first, here, e.load(key, lane))
        e.add(second, here, e.load(edge, lane))
    for lane in e.lanes(times):
        e.add(first, e.load(wanted, lane), e.load(age, lane))
    return e.total(e.builder.fadd(e.builder.load(first, typ=VECTOR), e.builder.load(second, typ=VECTOR)))


def _mix_values(e: Emitter, *, shares: Any, values: Any, edges: Any, shift: Any, count: Any, out: Any, width: Any) -> None:
    """The sum of share * (value + edge) over neighbours. At `values`, `edges` lie addresses, the rows `shift` bytes behind."""

    def both(near: Any, lane: Any) -> Any:
        value, edge = (e.builder.load(e.place(source, near, WORD), typ=WORD) for source in (values, edges))
        return e.builder.fadd(e.load(e.builder.add(value, shift), lane), e.load(e.builder.add(edge, shift), lane))

    _mix(e, both, shares=shares, count=count, out=out, width=width)


def _mix_ages(e: Emitter, *, shares: Any, ages: Any, step: Any, count: Any, out: Any, width: Any) -> None:
    """The sum of share * age over `count` rows, `step` numbers from one to the next."""

    def values(near: Any, lane: Any) -> Any:
        return e.load(ages, e.builder.add(e.builder.mul(near, step), lane))

    _mix(e, values, shares=shares, count=count, out=out, width=width)


def _mix(e: Emitter, values: Callable[[Any, Any], Any], *, shares: Any, count: Any, out: Any, width: Any) -> None:
    """Sums stay in registers: through the cache, each would wait for the one before."""
    for lane in e.lanes(width):
        total = e.held(ir.Constant(VECTOR, None))
        with cgutils.for_range(e.builder, count) as loop:
            share = e.spread(e.builder.load(e.place(shares, loop.index), typ=FLOAT))
            e.add(total, share, values(loop.index, lane))
        e.store(e.builder.load(total, typ=VECTOR), out, lane)


move = instruction(_move)
plus = instruction(_plus)
encode_row = instruction(_encode, gap=types.float64)
gate = instruction(_gate)
raise_row = instruction(_raise, highest=types.float32)
similarity = instruction(_similarity, result=types.float32)
mix_values = instruction(_mix_values)
mix_ages = instruction(_mix_ages)
