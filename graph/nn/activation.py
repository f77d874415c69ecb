"""The activation that all small networks here share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Floats = NDArray[np.float32]

HALF_ROOT = np.float32(0.7071067811865476)


def gelu(values: Floats) -> Floats:
    """Hendrycks and Gimpel 2016, exactly, in float32.

    >>> gelu(np.array([-1.0, 0.0, 1.0], dtype=np.float32)).round(4).tolist()
    [-0.15870000422000885, 0.0, 0.8413000106811523]
    """
    found: Floats = (values * np.float32(0.5) * (1 + erf(values * HALF_ROOT))).astype(np.float32)
    return found
