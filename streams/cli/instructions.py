"""`do` and `runs list|show|cancel`: instructions in words, shown as a plan, and what becomes of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from agents.run import RunState, TaskState
from streams.cli.rooms import AwayError, Where, address_of, telling
from streams.cli.terminal import OUT, Data, Exit, Json, SiteName, Url, fail, plain, print_json, print_table, say, stacked
from streams.runview import Instructed, RunBrief, RunNow, TaskNow
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.cli.remote import Remote

app = typer.Typer(no_args_is_help=True, help="What instructions have come to.")
Id = Annotated[str, typer.Argument(metavar="ID", help="A run's id.")]
Save = Annotated[Path | None, typer.Option("--save", help="Fetch the files that it made into this folder.")]
COLUMNS = ("run", "asked", "state", "tasks", "by")
PAUSE = 0.3
"""Seconds between two looks at a run."""
AWAY = 1.0
MOST_ROWS, FEW = 20, 5
BAD = {TaskState.FAILED, TaskState.UNKNOWN, TaskState.CANCELLED}


def do(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be done, in words.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Run the plan without asking.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Change nothing: what would act tells what it would do.")] = False,
    save: Save = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Plan an instruction, show the plan, and run it; exit status 1 if not all of it succeeded."""
    settings = Where(url, data, site).settings
    with telling():
        with _service(settings) as service:
            found = service.instruct(text, dry=dry)
        _show(found, json=json)
        if found.run is None:
            raise typer.Exit(Exit.WANTING)
        if not (yes or dry or _agreed(json=json)):
            say(f"not run; it stays as {found.run.run_id}")
            raise typer.Exit(Exit.WANTING)
        with _service(settings) as service:
            service.start_run(found.run.run_id, found.run.digest)
        run = _followed(settings, found.run.run_id, json=json)
        if save is not None:
            _save(settings, run, save)
    raise typer.Exit(Exit.DONE if run.state is RunState.SUCCEEDED else Exit.WANTING)


