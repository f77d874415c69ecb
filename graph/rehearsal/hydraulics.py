"""Flows and heads of a water network over time.

One step is the global gradient algorithm (Todini & Pilati 1988; EPANET 2.2 manual, chapter 12): Newton's method on all flows
and heads at once, which comes down to a sparse symmetric system in the heads. It starts from the step before. Losses follow
Hazen-Williams (SI), pumps a parabola. A pressure-reducing valve takes whatever loss holds the head behind it. Between steps
tanks take in what flows to them, and controls look at levels and the clock.

Units: metres, cubic metres per second, seconds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from graph.rehearsal.elimination import Elimination, factorise, plan, substitute
from graph.rehearsal.plant import Bools, Floats, Ints, UnsolvableError

PIPE, PUMP, REDUCER = 0, 1, 2
OPEN, SHUT, FORWARD, BACKWARD = 0, 1, 2, 3
EXPONENT = 1.852
SHUT_SLOPE = 1e8
WRONG_WAY_SLOPE = 1e6
"""Metres per m3/s: what a shut link and a check valve let pass is lost in any meter's noise."""
LEAST_FLOW = 1e-5
"""Below it a loss is linear, as a vanishing slope would have no inverse."""
ITERATIONS, UNDAMPED = 100, 25
ACCURACY, HEAD_ACCURACY = 1e-6, 1e-3
DRY, FLOODED = 1e-6, 1e-6


class Pipework(NamedTuple):
    """Nodes are junctions first, then tanks, then reservoirs; links lead from `start` to `end` (links).

    A pipe loses `resistance` q^1.852 + `minor` q^2 and a pump gains `lift` - `sag` q - `droop` q^2. A reducer holds `setting`
    (head) at its end. `one_way` links have a check valve.
    """

    junctions: int
    start: Ints
    end: Ints
    kind: Ints
    resistance: Floats
    minor: Floats
    lift: Floats
    sag: Floats
    droop: Floats
    setting: Floats
    one_way: Bools
    most: Floats
    plan: Elimination
    entry: Ints


class Tanks(NamedTuple):
    """Each (tanks): area m2, level = head - bottom between 0 and `height`; a full one that `spills` keeps its inlet open."""

    area: Floats
    bottom: Floats
    height: Floats
    spills: Bools


class Rules(NamedTuple):
    """Each (rules): a link is open below `low` and shut above `high` of a tank's level, or by the clock if `tank` is -1.

    Then it is open from `low` to `high`, in seconds of the day; a window may pass midnight. `inverse` turns it all round.
    """

    link: Ints
    tank: Ints
    low: Floats
    high: Floats
    inverse: Bools


class Moment(NamedTuple):
    """One moment: `head` (nodes), `flow` and `mode` (links), what is `drawn` (junctions), how far links are open (links).

    `reducing` (links) is the loss of head in each reducer.
    """

    head: Floats
    flow: Floats
    drawn: Floats
    mode: Ints
    opening: Floats
    reducing: Floats


class Waterworks(NamedTuple):
    """A network that runs by itself. `flow` (links) is a guess to start from, `reservoirs` the heads that never change."""

    work: Pipework
    tanks: Tanks
    rules: Rules
    reservoirs: Floats
    flow: Floats


class Schedule(NamedTuple):
    """What happens to a network: each (rows, ...), `clock` in seconds of the day, `step` in seconds."""

    drawn: Floats
    opening: Floats
    held: Bools
    clock: Ints
    step: float


def pipework(junctions: int, start: Ints, end: Ints, **parts: Floats | Ints | Bools) -> Pipework:
    """Completes a pipework: parts that are not named are 0."""
    both = (start < junctions) & (end < junctions)
    plan_of, starts = plan(junctions, np.stack([start, end], axis=1)[both])
    entry = np.full(len(start), -1, dtype=np.int64)
    entry[both] = starts
    empty = {name: np.zeros(len(start)) for name in ("resistance", "minor", "lift", "sag", "droop", "setting")}
    kinds = {"kind": np.zeros(len(start), dtype=np.int64), "one_way": np.zeros(len(start), dtype=bool)}
    given: dict[str, Any] = empty | kinds | {"most": np.full(len(start), 10.0)} | parts
    return Pipework(junctions, start, end, plan=plan_of, entry=entry, **given)


