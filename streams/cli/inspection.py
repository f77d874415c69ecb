"""`topology`, `faults`, `alarms`: what is known, from the data folder of a service or from the output of a replay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from graph.topology import Device, TooLongAgoError, Topology
from schemas.device import DeviceId, Edge
from schemas.event import Micros, micros
from schemas.finding import Alert, Fault
from streams import checkpoint
from streams.checkpoint import DamagedError
from streams.cli.terminal import DATA, MESSAGES, OUT, DataFolder, Exit, Json, fail, print_json, print_table
from streams.findings import FindingStore, Kind
from streams.pipeline import topology_of
from streams.recordings import UnreadableError
from streams.recordings import events as read_events

Found = TypeVar("Found", Alert, Fault)
Output = Annotated[Path | None, typer.Option("--out", help="Read the output folder of a replay instead.")]


def topology(
    data: DataFolder = DATA,
    events: Annotated[list[Path] | None, typer.Option("--events", help="Build the graph from these files instead.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device and what is around it.")] = None,
    hops: Annotated[int, typer.Option(min=1, max=100, help="How far around it.")] = 1,
    at: Annotated[str | None, typer.Option(help="The graph as it stood at this time (RFC 3339).")] = None,
    json: Json = False,
) -> None:
    """The devices of the plant and the edges between them."""
    graph = _graph(data, events)
    if at is not None:
        try:
            graph = graph.as_of(_time(at))
        except TooLongAgoError as error:
            fail(f"--at {at}: {error}", Exit.USAGE)
    devices = sorted(graph.devices(), key=lambda found: found.device_id)
    if device is not None:
        near = _around(graph, DeviceId(device), hops)
        devices = [found for found in devices if found.device_id in near]
    names = {found.device_id for found in devices}
    edges = sorted((edge for edge in graph.edges() if {edge.source, edge.target} <= names), key=_edge_order)
    if json:
        print_json([*({"device": found} for found in devices), *({"edge": edge} for edge in edges), {"digest": graph.digest()}])
        return
    _print_topology(graph, devices, edges)


def _edge_order(edge: Edge) -> tuple[str, str, str]:
    return edge.source, edge.target, edge.relation


def _print_topology(graph: Topology, devices: list[Device], edges: list[Edge]) -> None:
    rows = [(found.device_id, found.type, found.state, found.zone or "", ", ".join(found.signals)) for found in devices]
    print_table(f"{len(devices)} devices", ("device", "type", "state", "zone", "signals"), rows)
    links = [(edge.source, ("→" if edge.directed else "↔"), edge.target, edge.relation) for edge in edges]
    print_table(f"{len(edges)} edges", ("from", "", "to", "relation"), links)
    MESSAGES.print(f"digest {graph.digest()}")


def _graph(data: Path, events: list[Path] | None) -> Topology:
    try:
        if events:
            graph = Topology()
            for path in events:
                graph.merge(read_events(path))
            return graph
        held = checkpoint.load(data / "checkpoint.bin")
    except (UnreadableError, DamagedError) as error:
        fail(str(error), Exit.UNREADABLE)
    if held is None:
        fail(f"--data {data}: no service has left a checkpoint here", Exit.UNREADABLE)
    return topology_of(held.snapshot)


def _time(text: str) -> Micros:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        fail(f"--at {text}: {error}", Exit.USAGE)
    if moment.tzinfo is None:
        fail(f"--at {text}: say which time zone, e.g. {text}Z", Exit.USAGE)
    return micros(moment)


def _around(graph: Topology, device: DeviceId, hops: int) -> set[DeviceId]:
    if graph.device(device) is None:
        fail(f"--device {device}: no such device", Exit.USAGE)
    near = front = {device}
    for _ in range(hops):
        front = {end for name in front for edge in graph.edges_of(name) for end in (edge.source, edge.target)} - near
        near = near | front
    return near


def faults(
    fault_id: Annotated[str | None, typer.Argument(help="All states of this fault.")] = None,
    data: DataFolder = DATA,
    out: Output = None,
    json: Json = False,
) -> None:
    """Faults: where they began, whom they reached, and along which edges."""
    found = _findings(Kind.FAULTS, Fault, fault_id, data=data, out=out)
    if json:
        print_json(found)
    elif fault_id is None:
        rows = [
            (fault.fault_id, fault.opened_at, fault.closed_at or "open", _origins(fault), len(fault.affected))
            for fault in found
        ]
        print_table(f"{len(found)} faults", ("fault", "opened", "closed", "origins", "affected"), rows)
    elif found:
        draw(found[-1])


def _origins(fault: Fault, most: int = 3) -> str:
    return ", ".join(f"{origin.device_id} {origin.probability:.0%}" for origin in fault.origins[:most])


def draw(fault: Fault) -> None:
    """One fault for people: origins, then the path as a chain of edges with lags."""
    OUT.print(
        f"[bold]{fault.fault_id}[/] opened {fault.opened_at}, {'closed ' + fault.closed_at if fault.closed_at else 'open'}"
    )
    print_table("origins", ("device", "probability"), [(o.device_id, f"{o.probability:.1%}") for o in fault.origins[:10]])
    lags = [(s.source, s.relation, s.target, "" if s.lag_seconds is None else f"{s.lag_seconds:+g} s") for s in fault.path]
    print_table("path", ("from", "relation", "to", "lag"), lags)
    print_table("affected", ("device", "since"), [(a.device_id, a.onset) for a in fault.affected])


def alarms(
    alert_id: Annotated[str | None, typer.Argument(help="All transitions of this alarm.")] = None,
    data: DataFolder = DATA,
    out: Output = None,
    every: Annotated[bool, typer.Option("--all", help="Cleared and suppressed ones too.")] = False,
    json: Json = False,
) -> None:
    """Alarms: those that stand, without the ones that a fault's alarm stands for."""
    found = _findings(Kind.ALERTS, Alert, alert_id, data=data, out=out)
    if alert_id is None and not every:
        found = [alert for alert in found if alert.state != "cleared" and alert.suppressed_by is None]
    if json:
        print_json(found)
        return
    rows = [
        (a.alert_id, a.time, a.device_id, a.condition, a.severity, a.state, f"{a.score:.2f}", a.fault_id or "") for a in found
    ]
    print_table(f"{len(found)} alarms", ("alarm", "time", "device", "condition", "severity", "state", "score", "fault"), rows)


def _findings(kind: Kind, type_: type[Found], subject: str | None, *, data: Path, out: Path | None) -> list[Found]:
    try:
        bodies = _from_output(out / f"{kind}.ndjson") if out is not None else _from_store(data, kind, subject)
        found = [msgspec.json.decode(body, type=type_) for body in bodies]
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.UNREADABLE)
    except msgspec.MsgspecError as error:
        fail(f"{out}: {error}", Exit.UNREADABLE)
    if subject is not None:
        found = [finding for finding in found if _subject(finding) == subject]
        if not found:
            fail(f"{subject}: not known", Exit.USAGE)
        return found
    return list({_subject(finding): finding for finding in found}.values())


def _subject(finding: Alert | Fault) -> str:
    return finding.alert_id if isinstance(finding, Alert) else finding.fault_id


def _from_output(path: Path) -> Iterable[bytes]:
    return path.read_bytes().splitlines()


def _from_store(data: Path, kind: Kind, subject: str | None) -> Iterable[bytes]:
    path = data / "findings.db"
    if not path.is_file():
        fail(f"--data {data}: no service has left findings here", Exit.UNREADABLE)
    store = FindingStore(path)
    try:
        return store.newest(kind) if subject is None else store.history(kind, subject)
    finally:
        store.close()
