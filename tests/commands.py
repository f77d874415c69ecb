"""The program's commands, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from streams.cli.app import Later, app


def tree() -> Any:
    """All of them: a group with its `commands`, some of which are groups."""
    program: Any = typer.main.get_command(app)
    program.commands = {
        name: command.loaded() if isinstance(command, Later) else command for name, command in program.commands.items()
    }
    return program


def command(words: Sequence[str]) -> Any:
    """The one that the first of the words name. Raises KeyError."""
    found = tree()
    for word in words:
        if not getattr(found, "commands", {}):
            break
        found = found.commands[word]
    return found
