"""What commands that run something have in common: their settings, their end, and what went wrong."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import typer
from pydantic import ValidationError

from streams.cli.terminal import Exit, complain, say
from streams.settings import Settings


def settings_of(**given: Any) -> Settings:
    """Settings from the command line, the environment and the file; ends the command if one is wrong."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for found in error.errors():
            name = ".".join(map(str, found["loc"]))
            complain(f"setting {name}: {found['msg']}")
        raise typer.Exit(Exit.USAGE) from error


def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until done, or until SIGINT or SIGTERM, which cancel it: everything is then put away in order.

    A second signal ends the process as it stands.
    """

    async def run() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def stop(number: signal.Signals) -> None:
            loop.remove_signal_handler(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        try:
            await task
        except asyncio.CancelledError:
            say("stopped")

    asyncio.run(run())


def first_of(group: BaseExceptionGroup[BaseException]) -> str:
    """What went wrong first, in words."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
