"""Learns a model from the log's events, in a process of its own: an errand of `retrain_model`.

The model lies in a folder of its own afterwards. Which one is served is for people to say (setting `model`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from agents.dispatcher import Answered, NotSentError
from graph.detection.model import save
from graph.detection.training import NothingToLearnError, train
from schemas.action import Action, moment
from schemas.event import ActionStatus, Connected, Event, Linked, Micros, Unlinked
from schemas.frame import unpack
from streams import checkpoint
from streams.broker import SqliteLog
from streams.folder import Folder
from streams.snapshots import topology_of

logger = logging.getLogger(__name__)
MOST_EVENTS = 1_000_000
"""The newest of a period."""
AT_ONCE = 200
BUDGET = 600.0
"""Seconds that learning may take, about."""
PATIENCE = 3_600.0
MODELS = 5
"""The newest that are kept."""


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says of its work; `problem` if nothing came of it."""

    model: str = ""
    digest: str = ""
    events: int = 0
    problem: str = ""


class Training:
    """`agents.dispatcher.Outlet`; one training at a time."""

    def __init__(self, folder: Folder, site: str, *, budget: float = BUDGET) -> None:
        self._folder = folder
        self._site = site
        self._budget = budget
        self._process: asyncio.subprocess.Process | None = None
        self._busy = self._ended = False

    async def send(self, action: Action) -> Answered:
        """Raises NotSentError."""
        begin, until = action.arguments.get("from"), action.arguments.get("until")
        if action.verb != "retrain" or not isinstance(begin, str) or not isinstance(until, str):
            raise NotSentError(f"{action.verb} is nothing that can be asked of the training")
        if self._busy:
            raise NotSentError("a model is being trained; one at a time")
        self._busy = True
        try:
            return await self._learnt(self._folder.models / action.action_id, moment(begin), moment(until))
        finally:
            self._busy = False

    async def _learnt(self, target: Path, begin: Micros, until: Micros) -> Answered:
        span = ("--from", str(begin), "--until", str(until), "--budget", str(self._budget))
        told = await self._run("--data", str(self._folder.path), "--site", self._site, "--model", str(target), *span)
        if told.problem:
            return Answered(ActionStatus.FAILED, told.problem)
        self._prune()
        return Answered(
            ActionStatus.SUCCEEDED, f"{told.events} events, model {told.digest} in {target}; set `model` to serve it"
        )

    def close(self) -> None:
        """What is being trained is given up."""
        self._ended = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _run(self, *arguments: str) -> Learnt:
        if self._ended:
            raise NotSentError("the service ends")
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "streams.workshop.training", *arguments)
        self._process = process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(PATIENCE):
                told, _ = await process.communicate()
            return msgspec.json.decode(told, type=Learnt)
        except TimeoutError:
            return Learnt(problem=f"not done after {PATIENCE:g} s")
        except msgspec.DecodeError:
            return Learnt(problem=f"the training ended with {process.returncode}")
        finally:
            if process.returncode is None:
                process.kill()
            self._process = None

    def _prune(self) -> None:
        found = sorted(self._folder.models.iterdir(), key=lambda each: each.stat().st_mtime)
        for old in found[:-MODELS]:
            shutil.rmtree(old, ignore_errors=True)
            logger.info("the model %s is gone: more than %d are there", old.name, MODELS)


# --- The process ------------------------------------------------------------------------------------------------------------


async def events_of(path: Path, site: str, begin: Micros, until: Micros) -> list[Event]:
    """Of a log, in the order of their stamps; the newest, if there are too many."""
    found: list[Event] = []
    with closing(SqliteLog(path)) as log:
        offset = 0
        while records := await log.read(site, offset, limit=AT_ONCE):
            found += [one for record in records for one in unpack(record.value) if begin <= one.stamp.at < until]
            offset = records[-1].offset + 1
            if len(found) > 2 * MOST_EVENTS:
                del found[:-MOST_EVENTS]
    return sorted(found, key=lambda event: event.stamp)[-MOST_EVENTS:]


def structure(folder: Folder) -> Iterator[Event]:
    """What the last checkpoint knows of devices and edges, which the log may have forgotten."""
    held = checkpoint.load(folder.checkpoint)
    if held is not None:
        for event in topology_of(held.snapshot).kept():
            if isinstance(event.body, Connected | Linked | Unlinked):
                yield event


def learn(folder: Folder, site: str, target: Path, *, begin: Micros, until: Micros, budget: float) -> Learnt:
    events = asyncio.run(events_of(folder.log, site, begin, until))
    try:
        model = train([sorted(structure(folder), key=lambda event: event.stamp), events], budget=budget)
        save(model, target)
    except NothingToLearnError as error:
        return Learnt(problem=str(error))
    return Learnt(model=str(target), digest=model.digest, events=len(events))


def main() -> None:
    parser = ArgumentParser()
    for name in ("data", "model"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--site", required=True)
    for name in ("from", "until"):
        parser.add_argument(f"--{name}", type=int, required=True, dest=name if name == "until" else "begin")
    parser.add_argument("--budget", type=float, default=BUDGET)
    given = parser.parse_args()
    os.nice(19)  # the plant goes first
    learnt = learn(Folder(given.data), given.site, given.model, begin=given.begin, until=given.until, budget=given.budget)
    sys.stdout.buffer.write(msgspec.json.encode(learnt))


if __name__ == "__main__":
    main()
