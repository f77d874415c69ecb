"""The program `openautoglm`: all commands under one name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import typer

from streams.cli import (
    actions,
    alarms,
    audit,
    cluster,
    deadletters,
    events,
    faults,
    instructions,
    keys,
    operation,
    planning,
    policies,
    projection,
    recordings,
    runbooks,
    schema,
    topology,
)

VARIADIC = "--events"

app = typer.Typer(
    name="openautoglm",
    help="A live graph of the plant's devices: what is strange, where it began, which way it spreads, what to do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS: tuple[Callable[..., None], ...] = (
    operation.serve,
    cluster.gateway,
    cluster.worker,
    operation.demo,
    operation.simulate,
    operation.doctor,
    instructions.do,
    recordings.train,
    recordings.replay,
    recordings.validate,
    planning.plan,
    planning.plan_train,
)
for command in COMMANDS:
    app.command()(command)
GROUPS = {
    "alarm": alarms.app,
    "fault": faults.app,
    "topology": topology.app,
    "events": events.app,
    "action": actions.app,
    "policy": policies.app,
    "runbook": runbooks.app,
    "audit": audit.app,
    "runs": instructions.app,
    "key": keys.app,
    "deadletter": deadletters.app,
    "projection": projection.app,
    "schema": schema.app,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def spread(arguments: Sequence[str]) -> list[str]:
    """`--events a b c`, as the contract writes it, in the form that the parser knows.

    >>> spread(["replay", "--events", "a", "b", "--out", "o"])
    ['replay', '--events', 'a', '--events', 'b', '--out', 'o']
    """
    spelled: list[str] = []
    within = False
    for position, argument in enumerate(arguments):
        if argument.startswith("-") and argument != "-":
            within = argument == VARIADIC
            spelled.append(argument)
        else:
            follows = position > 0 and arguments[position - 1] == VARIADIC
            spelled += [VARIADIC, argument] if within and not follows else [argument]
    return spelled


def main() -> None:
    """Entry point of the console script."""
    app(args=spread(sys.argv[1:]))
