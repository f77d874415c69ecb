"""Instructions whose plans are known (`tests/agents/instructions`), and whether a plan is the one that was wanted.

Plans are compared as graphs: keys do not matter, links count as what comes after what, free text by the overlap of its words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.encoder import E5, Encoder, open_encoder
from agents.interpreter import Interpreter
from agents.parser.lessons import Lesson, plant_names
from agents.taskgraph import Reference, TaskGraph

FOLDER = Path(__file__).parent / "instructions"
NAMES = plant_names(FOLDER / "plant.ndjson")
LEAST_OVERLAP = 0.5


class Remembering:
    """An encoder that encodes each part of a sentence once: it is what reading thousands of them takes longest for."""

    name = E5
    dimensions = 384

    def __init__(self) -> None:
        self._known: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def _encoder(self) -> Encoder:
        return open_encoder(E5)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.array([self._known[text] for text in texts])


ASKED = Interpreter(Remembering())
"""For all tests of a process."""


def lessons(name: str) -> Iterator[Lesson]:
    for line in (FOLDER / f"{name}.ndjson").read_bytes().splitlines():
        yield msgspec.json.decode(line, type=Lesson)


def wanted(lesson: Lesson) -> TaskGraph:
    return TaskGraph(lesson.tasks, lesson.links)


def is_same(plan: TaskGraph | None, truth: TaskGraph) -> bool:
    """Whether both ask for the same, in the same order, under the same conditions."""
    if plan is None:
        return False
    ours, theirs = _described(plan), _described(truth)
    if sorted(ours.values(), key=repr) != sorted(theirs.values(), key=repr) or _order(plan, ours) != _order(truth, theirs):
        return False
    for task in truth.tasks:
        alike = [other for other in plan.tasks if ours[other.key] == theirs[task.key]]
        for name in _texts(task.tool) & task.arguments.keys():
            if not any(overlap(str(other.arguments[name]), str(task.arguments[name])) >= LEAST_OVERLAP for other in alike):
                return False
    return True


def _texts(tool: str) -> set[str]:
    return set() if tool == "find_devices" else {"text", "reason"}


def overlap(one: str, other: str) -> float:
    """F1 of their words; of Chinese, of its characters."""
    left, right = (Counter(re.findall(r"[a-z0-9-]+|[\u3400-\u9fff]", text.lower())) for text in (one, other))
    return 2 * (left & right).total() / max(left.total() + right.total(), 1)


def _described(graph: TaskGraph) -> dict[str, Any]:
    """Each task by what it is, all that it needs included."""
    tasks = {task.key: task for task in graph.tasks}

    def described(key: str) -> Any:
        task = tasks[key]
        arguments = tuple(
            (name, "*" if name in _texts(task.tool) else _value(value)) for name, value in sorted(task.arguments.items())
        )
        when = sorted((repr(described(one.task)), one.output, str(one.is_), one.below, one.above) for one in task.when)
        return task.tool, arguments, tuple(when)

    def _value(value: Any) -> Any:
        return ("from", described(value.task), value.output) if isinstance(value, Reference) else value

    return {key: described(key) for key in tasks}


def _order(graph: TaskGraph, described: dict[str, Any]) -> list[Any]:
    links = set(graph.links)
    while more := {(a, d) for a, b in links for c, d in links if b == c} - links:
        links |= more
    return sorted(((described[a], described[b]) for a, b in links), key=repr)
