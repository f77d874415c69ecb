"""`demo`, `simulate`: a plant to look at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from schemas.event import Micros, rfc3339
from streams.cli.running import until_told
from streams.cli.terminal import OUT, Exit, fail, say
from streams.demo import Demo, Plot
from streams.demo.screen import Screen
from streams.mqtt import Address
from streams.simulator import START, Fault, FaultKind, Simulator, SimulatorMissingError, draw, write_recording


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
