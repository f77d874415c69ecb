"""The program `openautoglm`: all commands under one name.

A command's module is loaded once it is called for: some take seconds, and who lists alarms needs no network of neurons.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

VARIADIC = "--events"


class Place(NamedTuple):
    """Where a command, or a group of them, is to be found, and its line in the list of commands: its own, word for word."""

    module: str
    name: str
    line: str


COMMANDS = {
    "serve": Place(
        "operation", "serve", "Run the service until Ctrl-C. Settings also come from OPENAUTOGLM_... and openautoglm.yaml."
    ),
    "gateway": Place("cluster", "gateway", "Carry one site's events from MQTT to Kafka, and its findings back, until Ctrl-C."),
    "worker": Place(
        "cluster", "worker", "Analyse the sites of some of the partitions, until Ctrl-C. Start more of them to share the work."
    ),
    "demo": Place(
        "demonstration",
        "demo",
        "A water plant works and breaks; watch the service say where it began, and act: here, and in the console.",
    ),
    "simulate": Place(
        "demonstration", "simulate", "The demo's water plant: publishes over MQTT until Ctrl-C, or writes a recording."
    ),
    "doctor": Place(
        "operation", "doctor", "Check that everything the service needs is there and works; exit status 1 if something is not."
    ),
    "do": Place(
        "instructions", "do", "Plan an instruction, show the plan, and run it; exit status 1 if not all of it succeeded."
    ),
    "train": Place("recordings", "train", "Learn what is normal from history without labels; each file is one recording."),
    "replay": Place("recordings", "replay", "Run recordings through the pipeline of the live service, as fast as possible."),
    "validate": Place(
        "recordings",
        "validate",
        "Check each line against its event type's schema; invalid lines are named with reason and JSON pointer.",
    ),
    "plan": Place("planning", "plan", "Choose tools for each instruction, in order, and say why."),
    "plan-train": Place(
        "planning",
        "plan_train",
        "Learn to plan with these tools from instructions and the tasks that were right for them (needs torch).",
    ),
    "alarm": Place("alarms", "app", "Alarms: what asks for an operator, and what is done about it."),
    "fault": Place("faults", "app", "Faults: where they began, and which way they spread."),
    "topology": Place("topology", "app", "The devices of the plant and the edges between them."),
    "events": Place("events", "app", "What is found and done, as it comes."),
    "action": Place("actions", "app", "Actions, and what waits for approval."),
    "policy": Place("policies", "app", "Policies: which actions are allowed."),
    "runbook": Place("runbooks", "app", "Runbooks: what alarms ask for."),
    "audit": Place("audit", "app", "The audit of decisions and actions."),
    "runs": Place("instructions", "app", "What instructions have come to."),
    "key": Place("keys", "app", "Keys for the API."),
    "deadletter": Place("deadletters", "app", "Inputs that were refused."),
    "projection": Place("projection", "app", "The database of the graph over time."),
    "schema": Place("schema", "app", "JSON Schemas of events, and their evolution."),
}


class Later(TyperCommand):
    """A command in the list, of which the rest is loaded when it is called."""

    def __init__(self, name: str, place: Place) -> None:
        super().__init__(name, help=place.line)
        self._place = place

    def loaded(self) -> Any:
        """The command itself."""
        found = getattr(import_module(f"streams.cli.{self._place.module}"), self._place.name)
        whole = typer.Typer(add_completion=False)
        if isinstance(found, typer.Typer):
            whole.add_typer(found, name=self.name)
        else:
            whole.command(self.name)(found)
        return typer.main.get_group(whole).commands[str(self.name)]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.loaded().make_context(info_name, args, parent, **extra)


class Program(TyperGroup):
    """All commands, none of them loaded."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: Later(name, place) for name, place in COMMANDS.items()}


app = typer.Typer(name="openautoglm", cls=Program, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def program() -> None:
    """A live graph of the plant's devices: what is strange, where it began, which way it spreads, what to do."""


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
