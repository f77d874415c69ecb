"""What an engine is asked, in Cedar's words: principal, action, resource and context, of the action as it would be sent.

Everything that comes from a plant or a person goes in as data, in the JSON forms of entities and records; nothing of it is ever
part of a policy's text.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple, get_args

from agents.plantfile import VERB, Plant
from agents.policy import Approver, Rates, is_same
from agents.severity import ASCENDING
from graph.live import downstream
from graph.topology import DeviceState, Topology
from schemas.action import LOCAL, RUNBOOK, Action, Cause
from schemas.device import DEVICE_ID_PATTERN, DeviceId
from schemas.event import Micros, instant

RoleName = Literal["viewer", "operator", "engineer", "admin"]
ROLES: tuple[str, ...] = get_args(RoleName)
"""As in `streams.roles`: each may do what the ones before it may."""
LONGEST_NAME = 256
DEEPEST, MOST_LEAVES, LONGEST_TEXT = 4, 64, 16_384
"""Of arguments: objects within objects, values, and characters of all names and values together."""
MOST_KEPT = 10_000
"""Devices whose reach is kept as long as the graph stays as it is."""
FINEST = Decimal("0.0001")
LARGEST = Decimal(922_337_203_685_477)
"""Of numbers: Cedar's decimals have four digits after the point."""
_VERB, _DEVICE = re.compile(VERB), re.compile(DEVICE_ID_PATTERN.removesuffix("$") + r"\Z")

Entity = dict[str, Any]


class UnfitError(ValueError):
    """Nothing that a policy could judge, so it is refused."""


class Reach(NamedTuple):
    """What goes down with a device."""

    devices: int = 0
    protected: int = 0
    zones: int = 0
    complete: bool = True


class Asked(NamedTuple):
    """One question; `entities` holds what the other parts name."""

    principal: Entity
    action: Entity
    resource: Entity
    context: dict[str, Any]
    entities: list[Entity]


class Asker:
    """Makes the questions of one plant. Reaches are kept for each version of the graph."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._reaches: dict[DeviceId, Reach] = {}
        self._of: tuple[weakref.ref[Topology], int] | None = None

    def ask(self, action: Action, topology: Topology, now: Micros, *, rates: Rates, approver: Approver | None) -> Asked:
        """Raises UnfitError."""
        if _VERB.match(action.verb) is None:
            raise UnfitError("its verb is none")
        principal = _principal(action.cause)
        resource = self._resource(action, topology)
        texts, numbers = _arguments(action.arguments)
        local = instant(now).astimezone(self.plant.zone)
        context = {
            "severity": 0 if action.cause.severity is None else ASCENDING.index(action.cause.severity) + 1,
            "cause": _kind(action.cause),
            "hour": local.hour,
            "weekday": local.isoweekday(),
            "via": action.via,
            "approved": approver is not None,
            "rates": rates._asdict(),
            "blast": self._blast(action, topology)._asdict(),
            "texts": {"__entity": texts["uid"]},
            "numbers": {"__entity": numbers["uid"]},
        }
        if approver is not None:
            context["approver"] = _approver(approver)
        verb = {"type": "Action", "id": action.verb}
        return Asked(principal["uid"], verb, resource["uid"], context, [principal, resource, texts, numbers])

    def _resource(self, action: Action, topology: Topology) -> Entity:
        plant, device_id = self.plant, action.device_id
        hazard = plant.hazard(action.verb, device_id).grade
        if device_id is None:
            return _entity("Site", action.site, {"id": action.site, "hazard": hazard}, parents=[])
        if _DEVICE.match(device_id) is None:
            raise UnfitError("its device's id is none")
        device = topology.device(device_id)
        described = device is not None and device.type is not None and device.state is not DeviceState.PLACEHOLDER
        announced = device.zone if device is not None else None
        kind, zone = plant.type_of(device_id), plant.zone_of(device_id, announced)
        known = described and device is not None and device.type == kind != "" and announced in (None, zone)
        facts = {
            "id": device_id,
            "type": kind if described else "",
            "zone": zone if described else "",
            "hazard": hazard,
            "protected": plant.is_protected(device_id),
            "known": known,
            "connected": device is not None and device.state is DeviceState.CONNECTED,
        }
        return _entity("Device", device_id, facts, parents=[("Zone", zone)] if described and zone else [])

    def _blast(self, action: Action, topology: Topology) -> Reach:
        device = action.device_id
        if not self.plant.takes_down(action.verb):
            return Reach()
        if device is None or not topology.knows(device):
            return Reach(complete=False)
        of = (weakref.ref(topology), topology.version)
        if of != self._of or len(self._reaches) >= MOST_KEPT:
            self._reaches, self._of = {}, of
        reaches = self._reaches
        if device not in reaches:
            reaches[device] = self._reach(device, topology)
        return reaches[device]

    def _reach(self, device: DeviceId, topology: Topology) -> Reach:
        bounds = self.plant.said.blast
        found, complete = downstream(topology, device, hops=bounds.hops, limit=bounds.devices)
        down = [device, *found]
        zones = {self.plant.zone_of(each, topology.zone_of(each)) for each in down} - {""}
        return Reach(len(found), sum(map(self.plant.is_protected, down)), len(zones), complete=complete)


def _entity(kind: str, name: str, attributes: Mapping[str, Any], *, parents: list[tuple[str, str]]) -> Entity:
    above = [{"type": of, "id": parent} for of, parent in parents]
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": above}


def _principal(cause: Cause) -> Entity:
    name, role = cause.principal, cause.role
    if not name or len(name) > LONGEST_NAME:
        raise UnfitError("nobody asks for it, or under too long a name")
    if role == RUNBOOK:
        head, _, rule = name.partition(":")
        if head != RUNBOOK or not rule:
            raise UnfitError("it is no runbook that asks")
        return _entity("Runbook", rule, {"rule": rule}, parents=[])
    if role not in ROLES:
        raise UnfitError("who asks has no role")
    return _entity("User", name, {"name": name, "role": role}, parents=[("Role", each) for each in _held(role)])


def _approver(approver: Approver) -> dict[str, Any]:
    """Who comes without a key may be anybody, and so has no role here, as they are nobody's second person."""
    if not approver.name or len(approver.name) > LONGEST_NAME:
        raise UnfitError("nobody approves it, or under too long a name")
    if approver.role not in ROLES:
        raise UnfitError("who approves has no role")
    held = () if is_same(approver.name, LOCAL) else _held(approver.role)
    return {"name": approver.name, "roles": [{"__entity": {"type": "Role", "id": each}} for each in held]}


