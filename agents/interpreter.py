"""From a sentence to what is to be done: read it, find what it asks for, compose the task graph, and ask where it is not clear.

Used by the instructions' door in `streams`, and by the public `SemanticParser` and `TaskGraphBuilder`. A sentence is only
words: what it claims about roles or permissions means nothing, and what it asks for is decided by the policy, task by task.
"""

from __future__ import annotations

import threading
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from agents.catalogue import plant_tools
from agents.encoder import Encoder, EncoderMissingError, open_encoder
from agents.names import Names
from agents.parser.composer import composed
from agents.parser.conditions import IF
from agents.parser.cues import Anchor
from agents.parser.form import Intent, SemanticForm, entities_of, language_of
from agents.parser.intentions import guessed
from agents.parser.reading import MOST, Reading
from agents.taskgraph import TaskGraph, TaskGraphError
from agents.toolset import Slot
from graph.nn.intents import IntentHead, shipped_intents

EXAMPLES = (
    "plot the pressure of pump-7 for the last 2 hours",
    "trace the newest fault, isolate its origin, then tell maintenance",
    "东区有哪些报警",
)


class Understood(msgspec.Struct, frozen=True):
    """What a sentence means here. Without a graph the `questions` say what is not clear."""

    graph: TaskGraph | None
    questions: tuple[str, ...]
    form: dict[str, Any]


class Interpreter:
    """Opens its encoder with the first sentence; any thread may use it."""

    def __init__(self, encoder: Encoder | None = None, head: IntentHead | None = None) -> None:
        self._encoder = encoder
        self._head = head or shipped_intents()
        self._opened = encoder is not None
        self._opening = threading.Lock()

    def understand(self, text: str, names: Names) -> Understood:
        """Whatever the text: it is about this plant, or it is not understood."""
        try:
            reading, form, anchors = self.read(text, names, vector=False)
            if _is_too_much(reading):
                return Understood(None, ("This asks for too much at once. Say it in several sentences.",), {})
            graph, questions = composed(reading, anchors)
        except TaskGraphError as error:
            return Understood(None, (f"This cannot be put in order: {error}",), form.wire())
        except (ArithmeticError, ValueError):
            return Understood(None, ("A number in this is too large, or none at all.",), {})
        questions = [*questions, *_missing(graph)]
        if not graph.tasks and not questions:
            questions.append(f"I do not see what is to be done. You can say, for example: {'; '.join(EXAMPLES)}")
        return Understood(graph if not questions else None, tuple(questions), form.wire())

    def read(self, text: str, names: Names, *, vector: bool = True) -> tuple[Reading, SemanticForm, list[Anchor]]:
        """The reading, its form, and every cue in it: those that stand there, and those that are guessed.

        The sentence's own vector costs some milliseconds, and understanding does not need it.
        """
        reading = Reading(text, names)
        encoder = self._ready()
        head, more = self._head, []
        if encoder is not None and head is not None and head.encoder == encoder.name and not _is_too_much(reading):
            more = guessed(reading, encoder, head)
        anchors = sorted([*reading.anchors, *(anchor for anchor, _ in more)], key=lambda anchor: anchor.start)
        chances = dict(more)
        intents = tuple(Intent(one.tool, one.text.strip(), round(chances.get(one, 1.0), 3)) for one in anchors)
        whole = np.zeros(0, np.float32) if encoder is None or not vector else encoder.encode([reading.text])[0]
        return reading, SemanticForm(text, language_of(text), whole, intents, entities_of(reading)), anchors

    def _ready(self) -> Encoder | None:
        with self._opening:
            if not self._opened:
                try:
                    self._encoder = open_encoder()
                except EncoderMissingError:
                    self._encoder = None  # cues alone: the parser says less often what is meant
                self._opened = True
        return self._encoder


def _is_too_much(reading: Reading) -> bool:
    """Whether the work would not be bounded: every condition is looked for to the end of its part."""
    return reading.is_too_much or sum(1 for _ in islice(IF.finditer(reading.lower), MOST + 1)) > MOST


def _missing(graph: TaskGraph) -> list[str]:
    """A question for each argument that a tool needs and nobody gave."""
    tools = plant_tools()
    return [
        _question(slot, task.why or task.tool, task.arguments.get("device"))
        for task in graph.tasks
        for slot in tools[task.tool].inputs
        if slot.required and slot.name not in task.arguments
    ]


def _question(slot: Slot, why: str, device: Any) -> str:
    match slot.type:
        case "device":
            return f"Which device is meant by {why!r}?"
        case "signal" if isinstance(device, str):
            return f"Which signal of {device} is meant by {why!r}?"
        case "quantity" if isinstance(device, str):
            return f"To which value is {device} to be set?"
        case "verb":
            return f"What is {device or 'the device'} to do: {', '.join(slot.choices)}?"
        case _:
            return f"Which {slot.name} is meant by {why!r}?"
