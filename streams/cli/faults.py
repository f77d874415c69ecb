"""`fault list|show|trace`: where faults began, whom they reached, and along which edges."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, NamedTuple

import typer
from rich.text import Text
from rich.tree import Tree

from schemas.device import DeviceId
from schemas.finding import Fault, Origin, PathStep
from streams.cli.rooms import Where, opened
from streams.cli.terminal import OUT, Data, Json, Output, SiteName, Url, plain, print_json, print_table
from streams.cli.times import maybe_instant

app = typer.Typer(no_args_is_help=True, help="Faults: where they began, and which way they spread.")

Id = Annotated[str, typer.Argument(metavar="ID", help="A fault's id.")]
At = Annotated[str | None, typer.Option("--at", help="As it was known at this time (RFC 3339).")]
MOST_ORIGINS = 10


@app.command("list")
def list_(
    still: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    device: Annotated[str | None, typer.Option(help="Only those that began here or came here.")] = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    out: Output = None,
    json: Json = False,
) -> None:
    """The last state of each fault, newest first."""
    with opened(Where(url, data, site, out)) as room:
        found = [fault for fault in room.faults() if _is_wanted(fault, still=still, device=device)]
    if json:
        print_json(found)
        return
    rows = [
        (fault.fault_id, fault.opened_at, fault.closed_at or "open", _origins(fault), len(fault.affected)) for fault in found
    ]
    print_table(f"{len(found)} faults", ("fault", "opened", "closed", "origins", "affected"), rows, whole=("fault",))


def _is_wanted(fault: Fault, *, still: bool, device: str | None) -> bool:
    named = {origin.device_id for origin in fault.origins[:1]} | {part.device_id for part in fault.affected}
    return (device is None or device in named) and not (still and fault.closed_at is not None)


def _origins(fault: Fault, most: int = 3) -> str:
    return ", ".join(f"{origin.device_id} {origin.probability:.0%}" for origin in fault.origins[:most])


@app.command()
def show(
    fault_id: Id,
    at: At = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    out: Output = None,
    json: Json = False,
) -> None:
    """One fault: origins, path, whom it affects, and who is next."""
    fault = _fault(fault_id, Where(url, data, site, out), at)
    if json:
        print_json([fault])
        return
    OUT.print(Text(_title(fault), style="bold"))
    print_table(
        "origins", ("device", "probability"), [(o.device_id, f"{o.probability:.1%}") for o in fault.origins[:MOST_ORIGINS]]
    )
    path = [(s.source, s.relation, s.target, _lag(s), f"{s.probability:.0%}") for s in fault.path]
    print_table("path", ("from", "relation", "to", "lag", "probability"), path)
    print_table("affected", ("device", "since"), [(a.device_id, a.onset) for a in fault.affected])
    if fault.forecast:
        rows = [(f.device_id, f.expected_at, f"{f.probability:.0%}") for f in fault.forecast]
        print_table("next", ("device", "expected", "probability"), rows)


@app.command()
def trace(
    fault_id: Id,
    at: At = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    out: Output = None,
    json: Json = False,
) -> None:
    """The way of a fault as a tree, from where it began."""
    fault = _fault(fault_id, Where(url, data, site, out), at)
    if json:
        print_json([fault])
    else:
        OUT.print(tree_of(fault))


def _fault(fault_id: str, where: Where, at: str | None) -> Fault:
    moment = maybe_instant(at, "--at")
    with opened(where) as room:
        return room.fault(fault_id, moment)


def _title(fault: Fault) -> str:
    ended = f"until {fault.closed_at}" if fault.closed_at is not None else "still open"
    return plain(f"{fault.fault_id}, since {fault.opened_at}, {ended}")


def _lag(step: PathStep) -> str:
    return "" if step.lag_seconds is None else f"{step.lag_seconds:+g} s"


# --- The tree ---------------------------------------------------------------------------------------------------------------


class _Way(NamedTuple):
    """What the drawing knows: steps by where they begin, onsets, and which devices stand in the tree already."""

    steps: dict[DeviceId, list[PathStep]]
    onsets: dict[DeviceId, str]
    drawn: set[DeviceId]


def tree_of(fault: Fault) -> Tree:
    """Origins, most probable first; below them the path; then what the path does not reach, and the forecast.

    A way without a fork is one branch with a line for each device, so that long ones stay within a narrow terminal.
    """
    way = _Way(defaultdict(list), {part.device_id: part.onset for part in fault.affected}, set())
    for step in fault.path:
        way.steps[step.source].append(step)
    tree = Tree(Text(_title(fault), style="bold"))
    for origin in fault.origins[:MOST_ORIGINS]:
        _grow(tree, _begun(origin, way), origin.device_id, way)
    if (more := len(fault.origins) - MOST_ORIGINS) > 0:
        tree.add(Text(f"and {more} less probable origins"))
    for step in fault.path:
        if step.source not in way.drawn:
            _grow(tree, Text(plain(f"{step.source}, which no origin leads to{_since(step.source, way)}")), step.source, way)
    beside = [part for part in fault.affected if part.device_id not in way.drawn]
    _add(tree, "also affected", [f"{part.device_id} since {part.onset}" for part in beside])
    _add(tree, "next", [f"{one.device_id} at {one.expected_at}, {one.probability:.0%}" for one in fault.forecast])
    return tree


def _add(tree: Tree, title: str, lines: list[str]) -> None:
    if lines:
        branch = tree.add(Text(title, style="bold"))
        for text in lines:
            branch.add(Text(plain(text)))


def _begun(origin: Origin, way: _Way) -> Text:
    return Text(plain(f"{origin.device_id}, origin with {origin.probability:.0%}{_since(origin.device_id, way)}"))


def _since(device: DeviceId, way: _Way) -> str:
    return f", since {way.onsets[device]}" if device in way.onsets else ""


def _grow(tree: Tree, label: Text, device: DeviceId, way: _Way) -> None:
    """All that a device leads to, each device once. With a list of what is left, as paths may be long."""
    left = _branch(tree, label, device, way)
    while left:
        parent, step = left.pop()
        left += _branch(parent, _reached(step, way), step.target, way)


def _branch(parent: Tree, label: Text, device: DeviceId, way: _Way) -> list[tuple[Tree, PathStep]]:
    """One branch, from a device to the next fork; the steps from there on, the first one last."""
    steps: list[PathStep] = []
    while device not in way.drawn:
        way.drawn.add(device)
        steps = way.steps.get(device, [])
        if len(steps) != 1:
            break
        label.append("\n").append_text(_reached(steps[0], way))
        device, steps = steps[0].target, []
    branch = parent.add(label)
    return [(branch, step) for step in reversed(steps)]


def _reached(step: PathStep, way: _Way) -> Text:
    parts = [str(step.relation), *([_lag(step)] if step.lag_seconds is not None else []), f"{step.probability:.0%}"]
    again = ", see above" if step.target in way.drawn else _since(step.target, way)
    return Text(plain(f"→ {step.target} ({', '.join(parts)}){again}"))
