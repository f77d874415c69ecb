"""Where the nodes of a made-up network lie and which of them are joined: shapes in which real networks come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay

from graph.rehearsal.plant import Bools, Floats, Ints

LONG_EDGES = 0.85
"""Quantile of length: longer edges of a triangulation lie on its rim and are never built."""
LEAST_DISTRICT = 5


@dataclass(frozen=True)
class Layout:
    """Nodes in the plane (n, 2), joined by edges (m, 2), each in a zone (n); zone z > 0 hangs on by the one edge in `gates`."""

    where: Floats
    edges: Ints
    zone: Ints
    gates: Ints


def mesh(rng: np.random.Generator, where: Floats, surplus: float) -> Ints:
    """Edges (m, 2) of a crossing-free network: a tree and `surplus` further edges per node."""
    corners = Delaunay(where).simplices
    pairs = np.unique(np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1), axis=0)
    length = np.linalg.norm(where[pairs[:, 0]] - where[pairs[:, 1]], axis=1)
    weight = length * rng.lognormal(0, 0.3, len(length)) + 1e-9
    tree = minimum_spanning_tree(coo_array((weight, pairs.T), shape=(len(where), len(where)))).tocoo()
    chosen = {(int(min(one, other)), int(max(one, other))) for one, other in zip(*tree.coords, strict=True)}
    rest = [
        (int(one), int(other))
        for (one, other), long in zip(pairs, length > np.quantile(length, LONG_EDGES), strict=True)
        if not long and (one, other) not in chosen
    ]
    count = min(len(rest), round(surplus * len(where)))
    chosen.update(rest[number] for number in rng.permutation(len(rest))[:count])
    return np.array(sorted(chosen), dtype=np.int64)


def scatter(rng: np.random.Generator, count: int) -> Floats:
    """Points of even, of uneven, or of streetlike density."""
    match rng.integers(3):
        case 0:
            return rng.random((count, 2))
        case 1:
            return rng.normal(0, (1.0, rng.uniform(0.3, 1.0)), (count, 2))
        case _:
            side = int(np.ceil(np.sqrt(count)))
            cells = rng.permutation(side * side)[:count]
            return rng.normal(np.stack([cells % side, cells // side], axis=1), 0.12)


def one_zone(rng: np.random.Generator, count: int, surplus: float) -> Layout:
    where = scatter(rng, count)
    return Layout(where, mesh(rng, where, surplus), np.zeros(count, dtype=np.int64), np.zeros((0, 2), dtype=np.int64))


def transmission(rng: np.random.Generator, count: int) -> Layout:
    """A long main with branches."""
    trunk = max(3, round(count * rng.uniform(0.15, 0.5)))
    heading = np.cumsum(rng.normal(0, 0.3, trunk))
    where = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    edges = [(number, number + 1) for number in range(trunk - 1)]
    for number in range(trunk, count):
        beside = where[rng.integers(trunk)] + rng.normal(0, rng.uniform(0.5, 2.0), 2)
        edges.append((int(np.argmin(((where - beside) ** 2).sum(axis=1))), number))
        where = np.concatenate([where, beside[None]])
    return Layout(where, np.array(edges, dtype=np.int64), np.zeros(count, dtype=np.int64), np.zeros((0, 2), dtype=np.int64))


def districts(rng: np.random.Generator, count: int, surplus: float) -> Layout:
    """Clusters, each joined to the nearest of the earlier ones by a single edge, its gate."""
    number = int(rng.integers(2, max(3, min(7, count // LEAST_DISTRICT // 2) + 1)))
    sizes = LEAST_DISTRICT + rng.multinomial(max(0, count - number * LEAST_DISTRICT), rng.dirichlet(np.full(number, 2.0)))
    parts: list[Floats] = []
    edges: list[Ints] = []
    gates: list[tuple[int, int]] = []
    zone = np.repeat(np.arange(number), sizes)
    for place, size in enumerate(sizes.tolist()):
        begin = sum(len(part) for part in parts)
        where = scatter(rng, size)
        where = (where - where.mean(axis=0)) / (where.std() + 1e-9) * np.sqrt(size) + rng.normal(0, 4 * np.sqrt(count), 2)
        edges.append(begin + mesh(rng, where, surplus))
        if place:
            apart = np.linalg.norm(np.concatenate(parts)[:, None] - where[None], axis=2)
            one, other = np.unravel_index(int(np.argmin(apart)), apart.shape)
            gates.append((int(one), begin + int(other)))
        parts.append(where)
    return Layout(np.concatenate(parts), np.concatenate(edges), zone, np.array(gates, dtype=np.int64).reshape(-1, 2))


def with_gates(rng: np.random.Generator, layout: Layout) -> Layout:
    """Cuts a network of one zone in two where a bridge allows it: the smaller part hangs on by a gate."""
    count = len(layout.where)
    for number in rng.permutation(len(layout.edges))[:20]:
        edges = np.delete(layout.edges, number, axis=0)
        behind = _reached(edges, count, int(layout.edges[number, 1]))
        size = int(behind.sum())
        if behind[layout.edges[number, 0]] or min(size, count - size) < LEAST_DISTRICT:
            continue
        gate = layout.edges[number][None] if size <= count // 2 else layout.edges[number][None, ::-1]
        zone = behind if size <= count // 2 else ~behind
        return Layout(layout.where, edges, zone.astype(np.int64), gate)
    return layout


def _reached(edges: Ints, count: int, first: int) -> Bools:
    near: list[list[int]] = [[] for _ in range(count)]
    for one, other in edges.tolist():
        near[one].append(other)
        near[other].append(one)
    found = np.zeros(count, dtype=bool)
    found[first] = True
    waiting = [first]
    while waiting:
        for other in near[waiting.pop()]:
            if not found[other]:
                found[other] = True
                waiting.append(other)
    return found


def refine(rng: np.random.Generator, layout: Layout, *, series: int, spurs: int) -> Layout:
    """Splits edges by `series` more nodes and hangs `spurs` dead ends on: real networks are full of both."""
    where, zone = layout.where.tolist(), layout.zone.tolist()
    edges = layout.edges.tolist()
    for _ in range(series):
        number, share = int(rng.integers(len(edges))), rng.uniform(0.25, 0.75)
        one, other = edges[number]
        where.append([(1 - share) * a + share * b for a, b in zip(where[one], where[other], strict=True)])
        zone.append(zone[one])
        edges[number] = [one, len(where) - 1]
        edges.append([len(where) - 1, other])
    reach = float(np.median(np.linalg.norm(layout.where[layout.edges[:, 0]] - layout.where[layout.edges[:, 1]], axis=1)))
    for _ in range(spurs):
        one = int(rng.integers(len(where)))
        where.append((np.array(where[one]) + rng.normal(0, reach / 2, 2)).tolist())
        zone.append(zone[one])
        edges.append([one, len(where) - 1])
    return Layout(np.array(where), np.array(edges, dtype=np.int64), np.array(zone, dtype=np.int64), layout.gates)


def lay(rng: np.random.Generator, count: int) -> Layout:
    """A network of `count` nodes in one of the shapes."""
    series = round(count * rng.choice((0.0, rng.uniform(0, 0.3), rng.uniform(0.3, 0.6))))
    spurs = round(count * rng.uniform(0, 0.2))
    core = max(2 * LEAST_DISTRICT, count - series - spurs)
    shape = rng.choice(("loops", "tree", "districts", "line"), p=(0.35, 0.2, 0.3, 0.15))
    match shape:
        case "loops":
            layout = one_zone(rng, core, rng.uniform(0.15, 0.6))
        case "tree":
            layout = one_zone(rng, core, rng.uniform(0.0, 0.08))
        case "districts":
            layout = districts(rng, core, rng.uniform(0.03, 0.5))
        case _:
            layout = transmission(rng, core)
    if shape != "districts" and rng.random() < 0.5:  # noqa: PLR2004
        layout = with_gates(rng, layout)
    return refine(rng, layout, series=series, spurs=spurs)