@njit(cache=True)
def _loss(work: Pipework, link: int, flow: float, mode: int, opening: float) -> tuple[float, float]:
    """Loss of head in a link and its slope."""
    if mode == SHUT or opening <= 0:
        return SHUT_SLOPE * flow, SHUT_SLOPE
    size = abs(flow)
    if work.kind[link] == PUMP:
        lift = work.lift[link] * opening
        if flow < 0:
            return -lift + WRONG_WAY_SLOPE * flow, WRONG_WAY_SLOPE
        sag, droop = work.sag[link], work.droop[link]
        return -lift + (sag + droop * flow) * flow, max(sag + 2 * droop * size, 2 * droop * 1e-4)
    scale = 1 / (opening * opening)
    resistance, minor = work.resistance[link] * scale, work.minor[link] * scale
    if size < LEAST_FLOW:
        slope = max(resistance * LEAST_FLOW ** (EXPONENT - 1) + minor * LEAST_FLOW, 1e-6)
        loss = slope * flow
    else:
        power = resistance * size ** (EXPONENT - 1)
        loss = (power + minor * size) * flow
        slope = EXPONENT * power + 2 * minor * size + 1e-6
    backward = flow < 0 and (mode == FORWARD or work.one_way[link])
    if backward or (flow > 0 and mode == BACKWARD):
        return loss + WRONG_WAY_SLOPE * flow, slope + WRONG_WAY_SLOPE
    return loss, slope


@njit(cache=True)
def _reduce(work: Pipework, now: Moment) -> float:
    """Gives each reducer the loss that holds the head behind it; by how many metres the last one was off."""
    worst = 0.0
    for link in range(len(now.flow)):
        if work.kind[link] == REDUCER:
            lost = work.minor[link] * now.flow[link] ** 2
            wanted = max(now.head[work.start[link]] - work.setting[link] - lost, 0.0)
            worst = max(worst, abs(wanted - now.reducing[link]))
            now.reducing[link] = wanted
    return worst


@njit(cache=True)
def _newton(work: Pipework, now: Moment) -> None:
    """One iteration in the heads of the junctions; flows are left as they are, `_follow` takes them along."""
    scheme, head = work.plan, now.head
    diagonal = np.zeros(work.junctions)
    lower = np.zeros(len(scheme.rows))
    right = np.zeros(work.junctions)
    for node in range(work.junctions):
        right[scheme.place[node]] = -now.drawn[node]
    for link in range(len(now.flow)):
        one, other = work.start[link], work.end[link]
        loss, slope = _loss(work, link, now.flow[link], now.mode[link], now.opening[link])
        weight = 1 / slope
        known = now.flow[link] - (loss + now.reducing[link]) * weight
        if one < work.junctions:
            at = scheme.place[one]
            diagonal[at] += weight
            right[at] -= known - (0.0 if other < work.junctions else weight * head[other])
        if other < work.junctions:
            at = scheme.place[other]
            diagonal[at] += weight
            right[at] += known + (0.0 if one < work.junctions else weight * head[one])
        if work.entry[link] >= 0:
            lower[work.entry[link]] -= weight
    factorise(scheme, diagonal, lower)
    substitute(scheme, diagonal, lower, right)
    for node in range(work.junctions):
        head[node] = right[scheme.place[node]]


@njit(cache=True)
def _follow(work: Pipework, now: Moment, damping: float) -> tuple[float, float]:
    """Takes the flows along to new heads; the sums of their changes and of their sizes."""
    change = size = 0.0
    for link in range(len(now.flow)):
        loss, slope = _loss(work, link, now.flow[link], now.mode[link], now.opening[link])
        offered = now.head[work.start[link]] - now.head[work.end[link]]
        new = now.flow[link] + damping * (offered - loss - now.reducing[link]) / slope
        new = min(max(new, -work.most[link]), work.most[link])
        change += abs(new - now.flow[link])
        size += abs(new)
        now.flow[link] = new
    return change, size


@njit(cache=True)
def balance(work: Pipework, now: Moment) -> bool:
    """Brings heads of junctions, flows and reducers into balance, in place."""
    for iteration in range(ITERATIONS):
        _newton(work, now)
        change, size = _follow(work, now, 1.0 if iteration < UNDAMPED else 0.6)
        off = _reduce(work, now)
        if not np.isfinite(change):
            return False
        if change <= ACCURACY * size + 1e-9 and off < HEAD_ACCURACY:
            return True
    return False


