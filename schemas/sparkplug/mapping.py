"""What metrics mean as readings of a device: values by their births' data types, in groups of one time and one quality.

A `Scope` is what one birth announced, of an edge node or of a device; it lives until the next birth. `Readings` collects one
message's metrics against it. A metric that cannot be understood is named among the `problems` and costs no other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from schemas import bounds
from schemas.device import DeviceId, Signal, SignalKind, SignalName
from schemas.event import Micros, Quality, SignalValue, Telemetry
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Held, Metric, SparkplugError, Template
from schemas.sparkplug.names import element_name, signal_name
from schemas.sparkplug.values import datatype, metric_value, properties

MILLISECOND = 1000
LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that the contract can write."""

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
CONTROLS = ("Node Control/", "Device Control/")
PROPERTIES = "Properties/"
QUALITIES = {0: Quality.BAD, 192: Quality.GOOD, 500: Quality.UNCERTAIN}
MOST_ELEMENTS = 256
"""Elements of an array that become signals of their own."""
MOST_PAST = 50_000
"""Signals of a device whose history's end is remembered; whoever invents names fills no memory."""


class Counts(msgspec.Struct):
    """What a host has met; the shell shows it.

    `early`: messages of an edge node whose birth is not known. `retained`: messages that the broker had kept and should not
    have. `outdated`: deaths of an earlier session. `unknown`: metrics that no birth had announced. `null` and `not_finite`:
    values that are no values. `unmapped`: tables, files, bytes, and the rest of long arrays, for which the contract has no
    place. `gaps`: times that a missing message did not come.
    """

    received: int = 0
    duplicate: int = 0
    refused: int = 0
    early: int = 0
    retained: int = 0
    outdated: int = 0
    unknown: int = 0
    null: int = 0
    not_finite: int = 0
    unmapped: int = 0
    historical: int = 0
    gaps: int = 0
    rebirths: int = 0


class Live(NamedTuple):
    """The value that stands for a signal."""

    at: int
    value: SignalValue
    quality: Quality


class Group(NamedTuple):
    """What the values of one event have in common. Its order is that of the events: history, the present, what is repeated."""

    rank: int
    at: int
    quality: Quality


HISTORY, PRESENT, REPEATED = range(3)


class Scope:
    """What one birth announced: data types by path, and the value that stands for each signal.

    `past` holds the newest time of each signal's history; it outlives the birth, because what was written stays written.
    `announced` are the metrics themselves, without elements and members: what a command may name.
    """

    def __init__(self, device_id: DeviceId, past: dict[SignalName, int]) -> None:
        self.device_id = device_id
        self.kinds: dict[str, Datatype] = {}
        self.announced: dict[str, Datatype] = {}
        self.live: dict[SignalName, Live] = {}
        self.past = past


