"""`runbook check|test`: whether runbooks can be used, and what one does on recordings of faults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from agents.alarmrules import AlarmRules
from agents.cedar import PolicyError
from agents.policyfolder import TESTS
from agents.rulefile import RuleFileError, load
from agents.runbook import Runbook
from graph.detection.model import ModelError
from graph.detection.model import load as load_model
from streams.cli.recordings import size
from streams.cli.terminal import Exit, Json, complain, fail, print_json, print_table, progress, say, stacked
from streams.dryrun import DryRun, dry_run
from streams.recordings import UnreadableError
from streams.rulecases import Act, CaseFile, ExpectFile, Firing, Judged, judged

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


class Trial(NamedTuple):
    """Recordings that the rules are tried on; `case` names one of `tests.yaml`."""

    case: str
    events: list[Path]
    model: Path | None
    wanted: ExpectFile


@app.command("test")
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A runbook.")],
    events: Annotated[
        list[Path] | None,
        typer.Option("--events", help="Recordings; several may follow. Without, the cases of tests.yaml beside the runbook."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a trained model; without it, learns as it goes.")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="Folder of policies; without it, nothing is allowed.")] = None,
    alarm_rules: Annotated[Path | None, typer.Option("--alarm-rules", help="File of alarm rules, as the service has.")] = None,
    expect: Annotated[Path | None, typer.Option("--expect", help="YAML file: what must come of it, and what must not.")] = None,
    site: Annotated[str, typer.Option(help="Name of the plant; ids derive from it.")] = "replay",
    json: Json = False,
) -> None:
    """Run recordings through the pipeline, and show which rules apply, what they ask for, and what the policy says to it.

    Nothing is sent and nothing is kept. Ends with 1 if an expectation is not met.
    """
    met = True
    try:
        runbook = Runbook.load(file, site=site)
        rules = AlarmRules.load(alarm_rules) if alarm_rules is not None else None
        for trial in _trials(file, Trial("", events or [], model, _expectations(expect))):
            _check_names(trial.wanted, runbook, trial.case or str(expect))
            done = _done(runbook, trial, policy, rules)
            found = judged(trial.wanted, done.firings, done.began)
            _print_json(trial, done, found) if json else _print(trial, done, found)
            met = met and all(one.met for one in found)
    except (RuleFileError, PolicyError) as error:
        for fault in error.faults if isinstance(error, PolicyError) else (str(error),):
            complain(fault)
        raise typer.Exit(Exit.USAGE) from None
    except (UnreadableError, ModelError, OSError) as error:
        fail(str(error), Exit.UNREADABLE)
    if not met:
        raise typer.Exit(Exit.WANTING)


def _expectations(path: Path | None) -> ExpectFile:
    """Raises RuleFileError, OSError."""
    return ExpectFile(version=1) if path is None else load(path, ExpectFile)


def _trials(file: Path, given: Trial) -> list[Trial]:
    """What is given, or else the cases beside the runbook. Raises RuleFileError, OSError."""
    if given.events:
        return [given]
    if given.model is not None or given.wanted != ExpectFile(version=1):
        fail(f"--model and --expect go with --events; a case of {TESTS} has its own", Exit.USAGE)
    folder = file.parent
    if not (folder / TESTS).is_file():
        fail(f"there is no {folder / TESTS} with cases: name recordings with --events", Exit.USAGE)
    return [
        Trial(case.name, [folder / name for name in case.events], folder / case.model if case.model else None, case.wanted)
        for case in load(folder / TESTS, CaseFile).cases
    ]


def _check_names(wanted: ExpectFile, runbook: Runbook, where: str) -> None:
    """Raises RuleFileError."""
    known = {rule.name for rule in runbook.rules}
    for place, rule in wanted.named():
        if rule not in known:
            raise RuleFileError(f"{where}: {place}: the runbook has no rule {rule}")


def _done(runbook: Runbook, trial: Trial, policy: Path | None, rules: AlarmRules | None) -> DryRun:
    """Raises UnreadableError, ModelError, PolicyError, RuleFileError, OSError."""
    model = load_model(trial.model) if trial.model is not None else None
    with progress("trying the rules", size(trial.events)) as advance:
        return asyncio.run(dry_run(runbook, trial.events, model=model, policy=policy, alarm_rules=rules, advance=advance))


def _print_json(trial: Trial, done: DryRun, found: Sequence[Judged]) -> None:
    named = {"case": trial.case} if trial.case else {}
    print_json([{**named, "firing": firing} for firing in done.firings])
    print_json([{**named, "expectation": {"words": one.words, "met": one.met, "why": one.why}} for one in found])


def _print(trial: Trial, done: DryRun, found: Sequence[Judged]) -> None:
    case = f"{trial.case}: " if trial.case else ""
    title = f"{case}{done.events:,} events, {len(done.firings)} times a rule asked for something"
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
