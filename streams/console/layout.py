"""Where devices are drawn: a grid of cells for each zone, found from the devices and their edges alone.

A zone is laid out as it is drawn in the devices' own `x` and `y` where most have them, else by distances in the graph: stress
majorization (Gansner, Koren, North 2004) from classical scaling, turned so that most edges lead to the right. Each device gets
a cell of its own, so that nothing lies on anything else. No chance is in it, and alarms are not known here. What has a cell
keeps it when other devices come, for as long as its zone has free cells; also when it goes, so it comes back to its place.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import shortest_path

from schemas.device import DeviceId, Edge, Relation
from streams.answers import DeviceNow

Floats = NDArray[np.float64]
Cell = tuple[int, int]

WIDE, HIGH = 58, 60
"""A cell."""
MARGIN, TITLE, GAP = 26, 30, 28
ROOM = 1.45
"""Cells for each device."""
ROUNDS = 60
STRETCHES = (1.0, 0.75, 0.55, 0.42, 1.35)
FEW = 12
"""Zones that are stretched so that they fill a screen together; with more, their rows do."""
SHAPE = 1.6
"""Width by height that the whole is packed to."""


class Block(NamedTuple):
    """A zone's grid."""

    columns: int
    rows: int
    cells: dict[DeviceId, Cell]

    @property
    def width(self) -> int:
        return self.columns * WIDE + 2 * MARGIN

    @property
    def height(self) -> int:
        return self.rows * HIGH + 2 * MARGIN + TITLE


class Region(NamedTuple):
    """A zone as it is drawn."""

    zone: str | None
    x: int
    y: int
    width: int
    height: int


class Plan:
    """The places of one drawing, kept while it grows."""

    def __init__(self) -> None:
        self._blocks: dict[str | None, Block] = {}
        self._corners: dict[str | None, tuple[int, int]] = {}

    def extend(self, devices: Sequence[DeviceNow], edges: Sequence[Edge]) -> None:
        """Give every device a place; those that have one keep it, unless a zone is full: then all is laid out anew."""
        by_zone: dict[str | None, list[DeviceNow]] = defaultdict(list)
        for device in sorted(devices, key=lambda one: one.device_id):
            by_zone[device.zone].append(device)
        if not self._blocks:
            self._afresh(by_zone, edges)
            return
        for zone, members in by_zone.items():
            held = self._blocks.get(zone)
            grown = arranged(members, edges) if held is None else joined(held, members, edges)
            if grown is None:
                self._afresh(by_zone, edges)
                return
            self._blocks[zone] = grown
        self._pack(zone for zone in self._blocks if zone not in self._corners)

    def _afresh(self, by_zone: Mapping[str | None, Sequence[DeviceNow]], edges: Sequence[Edge]) -> None:
        """Zones as wide and high as makes the whole fill a screen best."""
        ordered = [by_zone[zone] for zone in _in_order(by_zone)]
        wanted = [_wanted(members, _pairs(members, edges)) for members in ordered]
        tried = []
        for stretch in STRETCHES:
            sizes = [_size(_grid(places, stretch)) for places in wanted]
            tried.append((_spread(sizes, shelved(sizes)), stretch))
        stretch = min(tried)[1] if len(wanted) <= FEW else 1.0
        self._blocks = {
            zone: placed(members, places, stretch)
            for zone, members, places in zip(_in_order(by_zone), ordered, wanted, strict=True)
        }
        self._corners = {}
        self._pack(self._blocks)

    def _pack(self, zones: Iterable[str | None]) -> None:
        """On shelves beneath what stands already, in the order of names; no zone comes last."""
        ordered = _in_order(zones)
        if not ordered:
            return
        top = max((self._corners[zone][1] + self._blocks[zone].height + GAP for zone in self._corners), default=0)
        sizes = [(self._blocks[zone].width, self._blocks[zone].height) for zone in ordered]
        for zone, (x, y) in zip(ordered, shelved(sizes), strict=True):
            self._corners[zone] = (x, top + y)

    def place(self, device: DeviceNow) -> tuple[int, int]:
        """The middle of its cell."""
        (x, y), (column, row) = self._corners[device.zone], self._blocks[device.zone].cells[device.device_id]
        return x + MARGIN + column * WIDE + WIDE // 2, y + TITLE + MARGIN + row * HIGH + HIGH // 2

    def regions(self, zones: Iterable[str | None]) -> list[Region]:
        return [
            Region(zone, *self._corners[zone], self._blocks[zone].width, self._blocks[zone].height)
            for zone in _in_order(set(zones))
        ]


