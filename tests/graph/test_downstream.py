"""What goes down with a device: the quick way finds what the question over any store finds."""

from __future__ import annotations

import random

import pytest

from graph.live import LiveGraph, downstream
from graph.questions import impact
from graph.topology import Topology
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Linked, Unlinked
from tests.agents.plant import event

NAMES = [DeviceId(f"d-{number}") for number in range(12)]


def drawn(dice: random.Random) -> Topology:
    bodies: list[Body] = [Connected(name, "pipe", parent=dice.choice([None, *NAMES])) for name in NAMES]
    for _ in range(dice.randint(0, 20)):
        source, target, relation = dice.choice(NAMES), dice.choice(NAMES), dice.choice(list(Relation))
        if source != target:
            bodies.append(Linked(source, target, relation, directed=dice.random() < 0.6))
            if dice.random() < 0.2:
                bodies.append(Unlinked(source, target, relation))
    return Topology().merge(event(body, number, f"e{number}") for number, body in enumerate(bodies))


@pytest.mark.parametrize("seed", range(200))
def test_it_is_the_same(seed: int) -> None:
    dice = random.Random(seed)
    topology, start = drawn(dice), dice.choice(NAMES)
    for hops in (None, 1, 2, 5):
        for limit in (100, 3):
            asked = impact(LiveGraph(topology), "", start, hops=hops, limit=limit)
            found, complete = downstream(topology, start, hops=hops, limit=limit)
            assert (len(found), complete) == (len(asked.near), not asked.cut_short)
            if complete:
                assert set(found) == {near.device_id for near in asked.near}