@njit(cache=True)
def _obey(rules: Rules, level: Floats, on: Floats, clock: int, held: Bools) -> None:
    """Lets the controls look at levels and the clock; those of links that are `held` are stuck."""
    for rule in range(len(rules.link)):
        if held[rules.link[rule]]:
            continue
        low, high = rules.low[rule], rules.high[rule]
        if rules.tank[rule] < 0:
            inside = low <= clock < high if low <= high else clock >= low or clock < high
            on[rule] = 1.0 if inside != rules.inverse[rule] else 0.0
        elif level[rules.tank[rule]] <= low:
            on[rule] = 0.0 if rules.inverse[rule] else 1.0
        elif level[rules.tank[rule]] >= high:
            on[rule] = 1.0 if rules.inverse[rule] else 0.0


@njit(cache=True)
def _modes(works: Waterworks, level: Floats, on: Floats, mode: Ints) -> None:
    """Which links are open: as the controls say, and neither out of an empty tank nor into a full one."""
    work, tanks, rules = works.work, works.tanks, works.rules
    mode[:] = OPEN
    for rule in range(len(rules.link)):
        if on[rule] == 0:
            mode[rules.link[rule]] = SHUT
    for link in range(len(mode)):
        for node, inward, outward in ((work.end[link], FORWARD, BACKWARD), (work.start[link], BACKWARD, FORWARD)):
            tank = node - work.junctions
            if mode[link] == SHUT or not 0 <= tank < len(level):
                continue
            if level[tank] <= DRY:
                mode[link] = inward
            elif level[tank] >= tanks.height[tank] - FLOODED and not tanks.spills[tank]:
                mode[link] = outward


@njit(cache=True)
def _fill(works: Waterworks, level: Floats, flow: Floats, drawn: Floats, step: float) -> None:
    """What a step brings to the tanks and takes from them."""
    work, tanks = works.work, works.tanks
    for link in range(len(flow)):
        one, other = work.start[link] - work.junctions, work.end[link] - work.junctions
        if 0 <= one < len(level):
            level[one] -= flow[link] * step / tanks.area[one]
        if 0 <= other < len(level):
            level[other] += flow[link] * step / tanks.area[other]
    for tank in range(len(level)):
        level[tank] -= drawn[work.junctions + tank] * step / tanks.area[tank]
        level[tank] = min(max(level[tank], 0.0), tanks.height[tank])


@njit(cache=True)
def _march(works: Waterworks, plan: Schedule, state: Floats, out: tuple[Floats, Floats, Floats]) -> int:
    """Fills heads (rows, nodes), flows (rows, links) and states (rows, states); the first row without balance, or -1."""
    heads, flows, states = out
    work, count = works.work, len(works.tanks.area)
    level, on = state[:count].copy(), state[count:].copy()
    head, flow = np.zeros(heads.shape[1]), works.flow.copy()
    head[: work.junctions] = works.reservoirs.max()
    head[work.junctions + count :] = works.reservoirs
    mode = np.zeros(len(flow), dtype=np.int64)
    reducing = np.zeros(len(flow))
    for row in range(len(plan.drawn)):
        states[row, :count], states[row, count:] = level, on
        _obey(works.rules, level, on, plan.clock[row], plan.held[row])
        _modes(works, level, on, mode)
        head[work.junctions : work.junctions + count] = level + works.tanks.bottom
        if not balance(work, Moment(head, flow, plan.drawn[row], mode, plan.opening[row], reducing)):
            return row
        heads[row], flows[row] = head, flow
        _fill(works, level, flow, plan.drawn[row], plan.step)
    return -1


def march(works: Waterworks, plan: Schedule, state: Floats) -> tuple[Floats, Floats, Floats]:
    """Heads (rows, nodes), flows (rows, links) and states (rows, levels then rules).

    `drawn` is (rows, junctions then tanks); `opening` (rows, links) is 1 for a sound link and 0 for one that is shut by force;
    the controls of links that are `held` (rows, links) do not act. Raises UnsolvableError.
    """
    rows, links = plan.opening.shape
    nodes = works.work.junctions + len(works.tanks.area) + len(works.reservoirs)
    out = np.zeros((rows, nodes)), np.zeros((rows, links)), np.zeros((rows, len(state)))
    failed = _march(works, plan, state, out)
    if failed >= 0:
        raise UnsolvableError(f"no balance in row {failed}")
    return out
