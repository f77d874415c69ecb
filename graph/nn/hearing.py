"""Whom a signal hears: the signals near it along the edges of influence, and those that control it.

Taken from the live topology, over devices without signals as well, and made anew when that changes. A device's other signals
come first, then what controls it, then the nearest.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

import msgspec

from graph.topology import Topology
from schemas.device import Edge, Relation

NEAR = 8
"""Signals that one hears at most."""
MOST_HOPS = 12
INFLUENCES = frozenset({Relation.FEEDS, Relation.POWERS, Relation.AFFECTS, Relation.DEPENDS_ON})
"""Edges along which signals are near one another, whichever way they were drawn."""

Lists = tuple[tuple[int, ...], ...]


class Hearing(msgspec.Struct, frozen=True):
    """For each signal, by its number: the signals near it (at most NEAR), and of these the ones that control it."""

    near: Lists
    causes: Lists

    @classmethod
    def of(cls, edges: Iterable[Edge], columns: Sequence[tuple[str, str]]) -> Hearing:
        """What the edges of a topology say of these signals (device, name)."""
        joined: defaultdict[str, set[str]] = defaultdict(set)
        controls: defaultdict[str, set[str]] = defaultdict(set)
        for edge in edges:
            if edge.relation in INFLUENCES:
                joined[edge.source].add(edge.target)
                joined[edge.target].add(edge.source)
            elif edge.relation is Relation.CONTROLS:
                controls[edge.target].add(edge.source)
        signals: defaultdict[str, list[int]] = defaultdict(list)
        for number, (device, _) in enumerate(columns):
            signals[device].append(number)
        near, causes = [], []
        for number, (device, _) in enumerate(columns):
            ruling = [one for source in sorted(controls[device]) for one in signals.get(source, ())]
            own = [one for one in signals[device] if one != number]
            heard = dict.fromkeys([*own, *ruling])
            near.append(_nearest(device, heard, joined, signals))
            causes.append(tuple(ruling[:NEAR]))
        return cls(tuple(near), tuple(causes))

    @classmethod
    def live(cls, topology: Topology, columns: Sequence[tuple[str, str]]) -> Hearing:
        return cls.of(topology.edges(), columns)


def _nearest(
    device: str, heard: dict[int, None], joined: defaultdict[str, set[str]], signals: defaultdict[str, list[int]]
) -> tuple[int, ...]:
    hops = {device: 0}
    queue = deque([device])
    while queue and len(heard) < NEAR:
        here = queue.popleft()
        if hops[here] == MOST_HOPS:
            break
        for there in sorted(joined[here]) if here in joined else ():
            if there not in hops:
                hops[there] = hops[here] + 1
                queue.append(there)
                heard |= dict.fromkeys(signals.get(there, ()))
    return tuple(heard)[:NEAR]
