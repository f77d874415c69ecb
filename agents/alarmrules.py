"""Alarm rules: how the alarms of some devices and conditions differ. A YAML file, read into the types below.

Used by `agents.alarms` for delays and the deadband, by `agents.annunciator` for latching, shelves and suppression by design.
The first rule that is about an alarm decides; without one nothing is special.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from agents.pattern import any_matches
from agents.rulefile import load
from agents.runbook import Name, Names, Seconds, Strict
from agents.targets import Id
from graph.topology import DeviceState, Reading, Topology
from schemas.alarm import Limits
from schemas.device import DeviceId, SignalName
from schemas.event import Quality, SignalValue

PLAIN_NAME = "nothing special"


class Whose(StrEnum):
    """A device by its place beside the alarm's; `PARENT` is what that is part of, as it announced itself."""

    SELF = "self"
    PARENT = "parent"


class Named(Strict, frozen=True):
    device_id: Id


class SuppressWhen(Strict, frozen=True):
    """The newest reading of a signal says that the alarm means nothing now; all that is given must hold.

    A reading that is missing, of bad quality or of another kind says nothing, nor does the last one before its device was
    disconnected, so that not knowing never hides an alarm.
    """

    signal: SignalName
    device: Whose | Named = Whose.SELF
    is_: SignalValue | None = msgspec.field(name="is", default=None)
    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        if self.is_ is self.below is self.above is None:
            raise ValueError("needs is, below or above")

    def holds(self, device_id: DeviceId, topology: Topology) -> bool:
        """Whether an alarm of this device is to be hidden now."""
        device = self._device(device_id, topology)
        reading = None if device is None or _is_gone(device, topology) else topology.readings(device).get(self.signal)
        return reading is not None and reading.quality is not Quality.BAD and self._fits(reading)

    def _device(self, device_id: DeviceId, topology: Topology) -> DeviceId | None:
        match self.device:
            case Named(device_id=named):
                return named
            case Whose.SELF:
                return device_id
            case Whose.PARENT:
                device = topology.device(device_id)
                return None if device is None else device.parent

    def _fits(self, reading: Reading) -> bool:
        value = reading.value
        if self.is_ is not None and value != self.is_:
            return False
        if self.below is None and self.above is None:
            return True
        if isinstance(value, str):
            return False
        return (self.below is None or value < self.below) and (self.above is None or value > self.above)


def _is_gone(device_id: DeviceId, topology: Topology) -> bool:
    """One that has never said that it is there may still send."""
    device = topology.device(device_id)
    return device is not None and device.state is DeviceState.DISCONNECTED


class About(Strict, frozen=True):
    """Which alarms a rule is about; all that is given must hold. * stands for any text.

    A device whose type or zone is not known is of none that a rule names.
    """

    conditions: Names = ()
    devices: Names = ()
    device_types: Names = ()
    zones: Names = ()

    def holds(self, device_id: DeviceId, condition: str, topology: Topology | None) -> bool:
        if self.conditions and not any_matches(self.conditions, condition):
            return False
        if self.devices and not any_matches(self.devices, device_id):
            return False
        return not (self.device_types or self.zones) or self._is_among(device_id, topology)

    def _is_among(self, device_id: DeviceId, topology: Topology | None) -> bool:
        device = None if topology is None else topology.device(device_id)
        if device is None or device.state is DeviceState.PLACEHOLDER:
            return False
        kind = not self.device_types or any_matches(self.device_types, device.type)
        return kind and (not self.zones or (device.zone is not None and any_matches(self.zones, device.zone)))


class AlarmRule(Strict, frozen=True):
    """Delays in seconds of event time; None is what holds without a rule. `deadband` is a share of the threshold."""

    name: Name
    when: About = About()
    on_delay: Seconds | None = None
    off_delay: Seconds | None = None
    deadband: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    latch: bool = False
    longest_shelf: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None
    suppress_when: SuppressWhen | None = None


PLAIN = AlarmRule(name=PLAIN_NAME)


class AlarmRulesFile(Strict, frozen=True):
    version: Literal[1]
    limits: Limits = Limits()
    rules: tuple[AlarmRule, ...] = ()

    def __post_init__(self) -> None:
        counts = Counter(rule.name for rule in self.rules)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"several rules are named {twice[0]}")
        for field in msgspec.structs.fields(Limits):
            if getattr(self.limits, field.name) <= 0:
                raise ValueError(f"limits: {field.encode_name} must be above 0")
        if self.limits.flood_closes > self.limits.flood_opens:
            raise ValueError("limits: floodCloses must not be above floodOpens")


class AlarmRules:
    """The rules of one site, and where its good alarming ends."""

    def __init__(self, rules: AlarmRulesFile | None = None) -> None:
        held = rules or AlarmRulesFile(version=1)
        self.limits = held.limits
        self.rules = held.rules
        self.suppresses = any(rule.suppress_when is not None for rule in self.rules)

    @classmethod
    def load(cls, path: Path | None) -> AlarmRules:
        """Those of a file; none without one. Raises RuleFileError or OSError."""
        return cls() if path is None else cls(load(path, AlarmRulesFile))

    def rule_for(self, device_id: DeviceId, condition: str, topology: Topology | None) -> AlarmRule:
        """The first that is about such an alarm; one that changes nothing where there is none."""
        for rule in self.rules:
            if rule.when.holds(device_id, condition, topology):
                return rule
        return PLAIN
