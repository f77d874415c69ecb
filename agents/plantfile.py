"""`plant.yaml` of a policy: what the plant's engineers say of it, and what policies may build on.

What a device announces (its type, its zone, its properties) is its own word, so hazards and protection go by ids, which the
plant's engineers gave: a device is of a type if its id fits that type's patterns, whatever it says; if it says otherwise, it is
not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from agents.pattern import Matcher, any_matches
from schemas.device import DeviceId

REMEMBERED = 200_000
"""Devices of which it is remembered what the patterns say."""
VERB = r"^[a-z][a-z0-9._-]{0,63}\Z"
EXEMPT = ("acknowledge", "inspect", "notify", "retrain", "shelve", "unshelve", "work-order")
"""Verbs that move nothing in a plant. Those that undo are not among them: what is opened may flood, and a leaking pipe that is
reconnected draws the pressure from what else hangs on it."""

Pattern = Annotated[str, Meta(min_length=1, max_length=128)]
Patterns = tuple[Pattern, ...]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Verb = Annotated[str, Meta(pattern=VERB)]
Found = TypeVar("Found")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """A part of a file in which every member is known."""


class Hazard(StrEnum):
    """How bad it can get. Policies compare numbers, from 0 on."""

    HARMLESS = "harmless"
    MINOR = "minor"
    SERIOUS = "serious"
    SEVERE = "severe"

    @property
    def grade(self) -> int:
        """
        >>> Hazard.HARMLESS.grade, Hazard.SEVERE.grade
        (0, 3)
        """
        return list(Hazard).index(self)


class HazardClass(Strict, frozen=True, rename={"hazard": "class"}):
    """What is of a class: these verbs, of these devices or types of devices if any are named. In all of them * is any text."""

    hazard: Hazard
    verbs: Annotated[Patterns, Meta(min_length=1)]
    types: Patterns = ()
    devices: Patterns = ()

    def holds(self, verb: str, device: DeviceId | None, kind: str) -> bool:
        if not any_matches(self.verbs, verb):
            return False
        if device is None:
            return not self.types and not self.devices
        return (not self.types or (kind != "" and any_matches(self.types, kind))) and (
            not self.devices or any_matches(self.devices, device)
        )


class Protected(Strict, frozen=True):
    """What must not go down."""

    devices: Patterns = ()
    types: Patterns = ()


class Blast(Strict, frozen=True):
    """Every verb may take its device down but the `exempt` ones. How far is looked for what goes down with it: `hops`, and
    `devices` at most. `verbs` is of files of before, which named those that count: they still do, even where they are exempt.
    """

    exempt: Patterns | None = None
    verbs: Patterns = ()
    hops: Annotated[int, Meta(ge=1, le=64)] | None = None
    devices: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class PlantFile(Strict, frozen=True):
    """`timezone` is an IANA name. `types` and `zones`: which ids are of each; without `zones` devices are taken at their word.

    `verbs` are those that the product's own schema does not have.
    """

    version: Literal[1]
    timezone: str = "UTC"
    types: dict[Name, Patterns] = {}
    zones: dict[Name, Patterns] | None = None
    verbs: tuple[Verb, ...] = ()
    hazards: tuple[HazardClass, ...] = ()
    protected: Protected = Protected()
    blast: Blast = Blast()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"no time zone {self.timezone}") from None


class Plant:
    """What the file says of a device and a verb."""

    def __init__(self, said: PlantFile) -> None:
        self.said = said
        self.zone = ZoneInfo(said.timezone)
        self._by_type = {name: Matcher(patterns) for name, patterns in said.types.items()}
        self._by_zone = {name: Matcher(patterns) for name, patterns in (said.zones or {}).items()}
        self._guarded, self._guarded_types = Matcher(said.protected.devices), Matcher(said.protected.types)
        self._types: dict[DeviceId, str] = {}
        self._protected: dict[DeviceId, bool] = {}

    def type_of(self, device: DeviceId) -> str:
        """Empty if its id is of no type, or of several."""
        held = self._types.get(device)
        return _keep(self._types, device, _only(self._by_type, device)) if held is None else held

    def zone_of(self, device: DeviceId, announced: str | None) -> str:
        """Empty if it is in none, or in several."""
        return (announced or "") if self.said.zones is None else _only(self._by_zone, device)

    def hazard(self, verb: str, device: DeviceId | None) -> Hazard:
        """The worst of the classes that it is of; what is of none is of the worst that there is."""
        kind = "" if device is None else self.type_of(device)
        classes = [entry.hazard for entry in self.said.hazards if entry.holds(verb, device, kind)]
        return max(classes, key=lambda hazard: hazard.grade, default=Hazard.SEVERE)

    def worst(self, verb: str) -> Hazard:
        """The worst that a verb may be of, whatever the device."""
        classes = [entry for entry in self.said.hazards if any_matches(entry.verbs, verb)]
        if all(entry.types or entry.devices for entry in classes):
            return Hazard.SEVERE
        return max((entry.hazard for entry in classes), key=lambda hazard: hazard.grade)

    def is_protected(self, device: DeviceId) -> bool:
        held = self._protected.get(device)
        return _keep(self._protected, device, self._look(device)) if held is None else held

    def _look(self, device: DeviceId) -> bool:
        kind = self.type_of(device)
        return self._guarded(device) or (kind != "" and self._guarded_types(kind))

    def takes_down(self, verb: str) -> bool:
        """Whether it may; what nobody has exempted counts."""
        blast = self.said.blast
        exempt = EXEMPT if blast.exempt is None else blast.exempt
        return any_matches(blast.verbs, verb) or not any_matches(exempt, verb)


def _only(register: Mapping[str, Matcher], device: DeviceId) -> str:
    found = [name for name, fits in register.items() if fits(device)]
    return found[0] if len(found) == 1 else ""


def _keep(memory: dict[DeviceId, Found], device: DeviceId, found: Found) -> Found:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[device] = found
    return found
