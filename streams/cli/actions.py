"""`action list|approve|reject|resolve|undo`: what the service does, and what waits for a person's word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from agents.dispatcher import Outcome
from agents.entry import Stage
from schemas.action import Progress
from streams.cli.rooms import Where, opened
from streams.cli.terminal import Data, Exit, Json, SiteName, Url, fail, print_json, print_table, stacked

app = typer.Typer(no_args_is_help=True, help="Actions, and what waits for approval.")

Id = Annotated[str, typer.Argument(metavar="ID", help="An action's id.")]
NOTHING = {Stage.REFUSED, Stage.EXPIRED, Stage.FAILED}
COLUMNS = ("action", "at", "stage", "rule", "detail")


@app.command("list")
def list_(
    stage: Annotated[list[Stage] | None, typer.Option(help="Only at this stage; several may be given.")] = None,
    device: Annotated[str | None, typer.Option(help="Only those of this device.")] = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """How far each action has come, newest first."""
    with opened(Where(url, data, site)) as room:
        found = [one for one in room.actions() if (not stage or one.stage in stage) and device in (None, one.action.device_id)]
    _print(found, f"{len(found)} actions", json=json)


@app.command()
def approve(action_id: Id, url: Url = None, data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """Say yes to an action that waits for it; the policy is asked once more, then it is done."""
    with opened(Where(url, data, site), acting=True) as room:
        found = room.approve(action_id)
    _print([found], "approved", json=json)
    _fail_unless_going(found)


@app.command()
def reject(
    action_id: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the action.")],
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Say no to an action that waits, for good."""
    with opened(Where(url, data, site), acting=True) as room:
        found = room.reject(action_id, reason)
    _print([found], "rejected", json=json)


@app.command()
def resolve(
    action_id: Id,
    outcome: Annotated[Outcome, typer.Option(help="What became of it.")],
    note: Annotated[str, typer.Option("--note", help="How that is known; kept with the action.")],
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Say what became of an action of which nobody knows; it is never sent again."""
    with opened(Where(url, data, site), acting=True) as room:
        found = room.resolve(action_id, outcome, note)
    _print([found], "resolved", json=json)


@app.command()
def undo(action_id: Id, url: Url = None, data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """Take back what was sent, by an action of its own, if the policy allows that."""
    with opened(Where(url, data, site), acting=True) as room:
        found = room.undo(action_id)
    _print([found], "to undo it", json=json)
    _fail_unless_going(found)


def _fail_unless_going(found: Progress) -> None:
    """A script must be able to tell that nothing comes of it."""
    if found.stage in NOTHING:
        fail(f"it is {found.stage}: {found.detail}", Exit.WANTING)


def _print(found: Sequence[Progress], title: str, *, json: bool) -> None:
    if json:
        print_json(found)
        return
    rows = [(_names(one), one.at, one.stage, one.rule, one.detail) for one in found]
    print_table(title, COLUMNS, rows, whole=COLUMNS[:1])


def _names(progress: Progress) -> Text:
    action = progress.action
    return stacked(f"{action.verb} of {action.target}", action.action_id)
