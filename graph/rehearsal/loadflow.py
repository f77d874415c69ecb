"""Alternating-current load flow of a transmission grid over time, with protection that switches off overloaded lines.

Newton-Raphson in polar coordinates (Tinney & Hart 1967; branch model and derivatives as in the MATPOWER manual, chapter 3). The
inverse of the Jacobian is kept from row to row as long as the mismatch shrinks well with it: loads move little in a step.

Units: per unit of 100 MVA, radians.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from graph.rehearsal.plant import Bools, Floats, Ints, UnsolvableError

Phasors = NDArray[np.complex128]

ITERATIONS, FRESH = 80, 10
ACCURACY = 1e-6
MANY = 10
"""So many iterations in a row ask for a fresh Jacobian in the next."""
SHRINKS = 0.7
"""An iteration that leaves more than this of the mismatch asks for a fresh Jacobian."""
LOWEST, HIGHEST = 0.5, 1.6
"""Voltages outside of these are no state of a grid but a failing iteration."""
OVERLOAD_ROWS = 2


class Grid(NamedTuple):
    """Branches lead from `start` to `end`; `tap` is the ratio at the start; `shunt` (buses) is an admittance to the ground.

    `rating` (branches) is what a line may carry; the protection of others never acts (infinite). `voltage` (buses) is held
    where a generator runs; bus `slack` makes up the balance.
    """

    start: Ints
    end: Ints
    series: Phasors
    charging: Floats
    tap: Floats
    shunt: Phasors
    rating: Floats
    voltage: Floats
    slack: int


class Schedule(NamedTuple):
    """Each (rows, ...): what is fed in at buses, which buses hold their voltage, which branches are in service."""

    active: Floats
    reactive: Floats
    holds: Bools
    alive: Bools


class Flows(NamedTuple):
    """Each (rows, ...): size and angle of the voltages, active and apparent power at the start of branches, fed in at buses."""

    size: Floats
    angle: Floats
    power: Floats
    apparent: Floats
    fed: Floats


@njit(cache=True)
def admittance(grid: Grid, alive: Bools) -> Phasors:
    """Of all pairs of buses (n, n)."""
    matrix = np.zeros((len(grid.shunt), len(grid.shunt)), dtype=np.complex128)
    for bus in range(len(grid.shunt)):
        matrix[bus, bus] = grid.shunt[bus]
    for branch in range(len(grid.start)):
        if alive[branch]:
            one, other, tap = grid.start[branch], grid.end[branch], grid.tap[branch]
            series, own = grid.series[branch], grid.series[branch] + 0.5j * grid.charging[branch]
            matrix[one, one] += own / (tap * tap)
            matrix[other, other] += own
            matrix[one, other] -= series / tap
            matrix[other, one] -= series / tap
    return matrix


@njit(cache=True)
def _slopes(matrix: Phasors, volts: Phasors, size: Floats, angle_free: Bools, size_free: Bools) -> Floats:
    """Inverse of the Jacobian (2n, 2n); what is held has a row and a column of the identity."""
    count = len(volts)
    jacobian = np.zeros((2 * count, 2 * count))
    current = matrix @ volts
    for row in range(count):
        for column in range(count):
            coupled = volts[row] * np.conj(matrix[row, column] * volts[column])
            by_angle, by_size = -1j * coupled, coupled / size[column]
            if row == column:
                by_angle += 1j * volts[row] * np.conj(current[row])
                by_size += volts[row] / size[row] * np.conj(current[row])
            if angle_free[row]:
                jacobian[row, column] = by_angle.real if angle_free[column] else 0.0
                jacobian[row, count + column] = by_size.real if size_free[column] else 0.0
            if size_free[row]:
                jacobian[count + row, column] = by_angle.imag if angle_free[column] else 0.0
                jacobian[count + row, count + column] = by_size.imag if size_free[column] else 0.0
        if not angle_free[row]:
            jacobian[row, row] = 1.0
        if not size_free[row]:
            jacobian[count + row, count + row] = 1.0
    return np.linalg.inv(jacobian).astype(np.float64)


@njit(cache=True)
def balance(matrix: Phasors, wanted: Phasors, free: tuple[Bools, Bools], volts: tuple[Floats, Floats], inverse: Floats) -> bool:
    """Brings `volts` (angles, sizes) into balance with what is `wanted` at each bus, in place; `inverse` too."""
    (angle, size), (angle_free, size_free) = volts, free
    count, before, fresh = len(angle), np.inf, 0
    off = np.zeros(2 * count)
    for iteration in range(ITERATIONS):
        phasors = size * np.exp(1j * angle)
        missing = wanted - phasors * np.conj(matrix @ phasors)
        off[:count] = np.where(angle_free, missing.real, 0.0)
        off[count:] = np.where(size_free, missing.imag, 0.0)
        worst = np.abs(off).max()
        if worst < ACCURACY:
            inverse *= iteration <= MANY
            return True
        if not np.isfinite(worst) or size.min() < LOWEST or size.max() > HIGHEST:
            return False
        if worst > SHRINKS * before or not inverse.any():
            fresh += 1
            if fresh > FRESH:
                return False
            inverse[:] = _slopes(matrix, phasors, size, angle_free, size_free)
        before = worst
        step = inverse @ off
        angle += step[:count]
        size += step[count:]
    return False


@njit(cache=True)
def _power(grid: Grid, phasors: Phasors, alive: Bools) -> Phasors:
    """Complex power into each branch at its start (branches)."""
    found = np.zeros(len(grid.start), dtype=np.complex128)
    for branch in range(len(grid.start)):
        if alive[branch]:
            tap, series = grid.tap[branch], grid.series[branch]
            one, other = phasors[grid.start[branch]], phasors[grid.end[branch]]
            current = (series + 0.5j * grid.charging[branch]) * one / (tap * tap) - series * other / tap
            found[branch] = one * np.conj(current)
    return found


@njit(cache=True)
def _march(grid: Grid, plan: Schedule, protected: bool, volts: tuple[Floats, Floats], out: Flows) -> int:  # noqa: FBT001
    """Fills `out`; the first row without balance, or -1."""
    angle, size = volts
    count, branches = len(angle), len(grid.start)
    over, tripped = np.zeros(branches), np.zeros(branches, dtype=np.bool_)
    before, held = np.zeros(branches, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    matrix = np.zeros((count, count), dtype=np.complex128)
    inverse = np.zeros((2 * count, 2 * count))
    angle_free = np.arange(count) != grid.slack
    for row in range(len(plan.active)):
        alive, holds = plan.alive[row] & ~tripped, plan.holds[row]
        if row == 0 or (alive != before).any() or (holds != held).any():
            matrix, before, held = admittance(grid, alive), alive, holds
            inverse[:] = 0.0
            size[:] = np.where(holds, grid.voltage, size)
        wanted = plan.active[row] + 1j * plan.reactive[row]
        if not balance(matrix, wanted, (angle_free, ~holds), (angle, size), inverse):
            return row
        phasors = size * np.exp(1j * angle)
        power = _power(grid, phasors, alive)
        out.size[row], out.angle[row], out.power[row] = size, angle, power.real
        out.apparent[row] = np.abs(power)
        out.fed[row] = (phasors * np.conj(matrix @ phasors)).real
        if protected:
            over = np.where(out.apparent[row] > grid.rating, over + 1, 0.0)
            tripped |= over >= OVERLOAD_ROWS
    return -1


def march(grid: Grid, plan: Schedule, angle: Floats, *, protected: bool) -> Flows:
    """The load flow of each row, beginning from angles (buses). Raises UnsolvableError."""
    rows, count = plan.active.shape
    out = Flows(*(np.zeros((rows, columns)) for columns in (count, count, len(grid.start), len(grid.start), count)))
    size = np.where(plan.holds[0], grid.voltage, 1.0)
    try:
        failed = _march(grid, plan, protected, (angle.copy(), size), out)
    except np.linalg.LinAlgError as error:
        raise UnsolvableError("a part of the grid is cut off") from error
    if failed >= 0:
        raise UnsolvableError(f"no balance in row {failed}")
    return out
