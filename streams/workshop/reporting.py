"""What the tasks of a run have found, as a report in Markdown and as a line for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.run import TaskState
from agents.workshop import Call, Part
from streams.workshop.markdown import escaped, table
from streams.workshop.runfiles import NAME

ROWS = 100
"""Of a table."""
LARGEST = 1_000_000
"""Characters of a report."""
LONGEST_LINE = 1_500
PAIR = 2


def report_of(call: Call) -> str:
    """A section for each task before this one: what was asked, what was found, what went wrong."""
    lines = [f"# Report: {escaped(call.order.text)}", ""]
    lines += [f"For {escaped(call.order.principal)}, {escaped(call.order.asked_at)}, run {escaped(call.order.run_id)}.", ""]
    if not call.parts:
        lines += ["No task before this one has found anything.", ""]
    for part in call.parts:
        lines += [*_section(part), ""]
    text = "\n".join(lines)
    if len(text) <= LARGEST:
        return text
    return text[:LARGEST].rpartition("\n")[0] + "\n\nCut short here: the report would be longer than it may be.\n"


def told(call: Call) -> str:
    """The same in a few words, for a message."""
    said = "; ".join(f"{part.key}: {_outcome(part)}" for part in call.parts)
    return (said or call.order.text)[:LONGEST_LINE]


def _outcome(part: Part) -> str:
    if part.state is not TaskState.SUCCEEDED:
        return f"{part.state} {part.detail}".strip()
    facts = [f"{name} {_short(value)}" for name, value in part.outputs.items() if _is_plain(value)]
    files = [str(value["name"]) for value in part.outputs.values() if _is_file(value)]
    return ", ".join(facts + files) or "done"


def _section(part: Part) -> Iterator[str]:
    yield f"## {escaped(part.key)}: {escaped(part.tool)}"
    yield ""
    asked = ", ".join(f"{escaped(name)} {_said(value)}" for name, value in part.arguments.items())
    if asked:
        yield f"Asked of: {asked}."
        yield ""
    if part.state is not TaskState.SUCCEEDED:
        yield f"**{escaped(part.state)}**: {escaped(part.detail or 'no reason was given')}"
        return
    plain = {name: value for name, value in part.outputs.items() if _is_plain(value)}
    yield from (f"- **{escaped(name)}**: {_said(value)}" for name, value in plain.items())
    for name, value in part.outputs.items():
        if name not in plain:
            yield ""
            yield from _result(name, value)


def _result(name: str, value: Any) -> Iterator[str]:
    if _is_file(value):
        link = escaped(value["name"])
        yield f"**{escaped(name)}**: [{link}]({value['name']})"
    elif isinstance(value, Mapping) and "points" in value:
        yield from _series(name, value)
    elif isinstance(value, Mapping):
        yield f"**{escaped(name)}**"
        yield ""
        yield from _object(value)
    else:
        yield from _list(name, list(value))


def _series(name: str, value: Mapping[str, Any]) -> Iterator[str]:
    unit = f" {escaped(value['unit'])}" if value.get("unit") else ""
    device, signal, start, end = (escaped(value.get(member, "?")) for member in ("device", "signal", "start", "end"))
    yield f"**{escaped(name)}**: {device} {signal}, from {start} until {end}"
    yield ""
    figures = value.get("statistics")
    if isinstance(figures, Mapping):
        yield from table(("figure", f"value{unit}"), list(figures.items()))


def _object(value: Mapping[str, Any]) -> Iterator[str]:
    plain = [(key, inner) for key, inner in value.items() if _is_plain(inner)]
    if plain:
        yield from table(("what", "value"), plain)
    for key, inner in value.items():
        if not _is_plain(inner) and inner:
            yield ""
            if isinstance(inner, Mapping):
                yield f"**{escaped(key)}**"
                yield ""
                yield from table(("what", "value"), [(name, _flat(each)) for name, each in inner.items()])
            else:
                yield from _list(key, list(inner))


def _list(name: str, items: Sequence[Any]) -> Iterator[str]:
    shown = f", the first {ROWS}" if len(items) > ROWS else ""
    yield f"**{escaped(name)}**: {len(items)}{shown}"
    if not items:
        return
    yield ""
    columns = list(dict.fromkeys(key for item in items[:ROWS] if isinstance(item, Mapping) for key in item))
    if columns:
        rows = [[_flat(item.get(column)) if isinstance(item, Mapping) else "" for column in columns] for item in items[:ROWS]]
        yield from table(columns, rows)
    else:
        yield from table((name,), [(_flat(item),) for item in items[:ROWS]])


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_file(value: Any) -> bool:
    """As `streams.workshop.runfiles` tells of one: nothing else becomes a link."""
    return isinstance(value, Mapping) and isinstance(value.get("name"), str) and bool(NAME.match(value["name"]))


def _said(value: Any) -> str:
    if isinstance(value, str | int | float) or value is None:
        return escaped(_short(value))
    if isinstance(value, Mapping):
        return escaped(_flat(value))
    return f"{len(value)} items" if isinstance(value, Sequence) else escaped(value)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)


def _flat(value: Any) -> Any:
    """One cell's worth."""
    if _is_plain(value):
        return value
    if isinstance(value, Mapping):
        named = [f"{key} {_short(inner)}" for key, inner in list(value.items())[:4] if _is_plain(inner)]
        return ", ".join(named) or f"{len(value)} members"
    items = list(value)
    return ", ".join(str(_flat(item)) for item in items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")  # noqa: PLR2004
