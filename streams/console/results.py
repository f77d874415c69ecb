"""What tasks have put out, as a page shows it: figures, tables of the first rows, files to fetch, actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

ROWS, COLUMNS = 20, 6
LONGEST = 400
"""Characters of a text."""
DEPTH = 2

Scalar = str | bool | int | float | None


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a task has put out. `facts`: names and values; `more`: rows that are not shown."""

    name: str
    value: Scalar = None
    facts: list[tuple[str, Scalar]] = []
    columns: list[str] = []
    rows: list[list[Scalar]] = []
    more: int = 0
    file: str = ""
    href: str = ""
    """Where the file is, if it is written."""
    action: str = ""


def parts(run_id: str, outputs: Mapping[str, Any]) -> list[Part]:
    return [part for name, value in outputs.items() for part in _parts(run_id, name, value, DEPTH)]


def _parts(run_id: str, name: str, value: Any, depth: int) -> list[Part]:
    match value:
        case {"name": str(file), **facts} if name == "file":
            where = f"/v1/instructions/{quote(run_id, safe='')}/files/{quote(file, safe='')}"
            return [Part(name, file=file, href="" if facts.get("dry") else where)]
        case Mapping():
            return _mapping(run_id, name, value, depth)
        case list() if value and all(isinstance(one, Mapping) for one in value):
            return [_table(name, value)]
        case list():
            return [_row(name, value)]
    return [Part(name, _scalar(value))]


def _mapping(run_id: str, name: str, value: Mapping[str, Any], depth: int) -> list[Part]:
    facts = [(key, _scalar(one)) for key, one in value.items() if _is_scalar(one) and one not in (None, "")]
    action = str(value.get("actionId", "")) if name == "action" else ""
    found = [Part(name, facts=facts, action=action)] if facts else []
    if depth:
        for key, one in value.items():
            if not _is_scalar(one) and one:
                found += _parts(run_id, f"{name} {key}", one, depth - 1)
    return found


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> Part:
    shown = rows[:ROWS]
    keys = dict.fromkeys(key for row in shown for key, one in row.items() if _is_scalar(one) and one is not None)
    columns = list(keys)[:COLUMNS]
    cells = [[_scalar(row.get(key)) for key in columns] for row in shown]
    return Part(name, columns=columns, rows=cells, more=len(rows) - len(shown))


def _row(name: str, values: Sequence[Any]) -> Part:
    if not all(map(_is_scalar, values)):
        return Part(name, f"{len(values)} entries")
    said = ", ".join(str(one) for one in values[:ROWS])
    return Part(name, _scalar(said or "none"), more=max(0, len(values) - ROWS))


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[: LONGEST - 1]}…"
    return value if _is_scalar(value) else "…"
