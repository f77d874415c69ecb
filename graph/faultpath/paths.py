"""Which edges a fault took: the shortest ways that influence can go from its most probable origin to what it affects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graph.faultpath.carriers import carriers
from graph.faultpath.clues import Clues
from graph.faultpath.influence import Influence
from graph.faultpath.state import Way
from schemas.device import DeviceId, Relation
from schemas.event import Micros

FADES = 0.97
"""Each hop of a way is a little less certain than the one before."""


def ways(
    influence: Influence,
    origin: int,
    affected: Mapping[DeviceId, Micros | None],
    clues: Clues,
    certainty: Mapping[DeviceId, float],
) -> tuple[Way, ...]:
    """Edges outward from the origin. An edge is as certain as the surest of the devices that it leads to.

    From a carrier that explains why devices are gone the ways to them are those of their data.
    """
    before, relations = influence.tree(origin), influence.relations
    lost = carriers(influence, clues).get(origin)
    if lost is not None:
        before = influence.behind(origin)
        relations = {(source, target): Relation.NETWORK for target, source in before.items()}
        affected = {device: at for device, at in affected.items() if influence.place[device] in {origin, *lost}}
    place = {device: number for number, device in enumerate(clues.devices)}
    certain: dict[int, float] = {}
    for device in affected:
        here = influence.place[device]
        sure = certainty[device] if device in certainty else _sure(clues, place[device])
        while here in before:
            certain[here] = max(certain.get(here, 0.0), sure)
            here = before[here]
    depth = {origin: 0}
    found = []
    for target in before:  # nearest first
        if target in certain:
            depth[target] = depth[before[target]] + 1
            found.append(
                _way(influence, relations, (before[target], target), certain[target] * FADES ** depth[target], affected)
            )
    return tuple(found)


def _sure(clues: Clues, place: int) -> float:
    """How certain it is that a device is affected: that its evidence is no chance."""
    nats = max(float(clues.alone[place]), float(clues.conflict[place]), float(clues.tail[place]), 1.0)
    return float(1 - np.exp(-nats))


def _way(
    influence: Influence,
    relations: Mapping[tuple[int, int], Relation],
    edge: tuple[int, int],
    probability: float,
    affected: Mapping[DeviceId, Micros | None],
) -> Way:
    one, other = (influence.names[end] for end in edge)
    since, until = affected.get(one), affected.get(other)
    lag = until - since if since is not None and until is not None else None
    return Way(one, other, relations[edge], lag, probability)
