"""`serve`, `doctor`: running the service, and whether it could run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agents.rulefile import RuleFileError
from graph.detection.model import ModelError
from streams.checkpoint import DamagedError
from streams.cli.running import first_of, settings_of, until_told
from streams.cli.terminal import Exit, Json, fail, log_to_stderr, print_json, print_table
from streams.doctor import examine
from streams.folder import InUseError
from streams.service import Service
from streams.snapshots import SnapshotError


def serve(
    data: Annotated[Path | None, typer.Option(help="Data folder.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of the plant.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model.")] = None,
    mqtt_host: Annotated[str | None, typer.Option(help="Broker to use; without it an embedded one is started.")] = None,
    mqtt_port: Annotated[int | None, typer.Option(help="The broker's port.")] = None,
    runbook: Annotated[Path | None, typer.Option(help="Runbook file.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Folder of policies.")] = None,
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
        fail(first_of(group), Exit.USAGE)
    except* (ModelError, DamagedError, SnapshotError, OSError) as group:
        fail(first_of(group), Exit.UNREADABLE)


def doctor(json: Json = False) -> None:
    """Check that everything the service needs is there and works; exit status 1 if something is not."""
    found = examine(settings_of())
    if json:
        print_json(found)
    else:
        rows = [("ok" if check.ok else Text("bad", style="red"), check.name, check.detail) for check in found]
        print_table("doctor", ("", "check", "detail"), rows)
    raise typer.Exit(Exit.DONE if all(check.ok for check in found) else Exit.WANTING)
