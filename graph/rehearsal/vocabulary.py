"""What plants call their devices: mostly the textbook's words, now and then another plant's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.device import DeviceId

SYNONYMS: dict[str, tuple[str, ...]] = {
    "junction": ("node", "joint", "demand-node", "customer"),
    "reservoir": ("source", "well", "lake"),
    "tank": ("storage", "water-tower", "basin"),
    "pipe": ("main", "line", "conduit"),
    "pump": ("booster", "pump-unit"),
    "valve": ("prv", "gate-valve", "regulator"),
    "bus": ("busbar", "substation", "node"),
    "line": ("branch", "overhead-line", "circuit"),
    "transformer": ("trafo", "tap-changer"),
    "generator": ("gen", "power-plant", "unit"),
    "load": ("consumer", "feeder"),
    "unit": ("machine", "cell", "station"),
    "exchanger": ("heater", "cooler", "heat-exchanger"),
    "buffer": ("silo", "hopper", "vessel"),
    "connection": ("conveyor", "duct", "pipe"),
    "supply": ("source", "inlet", "intake"),
    "actuator": ("valve", "drive", "controller"),
}
OTHER_WORDS = 0.25
"""Share of plants with words of their own."""


class Vocabulary:
    """One plant's words. Numbers are dealt at random, so that a name tells nothing of where a device stands."""

    def __init__(self, rng: np.random.Generator) -> None:
        own = rng.random() < OTHER_WORDS
        self._words = {kind: str(rng.choice((kind, *others))) if own else kind for kind, others in SYNONYMS.items()}
        self._rng = rng
        self._form = str(rng.choice(("{kind}-{number}", "{kind}{number:04d}", "{kind}/{number}")))

    def type(self, kind: str) -> str:
        return self._words[kind]

    def names(self, kinds: Sequence[str]) -> list[DeviceId]:
        """A name for each device, in the same order."""
        numbers = self._rng.permutation(len(kinds)) + 1
        return [DeviceId(self._form.format(kind=kind, number=number)) for kind, number in zip(kinds, numbers, strict=True)]