class Readings:
    """One message's values. `sent`: its own time, for metrics that carry none."""

    def __init__(self, scope: Scope, counts: Counts, sent: Micros) -> None:
        self.problems: list[str] = []
        self.signals: dict[SignalName, Signal] = {}
        self._scope = scope
        self._counts = counts
        self._sent = sent
        self._groups: dict[Group, dict[SignalName, SignalValue]] = {}

    def take(self, path: str, metric: Metric, *, birth: bool = False) -> None:
        """A metric under its full name."""
        try:
            self._metric(path, metric, self._sent, birth=birth, historical=metric.is_historical)
        except SparkplugError as error:
            self.problems.append(f"metric {metric.called()}: {error}")

    def fact(self, path: str, metric: Metric, facts: dict[str, SignalValue]) -> None:
        """A birth's metric that describes the device; what it says goes into `facts`."""
        try:
            kind = self._kind(path, metric, birth=True)
            value = None if kind is None else metric_value(metric, kind)
        except SparkplugError as error:
            self.problems.append(f"metric {metric.called()}: {error}")
            return
        if isinstance(value, bool | str):
            facts[signal_name(path.removeprefix(PROPERTIES))] = value
        elif isinstance(value, int | float) and math.isfinite(value):
            facts[signal_name(path.removeprefix(PROPERTIES))] = float(value)
        else:
            self._counts.unmapped += 1

    def events(self) -> Iterator[tuple[Micros, Telemetry]]:
        """Bodies with their times, in order; none holds more values than the contract allows."""
        self._repeat()
        for group in sorted(self._groups):
            names = list(values := self._groups[group])
            for at in range(0, len(names), bounds.MANY):
                part = {name: values[name] for name in names[at : at + bounds.MANY]}
                yield Micros(group.at), Telemetry(self._scope.device_id, part, group.quality)

    def _metric(self, path: str, metric: Metric, default: Micros, *, birth: bool, historical: bool) -> None:
        kind = self._kind(path, metric, birth=birth)
        if kind is None:
            return
        at = default if metric.timestamp is None else micros_of(metric.timestamp)
        details = properties(metric.properties) if metric.properties is not None else {}
        value = metric_value(metric, kind)
        if isinstance(value, Template):
            self._members(path, value, at, birth=birth, historical=historical)
            return
        if birth and kind in KINDS:
            name = signal_name(path)
            self.signals[name] = _signal(name, kind, details)
        self._put(path, value, Group(HISTORY if historical else PRESENT, at, _quality(details)))

    def _kind(self, path: str, metric: Metric, *, birth: bool) -> Datatype | None:
        """The birth decides; a data type that came along is believed, since it is how these bytes were written."""
        kinds = self._scope.kinds
        if birth:
            kinds[path] = datatype(metric.datatype)
        elif path not in kinds:
            self._counts.unknown += 1
            return None
        return datatype(metric.datatype) if metric.datatype else kinds[path]

    def _members(self, path: str, template: Template, at: Micros, *, birth: bool, historical: bool) -> None:
        """The members of an instance are metrics below it. A definition has no values of its own."""
        if template.is_definition:
            return
        for member in template.metrics:
            if member.name is None:
                self.problems.append(f"a member of template {path[:128]!r} has no name")
                continue
            try:
                below = f"{path}/{member.name}"
                self._metric(below, member, at, birth=birth, historical=historical or member.is_historical)
            except SparkplugError as error:
                self.problems.append(f"metric {f'{path}/{member.name}'[:128]!r}: {error}")

    def _put(self, path: str, value: Any, group: Group) -> None:
        if value is None:
            self._counts.null += 1
            self._lost(signal_name(path), group)
        elif isinstance(value, bytes) or (isinstance(value, tuple) and value and isinstance(value[0], tuple)):
            self._counts.unmapped += 1
        elif isinstance(value, tuple):
            self._counts.unmapped += len(value) > MOST_ELEMENTS
            for at, element in enumerate(value[:MOST_ELEMENTS]):
                self._one(element_name(signal_name(path), at), element, group)
        else:
            self._one(signal_name(path), value, group)

    def _one(self, name: SignalName, value: Any, group: Group) -> None:
        if isinstance(value, str):
            if len(value) > bounds.TEXT:
                raise SparkplugError(f"a text longer than {bounds.TEXT} characters")
        elif not isinstance(value, bool):
            value = float(value)
            if not math.isfinite(value):
                self._counts.not_finite += 1
                self._lost(name, group)
                return
        self._note(name, value, group)

    def _note(self, name: SignalName, value: SignalValue, group: Group) -> None:
        scope, at = self._scope, group.at
        self._groups.setdefault(group, {})[name] = value
        if group.rank == HISTORY:
            self._counts.historical += 1
            if len(scope.past) >= MOST_PAST:
                scope.past.clear()
            scope.past[name] = max(at, scope.past.get(name, at))
        elif (held := scope.live.get(name)) is None or at >= held.at:
            scope.live[name] = Live(at, value, group.quality)

    def _lost(self, name: SignalName, group: Group) -> None:
        """The contract cannot say "no value": the last one stands, and is bad from now on."""
        held = self._scope.live.get(name)
        if held is not None and group.rank == PRESENT:
            self._note(name, held.value, group._replace(quality=Quality.BAD))

    def _repeat(self) -> None:
        """History newer than the present, as only a faulty clock makes it, must not become the live value.

        The newest stamp wins, so the live value is said again at the history's time: one sequence number later it stands.
        """
        scope = self._scope
        if not scope.past:
            return
        touched = {name for values in self._groups.values() for name in values}
        for name in touched & scope.past.keys() & scope.live.keys():
            held = scope.live[name]
            if scope.past[name] >= held.at:
                self._groups.setdefault(Group(REPEATED, scope.past[name], held.quality), {})[name] = held.value


def micros_of(milliseconds: int) -> Micros:
    """Raises SparkplugError for a time that the contract cannot write."""
    if milliseconds > LATEST:
        raise SparkplugError(f"the timestamp {milliseconds} is beyond the year 9999")
    return Micros(milliseconds * MILLISECOND)


KINDS = {
    **dict.fromkeys(range(Datatype.INT8, Datatype.BOOLEAN), SignalKind.NUMERIC),
    Datatype.BOOLEAN: SignalKind.BINARY,
    Datatype.STRING: SignalKind.CATEGORICAL,
    Datatype.DATETIME: SignalKind.NUMERIC,
    Datatype.TEXT: SignalKind.CATEGORICAL,
    Datatype.UUID: SignalKind.CATEGORICAL,
}


def _signal(name: SignalName, kind: Datatype, details: dict[str, Any]) -> Signal:
    """Unit and limits by the property names that are in common use."""
    unit = details.get("engUnit")
    return Signal(
        name,
        KINDS[kind],
        (re.sub(bounds.CONTROL, "", unit)[: bounds.NAME] or None) if isinstance(unit, str) else None,
        _limit(details.get("engLow")),
        _limit(details.get("engHigh")),
    )


def _limit(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _quality(details: dict[str, Any]) -> Quality:
    """Good unless it is said; a code that the specification does not know is not good."""
    if "Quality" not in details:
        return Quality.GOOD
    code = details["Quality"]
    return QUALITIES.get(code, Quality.UNCERTAIN) if isinstance(code, int) else Quality.UNCERTAIN


def silent(name: str) -> bool:
    """Whether a metric belongs to the protocol, not to the plant."""
    return name == BD_SEQ or name.startswith(CONTROLS)


def bd_seq(metrics: tuple[Metric, ...], alias: int | None = None) -> int | None:
    """The birth's number, by name or by alias. A death that carries one nameless metric can mean no other."""
    for metric in metrics:
        nameless = metric.name is None and (len(metrics) == 1 or (alias is not None and metric.alias == alias))
        if metric.name == BD_SEQ or nameless:
            return metric.value if metric.held in {Held.INT, Held.LONG} else 0 if metric.held == Held.NOTHING else None
    return None
