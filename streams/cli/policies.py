"""`policy check|test|ask`: whether policies can be used, say what they must say, and what they say of one action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.text import Text

from agents.cedar import PolicyError
from agents.policylint import doubts
from agents.policytests import Outcome, answered, case_of, tested
from agents.rulefile import RuleFileError
from schemas.event import Severity
from streams.cli.terminal import Exit, Json, complain, fail, print_json, print_table, say
from streams.roles import Role

app = typer.Typer(no_args_is_help=True, help="Policies: which actions are allowed.")

Result = TypeVar("Result")
Folder = Annotated[Path, typer.Argument(help="A folder with *.cedar and plant.yaml.")]
COLUMNS = ("", "case", "expected", "found", "by", "why")


@app.command()
def check(folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of policies.")]) -> None:
    """Parse policies, validate them against the schema, and say what is doubtful; ends with 1 for errors, not for doubts."""
    faults = 0
    for folder in folders:
        try:
            for doubt in doubts(folder):
                say(f"doubtful: {doubt}")
        except (PolicyError, RuleFileError) as error:
            found = error.faults if isinstance(error, PolicyError) else (str(error),)
            faults += len(found)
            for fault in found:
                complain(fault)
        except OSError as error:
            fail(str(error), Exit.UNREADABLE)
    if faults:
        raise typer.Exit(Exit.WANTING)
    say(f"{len(folders)} folders: in order" if len(folders) > 1 else f"{folders[0]}: in order")


@app.command("test")
def run(folder: Folder, json: Json = False) -> None:
    """Ask the policies what `tests.yaml` beside them asks; ends with 1 if an answer is not the expected one."""
    found = _read(lambda: tested(folder))
    failed = [outcome for outcome in found if not outcome.passed]
    if json:
        print_json(map(_plain, found))
    else:
        print_table(f"{len(found)} cases, {len(failed)} failed", COLUMNS, map(_row, found))
    if failed:
        raise typer.Exit(Exit.WANTING)


@app.command()
def ask(
    folder: Folder,
    verb: Annotated[str, typer.Option(help="What is to be done.")],
    principal: Annotated[str, typer.Option(help="Who asks; `runbook:RULE` for a rule.")] = "somebody",
    role: Annotated[str, typer.Option(help="viewer, operator, engineer, admin or runbook.")] = "operator",
    device: Annotated[str | None, typer.Option(help="Of which device; without it, of the plant.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="The type that the device announces.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its zone.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Of the alarm that asks.")] = None,
    approver: Annotated[Role | None, typer.Option(help="As if somebody of this role had approved it.")] = None,
    json: Json = False,
) -> None:
    """Ask the policies about one action, at noon of a Monday and with nothing done before; ends with 1 if it is refused."""
    facts: dict[str, Any] = {} if device is None else {"device": _given(id=device, type=type_, zone=zone)}
    asked = _given(
        name="asked", principal=principal, role=role, verb=verb, severity=severity, approver=approver, expect="allow", **facts
    )
    outcome = _read(lambda: answered(folder, case_of(asked)))
    if json:
        print_json([_plain(outcome)])
    else:
        say(f"{outcome.verdict}: {outcome.decision.reason}")
    if not outcome.decision.allowed:
        raise typer.Exit(Exit.WANTING)


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _read(work: Callable[[], Result]) -> Result:
    """Ends the command with what is wrong."""
    try:
        return work()
    except OSError as error:
        fail(str(error), Exit.UNREADABLE)
    except PolicyError as error:
        for fault in error.faults:
            complain(fault)
        raise typer.Exit(Exit.USAGE) from None
    except ValueError as error:
        fail(str(error), Exit.USAGE)


def _plain(outcome: Outcome) -> dict[str, Any]:
    case, decision = outcome.case, outcome.decision
    return {
        "name": case.name,
        "passed": outcome.passed,
        "expected": case.expect,
        "found": outcome.verdict,
        "by": decision.policies,
        "reason": decision.reason,
    }


def _row(outcome: Outcome) -> Sequence[object]:
    case, decision = outcome.case, outcome.decision
    mark = Text("ok", "green") if outcome.passed else Text("no", "bold red")
    return mark, case.name, case.expect, outcome.verdict, ", ".join(decision.policies), decision.reason