@app.command("list")
def list_(url: Url = None, data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """The newest runs."""
    with telling(), _service(Where(url, data, site).settings) as service:
        found = service.runs()
    if json:
        print_json(found)
        return
    print_table(f"{len(found)} runs", COLUMNS, map(_row, found), whole=COLUMNS[:1])


def _row(run: RunBrief) -> Sequence[object]:
    return stacked(run.text, run.run_id), run.asked_at, run.state, f"{run.ended} of {run.tasks}", run.principal


@app.command()
def show(run_id: Id, save: Save = None, url: Url = None, data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """One run: its plan, and what became of each task."""
    settings = Where(url, data, site).settings
    with telling():
        with _service(settings) as service:
            run = service.run(run_id)
        if save is not None:
            _save(settings, run, save)
    if json:
        print_json([run])
        return
    OUT.print(tree_of(run))
    for task in run.tasks:
        if task.state.is_final:
            _print(task)
    say(f"{run.run_id} {run.state}")


@app.command()
def cancel(run_id: Id, url: Url = None, data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """Begin nothing more; what waits for approval is withdrawn, what is under way to a device ends by itself."""
    with telling(), _service(Where(url, data, site).settings) as service:
        run = service.cancel_run(run_id)
    if json:
        print_json([run])
    else:
        say(f"{run.run_id} {run.state}, cancelled by {run.cancelled_by}")


# --- The service ------------------------------------------------------------------------------------------------------------


@contextmanager
def _service(settings: Settings, *, probing: bool = True) -> Iterator[Remote]:
    """Asked each time, as who starts again may be at another port. Ends the command if there is none."""
    from streams.cli import remote  # noqa: PLC0415 - its driver takes a while

    address = address_of(settings, probing=probing)
    if address is None and probing:
        fail(f"--data {settings.data}: no service runs here, and setting api_url is not set", Exit.UNREADABLE)
    if address is None:
        raise AwayError(f"--data {settings.data}: no service runs here")
    with remote.opened(address, settings) as service:
        yield service


def _followed(settings: Settings, run_id: str, *, json: bool) -> RunNow:
    """The run once it has ended; what becomes of its tasks is printed as it comes. A service that goes away is waited for."""
    seen: dict[str, TaskState] = {}
    away = False
    try:
        while True:
            try:
                with _service(settings, probing=False) as service:
                    run = service.run(run_id)
            except AwayError as error:
                if not away:
                    say(f"{error}; the run goes on with the service, which is waited for")
                away = True
                time.sleep(AWAY)
                continue
            away = False
            for task in run.tasks:
                _report(task, seen, json=json)
            if run.state.is_final:
                _ended(run, json=json)
                return run
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        say(f"the run goes on; `openautoglm runs cancel {run_id}` ends it")
        raise typer.Exit(Exit.WANTING) from None


def _report(task: TaskNow, seen: dict[str, TaskState], *, json: bool) -> None:
    """What is new of a task."""
    if seen.get(task.key) is task.state:
        return
    seen[task.key] = task.state
    if json and task.state.is_final:
        print_json([{"task": task}])
        sys.stdout.flush()
    elif not json and (task.state.is_final or task.state is TaskState.WAITING):
        _print(task)


def _ended(run: RunNow, *, json: bool) -> None:
    if json:
        print_json([{"run": run}])
    else:
        say(f"{run.run_id} {run.state}")


def _agreed(*, json: bool) -> bool:
    """Whether a person says yes. Ends the command where none can be asked."""
    if json or not sys.stdin.isatty():
        fail("nobody can be asked here: say --yes, or --dry-run", Exit.USAGE)
    return typer.confirm("Run it?", err=True)


def _save(settings: Settings, run: RunNow, folder: Path) -> None:
    """Raises OSError."""
    from streams.workshop.runfiles import NAME  # noqa: PLC0415 - with a schedule of its own

    folder.mkdir(parents=True, exist_ok=True)
    with _service(settings) as service:
        for task in run.tasks:
            name = str(task.outputs.get("file", {}).get("name", "")) if isinstance(task.outputs.get("file"), dict) else ""
            if NAME.match(name) and task.state is TaskState.SUCCEEDED and not run.dry:
                (folder / name).write_bytes(service.run_file(run.run_id, name))
                say(f"{folder / name}")


# --- What people see --------------------------------------------------------------------------------------------------------


def _show(found: Instructed, *, json: bool) -> None:
    if json:
        print_json([{"plan": found}])
        sys.stdout.flush()
        return
    if found.run is not None:
        OUT.print(tree_of(found.run))
    for question in found.questions:
        say(f"unclear: {question}")


def tree_of(run: RunNow) -> Tree:
    """Each task below the last of those that it waits for; the others are named."""
    tree = Tree(Text(plain(run.text), style="bold"))
    branches: dict[str, Tree] = {}
    waits = {task.key: [source for source, target in run.links if target == task.key] for task in run.tasks}
    left = list(run.tasks)
    while left:
        ready = [task for task in left if all(key in branches for key in waits[task.key])] or left
        for task in ready:
            before = waits[task.key]
            parent = branches.get(before[-1], tree) if before else tree
            branches[task.key] = parent.add(_label(task, before[:-1]))
        left = [task for task in left if task.key not in branches]
    return tree


def _label(task: TaskNow, also_after: list[str]) -> Text:
    given = ", ".join(f"{name} {_argument(value)}" for name, value in task.arguments.items())
    label = Text(plain(f"{task.key}: {task.tool}" if task.key != task.tool else task.tool), style="bold")
    parts = [f"({given})" if given else "", *(f"only if {condition}" for condition in task.when)]
    parts.append(f"after {', '.join(also_after)} too" if also_after else "")
    label.append(Text(plain(" ".join(["", *filter(None, parts)])), style="not bold"))
    if task.why:
        label.append(Text(plain(f"  # {task.why}"), style="not bold dim"))
    return label


def _argument(value: Any) -> str:
    if isinstance(value, dict) and "from" in value:
        return f"from {value['from']}.{value.get('output')}"
    return str(value)


def _print(task: TaskNow) -> None:
    style = "red" if task.state in BAD else "green" if task.state is TaskState.SUCCEEDED else "yellow"
    facts = [f"{name} {_short(value)}" for name, value in task.outputs.items() if _is_short(value)]
    said = "; ".join([*facts, *([task.detail] if task.detail else [])])
    OUT.print(
        Text.assemble((task.state.value, style), " ", plain(task.key), plain(f": {said}" if said else "")), soft_wrap=True
    )
    for name, value in task.outputs.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            columns = list(dict.fromkeys(key for row in value[:MOST_ROWS] for key in row))
            rows = [[_short(row.get(column)) for column in columns] for row in value[:MOST_ROWS]]
            more = f", the first {MOST_ROWS}" if len(value) > MOST_ROWS else ""
            print_table(f"{name}: {len(value)}{more}", columns, rows)
    sys.stdout.flush()


def _is_short(value: Any) -> bool:
    return not isinstance(value, list) or not value or not isinstance(value[0], dict)


def _short(value: Any) -> str:
    """In a few words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict | list):
        return _inside(value)
    return "" if value is None else str(value)


def _inside(value: dict[str, Any] | list[Any]) -> str:
    match value:
        case {"mediaType": _, "name": name}:
            return str(name)
        case {"points": list(points), "signal": signal}:
            return f"{len(points)} points of {signal}"
        case dict():
            return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items() if not isinstance(inner, dict | list))
    return ", ".join(map(_short, value[:FEW])) + (" ..." if len(value) > FEW else "")
