"""`topology show|neighbours|path|impact|diff`: the graph of the plant, now and as of a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from graph.questions import MOST, Changed
from graph.store import KnownDevice
from schemas.device import DeviceId, Edge, Relation
from schemas.event import micros
from streams.answers import ReachNow, TopologyNow
from streams.cli.rooms import Where, opened
from streams.cli.terminal import Data, Exit, Json, SiteName, Url, fail, print_json, print_table, warn_cut_short
from streams.cli.times import instant, maybe_instant

app = typer.Typer(no_args_is_help=True, help="The devices of the plant and the edges between them.")

Device = Annotated[str, typer.Argument(help="A device's id.")]
Hops = Annotated[int, typer.Option(min=1, max=100, help="How far.")]
At = Annotated[str | None, typer.Option("--at", help="As it stood at this time (RFC 3339).")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many; a service gives at most 10,000.")]
EDGES = ("from", "", "to", "relation")
EVER = micros(datetime(9999, 12, 31, tzinfo=UTC))
"""A time after every event that can be written down."""


@app.command()
def show(
    device: Annotated[str | None, typer.Option(help="Only this device and what is around it.")] = None,
    hops: Hops = 1,
    at: At = None,
    events: Annotated[list[Path] | None, typer.Option("--events", help="Build the graph from these files instead.")] = None,
    limit: Limit = MOST,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Devices and edges, of all the plant or around a device."""
    moment, around = maybe_instant(at, "--at"), DeviceId(device) if device is not None else None
    with opened(Where(url, data, site, events=events or (), at=moment)) as room:
        found = room.topology(around, hops=hops, at=None if events else moment, limit=limit)
    if json:
        print_json([*({"device": found} for found in found.devices), *({"edge": edge} for edge in found.edges)])
    else:
        _print_graph(found)
    warn_cut_short(cut_short=found.cut_short)


def _print_graph(found: TopologyNow) -> None:
    devices = [(d.device_id, d.type, d.state, d.zone or "", ", ".join(d.signals)) for d in found.devices]
    print_table(f"{len(devices)} devices", ("device", "type", "state", "zone", "signals"), devices)
    print_table(f"{len(found.edges)} edges", EDGES, _edges(found.edges))


def _edges(edges: Iterable[Edge]) -> list[Sequence[object]]:
    return [(edge.source, "→" if edge.directed else "↔", edge.target, edge.relation) for edge in edges]


@app.command()
def neighbours(
    device: Device,
    hops: Hops = 1,
    relation: Annotated[list[Relation] | None, typer.Option(help="Only along these; several may be given.")] = None,
    at: At = None,
    limit: Limit = MOST,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """What is around a device, nearest first."""
    moment = maybe_instant(at, "--at")
    with opened(Where(url, data, site)) as room:
        along = relation or list(Relation)
        found = room.neighbours(DeviceId(device), hops=hops, relations=along, at=moment, limit=limit)
    _print_reach(found, "around", json=json)


@app.command()
def impact(
    device: Device,
    hops: Annotated[int | None, typer.Option(min=1, max=10_000, help="How far; without it, to the end.")] = None,
    at: At = None,
    limit: Limit = MOST,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """What a device takes down: where influence from it gets, nearest first."""
    moment = maybe_instant(at, "--at")
    with opened(Where(url, data, site)) as room:
        found = room.impact(DeviceId(device), hops=hops, at=moment, limit=limit)
    _print_reach(found, "behind", json=json)


def _print_reach(found: ReachNow, word: str, *, json: bool) -> None:
    if json:
        print_json(found.near)
    else:
        rows = [(near.hops, near.device_id, f"{near.source} {near.relation} {near.target}") for near in found.near]
        print_table(f"{len(rows)} devices {word} {found.device_id}", ("hops", "device", "by"), rows)
    warn_cut_short(cut_short=found.cut_short)


@app.command()
def path(
    source: Device,
    target: Device,
    any_edge: Annotated[bool, typer.Option("--any-edge", help="Along any edge, in either direction.")] = False,
    at: At = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """A shortest way from one device to another, as influence runs."""
    moment = maybe_instant(at, "--at")
    with opened(Where(url, data, site)) as room:
        found = room.route(DeviceId(source), DeviceId(target), onward=not any_edge, at=moment)
    if json:
        print_json([found])
    else:
        print_table(f"{len(found.edges)} edges from {source} to {target}", EDGES, _edges(found.edges))


@app.command()
def diff(
    at: Annotated[str, typer.Option("--at", help="Since this time (RFC 3339).")],
    until: Annotated[str | None, typer.Option("--until", help="Up to this one; without it, up to now.")] = None,
    limit: Limit = MOST,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """What appeared, went or is otherwise since a time."""
    first, last = instant(at, "--at"), EVER if until is None else instant(until, "--until")
    if first > last:
        fail("--at must not be after --until", Exit.USAGE)
    with opened(Where(url, data, site)) as room:
        found = room.changed(first, last, limit=limit)
    _print_changes(found, json=json)


def _print_changes(found: Changed, *, json: bool) -> None:
    if json:
        print_json([*({"device": change} for change in found.devices), *({"edge": change} for change in found.edges)])
    else:
        rows = [(change.kind, _brief(change.before), _brief(change.after)) for change in found.devices]
        rows += [(change.kind, _brief(change.before), _brief(change.after)) for change in found.edges]
        print_table(f"{len(rows)} changes", ("what", "before", "after"), rows)
    warn_cut_short(cut_short=found.cut_short)


def _brief(thing: KnownDevice | Edge | None) -> str:
    match thing:
        case None:
            return ""
        case KnownDevice():
            return f"{thing.device_id} ({thing.type}, {thing.state})"
        case Edge():
            return f"{thing.source} {thing.relation} {thing.target}"
