"""Which links of a plant can be taken out of service: those that lie on a ring, as then there is another way."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from graph.rehearsal.plant import UnsolvableError
from schemas.device import DeviceId
from schemas.event import Linked

Ends = Mapping[DeviceId, tuple[DeviceId, DeviceId]]


class Rings:
    """`ends` are the places that each link joins; links that are `measured` stay in service."""

    def __init__(self, rng: np.random.Generator, ends: Ends, measured: Collection[DeviceId]) -> None:
        self._rng, self._ends = rng, ends
        self._free = sorted(link for link in ends if link not in measured)

    def pairs(self, count: int) -> tuple[tuple[DeviceId, DeviceId], ...]:
        """Links to take out, each with the spare that will stand in for it: both lie on one ring. Raises UnsolvableError."""
        found: list[tuple[DeviceId, DeviceId]] = []
        out: set[DeviceId] = set()
        for spare in self._rng.permutation(self._free).tolist():
            way = [] if spare in out else self.way(*self._ends[spare], without=out | {spare})
            able = [link for link in way if link in self._free]
            if able:
                found.append((DeviceId(str(self._rng.choice(able))), spare))
                out |= set(found[-1])  # the ring of another spare must do without both
            if len(found) == count:
                return tuple(found)
        raise UnsolvableError("too few rings with links that are not measured")

    def cuts(self, count: int, spares: Collection[DeviceId]) -> list[DeviceId]:
        """Links without which all others still hang together, `spares` being out. Raises UnsolvableError."""
        out, found = set(spares), list[DeviceId]()
        for link in self._rng.permutation(self._free).tolist():
            if link not in out and self.way(*self._ends[link], without=out | {link}):
                out.add(link)
                found.append(link)
            if len(found) == count:
                return found
        raise UnsolvableError("too few links can be cut")

    def way(self, start: DeviceId, end: DeviceId, *, without: Collection[DeviceId]) -> list[DeviceId]:
        """The links of a shortest way between two places; none where there is no way."""
        near: dict[DeviceId, list[tuple[DeviceId, DeviceId]]] = {}
        for link, (one, other) in self._ends.items():
            if link not in without:
                near.setdefault(one, []).append((link, other))
                near.setdefault(other, []).append((link, one))
        before: dict[DeviceId, tuple[DeviceId, DeviceId]] = {}
        queue = deque([start])
        while queue and end not in before:
            here = queue.popleft()
            for link, there in near.get(here, ()):
                if there != start and there not in before:
                    before[there] = link, here
                    queue.append(there)
        found, here = list[DeviceId](), end
        while here in before:
            link, here = before[here]
            found.append(link)
        return found


def ends_of(links: Iterable[Linked], among: Collection[DeviceId]) -> dict[DeviceId, tuple[DeviceId, DeviceId]]:
    """The two places of each of these links."""
    found: dict[DeviceId, list[DeviceId]] = {}
    for link in links:
        found.setdefault(link.source, []).append(link.target)
        found.setdefault(link.target, []).append(link.source)
    return {link: (near[0], near[1]) for link, near in found.items() if link in among}
