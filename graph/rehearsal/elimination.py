"""Solves sparse symmetric systems of one pattern over and over: L D L' with the pattern and its fill worked out once.

Nodes are eliminated by least degree (Rose 1972), which fills in very little on networks that are nearly planar. The numbers
follow the classic right-looking scheme; George & Liu, Computer Solution of Large Sparse Positive Definite Systems, 1981.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from graph.rehearsal.plant import Floats, Ints


class Elimination(NamedTuple):
    """The pattern: columns of L in order of elimination.

    `place` (n) is where a node stands in that order; column j has `rows[begin[j]:begin[j + 1]]`; `target` is the entry that
    each pair of entries of a column updates, in the order in which `factorise` meets them.
    """

    place: Ints
    begin: Ints
    rows: Ints
    target: Ints


def plan(count: int, pairs: Ints) -> tuple[Elimination, Ints]:
    """The pattern for `count` unknowns coupled in `pairs` (m, 2), and the entry of L at which each pair starts out (m)."""
    near: list[set[int]] = [set() for _ in range(count)]
    for one, other in pairs.tolist():
        near[one].add(other)
        near[other].add(one)
    left = set(range(count))
    place = np.zeros(count, dtype=np.int64)
    columns: list[list[int]] = []
    for number in range(count):
        node = min(left, key=lambda one: (len(near[one]), one))
        left.remove(node)
        place[node] = number
        columns.append(sorted(near[node]))
        for one in near[node]:
            near[one] |= near[node]
            near[one] -= {one, node}
    rows = [sorted(int(place[one]) for one in column) for column in columns]
    begin = np.concatenate([[0], np.cumsum([len(column) for column in rows])]).astype(np.int64)
    entry = {(row, column): int(begin[column]) + at for column, listed in enumerate(rows) for at, row in enumerate(listed)}
    target = [entry[b, a] for listed in rows for at, a in enumerate(listed) for b in listed[at + 1 :]]
    placed = place[pairs].reshape(-1, 2)
    starts = [entry[int(max(pair)), int(min(pair))] for pair in placed]
    flat = [row for listed in rows for row in listed]
    found = Elimination(place, begin, np.array(flat, dtype=np.int64), np.array(target, dtype=np.int64))
    return found, np.array(starts, dtype=np.int64)


@njit(cache=True)
def factorise(plan: Elimination, diagonal: Floats, lower: Floats) -> None:
    """In place: `diagonal` (n) becomes D, `lower` (entries) becomes L."""
    update = 0
    for column in range(len(diagonal)):
        begin, end = plan.begin[column], plan.begin[column + 1]
        for at in range(begin, end):
            scaled = lower[at] / diagonal[column]
            diagonal[plan.rows[at]] -= scaled * lower[at]
            for below in range(at + 1, end):
                lower[plan.target[update]] -= scaled * lower[below]
                update += 1
        for at in range(begin, end):
            lower[at] /= diagonal[column]


@njit(cache=True)
def substitute(plan: Elimination, diagonal: Floats, lower: Floats, right: Floats) -> None:
    """In place: `right` (n), in order of elimination, becomes the solution."""
    count = len(diagonal)
    for column in range(count):
        for at in range(plan.begin[column], plan.begin[column + 1]):
            right[plan.rows[at]] -= lower[at] * right[column]
    for column in range(count - 1, -1, -1):
        right[column] /= diagonal[column]
        for at in range(plan.begin[column], plan.begin[column + 1]):
            right[column] -= lower[at] * right[plan.rows[at]]
