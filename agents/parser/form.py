"""The semantic form of an instruction: its vector, what it may ask for, and what it names in this plant."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.parser.reading import Reading


class Intent(msgspec.Struct, frozen=True):
    """A tool that a part of the sentence asks for; `probability` 1 where a cue stands, else the intent head's."""

    tool: str
    text: str
    probability: float


class Entity(msgspec.Struct, frozen=True):
    """A part of the sentence and what it stands for; no `value` if nothing is called so, several if more fit."""

    kind: str
    text: str
    value: Any
    start: int
    end: int


class SemanticForm(msgspec.Struct, frozen=True):
    """`vector` (dimensions,) of the whole sentence has length 1; it is no part of the form on the wire."""

    text: str
    language: str
    vector: NDArray[np.float32]
    intents: tuple[Intent, ...]
    entities: tuple[Entity, ...]

    def wire(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "language": self.language,
            "intents": msgspec.to_builtins(self.intents),
            "entities": msgspec.to_builtins(self.entities),
        }


def language_of(text: str) -> str:
    """Chinese where a Chinese character stands.

    >>> language_of("隔离P-204A"), language_of("isolate P-204A")
    ('zh', 'en')
    """
    return "zh" if any("\u3400" <= character <= "\u9fff" for character in text) else "en"


def entities_of(reading: Reading) -> tuple[Entity, ...]:
    """All that a sentence names, in its order."""
    text = reading.text
    found = [
        Entity("device", one.text, one.devices[0] if len(one.devices) == 1 else list(one.devices) or None, one.start, one.end)
        for one in reading.devices
    ]
    for kind, among in (
        ("zone", reading.zones),
        ("signal", reading.signals),
        ("type", reading.types),
        ("severity", reading.severities),
    ):
        found += [Entity(kind, text[one.start : one.end], one.name, one.start, one.end) for one in among]
    found += [Entity("period", text[one.start : one.end], one.value, one.start, one.end) for one in reading.periods]
    found += [Entity("duration", text[one.start : one.end], float(one.value), one.start, one.end) for one in reading.durations]
    found += [Entity("quantity", text[one.start : one.end], one.value, one.start, one.end) for one in reading.quantities]
    for limit in reading.comparisons:
        value = {"above": limit.above} if limit.above is not None else {"below": limit.below}
        found.append(Entity("threshold", text[limit.start : limit.end], value, limit.start, limit.end))
    return tuple(sorted(found, key=lambda one: (one.start, one.kind)))
