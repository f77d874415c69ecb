"""Exponential, logistic, tangent and cosine of whole vectors, in instructions.

The C library's functions are called for one number at a time, and two thousand cosines an event would cost more than all
products. Polynomials: Cephes (expf, to a unit in the last place or two); the cosine's is a fit at Chebyshev's points of half a
turn, to 2e-7.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

from graph.nn.instructions import DOUBLE, LANES, VECTOR, Emitter

HIGHEST = 88.0
LOG2_E = 1.44269504088896341
LN2 = (0.693359375, -2.12194440e-4)
"""In two parts, the first exact in few bits."""
ROUNDER = 12582912.0
"""1.5 * 2**23: adding it drops the fraction of a float32."""
ROUNDER_64 = 6755399441055744.0
"""1.5 * 2**52: the same of a float64."""
EXPONENTIAL = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
COSINE = (3.953581371e1, -7.654965682e1, 8.160099819e1, -4.134165493e1, 6.283185160)
WHOLE = ir.VectorType(ir.IntType(32), LANES)


def exponential(e: Emitter, x: Any) -> Any:
    """e**x, x held to +-88, so that neither zero nor infinity comes out."""
    builder, rounder = e.builder, e.constant(ROUNDER)
    x = e.call("minnum", e.call("maxnum", x, e.constant(-HIGHEST)), e.constant(HIGHEST))
    whole = builder.fsub(e.fma(x, e.constant(LOG2_E), rounder), rounder)
    rest = x
    for part in LN2:
        rest = e.fma(whole, e.constant(-part), rest)
    tail = e.polynomial(rest, *EXPONENTIAL)
    fraction = builder.fadd(e.fma(tail, builder.fmul(rest, rest), rest), e.constant(1))
    exponent = builder.add(builder.fptosi(whole, WHOLE), ir.Constant(WHOLE, [127] * LANES))
    power = builder.bitcast(builder.shl(exponent, ir.Constant(WHOLE, [23] * LANES)), VECTOR)
    return builder.fmul(fraction, power)


def logistic(e: Emitter, x: Any) -> Any:
    one = e.constant(1)
    return e.builder.fdiv(one, e.builder.fadd(one, exponential(e, e.builder.fsub(e.constant(0), x))))


def tangent(e: Emitter, x: Any) -> Any:
    """Hyperbolic, to 2e-7."""
    return e.fma(e.constant(2), logistic(e, e.builder.fadd(x, x)), e.constant(-1))


def cosine(e: Emitter, turns: Any) -> Any:
    """Of angles in turns, float64, to 3e-7 as long as the turns are known better than that."""
    builder, rounder = e.builder, e.constant(ROUNDER_64, DOUBLE)
    whole = builder.fsub(builder.fadd(turns, rounder), rounder)
    part = e.call("fabs", builder.fsub(turns, whole))
    x = builder.fptrunc(builder.fsub(e.constant(0.25, DOUBLE), part), VECTOR)
    return builder.fmul(e.polynomial(builder.fmul(x, x), *COSINE), x)
