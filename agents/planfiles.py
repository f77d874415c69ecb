"""Requests, right answers and plans as files: one JSON object a line. A refusal names the file, the line and the field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import msgspec
from msgspec import Meta

from agents.planner import LONGEST, Plan
from agents.toolset import ToolId, ToolSet

LONGEST_LINE = 1_000_000
MOST_LINES = 1_000_000
MOST_TASKS = 64


class PlanFileError(ValueError):
    """A line that cannot be read; the message names file, line and field."""


class Request(msgspec.Struct, frozen=True):
    """What is asked. Members beyond are left alone."""

    id: Annotated[str, Meta(min_length=1, max_length=256)]
    instruction: Annotated[str, Meta(min_length=1, max_length=LONGEST)]


class Truth(msgspec.Struct, frozen=True):
    """The tools that are right for a request, in order."""

    id: Annotated[str, Meta(min_length=1, max_length=256)]
    tasks: Annotated[tuple[ToolId, ...], Meta(max_length=MOST_TASKS)]
    links: Annotated[tuple[tuple[ToolId, ToolId], ...], Meta(max_length=MOST_TASKS**2)] = ()


class Planned(msgspec.Struct, frozen=True):
    """A plan as it is written. `reasons` say of each task why."""

    id: str
    tasks: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    reasons: tuple[object, ...] = ()

    @classmethod
    def of(cls, name: str, plan: Plan) -> Planned:
        return cls(name, plan.tools, plan.links, plan.reasons)


def requests(path: Path) -> list[Request]:
    """Raises PlanFileError, OSError."""
    found: list[Request] = list(_lines(path, Request))
    for number, request in enumerate(found, 1):
        if not request.instruction.strip():
            raise PlanFileError(f"{path}, line {number}: instruction: there is nothing in it")
    return found


def truths(path: Path, tools: ToolSet) -> dict[str, Truth]:
    """By id; each names tools of the set alone. Raises PlanFileError, OSError."""
    found: dict[str, Truth] = {}
    for number, truth in enumerate(_lines(path, Truth), 1):
        for place, task in enumerate(truth.tasks):
            if task not in tools:
                raise PlanFileError(f"{path}, line {number}: tasks[{place}]: {task} is no tool of this set")
        found[truth.id] = truth
    return found


def matched(asked: Sequence[Request], right: dict[str, Truth]) -> list[tuple[Request, Truth]]:
    """Requests whose answer is known and is not empty."""
    return [(request, right[request.id]) for request in asked if request.id in right and right[request.id].tasks]


Row = TypeVar("Row", Request, Truth)


def write(plans: Iterable[Planned], file: BinaryIO) -> None:
    file.writelines(msgspec.json.encode(plan) + b"\n" for plan in plans)


def _lines(path: Path, kind: type[Row]) -> Iterator[Row]:
    seen: set[str] = set()
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise PlanFileError(f"{path}, line {number}: more than {LONGEST_LINE} bytes")
            if number > MOST_LINES:
                raise PlanFileError(f"{path}, line {number}: more than {MOST_LINES} lines")
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line, type=kind)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                raise PlanFileError(f"{path}, line {number}: {_said(error)}") from None
            if row.id in seen:
                raise PlanFileError(f"{path}, line {number}: id: {row.id!r} stands twice")
            seen.add(row.id)
            yield row


def _said(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
