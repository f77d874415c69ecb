"""Where a fault began: a probability for every device of the plant, those without signals included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph.faultpath.carriers import carriers
from graph.faultpath.clues import NEVER, STATE_NATS, Clues
from graph.faultpath.features import random_walk
from graph.faultpath.influence import Influence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECOND = 1_000_000
ORDER_SLACK = 2 * SECOND
"""A cause may show so much later than its effect and still be taken for the cause."""
EXPLAINED_BY_CAUSE = 0.9
"""Share of a device's surprise that a strange cause one hop away explains; its powers further away."""
COVERS = 0.7
"""Share of an effect's surprise that speaks for a cause one hop away."""
COVER_WEIGHT = 0.5
MOST_HOPS = 8
LEAST_WALK = 1e-6
WALK_WEIGHT = 1.5
"""Log-odds for each unit of the walk's log share."""
NATS_PER_UNIT = 2.0
"""Temperature of the softmax: surprise is counted several times over edges, so a nat of it is worth less than one."""


def rank_states(influence: Influence, clues: Clues) -> Floats:
    """Devices by states: what their causes do not explain of them, and what they explain of their effects.

    With s = max(alone, conflict) and A the devices with s > 3: m(v) = max(alone(v) (1 - max 0.9^k over causes in A, k hops up
    and not later), conflict(v)); score = m + 0.5 sum of 0.7^k s(w) over w in A, k hops down and not earlier. A device that the
    detector does not watch has the sum of 0.7^k m(w) over what lies below it. A carrier that explains why devices are gone
    takes over all that they show.
    """
    place, count = _places(influence, clues), len(influence)
    alone, conflict = _spread(clues.alone, place, count), _spread(clues.conflict, place, count)
    borne = np.zeros(count)
    for carrier, lost in carriers(influence, clues).items():
        borne[carrier] = np.maximum(alone, conflict)[lost].sum()
        alone[lost] = conflict[lost] = 0.0
    onset = np.full(count, NEVER)
    onset[place] = np.minimum(clues.onset_alone, clues.onset_conflict)
    strange = np.maximum(alone, conflict)
    involved = [int(here) for here in np.flatnonzero((strange > STATE_NATS) & (onset != NEVER))]
    explained, cover = np.zeros(count), np.zeros(count)
    below = {here: influence.hops(here, most=MOST_HOPS) for here in involved}
    for here in involved:
        for there, hops in below[here].items():
            if hops and onset[here] - ORDER_SLACK <= onset[there]:
                explained[there] = max(explained[there], EXPLAINED_BY_CAUSE**hops)
                cover[here] += COVERS**hops * strange[there] if strange[there] > STATE_NATS else 0.0
    own = np.maximum(alone * (1 - explained), conflict)
    own = np.where(strange > STATE_NATS, own, 0.0)
    score = np.where(own > 0, own + COVER_WEIGHT * cover, 0.0)
    hidden = np.zeros(count)
    for here in involved:
        for there, hops in influence.hops(here, most=MOST_HOPS, backward=True).items():
            hidden[there] += COVERS**hops * own[here]
    watched = np.zeros(count, dtype=bool)
    watched[place] = True
    found: Floats = np.where(watched, score, hidden) + borne
    return found


def _places(influence: Influence, clues: Clues) -> Ints:
    return np.array([influence.place[device] for device in clues.devices], dtype=np.int64)


def _spread(values: Floats, place: Ints, count: int) -> Floats:
    found = np.zeros(count)
    found[place] = values
    return found


def rank_numbers(influence: Influence, clues: Clues) -> Floats:
    """Devices by numeric signals where no model is at hand: log share of a random walk from strange devices to their causes."""
    walk = random_walk(influence, _spread(np.maximum(clues.tail, 0.0), _places(influence, clues), len(influence)))
    found: Floats = WALK_WEIGHT * np.log(walk + LEAST_WALK)
    return found


def probabilities(scores: Floats, *, per_unit: float) -> Floats:
    """Softmax; devices that nothing speaks for share what is left."""
    raised = np.exp((scores - scores.max()) / per_unit)
    found: Floats = raised / raised.sum()
    return found


def origins(influence: Influence, clues: Clues, numeric: Floats | None = None) -> Floats:
    """A probability for each device of the graph; both kinds of evidence count by how strange they are.

    `numeric` are the probabilities by numeric signals that a model gives.
    """
    states = float(np.maximum(np.maximum(clues.alone, clues.conflict) - STATE_NATS, 0).sum())
    others = unexplained(influence, clues)
    numbers = float(np.maximum(others.tail - STATE_NATS, 0.0).max(initial=0.0)) if others.numeric.any() else 0.0
    whole = states + numbers
    if whole <= 0:
        return np.full(len(influence), 1 / max(len(influence), 1))
    found = np.zeros(len(influence))
    if states > 0:
        found += states / whole * probabilities(rank_states(influence, clues), per_unit=NATS_PER_UNIT)
    if numbers > 0:
        likely = numeric if numeric is not None else probabilities(rank_numbers(influence, others), per_unit=1.0)
        found += numbers / whole * likely
    return found


def unexplained(influence: Influence, clues: Clues) -> Clues:
    """What is left when devices show nothing whose carrier explains why they are gone: the last they sent is no trace of it."""
    lost = {influence.names[place] for places in carriers(influence, clues).values() for place in places}
    return clues.without([number for number, device in enumerate(clues.devices) if device in lost]) if lost else clues
