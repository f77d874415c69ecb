"""Named places at which a test may kill the process, to prove that nothing is lost and nothing happens twice.

In production none is armed. The crash tests arm one by the setting `crash_at`; the process then dies by SIGKILL the n-th time
it gets there, as if the power had failed.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class CrashPoint(StrEnum):
    """In the order in which an event meets them."""

    RECEIVED = "received"
    STORED = "stored"
    ACKNOWLEDGED = "acknowledged"
    LOGGED = "logged"
    FORWARDED = "forwarded"
    PROCESSED = "processed"
    FINDINGS_SAVED = "findings-saved"
    PUBLISHED = "published"
    CHECKPOINT_WRITTEN = "checkpoint-written"
    CHECKPOINT_SAVED = "checkpoint-saved"
    STEP_DUE = "step-due"
    """Before a step of a run of an instruction is on record."""
    STEP_KEPT = "step-kept"
    """And when it is."""


OF_RUNS = frozenset({CrashPoint.STEP_DUE, CrashPoint.STEP_KEPT})
"""Points that no event meets."""


class CrashPoints:
    """Counts down to the armed crash, if there is one.

    `armed` reads `POINT` or `POINT:N`, to die when POINT is reached for the N-th time.
    """

    def __init__(self, armed: str | None = None) -> None:
        name, _, count = (armed or "").partition(":")
        self._point = CrashPoint(name) if name else None
        self._left = int(count or 1)

    def reached(self, point: CrashPoint) -> None:
        if point is self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