def _held(role: str) -> tuple[str, ...]:
    """A person's role and all below it."""
    return ROLES[: ROLES.index(role) + 1]


def _kind(cause: Cause) -> str:
    if cause.alert_id is not None:
        return "alarm"
    return "instruction" if cause.instruction_id is not None else "undo"


def _arguments(given: Mapping[str, Any]) -> tuple[Entity, Entity]:
    """Texts and numbers by their names; within an object or a list by the way to them: `valve.speed`, `steps.0`."""
    texts: dict[str, str] = {}
    numbers: dict[str, Any] = {}
    room = LONGEST_TEXT
    for name, value in _leaves(given, "", 0) if given else ():
        if name in texts or name in numbers:
            raise UnfitError("two arguments have one name")
        if isinstance(value, bool | None):
            texts[name] = {True: "true", False: "false", None: "null"}[value]
        elif isinstance(value, int | float):
            numbers[name] = {"__extn": {"fn": "decimal", "arg": _decimal(value)}}
        else:
            texts[name] = value
        room -= len(name) + len(texts.get(name, ""))
        if room < 0 or len(texts) + len(numbers) > MOST_LEAVES:
            raise UnfitError("its arguments are too large")
    text, number = _entity("Texts", "", {}, parents=[]), _entity("Numbers", "", {}, parents=[])
    return text | {"tags": texts}, number | {"tags": numbers}


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str | int | float | bool | None):
        yield name, value
        return
    if depth > DEEPEST:
        raise UnfitError("its arguments are nested too deep")
    if isinstance(value, Mapping):
        members = [(str(key), member) for key, member in value.items()]
    elif isinstance(value, list | tuple):
        members = [(str(place), member) for place, member in enumerate(value)]
    else:
        raise UnfitError("one of its arguments is neither text nor number")
    if not members:
        yield name, "{}" if isinstance(value, Mapping) else "[]"
    for key, member in members:
        yield from _leaves(member, f"{name}.{key}" if depth else key, depth + 1)


def _decimal(value: float) -> str:
    """As it is, to the last digit: a number that were rounded could pass a limit."""
    try:
        exact = Decimal(str(value))
        fits = abs(exact) <= LARGEST and exact == exact.quantize(FINEST)
    except (ArithmeticError, ValueError):
        fits = False
    if not fits:
        raise UnfitError("one of its numbers has more than four digits after the point, or is too large")
    return f"{exact:.4f}"
