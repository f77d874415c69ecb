"""`serve`, `demo`, `simulate`, `doctor`: running things."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from agents.rulefile import RuleFileError
from graph.detection import ModelError
from streams.checkpoint import DamagedError
from streams.cli.terminal import MESSAGES, Exit, Json, fail, log_to_stderr, print_json, print_table
from streams.doctor import examine
from streams.folder import InUseError
from streams.pipeline import SnapshotError
from streams.service import Service
from streams.settings import Settings


def settings_of(**given: Any) -> Settings:
    """Settings from the command line, the environment and the file; ends the command if one is wrong."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for found in error.errors():
            name = ".".join(map(str, found["loc"]))
            MESSAGES.print(f"[bold red]setting {name}:[/] {found['msg']}", highlight=False)
        raise typer.Exit(Exit.USAGE) from error


def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until done, or until SIGINT or SIGTERM, which cancel it: everything is then put away in order."""

    async def run() -> None:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            MESSAGES.print("stopped")

    asyncio.run(run())


def serve(
    data: Annotated[Path | None, typer.Option(help="Data folder.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of the plant.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model.")] = None,
    mqtt_host: Annotated[str | None, typer.Option(help="Broker to use; without it an embedded one is started.")] = None,
    mqtt_port: Annotated[int | None, typer.Option(help="The broker's port.")] = None,
    runbook: Annotated[Path | None, typer.Option(help="Runbook file.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False,
) -> None:
    """Run the service until Ctrl-C. Settings also come from OPENAUTOGLM_... and openautoglm.yaml."""
    log_to_stderr(verbose=verbose)
    settings = settings_of(
        data=data, site=site, model=model, mqtt_host=mqtt_host, mqtt_port=mqtt_port, runbook=runbook, policy=policy
    )
    try:
        until_told(Service(settings).run())
    except* (InUseError, RuleFileError, ValueError) as group:
        fail(_first(group), Exit.USAGE)
    except* (ModelError, DamagedError, SnapshotError, OSError) as group:
        fail(_first(group), Exit.UNREADABLE)


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def demo(
    seconds: Annotated[float, typer.Option(envvar="DEMO_SECONDS", min=20, help="How long, at most.")] = 120,
    seed: Annotated[int, typer.Option(help="Which plant, fault and noise.")] = 1,
) -> None:
    """A water plant breaks; watch the service say where it began, and act."""
    raise NotImplementedError


def simulate() -> None:
    """A water plant that publishes over MQTT or writes a recording."""
    raise NotImplementedError


def doctor(json: Json = False) -> None:
    """Check that everything the service needs is there and works; exit status 1 if something is not."""
    found = examine(settings_of())
    if json:
        print_json(found)
    else:
        rows = [("ok" if check.ok else "[red]bad[/]", check.name, check.detail) for check in found]
        print_table("doctor", ("", "check", "detail"), rows)
    raise typer.Exit(Exit.DONE if all(check.ok for check in found) else Exit.WANTING)
