"""How many instructions are read exactly as they were meant, and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from agents.interpreter import Interpreter
from tests.agents.plans import NAMES, is_same, lessons, wanted

FILES = ("english.train", "chinese.train", "more.train", "third.train", "english.held", "chinese.held", "third.held")


def run() -> Iterator[dict[str, Any]]:
    """By file: sentences, exact plans, and milliseconds a sentence."""
    interpreter = Interpreter()
    interpreter.understand("stop", NAMES)  # opens the encoder
    for name in FILES:
        took, right, every = [], 0, list(lessons(name))
        for lesson in every:
            began = time.perf_counter()
            understood = interpreter.understand(lesson.text, NAMES)
            took.append(1000 * (time.perf_counter() - began))
            right += is_same(understood.graph, wanted(lesson))
        p50, p99 = np.percentile(took, (50, 99)).round(1).tolist()
        share = round(right / len(every), 4)
        yield {
            "bench": "instructions",
            "file": name,
            "sentences": len(every),
            "exact": right,
            "share": share,
            "p50": p50,
            "p99": p99,
        }
