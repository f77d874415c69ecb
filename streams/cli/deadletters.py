"""`deadletter list|replay`: inputs that were refused, and taking them in after a fix."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.terminal import DATA, DataFolder, Exit, Json, fail, print_json, print_table, say
from streams.outbox import Outbox

app = typer.Typer(no_args_is_help=True, help="Inputs that were refused.")
SHOWN = 60


@app.command("list")
def list_(
    data: DataFolder = DATA,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    json: Json = False,
) -> None:
    """What was refused, why, and where in the input the fault is."""
    letters = _outbox(data).deadletters(limit=limit)
    if json:
        print_json(letters)
        return
    rows = [(found.number, found.count, found.topic, found.reason, found.pointer, found.raw[:SHOWN]) for found in letters]
    print_table(f"{len(letters)} dead letters", ("number", "times", "topic", "reason", "pointer", "raw"), rows)


@app.command()
def replay(
    data: DataFolder = DATA,
    number: Annotated[list[int] | None, typer.Option(help="Only these; several may be given.")] = None,
    json: Json = False,
) -> None:
    """Try refused inputs again: what is valid now goes to the log, the rest stays. Works beside a running service."""
    outbox = _outbox(data)
    letters = [found for found in outbox.deadletters(limit=1_000_000) if number is None or found.number in number]
    if number is not None and (missing := set(number) - {found.number for found in letters}):
        fail(f"--number {', '.join(map(str, sorted(missing)))}: no such dead letter", Exit.USAGE)
    accepted = [found.number for found in letters if asyncio.run(outbox.retry(found.number)).accepted]
    if json:
        print_json([{"tried": len(letters), "accepted": accepted}])
    else:
        say(f"{len(letters)} tried, {len(accepted)} accepted, {len(letters) - len(accepted)} still refused")


def _outbox(data: Path) -> Outbox:
    path = data / "outbox.db"
    if not path.is_file():
        fail(f"--data {data}: no service has worked here", Exit.UNREADABLE)
    return Outbox(path)
