"""What a fault did: the difference between a run with it and the same run without.

A device is affected where a channel departs from the twin by more than its limit in two rows running. A device carries the
fault where any channel, hidden ones too, departs by a tenth of that. The path is every shortest way from an origin through
carriers to an affected device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from graph.rehearsal.plant import Bools, Channel, Floats
from schemas.device import DeviceId
from schemas.event import Linked

CARRIES = 0.1
VISIBLE_SPREADS = 2.0

Step = tuple[DeviceId, DeviceId]


def limits(channels: Sequence[Channel], twin: Floats) -> Floats:
    """By how much each channel (channels) may depart."""
    usual = np.abs(twin).mean(axis=0)
    least, share = np.array([(one.limit, one.relative_limit) for one in channels]).T
    found: Floats = np.maximum(least, share * usual)
    return found


def lasting(over: Bools) -> Bools:
    """Leaves of (rows, channels) only what is true in two rows running."""
    pairs = over[1:] & over[:-1]
    found = np.zeros_like(over)
    found[1:] |= pairs
    found[:-1] |= pairs
    return found


def onsets(channels: Sequence[Channel], over: Bools) -> dict[DeviceId, int]:
    """The first row of each device of which a channel that is not hidden is over its limit."""
    found: dict[DeviceId, int] = {}
    for column in np.flatnonzero(over.any(axis=0)).tolist():
        channel = channels[column]
        if not channel.hidden:
            row = int(np.argmax(over[:, column]))
            found[channel.device] = min(row, found.get(channel.device, row))
    return found


def carrying(channels: Sequence[Channel], over: Bools) -> frozenset[DeviceId]:
    return frozenset(channels[column].device for column in np.flatnonzero(over.any(axis=0)).tolist())


def onward(links: Iterable[Linked]) -> dict[DeviceId, list[DeviceId]]:
    """The devices that each device can act upon."""
    found: dict[DeviceId, dict[DeviceId, None]] = {}
    for link in links:
        found.setdefault(link.source, {})[link.target] = None
        if not link.directed:
            found.setdefault(link.target, {})[link.source] = None
    return {device: list(targets) for device, targets in found.items()}


def ways(
    near: Mapping[DeviceId, Sequence[DeviceId]],
    origins: Sequence[DeviceId],
    carriers: Collection[DeviceId],
    affected: Collection[DeviceId],
) -> tuple[Step, ...]:
    """The edges of all shortest ways from the nearest origin through carriers to affected devices, nearest first."""
    distance = dict.fromkeys(origins, 0)
    waiting = deque(origins)
    steps: list[Step] = []
    while waiting:
        here = waiting.popleft()
        for other in near.get(here, ()):
            if other not in carriers:
                continue
            if other not in distance:
                distance[other] = distance[here] + 1
                waiting.append(other)
            if distance[other] == distance[here] + 1:
                steps.append((here, other))
    leading = set(affected)
    kept: list[Step] = []
    for here, other in reversed(steps):
        if other in leading:
            leading.add(here)
            kept.append((here, other))
    return tuple(reversed(kept))
