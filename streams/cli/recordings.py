"""`train`, `replay`, `validate`: what CONTRACT 4 fixes to the letter."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from graph.detection.model import ModelError, load, save
from graph.detection.training import Fit, NothingToLearnError
from graph.detection.training import train as learn
from schemas.event import Event
from schemas.finding import Invalid
from streams import replay as replaying
from streams.cli.terminal import OUT, Exit, Json, fail, plain, print_json, progress, say
from streams.recordings import UnreadableError, chunks, ordered

Events = Annotated[list[Path], typer.Option("--events", help="NDJSON files of events, plain or .gz; several may follow.")]


def train(
    events: Events,
    model: Annotated[Path, typer.Option("--model", help="Folder for the trained model.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal models.")] = 0,
    budget: Annotated[float | None, typer.Option(min=1, help="Seconds that training may take, about.")] = None,
    json: Json = False,
) -> None:
    """Learn what is normal from history without labels; each file is one recording."""
    began = time.monotonic()
    try:
        with progress("reading and learning", 1.0) as advance:
            told = 0.0

            def tell(share: float, _text: str) -> None:
                nonlocal told
                advance(share - told)
                told = share

            learnt = learn(map(_recording, events), seed=seed, budget=budget, progress=tell, network=_network())
        save(learnt, model)
    except (UnreadableError, NothingToLearnError) as error:
        fail(str(error), Exit.UNREADABLE)
    except OSError as error:
        fail(f"--model {model}: {error.strerror}", Exit.USAGE)
    facts = {"model": str(model), "name": learnt.name, "digest": learnt.digest, "seconds": round(time.monotonic() - began, 1)}
    if json:
        print_json([facts | {"figures": learnt.figures}])
    else:
        say(f"trained {facts['name']} on {len(events)} recordings in {facts['seconds']} s: {model}")


def _network() -> Fit | None:
    """The trainer of the graph network, where torch is installed."""
    try:
        from graph.nn.training import fit  # noqa: PLC0415 - torch takes seconds to load, and a gateway has none
    except ImportError:
        say("torch is not installed: no graph network is trained (install the extra 'nn'; in a clone: make dev)")
        return None
    return fit


def _recording(path: Path) -> Iterator[Event]:
    return ordered(path)


def replay(
    events: Events,
    out: Annotated[Path, typer.Option("--out", help="Folder for scores, alerts, faults, invalid lines and the summary.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a trained model; without it, learns as it goes.")
    ] = None,
    site: Annotated[str, typer.Option(help="Name of the plant; alarm ids derive from it.")] = "replay",
    json: Json = False,
) -> None:
    """Run recordings through the pipeline of the live service, as fast as possible."""
    try:
        trained = load(model) if model is not None else None
        with progress("replaying", size(events)) as advance:
            summary = replaying.replay(events, out, site=site, model=trained, advance=advance)
    except (UnreadableError, ModelError) as error:
        fail(str(error), Exit.UNREADABLE)
    except OSError as error:
        fail(f"--out {out}: {error.strerror}", Exit.USAGE)
    if json:
        print_json([summary])
    else:
        say(
            f"{summary.received:,} events in {summary.seconds} s ({summary.events_per_second:,.0f}/s): "
            f"{summary.invalid} invalid, {summary.duplicate} duplicate, {summary.faults} faults, {summary.alarms} alarms: {out}"
        )


def size(paths: list[Path]) -> float:
    try:
        return float(sum(path.stat().st_size for path in paths))
    except OSError as error:
        raise UnreadableError(f"{error.filename}: {error.strerror}") from error


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="NDJSON files of events, plain or .gz.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a line is invalid.")] = False,
    json: Json = False,
) -> None:
    """Check each line against its event type's schema; invalid lines are named with reason and JSON pointer."""
    valid = invalid = 0
    try:
        with progress("validating", size(files)) as advance:
            for path in files:
                for decoded in chunks(path, advance=advance):
                    valid += len(decoded.events)
                    invalid += len(decoded.invalid)
                    _report(path, decoded.invalid, json=json)
    except UnreadableError as error:
        fail(str(error), Exit.UNREADABLE)
    say(f"{valid + invalid:,} lines: {valid:,} valid, {invalid:,} invalid")
    if strict and invalid:
        raise typer.Exit(Exit.WANTING)


def _report(path: Path, invalid: Iterable[Invalid], *, json: bool) -> None:
    if json:
        print_json({"file": str(path), **msgspec.structs.asdict(found)} for found in invalid)
        return
    for found in invalid:
        where = f" at {found.pointer}" if found.pointer else ""
        OUT.print(plain(f"{path}:{found.offset + 1}: {found.reason}{where}"), markup=False, highlight=False, soft_wrap=True)
