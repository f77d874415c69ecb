"""Which device an action is for: named by its part in the fault, by its place in the graph, or outright."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from agents.standing import FAULT
from graph.faultpath.state import FaultState
from graph.topology import DeviceState, Topology
from schemas.device import DEVICE_ID_PATTERN, DeviceId, Edge, Relation
from schemas.finding import Alert

MOST_HOPS = 64
MOST_SEEN = 10_000
"""Devices looked at in one search, so that a large plant costs milliseconds."""

Id = Annotated[DeviceId, Meta(pattern=DEVICE_ID_PATTERN.removesuffix("$") + r"\Z")]


class Place(StrEnum):
    """A device by its part in what happened.

    `ORIGIN` is where the alarm's fault most probably began (the alarm's device if it belongs to none); `DEVICE` is the alarm's;
    `PARENT` is what the alarm's subject is part of, as it announced itself.
    """

    ORIGIN = "origin"
    DEVICE = "device"
    PARENT = "parent"


class Direction(StrEnum):
    """Along the edges or against them; an edge that is not directed runs both ways."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    ANY = "any"


class Exactly(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """One device by its id, or the nearest one of a type; the start itself does not count, nor one that is disconnected."""

    device_id: Id | None = None
    nearest: str | None = None
    direction: Direction = Direction.ANY
    start: Place = Place.ORIGIN
    relations: Annotated[tuple[Relation, ...], Meta(min_length=1)] = (Relation.FEEDS,)
    within: Annotated[int, Meta(ge=1, le=MOST_HOPS)] = 32

    def __post_init__(self) -> None:
        if (self.device_id is None) is (self.nearest is None):
            raise ValueError("needs either deviceId or nearest")


Target = Place | Exactly


def find(target: Target, alert: Alert, *, fault: FaultState | None, topology: Topology) -> DeviceId | None:
    """The device meant, or None if the plant has none such."""
    if isinstance(target, Exactly):
        if target.device_id is not None:
            return target.device_id if topology.device(target.device_id) is not None else None
        start = find(target.start, alert, fault=fault, topology=topology)
        return None if start is None else _nearest(target, start, topology)
    if target is Place.DEVICE:
        return alert.device_id
    if target is Place.ORIGIN:
        return _origin(alert, fault)
    device = topology.device(subject(alert, fault))
    return None if device is None else device.parent


def subject(alert: Alert, fault: FaultState | None) -> DeviceId:
    """The device that the alarm is about: for a fault's own alarm where it most probably began, else the alarm's device."""
    return _origin(alert, fault) if alert.condition == FAULT else alert.device_id


def _origin(alert: Alert, fault: FaultState | None) -> DeviceId:
    return fault.origins[0][0] if fault is not None and fault.origins else alert.device_id


def _nearest(target: Exactly, start: DeviceId, topology: Topology) -> DeviceId | None:
    """Breadth first; of devices equally near, the first by id."""
    seen, ring = {start}, [start]
    for _ in range(target.within):
        ring = sorted({end for device in ring for end in _ends(target, device, topology)} - seen)
        seen.update(ring)
        for device in ring:
            if _fits(target, device, topology):
                return device
        if not ring or len(seen) > MOST_SEEN:
            return None
    return None


def _fits(target: Exactly, device_id: DeviceId, topology: Topology) -> bool:
    device = topology.device(device_id)
    return device is not None and device.type == target.nearest and device.state is DeviceState.CONNECTED


def _ends(target: Exactly, device: DeviceId, topology: Topology) -> Iterator[DeviceId]:
    for edge in topology.edges_of(device):
        if edge.relation in target.relations:
            yield from _along(edge, device, target.direction)


def _along(edge: Edge, device: DeviceId, direction: Direction) -> Iterator[DeviceId]:
    both = direction is Direction.ANY or not edge.directed
    if edge.source == device and (both or direction is Direction.DOWNSTREAM):
        yield edge.target
    if edge.target == device and (both or direction is Direction.UPSTREAM):
        yield edge.source
