"""The port through which a learnt model tells where a fault of a physical network began and what it reaches.

`graph.nn` holds the model; the tracker works without one, too: then a random walk ranks origins, and marks decide what is
affected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graph.detection.evidence import Sensing
from graph.faultpath.clues import Clues
from graph.faultpath.influence import Influence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """A probability for each device of the graph (n): that the fault began there (they sum to 1), that it affects the device

    already, that it will by the time it ends, that it passes through it.
    """

    origin: Floats
    already: Floats
    affected: Floats
    carrying: Floats


class Finder(Protocol):
    """Judges from what is known of a fault by now; None where it can say nothing (too few sensors, too large a plant)."""

    def judge(self, influence: Influence, clues: Clues, sensing: Sensing) -> Verdict | None: ...
