"""`ask neighbours|impact|path|past|changed`: questions to the graph over time, in Neo4j or in the data folder."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from graph.questions import MOST, Changed, Graph, Reach, as_of
from graph.questions import changed as changed_between
from graph.questions import impact as impact_of
from graph.questions import neighbours as neighbours_of
from graph.store import NOW, KnownDevice
from schemas.device import DeviceId, Edge, Relation
from schemas.event import Micros, micros
from streams.cli.inspection import draw
from streams.cli.projection import opened
from streams.cli.terminal import MESSAGES, Data, Exit, Json, SiteName, fail, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Ask the graph over time.")
Device = Annotated[str, typer.Argument(help="A device's id.")]
Hops = Annotated[int, typer.Option(min=1, max=100, help="How far.")]
At = Annotated[str | None, typer.Option("--at", help="As it stood at this time (RFC 3339).")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")]


@app.command()
def neighbours(
    device: Device,
    hops: Hops = 1,
    relation: Annotated[list[Relation] | None, typer.Option(help="Only along these; several may be given.")] = None,
    at: At = None,
    limit: Limit = MOST,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """What is around a device, nearest first."""
    with opened(data, site) as (name, _, store):
        relations = relation or list(Relation)
        found = neighbours_of(store, name, DeviceId(device), hops=hops, relations=relations, at=_time(at), limit=limit)
    _tell_reach(found, f"around {device}", json=json)


@app.command()
def impact(
    device: Device,
    hops: Annotated[int | None, typer.Option(min=1, help="How far; without it, to the end.")] = None,
    at: At = None,
    limit: Limit = MOST,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """What a device takes down: where influence from it gets, nearest first."""
    with opened(data, site) as (name, _, store):
        found = impact_of(store, name, DeviceId(device), hops=hops, at=_time(at), limit=limit)
    _tell_reach(found, f"behind {device}", json=json)


@app.command()
def path(
    fault_id: Annotated[str, typer.Argument(help="A fault's id.")],
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Where a fault began, whom it reached when, and along which edges."""
    with opened(data, site) as (name, _, store):
        fault = store.fault(name, fault_id)
    if fault is None:
        fail(f"{fault_id}: not known", Exit.USAGE)
    if json:
        print_json([fault])
    else:
        draw(fault)


@app.command()
def past(
    at: Annotated[str, typer.Argument(help="A time (RFC 3339).")],
    device: Annotated[str | None, typer.Option(help="Only what is around this device.")] = None,
    hops: Hops = 1,
    limit: Limit = MOST,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """The graph as it stood at a time, however long ago."""
    with opened(data, site) as (name, _, store):
        around = DeviceId(device) if device is not None else None
        found = as_of(store, name, _time(at), around=around, hops=hops, limit=limit)
    _tell_graph(found, json=json)


@app.command()
def changed(
    after: Annotated[str, typer.Argument(help="A time (RFC 3339).")],
    until: Annotated[str, typer.Argument(help="A later one.")],
    limit: Limit = MOST,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """What appeared, went or is otherwise between two times."""
    with opened(data, site) as (name, _, store):
        found = changed_between(store, name, _time(after), _time(until), limit=limit)
    _tell_changes(found, json=json)


def _time(text: str | None) -> Micros:
    if text is None:
        return NOW
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        fail(f"{text}: {error}", Exit.USAGE)
    if moment.tzinfo is None:
        fail(f"{text}: say which time zone, e.g. {text}Z", Exit.USAGE)
    return micros(moment)


def _tell_reach(found: Reach, title: str, *, json: bool) -> None:
    if json:
        print_json(found.near)
    else:
        rows = [(near.hops, near.device_id, f"{near.source} {near.relation} {near.target}") for near in found.near]
        print_table(f"{len(rows)} devices {title}", ("hops", "device", "by"), rows)
    _warn(cut_short=found.cut_short)


def _tell_graph(found: Graph, *, json: bool) -> None:
    if json:
        print_json([*({"device": device} for device in found.devices), *({"edge": edge} for edge in found.edges)])
    else:
        devices = [(d.device_id, d.type, d.state, d.zone or "", ", ".join(d.signals)) for d in found.devices]
        print_table(f"{len(devices)} devices", ("device", "type", "state", "zone", "signals"), devices)
        edges = [(edge.source, "→" if edge.directed else "↔", edge.target, edge.relation) for edge in found.edges]
        print_table(f"{len(edges)} edges", ("from", "", "to", "relation"), edges)
    _warn(cut_short=found.cut_short)


def _tell_changes(found: Changed, *, json: bool) -> None:
    if json:
        print_json([*({"device": change} for change in found.devices), *({"edge": change} for change in found.edges)])
    else:
        rows = [(change.kind, _brief(change.before), _brief(change.after)) for change in found.devices]
        rows += [(change.kind, _brief(change.before), _brief(change.after)) for change in found.edges]
        print_table(f"{len(rows)} changes", ("what", "before", "after"), rows)
    _warn(cut_short=found.cut_short)


def _brief(thing: KnownDevice | Edge | None) -> str:
    match thing:
        case None:
            return ""
        case KnownDevice():
            return f"{thing.device_id} ({thing.type}, {thing.state})"
        case Edge():
            return f"{thing.source} {thing.relation} {thing.target}"


def _warn(*, cut_short: bool) -> None:
    if cut_short:
        MESSAGES.print("[bold]cut short:[/] there is more; see --limit")
