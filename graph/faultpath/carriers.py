"""Gateways and switches whose devices are all gone: what carries their data is then the origin, not they.

A carrier explains the devices behind it that are gone if they are at least two and nearly all, and if no more are gone that no
carrier explains. Against it speaks each device behind it that still reports. Of one without sampled signals nobody would know
if it fell silent; it counts where another such device behind the carrier is known to be gone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph.faultpath.clues import STATE_NATS, Clues
from graph.faultpath.influence import Influence

LEAST_LOST = 2
NEARLY_ALL = 0.8

Bools = NDArray[np.bool_]


def carriers(influence: Influence, clues: Clues) -> dict[int, list[int]]:
    """The places of carriers that explain why devices are gone, each with the places of those devices.

    Of carriers that explain the same devices the one next to them is taken, and the one that explains most of all first.
    """
    if np.count_nonzero(clues.gone) < LEAST_LOST:
        return {}
    place = {influence.place[device]: number for number, device in enumerate(clues.devices)}
    lost = {here for here, number in place.items() if clues.gone[number] and clues.alone[number] > STATE_NATS}
    able = []
    for carrier in influence.carried:
        behind = influence.behind(carrier).keys()
        mine = lost & behind
        seen = np.array([place[here] for here in behind if here in place], dtype=np.int64)
        if influence.present[carrier] and len(mine) >= LEAST_LOST and _nearly_all(clues, seen):
            able.append((-len(mine), len(behind), carrier, mine))
    others = lost.difference(*(mine for *_, mine in able))
    found = {}
    for _, _, carrier, mine in sorted(able):
        left = mine & lost
        if len(left) >= LEAST_LOST and len(others - {carrier}) <= len(mine):
            found[carrier] = sorted(left)
            lost -= left
    return found


def _nearly_all(clues: Clues, behind: NDArray[np.int64]) -> bool:
    """Whether nearly all of the devices behind a carrier are gone that would be known to be."""
    gone, reports, sampled = clues.gone[behind], clues.reports[behind], clues.numeric[behind]
    unheard = ~sampled if bool((gone & ~sampled).any()) else np.zeros(len(behind), dtype=bool)
    count = int(gone.sum())
    return count >= NEARLY_ALL * (count + int((~gone & (reports | unheard)).sum()))
