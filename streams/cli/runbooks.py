"""`runbook check|test`: whether runbooks can be used, and what one does on recordings of faults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agents.cedar import PolicyError
from agents.rulefile import RuleFileError, load
from agents.runbook import Runbook
from graph.detection import Model, ModelError
from graph.detection import load as load_model
from streams.cli.recordings import Events, size
from streams.cli.terminal import Exit, Json, complain, fail, print_json, print_table, progress, say, stacked
from streams.dryrun import DryRun, dry_run
from streams.recordings import UnreadableError
from streams.rulecases import Act, ExpectFile, Firing, Judged, judged

app = typer.Typer(no_args_is_help=True, help="Runbooks: what alarms ask for.")

COLUMNS = ("when", "rule and alarm", "asks for", "which would be")
LONGEST = 80
"""Letters of one argument in the table."""


@app.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Runbook files.")]) -> None:
    """Read runbooks as the service does; ends with 1 if one cannot be used, and says in which line and field."""
    wrong = 0
    for file in files:
        try:
            rules = Runbook.load(file, site="check").rules
        except RuleFileError as error:
            wrong += 1
            complain(str(error))
        except OSError as error:
            fail(f"{file}: {error.strerror}", Exit.UNREADABLE)
        else:
            tasks = sum(len(rule.tasks) for rule in rules)
            say(f"{file}: in order, {len(rules)} rules, {tasks} tasks")
    if wrong:
        raise typer.Exit(Exit.WANTING)


@app.command("test")
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A runbook.")],
    events: Events,
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a trained model; without it, learns as it goes.")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="Folder of policies; without it, nothing is allowed.")] = None,
    expect: Annotated[Path | None, typer.Option("--expect", help="YAML file: what must come of it, and what must not.")] = None,
    site: Annotated[str, typer.Option(help="Name of the plant; ids derive from it.")] = "replay",
    json: Json = False,
) -> None:
    """Run recordings through the pipeline, and show which rules apply, what they ask for, and what the policy says to it.

    Nothing is sent and nothing is kept. Ends with 1 if an expectation is not met.
    """
    try:
        runbook = Runbook.load(file, site=site)
        wanted = _expectations(expect, runbook)
        done = _done(runbook, events, load_model(model) if model is not None else None, policy)
    except (RuleFileError, PolicyError) as error:
        for fault in error.faults if isinstance(error, PolicyError) else (str(error),):
            complain(fault)
        raise typer.Exit(Exit.USAGE) from None
    except (UnreadableError, ModelError, OSError) as error:
        fail(str(error), Exit.UNREADABLE)
    found = judged(wanted, done.firings, done.began)
    if json:
        print_json([{"firing": firing} for firing in done.firings])
        print_json([{"expectation": {"words": one.words, "met": one.met, "why": one.why}} for one in found])
    else:
        _print(done, found)
    if not all(one.met for one in found):
        raise typer.Exit(Exit.WANTING)


def _expectations(path: Path | None, runbook: Runbook) -> ExpectFile:
    """Raises RuleFileError, OSError."""
    if path is None:
        return ExpectFile(version=1)
    file, known = load(path, ExpectFile), {rule.name for rule in runbook.rules}
    for where, rule in file.named():
        if rule not in known:
            raise RuleFileError(f"{path}: {where}: the runbook has no rule {rule}")
    return file


def _done(runbook: Runbook, events: list[Path], model: Model | None, policy: Path | None) -> DryRun:
    with progress("trying the rules", size(events)) as advance:
        return asyncio.run(dry_run(runbook, events, model=model, policy=policy, advance=advance))


def _print(done: DryRun, found: Sequence[Judged]) -> None:
    title = f"{done.events:,} events, {len(done.firings)} times a rule asked for something"
    print_table(title, COLUMNS, map(_row, done.firings))
    for one in found:
        say(f"ok: {one.words}") if one.met else complain(f"{one.words}: {one.why}")
    if done.refused:
        say(f"{done.refused:,} lines are no events: see openautoglm validate")


def _row(firing: Firing) -> Sequence[object]:
    alarm = f"{firing.severity} {firing.condition} of {firing.device}"
    again = (f"and {firing.again} times more, with nothing new",) if firing.again else ()
    missing = [f"no device for {one}" for one in firing.unresolved]
    return (
        firing.at,
        stacked(firing.rule, alarm, *again),
        stacked(*map(_asked, firing.acts), *missing),
        stacked(*map(_said, firing.acts)),
    )


def _asked(act: Act) -> str:
    words = [f"{act.task}:" if act.task else "", act.verb or act.tool, act.device or ""]
    given = {name: value for name, value in act.arguments.items() if name not in {"device", "verb"}}
    return " ".join(filter(None, words)) + "".join(f", {name} {_short(value)}" for name, value in given.items())


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _said(act: Act) -> str:
    found = ", ".join(f"{name} {_short(value)}" for name, value in act.outputs.items())
    return f"{act.decision or act.state}: {act.reason or found}".removesuffix(": ")
