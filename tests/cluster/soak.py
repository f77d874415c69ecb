"""`make soak`: the long set of faults, each judged by the oracle; a table for docs/reliability.md on stdout.

python -m tests.cluster.soak [--only TEXT] [--paused SECONDS...]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from graph.detection.model import Model, save
from graph.detection.training import train
from tests.cluster.world import (
    Engines,
    Hurt,
    Verdict,
    cut,
    engines,
    fill,
    hold,
    judged,
    kill,
    pause,
    slow,
    small_disk,
    world,
)
from tests.streams.plant import recording

LIMIT = 300.0
"""Seconds of one run."""
ALL = ("gateway", "worker-0", "kafka", "mosquitto", "neo4j")
EVENTS = recording(400, seed=9, broken_from=200)
HEAD = (
    "| what happened | verdict | lost | twice | same graph and findings | rows not projected | seconds |",
    "|---|---|---|---|---|---|---|",
)
Plan = list[tuple[float, Hurt]]


class Run(NamedTuple):
    name: str
    plan: Plan
    disk: str | None = None
    """The size of the file system of the gateway process's data, if it is to be small."""


def runs(paused: tuple[float, ...]) -> Iterator[Run]:
    for name in ALL:
        yield Run(f"kill -9 {name}", [(4, partial(kill, name=name))])
    for first, second in itertools.combinations(ALL, 2):
        yield Run(
            f"kill -9 {first} and {second} within a second", [(4, partial(kill, name=first)), (4.6, partial(kill, name=second))]
        )
    yield Run("kill -9 both workers", [(4, partial(kill, name="worker-0")), (4.3, partial(kill, name="worker-1"))])
    yield Run("kill -9 a worker five times", [(3 + 3 * number, partial(kill, name="worker-0")) for number in range(5)])
    for name, seconds in itertools.product(ALL, paused):
        yield Run(f"SIGSTOP {name} for {seconds:g} s", [(4, partial(pause, name=name, seconds=seconds))])
    for link in ("mqtt", "kafka"):
        yield Run(f"link to {link} cut for 5 s", [(4, partial(cut, name=link, seconds=5))])
        yield Run(f"link to {link} silent for 15 s", [(4, partial(hold, name=link, seconds=15))])
        yield Run(f"link to {link} slow (100 ms a chunk) for 15 s", [(4, partial(slow, name=link, delay=0.1, seconds=15))])
    yield Run("disk of the gateway process full for 8 s", [(4, partial(fill, seconds=8))], disk="8m")


async def tried(run: Run, number: int, there: Engines, model: tuple[Model, Path], folder: Path) -> Verdict | str:
    try:
        async with asyncio.timeout(LIMIT), world(there, folder, site=f"soak-{number}", model=model[1]) as made:
            return await judged(made, EVENTS, model[0], run.plan)
    except TimeoutError:
        return f"not done after {LIMIT:.0f} s"
    except Exception as error:  # noqa: BLE001 - one run's failure is a row of the table
        return f"{type(error).__name__}: {error}"


def row(run: Run, verdict: Verdict | str) -> str:
    if isinstance(verdict, str):
        return f"| {run.name} | **failed** | {verdict} | | | | |"
    word = "good" if verdict.good else "**bad**"
    same = "yes" if verdict.same_graph and verdict.same_findings else "**no**"
    return (
        f"| {run.name} | {word} | {verdict.lost} | {verdict.twice} | {same} | {verdict.unprojected} | {verdict.seconds:.0f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--paused", type=float, nargs="*", default=[5, 20, 60])
    options = parser.parse_args()
    chosen = [run for run in runs(tuple(options.paused)) if options.only in run.name]
    bad = 0
    began = time.monotonic()
    print("\n".join(HEAD))
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch, engines(Path(scratch) / "engines") as there:
        trained = train([recording(500, seed=seed) for seed in range(3)])
        save(trained, Path(scratch) / "model")
        for number, run in enumerate(chosen):
            folder = Path(scratch) / f"run-{number}"
            folder.mkdir()
            verdict = _with_disk(run, number, there, (trained, Path(scratch) / "model"), folder)
            bad += isinstance(verdict, str) or not verdict.good
            print(row(run, verdict), flush=True)
            print(f"{number + 1} of {len(chosen)}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"\n{len(chosen)} runs, {bad} not good, {(time.monotonic() - began) / 60:.0f} minutes.")
    return int(bad > 0)


def _with_disk(run: Run, number: int, there: Engines, model: tuple[Model, Path], folder: Path) -> Verdict | str:
    if run.disk is None:
        return asyncio.run(tried(run, number, there, model, folder))
    with small_disk(folder / "gateway", run.disk):
        return asyncio.run(tried(run, number, there, model, folder))


if __name__ == "__main__":
    sys.exit(main())
