"""Exponential, logistic and cosine in float32, written so that the compiler makes vector instructions of the loops around them.

The C library's functions are called for one number at a time, and two thousand cosines an event would cost more than all
products. Polynomials: Cephes (expf, to a unit in the last place or two); the cosine's is a fit at Chebyshev's points of half a
turn, to 2e-7.
"""

from __future__ import annotations

import numpy as np

from graph.nn.tiles import compiled

ONE = np.float32(1)
TWO = np.float32(2)
HIGHEST = np.float32(88)
LOG2_E = np.float32(1.44269504088896341)
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
ROUNDER = np.float32(12582912)
"""1.5 * 2**23: adding it drops the fraction of a float32."""
ROUNDER_64 = 6755399441055744.0
"""1.5 * 2**52: the same of a float64."""
E5, E4, E3, E2, E1, E0 = (
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
C4, C3, C2, C1, C0 = (np.float32(c) for c in (3.953581371e1, -7.654965682e1, 8.160099819e1, -4.134165493e1, 6.283185160))


@compiled
def exponential(x: np.float32) -> np.float32:
    """e**x, x held to +-88, so that neither zero nor infinity comes out."""
    x = min(max(x, -HIGHEST), HIGHEST)
    whole = (x * LOG2_E + ROUNDER) - ROUNDER
    rest = (x - whole * LN2_HIGH) - whole * LN2_LOW
    tail = ((((E5 * rest + E4) * rest + E3) * rest + E2) * rest + E1) * rest + E0
    power = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (tail * (rest * rest) + rest + ONE) * power


@compiled
def logistic(x: np.float32) -> np.float32:
    return ONE / (ONE + exponential(-x))


@compiled
def tangent(x: np.float32) -> np.float32:
    """Hyperbolic, to 1.2e-7."""
    return TWO * logistic(TWO * x) - ONE


@compiled
def cosine(turns: float) -> np.float32:
    """Of an angle in turns, a float64, to 2e-7 as long as the turns are known better than that."""
    part = abs(turns - ((turns + ROUNDER_64) - ROUNDER_64))
    x = np.float32(0.25 - part)
    y = x * x
    return ((((C4 * y + C3) * y + C2) * y + C1) * y + C0) * x