def shelved(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Corners of boxes in rows, in their order, as long as makes the whole nearest to `SHAPE`.

    >>> shelved([(100, 50), (100, 60), (100, 50)])
    [(0, 0), (128, 0), (0, 88)]
    """
    best: tuple[float, list[tuple[int, int]]] = (math.inf, [])
    for end in range(1, len(sizes) + 1):
        limit = sum(width + GAP for width, _ in sizes[:end])
        corners, x, y, deepest = list[tuple[int, int]](), 0, 0, 0
        for width, height in sizes:
            if x and x + width > limit:
                x, y, deepest = 0, y + deepest + GAP, 0
            corners.append((x, y))
            x, deepest = x + width + GAP, max(deepest, height)
        best = min(best, (_spread(sizes, corners), corners))
    return best[1]


def _spread(sizes: Sequence[tuple[int, int]], corners: Sequence[tuple[int, int]]) -> float:
    """How high a screen of `SHAPE` must be to show the whole."""
    widest = max((x + width for (x, _), (width, _) in zip(corners, sizes, strict=True)), default=0)
    deepest = max((y + height for (_, y), (_, height) in zip(corners, sizes, strict=True)), default=0)
    return max(widest / SHAPE, deepest)


def _in_order(zones: Iterable[str | None]) -> list[str | None]:
    """By name, those without a zone last."""
    return sorted(zones, key=lambda zone: (zone is None, zone or ""))


def arranged(devices: Sequence[DeviceNow], edges: Sequence[Edge]) -> Block:
    """A grid for devices that have no place yet."""
    return placed(devices, _wanted(devices, _pairs(devices, edges)), 1.0)


def placed(devices: Sequence[DeviceNow], wanted: Floats, stretch: float) -> Block:
    """Each in a cell of its own, as near as can be to where it should be on the whole."""
    columns, rows = _grid(wanted, stretch)
    scaled = (wanted - wanted.min(axis=0)) / _extent(wanted) * (columns - 1, rows - 1)
    free = [(column, row) for row in range(rows) for column in range(columns)]
    far = ((scaled[:, None, :] - np.array(free, dtype=float)[None, :, :]) ** 2).sum(axis=2)
    _, chosen = linear_sum_assignment(far)
    return Block(columns, rows, {device.device_id: free[cell] for device, cell in zip(devices, chosen, strict=True)})


def _grid(wanted: Floats, stretch: float) -> tuple[int, int]:
    count, extent = ROOM * len(wanted) + 1, _extent(wanted)
    shape = float(np.clip(extent[0] / extent[1], 0.7, 2.2)) * stretch
    columns = max(2, math.ceil(math.sqrt(count * shape)))
    return columns, max(1, math.ceil(count / columns))


def _extent(wanted: Floats) -> Floats:
    extent: Floats = np.maximum(np.ptp(wanted, axis=0), 1e-9)
    return extent


def _size(grid: tuple[int, int]) -> tuple[int, int]:
    block = Block(*grid, {})
    return block.width, block.height


def joined(block: Block, devices: Sequence[DeviceNow], edges: Sequence[Edge]) -> Block | None:
    """The same grid with those that are new in the free cells nearest to what they are linked with; None if it is full."""
    fresh = [device for device in devices if device.device_id not in block.cells]
    if not fresh:
        return block
    taken = set(block.cells.values())
    free = [(column, row) for row in range(block.rows) for column in range(block.columns) if (column, row) not in taken]
    if len(free) < len(fresh):
        return None
    cells = dict(block.cells)
    near: dict[DeviceId, list[DeviceId]] = defaultdict(list)
    for edge in edges:
        near[edge.source].append(edge.target)
        near[edge.target].append(edge.source)
    for device in fresh:
        ends = [cells[end] for end in [*near[device.device_id], device.parent] if end in cells]
        middle = np.mean(ends, axis=0) if ends else np.array([0.0, block.rows - 1.0])
        best = min(free, key=lambda cell: (math.dist(cell, middle), cell))
        free.remove(best)
        cells[device.device_id] = best
    return block._replace(cells=cells)


def _pairs(devices: Sequence[DeviceNow], edges: Iterable[Edge]) -> list[tuple[int, int]]:
    """Who is near whom; the network of gateways joins all with all and says nothing of it."""
    index = {device.device_id: number for number, device in enumerate(devices)}
    pairs = [
        (index[edge.source], index[edge.target])
        for edge in edges
        if edge.relation is not Relation.NETWORK and edge.source in index and edge.target in index
    ]
    return pairs + [
        (index[one.parent], index[one.device_id]) for one in devices if one.parent is not None and one.parent in index
    ]


def _wanted(devices: Sequence[DeviceNow], pairs: Sequence[tuple[int, int]]) -> Floats:
    drawn = [_drawn(device) for device in devices]
    known = [place for place in drawn if place is not None]
    if len(known) * 2 > len(devices) and len(set(known)) > 1:
        middle = tuple(np.mean(known, axis=0))
        # Drawings have y upwards, screens downwards.
        return np.array([(x, -y) for x, y in (place or middle for place in drawn)], dtype=float)
    return _scaled(len(devices), pairs)


def _drawn(device: DeviceNow) -> tuple[float, float] | None:
    x, y = device.properties.get("x"), device.properties.get("y")
    numbers = isinstance(x, int | float) and isinstance(y, int | float) and math.isfinite(x) and math.isfinite(y)
    return (float(x), float(y)) if numbers and x is not None and y is not None else None


def _scaled(count: int, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Places whose distances are those in the graph, as well as a plane allows."""
    if not pairs:
        side = math.ceil(math.sqrt(count * SHAPE))
        return np.array([(number % side, number // side) for number in range(count)], dtype=float)
    ends = np.array(pairs)
    graph = coo_matrix((np.ones(len(pairs)), (ends[:, 0], ends[:, 1])), shape=(count, count)).tocsr()
    wanted = shortest_path(graph, directed=False, unweighted=True)
    wanted[np.isinf(wanted)] = wanted[np.isfinite(wanted)].max() + 2
    places, weights = _classical(wanted), 1 / np.maximum(wanted, 1) ** 2
    np.fill_diagonal(weights, 0)
    inverse = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights)
    for _ in range(ROUNDS):
        apart = np.maximum(np.linalg.norm(places[:, None] - places[None], axis=2), 1e-9)
        pull = -weights * wanted / apart
        np.fill_diagonal(pull, 0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        places = inverse @ pull @ places
    return _turned(places, ends)


def _classical(distances: Floats) -> Floats:
    count = len(distances)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-centring @ (distances**2) @ centring / 2)
    axes = vectors[:, -2:][:, ::-1]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    spread: Floats = axes * signs * np.sqrt(np.maximum(values[-2:][::-1], 1e-9))
    return spread


def _turned(places: Floats, ends: NDArray[np.int64]) -> Floats:
    """So that edges lead to the right, on the whole."""
    along = (places[ends[:, 1]] - places[ends[:, 0]]).sum(axis=0)
    length = float(np.linalg.norm(along))
    if length < 1e-6 * len(ends):
        return places
    cosine, sine = along / length
    turned: Floats = places @ np.array([[cosine, -sine], [sine, cosine]])
    return turned
