"""`serve`, `demo`, `simulate`, `doctor`: running things."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from pydantic import ValidationError
from rich.text import Text

from agents.rulefile import RuleFileError
from graph.detection import ModelError
from schemas.event import Micros, rfc3339
from streams.checkpoint import DamagedError
from streams.cli.terminal import OUT, Exit, Json, complain, fail, log_to_stderr, print_json, print_table, say
from streams.demo import Demo, Plot
from streams.demo.screen import Screen
from streams.doctor import examine
from streams.folder import InUseError
from streams.mqtt import Address
from streams.pipeline import SnapshotError
from streams.service import Service
from streams.settings import Settings
from streams.simulator import START, Fault, FaultKind, Simulator, SimulatorMissingError, draw, write_recording


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


def first_of(group: BaseExceptionGroup[BaseException]) -> str:
    """What went wrong first, in words."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def demo(
    seconds: Annotated[float, typer.Option(envvar="DEMO_SECONDS", min=30, help="How long, at most.")] = 120,
    kind: Annotated[FaultKind, typer.Option("--fault", help="What goes wrong.")] = FaultKind.LEAK,
    seed: Annotated[int, typer.Option(min=0, help="Which day, noise and place.")] = 1,
    stay: Annotated[bool | None, typer.Option(help="Keep the console open after the end; in a terminal it is.")] = None,
) -> None:
    """A water plant works and breaks; watch the service say where it began, and act: here, and in the console."""
    screen = Screen(OUT)
    plot = Plot(kind=kind, seed=seed, seconds=seconds, stay=OUT.is_terminal if stay is None else stay)
    played = Demo(plot, show=screen.show, say=screen.say)
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    with screen.open():
        _played(played.run())


def simulate(
    mqtt_host: Annotated[str, typer.Option(help="Broker that the gateways publish to.")] = "127.0.0.1",
    mqtt_port: Annotated[int, typer.Option(min=1, max=65535)] = 1883,
    site: Annotated[str, typer.Option(help="Name of the plant; must be the service's.")] = "plant",
    speed: Annotated[float, typer.Option(min=1, help="Simulated seconds per second.")] = 300,
    hours: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many simulated hours.")] = None,
    fault: Annotated[FaultKind | None, typer.Option(help="Break something clearly visible.")] = None,
    fault_after: Annotated[float, typer.Option(min=0, help="Simulated hours until it breaks.")] = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Write a recording (.ndjson or .ndjson.gz) instead.")] = None,
) -> None:
    """The demo's water plant: publishes over MQTT until Ctrl-C, or writes a recording."""
    try:
        start = Micros(START + round(fault_after * 3600e6))
        faults = [] if fault is None else [draw(fault, np.random.default_rng(seed), start=start)]
        for broken in faults:
            say(f"{broken.kind} at {broken.device} from {rfc3339(broken.start)}")
        if out is not None:
            count = write_recording(out, hours=hours or 24, seed=seed, faults=faults, site=site)
            say(f"{count:,} events: {out}")
            return
        until_told(_simulate(Address(mqtt_host, mqtt_port), site=site, seed=seed, speed=speed, hours=hours, faults=faults))
    except SimulatorMissingError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        fail(f"--out {out}: {error.strerror}", Exit.USAGE)


async def _simulate(address: Address, *, site: str, seed: int, speed: float, hours: float | None, faults: list[Fault]) -> None:
    plant = await asyncio.to_thread(Simulator, site, address, seed=seed, speed=speed)
    for broken in faults:
        plant.inject(broken)
    say(f"{len(plant.plant.equipment.gateways)} gateways publish to {address.host}:{address.port}")
    await plant.run(hours=hours)


def _played(work: Coroutine[Any, Any, None]) -> None:
    try:
        until_told(work)
    except SimulatorMissingError as error:
        fail(str(error), Exit.USAGE)


def doctor(json: Json = False) -> None:
    """Check that everything the service needs is there and works; exit status 1 if something is not."""
    found = examine(settings_of())
    if json:
        print_json(found)
    else:
        rows = [("ok" if check.ok else Text("bad", style="red"), check.name, check.detail) for check in found]
        print_table("doctor", ("", "check", "detail"), rows)
    raise typer.Exit(Exit.DONE if all(check.ok for check in found) else Exit.WANTING)
