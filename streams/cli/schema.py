"""`schema check|list|show|asyncapi`: the wire's schemas, and whether one may follow another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from schemas import asyncapi as interface
from schemas.compatibility import Mode
from schemas.compatibility import check as compare
from schemas.definitions import EVENTS
from schemas.event import EventType
from streams.cli.terminal import OUT, Exit, Json, fail, print_json, print_table, say

app = typer.Typer(no_args_is_help=True, help="JSON Schemas of events, and their evolution.")


@app.command()
def check(
    old: Annotated[Path, typer.Argument(help="JSON Schema file.")],
    new: Annotated[Path, typer.Argument(help="JSON Schema file that is to follow it.")],
    mode: Annotated[Mode, typer.Option(help="Who must understand whom.")] = Mode.BACKWARD,
    json: Json = False,
) -> None:
    """Whether a schema may follow another; each break is named. Exit status 1 if there is one."""
    breaks = compare(_schema(old), _schema(new), mode)
    if json:
        print_json(breaks)
    elif breaks:
        print_table(
            f"{len(breaks)} breaks", ("pointer", "rule", "why"), [(b.pointer or "/", b.rule, b.sentence) for b in breaks]
        )
    else:
        say(f"{new} may follow {old} ({mode})")
    raise typer.Exit(Exit.WANTING if breaks else Exit.DONE)


def _schema(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        fail(f"{path}: {error.strerror}", Exit.UNREADABLE)
    except msgspec.MsgspecError as error:
        fail(f"{path}: {error}", Exit.UNREADABLE)


@app.command("list")
def list_(json: Json = False) -> None:
    """The event types and the ids of their schemas."""
    found = [{"type": kind.value, "id": schema["$id"], "title": schema.get("title", "")} for kind, schema in EVENTS.items()]
    if json:
        print_json(found)
    else:
        print_table(f"{len(found)} event types", ("type", "id", "title"), [tuple(row.values()) for row in found])


@app.command()
def show(kind: Annotated[EventType, typer.Argument(metavar="TYPE", help="Event type, e.g. device.telemetry.")]) -> None:
    """The JSON Schema of one event type."""
    OUT.print_json(msgspec.json.encode(EVENTS[kind]).decode())


@app.command()
def asyncapi() -> None:
    """The AsyncAPI 3 document of the MQTT interface, as YAML."""
    typer.echo(interface.text(), nl=False)
