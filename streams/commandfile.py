"""Which metric a verb writes where, as a file says it (setting `sparkplug_commands`): what it does not say is not sent.

version: 1
commands:
  - {verb: start, devices: ["line:201/*"], metric: Control/Run, value: true}
  - {verb: stop, types: [pump], metric: Control/Run, value: false}
  - {verb: set, signals: [speed, Setpoint/*]}
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from agents.limits import SET
from agents.pattern import any_matches
from agents.plantfile import VERB, Plant, PlantFile
from agents.policyfolder import PLANT
from agents.rulefile import RuleFileError, load
from schemas.action import Action
from schemas.device import DeviceId, SignalName
from schemas.sparkplug.command import Written
from schemas.sparkplug.names import metric_name, signal_name

TypeOf = Callable[[DeviceId], str]
Pattern = Annotated[str, Meta(min_length=1, max_length=256)]


class UnsaidError(Exception):
    """The file does not say what to write."""


class Wanted(NamedTuple):
    """A metric's name, and what to write to it."""

    metric: str
    value: Written


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first rule that fits an action counts. `devices`: patterns of ids (`*`); `types`: as the plant's file gives them.

    `metric` and `value` belong together; `set` has neither, and writes the metric of the action's own signal.
    """

    verb: Annotated[str, Meta(pattern=VERB)]
    devices: tuple[Pattern, ...] = ("*",)
    types: tuple[Pattern, ...] = ()
    signals: tuple[Pattern, ...] = ()
    metric: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    value: bool | int | float | str | None = None

    def fits(self, action: Action, type_of: TypeOf) -> bool:
        device = action.device_id
        if device is None or self.verb != action.verb or not any_matches(self.devices, device):
            return False
        if self.types and type_of(device) not in self.types:
            return False
        return self.metric is not None or not self.signals or any_matches(self.signals, _signal(action))


class CommandFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    commands: tuple[Rule, ...]


def untyped(_: DeviceId) -> str:
    """Where no plant's file is."""
    return ""


class Commands:
    """What to write for an action. `type_of`: a device's type by the plant's file, empty for one that it does not name."""

    def __init__(self, rules: tuple[Rule, ...] = (), type_of: TypeOf = untyped) -> None:
        self._rules = rules
        self._type_of = type_of

    @classmethod
    def load(cls, path: Path, policy: Path | None = None) -> Commands:
        """`policy`: the folder whose `plant.yaml` knows the devices' types. Raises RuleFileError, OSError."""
        rules = load(path, CommandFile).commands
        for number, rule in enumerate(rules, 1):
            if (rule.metric is None) is not (rule.value is None):
                raise RuleFileError(f"{path}: rule {number}: metric and value belong together")
            if (rule.metric is None) is not (rule.verb == SET):
                raise RuleFileError(
                    f"{path}: rule {number}: {'set names no metric' if rule.verb == SET else 'it needs a metric'}"
                )
            if rule.signals and rule.verb != SET:
                raise RuleFileError(f"{path}: rule {number}: signals go with the verb set alone")
        return cls(rules, untyped if policy is None else Plant(load(policy / PLANT, PlantFile)).type_of)

    def wanted(self, action: Action) -> Wanted:
        """Raises UnsaidError."""
        rule = next((rule for rule in self._rules if rule.fits(action, self._type_of)), None)
        if rule is None:
            about = f"of signal {_signal(action)[:128]!r} " if action.verb == SET else ""
            raise UnsaidError(f"setting sparkplug_commands does not say what {action.verb} {about}writes at {action.target}")
        if rule.metric is not None and rule.value is not None:
            return Wanted(rule.metric, rule.value)
        return _own(action)


def _own(action: Action) -> Wanted:
    """The signal's metric, and the action's value."""
    name, value = metric_name(SignalName(_signal(action))), action.arguments.get("value")
    if not name or signal_name(name) != _signal(action):  # spelled otherwise it would be no signal whose limits are known
        raise UnsaidError(f"no metric can be told from signal {_signal(action)[:128]!r}")
    if not isinstance(value, bool | int | float | str):
        raise UnsaidError("the action has no value to write")
    return Wanted(name, value)


def _signal(action: Action) -> str:
    named = action.arguments.get("signal")
    return named if isinstance(named, str) else ""
