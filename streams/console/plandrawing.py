"""A plan as boxes and arrows: generations in rows from the top, links that pass a row beside its boxes.

Rows are put in order by the middle of what leads to them (Sugiyama, Tagawa, Toda 1981). No chance is in it, and how far a
task is changes no place. What is drawn is text, set by the page's own templates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any
from unicodedata import category, east_asian_width

import msgspec

from agents.taskgraph import Reference, Task, TaskGraph

WIDE, LINE, PAD = 272, 17, 10
"""Of a box, in the drawing's units."""
ASIDE, DOWN = 28, 60
"""Between boxes, and between rows."""
PASSING = 24
"""Room of a link that passes a row."""
LETTER = 6.6
CHARACTERS = int((WIDE - 2 * PAD) / LETTER)
MOST_LINES = 7
SWEEPS = 4
Node = str | tuple[str, str, int]
"""A task, or where the link between two passes a row."""


class Box(msgspec.Struct, frozen=True):
    """A task. `told`: all that is said of it, for who points at it."""

    key: str
    title: str
    lines: list[str]
    why: str
    told: str
    x: float
    y: float
    width: int
    height: int


class Arrow(msgspec.Struct, frozen=True):
    """`path` as SVG knows it; what must hold for the way to be taken, and where that is written."""

    source: str
    target: str
    path: str
    condition: str
    x: float
    y: float


class Drawing(msgspec.Struct, frozen=True):
    width: float
    height: float
    boxes: list[Box]
    arrows: list[Arrow]


def drawn(graph: TaskGraph) -> Drawing:
    rows, ways = _rows(graph)
    heights = [max(_height(graph.task(node)) if isinstance(node, str) else 0 for node in row) for row in rows]
    tops = [sum(heights[:place]) + DOWN * place for place in range(len(rows))]
    widths = [sum(map(_wide, row)) + ASIDE * (len(row) - 1) for row in rows]
    middle = max(widths, default=0) / 2
    at: dict[Node, tuple[float, float, float]] = {}
    for row, top, height, width in zip(rows, tops, heights, widths, strict=True):
        left = middle - width / 2
        for node in row:
            own = _height(graph.task(node)) if isinstance(node, str) else height
            at[node] = (left + _wide(node) / 2, top, top + own)
            left += _wide(node) + ASIDE
    boxes = [_box(task, at[task.key]) for task in graph.tasks]
    arrows = [_arrow(graph, link, [at[node] for node in way]) for link, way in ways.items()]
    written = [arrow.x + _length(arrow.condition) * LETTER for arrow in arrows if arrow.condition]
    return Drawing(max([2 * middle, *written]), sum(heights) + DOWN * max(0, len(rows) - 1), boxes, arrows)


def _rows(graph: TaskGraph) -> tuple[list[list[Node]], dict[tuple[str, str], list[Node]]]:
    """What stands in each row, from the left, and what each link leads through."""
    rows: list[list[Node]] = [list(generation) for generation in graph.order()]
    place = {node: number for number, row in enumerate(rows) for node in row}
    ways: dict[tuple[str, str], list[Node]] = {}
    above: dict[Node, list[Node]] = defaultdict(list)
    below: dict[Node, list[Node]] = defaultdict(list)
    for source, target in graph.links:
        passed: list[Node] = [(source, target, number) for number in range(place[source] + 1, place[target])]
        ways[source, target] = [source, *passed, target]
        for node in passed:
            rows[node[2] if isinstance(node, tuple) else 0].append(node)
        for one, other in zip(ways[source, target], ways[source, target][1:], strict=False):
            above[other].append(one)
            below[one].append(other)
    for sweep in range(SWEEPS):
        numbers = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        near, step = (above, -1) if sweep % 2 == 0 else (below, 1)
        for number in numbers:
            rows[number] = _sorted(rows[number], rows[number + step], near)
    return rows, ways


def _sorted(row: Sequence[Node], beside: Sequence[Node], near: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """By the middle of what is linked with it in the row beside; what has no link there keeps its part of its row."""
    share = {node: (number + 0.5) / len(beside) for number, node in enumerate(beside)}
    own = {node: (number + 0.5) / len(row) for number, node in enumerate(row)}

    def where(node: Node) -> float:
        linked = [share[one] for one in near.get(node, ()) if one in share]
        return fmean(linked) if linked else own[node]

    return sorted(row, key=where)


def _wide(node: Node) -> int:
    return WIDE if isinstance(node, str) else PASSING


def _height(task: Task) -> int:
    """Title, arguments, why, and how far it is."""
    return 2 * PAD + LINE * (2 + len(_lines(task)) + bool(task.why))


def _box(task: Task, at: tuple[float, float, float]) -> Box:
    x, top, bottom = at
    why = cut(f"“{task.why}”", CHARACTERS) if task.why else ""
    told = "\n".join([named(task.tool), *map(plain_line, _arguments(task)), *([f"“{plain_line(task.why)}”"] * bool(task.why))])
    title = cut(named(task.tool), CHARACTERS)
    return Box(task.key, title, _lines(task), why, told, x - WIDE / 2, top, WIDE, round(bottom - top))


def _arrow(graph: TaskGraph, link: tuple[str, str], stops: Sequence[tuple[float, float, float]]) -> Arrow:
    x, _, y = stops[0]
    parts = [f"M{x:g} {y:g}"]
    for next_x, top, bottom in stops[1:]:
        half = (y + top) / 2
        parts.append(f"C{x:g} {half:g} {next_x:g} {half:g} {next_x:g} {top:g}")
        last, x, y = (x, y, next_x, top), next_x, bottom
        if (next_x, top, bottom) != stops[-1]:
            parts.append(f"V{bottom:g}")
    said = " and ".join(f"if {condition}" for condition in graph.task(link[1]).when if condition.task == link[0])
    along = (last[0] + last[2]) / 2 + 8, (last[1] + last[3]) / 2 + 4
    return Arrow(link[0], link[1], "".join(parts), cut(said, 2 * CHARACTERS), *along)


def _arguments(task: Task) -> list[str]:
    return [f"{name}: {_shown(value)}" for name, value in task.arguments.items() if value is not None]


def _lines(task: Task) -> list[str]:
    said = [cut(line, CHARACTERS) for line in _arguments(task)]
    return said if len(said) <= MOST_LINES else [*said[: MOST_LINES - 1], f"and {len(said) - MOST_LINES + 1} more"]


def _shown(value: Any) -> str:
    if isinstance(value, Reference):
        return f"← {named(value.task)}, {value.output}"
    return str(value) if isinstance(value, str) else msgspec.json.encode(value).decode()


def named(name: str) -> str:
    return name.replace("_", " ")


def plain_line(text: str) -> str:
    """One line, without characters that steer what stands beside them."""
    return "".join(" " if category(one) in {"Cc", "Cf", "Zl", "Zp", "Cs"} else one for one in text)


def cut(text: str, most: int) -> str:
    r"""As much as has room; Chinese takes twice as much of it.

    >>> cut("水泵一号的压力", 8), cut("pump\n7", 8)
    ('水泵一…', 'pump 7')
    """
    line = plain_line(text)
    if _length(line) <= most:
        return line
    kept, used = "", 0
    for one in line:
        used += _length(one)
        if used > most - 1:
            break
        kept += one
    return f"{kept}…"


def _length(text: str) -> int:
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)
