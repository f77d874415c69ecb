"""`key add|list|revoke`: keys for the API of the service in a data folder, also while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agents.annunciator import RefusedError, Request
from agents.verbs import check
from schemas.alarm import AlarmId, Verb
from streams.access import Keys
from streams.cli.running import settings_of
from streams.cli.terminal import Data, Exit, Json, fail, print_json, print_table, say
from streams.cli.times import after
from streams.folder import Folder
from streams.roles import Role

app = typer.Typer(no_args_is_help=True, help="Keys for the API.")
LONGEST = 128


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is: what alarms and actions keep as their actor.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    expires: Annotated[str | None, typer.Option(help="How long it counts, e.g. 90d; without it, until it is revoked.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Give out a key. It is printed this once, alone on stdout."""
    if not (0 < len(name) <= LONGEST and name.isprintable()):
        fail(f"NAME: 1 to {LONGEST} letters that can be printed", Exit.USAGE)
    try:
        check(Request(verb=Verb.ACKNOWLEDGE, alarm_id=AlarmId(""), actor=name))
    except RefusedError as error:
        fail(f"NAME: {error}", Exit.USAGE)
    end = None if expires is None else after(expires, "--expires")
    with _keys(data) as keys:
        text = keys.add(name, role, expires=end)
    if json:
        print_json([{"id": text.split("_")[1], "name": name, "role": role, "key": text}])
    else:
        typer.echo(text)
        say(f"the key of {name}, {role}: it is not shown again")


@app.command("list")
def list_(data: Data = None, json: Json = False) -> None:
    """The keys that were given out, without the keys."""
    with _keys(data, must_exist=True) as keys:
        found = keys.every()
    if json:
        print_json(found)
        return
    rows = [(key.id, key.name, key.role, key.created, key.expires or "", key.revoked or "") for key in found]
    print_table(f"{len(found)} keys", ("id", "name", "role", "created", "expires", "revoked"), rows, whole=("id",))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="A key's id, as `key list` shows it.")], data: Data = None
) -> None:
    """End a key: the next request that shows it is refused."""
    with _keys(data, must_exist=True) as keys:
        if not keys.revoke(key_id):
            fail(f"{key_id}: no such key, or it was revoked", Exit.USAGE)
    say(f"{key_id} counts no longer")


@contextmanager
def _keys(data: Path | None, *, must_exist: bool = False) -> Iterator[Keys]:
    path = Folder(settings_of(data=data).data).access
    if must_exist and not path.is_file():
        fail(f"--data {path.parent}: no key was given out here", Exit.UNREADABLE)
    try:
        keys = Keys(path)
    except OSError as error:
        fail(f"--data {path.parent}: {error.strerror}", Exit.UNREADABLE)
    with closing(keys):
        yield keys
