"""`audit verify|show|head`: whether the record of decisions and actions is the one that was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agents.audit import BrokenError, HeadError, Line
from streams.cli.terminal import DATA, DataFolder, Exit, Json, fail, print_json, print_table, say, stacked
from streams.folder import Folder
from streams.ledger import AuditTrail, audit_trail

app = typer.Typer(no_args_is_help=True, help="The audit of decisions and actions.")
COLUMNS = ("line", "recorded", "step", "action", "asked by", "stage", "by", "why")


@app.command()
def verify(
    data: DataFolder = DATA,
    head: Annotated[str | None, typer.Option(help="A head that was kept, as `audit head` prints it; or its digest.")] = None,
) -> None:
    """Check every line, and the ledger against them; ends with 1 and names the first line that is wrong."""
    with _trail(data) as trail:
        try:
            found = trail.verify(head)
        except HeadError as error:
            fail(f"--head: {error}", Exit.USAGE)
        except BrokenError as error:
            fail(str(error), Exit.WANTING)
    say(f"{found.number} lines, in order; head {found}")


@app.command()
def show(
    data: DataFolder = DATA,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    json: Json = False,
) -> None:
    """The newest lines, oldest first."""
    with _trail(data) as trail:
        lines = trail.newest(limit)
    if json:
        print_json(lines)
        return
    print_table(f"the newest {len(lines)} lines", COLUMNS, map(_row, lines))


@app.command()
def head(data: DataFolder = DATA) -> None:
    """Number and digest of the last line, to be kept elsewhere: nothing else shows that lines are missing at the end."""
    with _trail(data) as trail:
        typer.echo(str(trail.head()))


def _row(line: Line) -> tuple[object, ...]:
    what = stacked(f"{line.verb} of {line.device_id or 'the plant'}", line.action_id) if line.action_id else ""
    return line.number, line.recorded_at, line.step, what, line.principal, line.stage, line.by, line.detail


@contextmanager
def _trail(data: Path) -> Iterator[AuditTrail]:
    """Ends the command where there is none."""
    try:
        with audit_trail(Folder(data).ledger) as trail:
            yield trail
    except (OSError, ValueError) as error:
        fail(f"--data {data}: {error}", Exit.UNREADABLE)
