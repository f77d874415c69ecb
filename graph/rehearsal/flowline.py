"""A process in which material and heat travel along directed connections, each with its delay and each unit with its inertia.

One step of a unit i, with the flow F and the temperature T that arrived:
    F_i += (sum of arrivals - F_i) / inertia,  T_i += (mixed arrivals + gain_i * drive_i / F_i - T_i) / heat inertia
and what leaves is split over its connections. A drive follows the unit's own temperature towards its set point (integral
action with limits), so that a control hides small faults and shows large ones. Units: shares of nominal flow, kelvin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from graph.rehearsal.plant import Floats, Ints


class Line(NamedTuple):
    """Units in order of flow; connections lead from `start` to `end` and take `delay` steps (at least 1).

    `inertia` and `slow` (units) are time constants in steps of flow and heat; `gain` (units) in kelvin at nominal flow and full
    drive; `loss` (units) the share of the excess over the surroundings that is lost; `tuning` (units) is 0 without a control.
    """

    start: Ints
    end: Ints
    delay: Ints
    split: Floats
    nominal: Floats
    inertia: Floats
    slow: Floats
    gain: Floats
    loss: Floats
    target: Floats
    tuning: Floats


class Spoilt(NamedTuple):
    """Each (rows, ...), 1 where nothing is wrong: `strength` of units, what is `kept` of their flow, how far connections are
    `open`; a drive that is `stuck` stands at 0.
    """

    strength: Floats
    kept: Floats
    open: Floats
    stuck: Floats


@njit(cache=True)
def _send(line: Line, passed: Floats, flow: Floats, open_now: Floats) -> None:
    """Fills `passed` (connections) with what each takes of its unit; blocked ones leave their part to the others."""
    free = np.zeros(len(flow))
    for number in range(len(line.start)):
        free[line.start[number]] += line.split[number] * open_now[number]
    for number in range(len(line.start)):
        unit = line.start[number]
        eased = max(free[unit], 0.3)
        passed[number] = flow[unit] * line.split[number] * open_now[number] / eased


@njit(cache=True)
def march(line: Line, supply: Floats, warmth: Floats, spoilt: Spoilt, state: Floats) -> tuple[Floats, Floats]:
    """Channels (rows, flows then temperatures then drives of units then flows of connections) and states (rows, states).

    `supply` and `warmth` (rows, units) are what comes from outside. A state holds flows, temperatures, drives and then what is
    on its way in each connection: its flow and temperature for each step of the longest delay.
    """
    rows, units = supply.shape
    joins = len(line.start)
    longest = (len(state) - 3 * units) // (2 * joins)
    now = state.copy()
    flow, heat, drive = now[:units], now[units : 2 * units], now[2 * units : 3 * units]
    way = now[3 * units :].reshape(2, joins, longest)
    out, states = np.zeros((rows, 3 * units + joins)), np.zeros((rows, len(state)))
    passed = np.zeros(joins)
    for row in range(rows):
        states[row] = now
        came, carried = supply[row].copy(), supply[row] * warmth[row]
        for number in range(joins):
            came[line.end[number]] += way[0, number, line.delay[number] - 1]
            carried[line.end[number]] += way[0, number, line.delay[number] - 1] * way[1, number, line.delay[number] - 1]
        for unit in range(units):
            mixed = carried[unit] / came[unit] if came[unit] > 1e-6 else heat[unit]  # noqa: PLR2004
            share = max(flow[unit] / line.nominal[unit], 0.2)
            raised = line.gain[unit] * drive[unit] * spoilt.strength[row, unit] / share
            flow[unit] += (came[unit] * spoilt.kept[row, unit] - flow[unit]) / line.inertia[unit]
            heat[unit] += (mixed + raised - line.loss[unit] * (mixed + raised) - heat[unit]) / line.slow[unit]
            off = (line.target[unit] - heat[unit]) * line.tuning[unit]
            drive[unit] = min(max(drive[unit] + off * spoilt.stuck[row, unit], 0.0), 1.0)
        way[:, :, 1:] = way[:, :, :-1].copy()
        _send(line, passed, flow, spoilt.open[row])
        for number in range(joins):
            way[0, number, 0], way[1, number, 0] = passed[number], heat[line.start[number]]
        out[row, : 3 * units], out[row, 3 * units :] = now[: 3 * units], passed
    return out, states
