"""Where instructions and tasks of rules are carried out: the scheduler with its store, the plant's tools, its past readings.

A part of the service, joined here. It reads and acts through the control room and the responder, like everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agents.catalogue import plant_tools
from agents.dispatcher import Outlet
from agents.scheduler import Scheduler
from streams.analysis import Analysis
from streams.controlroom import ControlRoom
from streams.crashpoints import CrashPoints
from streams.crashruns import CrashRuns
from streams.folder import Folder
from streams.history import History, refill
from streams.instructions import Instructions, Interpreter
from streams.journal import AlarmJournal, wall_clock
from streams.responder import Responder
from streams.ruleruns import RuleRuns
from streams.runrecord import RunRecord
from streams.runstore import SqliteRuns
from streams.settings import Settings
from streams.workshop.errands import AlarmErrands, Bulletin
from streams.workshop.liveside import LiveSide
from streams.workshop.periods import Calendar
from streams.workshop.plantworkshop import PlantWorkshop
from streams.workshop.runfiles import RunFiles
from streams.workshop.training import Training
from streams.workshop.wishes import ALARMS, NOTIFY, TRAINING


def errands(settings: Settings, journal: AlarmJournal, training: Training) -> Mapping[str, Outlet]:
    """Ways by which actions stay in the house. Messages do, unless a webhook is named for them."""
    stay: dict[str, Outlet] = {ALARMS: AlarmErrands(journal), TRAINING: training}
    return stay if NOTIFY in settings.webhooks else {**stay, NOTIFY: Bulletin()}


class Workroom:
    """Of one site. `recover` before the first reaction; `run` must be running."""

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        analysis: Analysis,
        responder: Responder,
        *,
        room: ControlRoom,
        training: Training,
        interpreter: Interpreter,
        crash: CrashPoints,
    ) -> None:
        self._site = settings.site
        self._analysis = analysis
        self._training = training
        self._runs = SqliteRuns(folder.runs)
        self._record = RunRecord(responder.store)
        self.history = History()
        files = RunFiles(folder.run_files)
        tools = PlantWorkshop(room, self.history, files, LiveSide(responder), Calendar(responder.clock, responder.zone))
        self.scheduler = Scheduler(plant_tools(), tools, CrashRuns(self._runs, crash), clock=wall_clock)
        self.scheduler.observers.append(self._record.observe)
        self.instructions = Instructions(
            settings.site, scheduler=self.scheduler, interpreter=interpreter, plant=room.plant, files=files
        )
        self.rule_runs = RuleRuns(self.scheduler)
        analysis.takers.append(self.history.observe)
        analysis.responders.append(self.rule_runs.respond)
        room.hears = self.instructions

    async def recover(self) -> None:
        """Go on with what the last process did not end."""
        await self._record.recover(self.scheduler)
        await self.scheduler.recover()
        await self.rule_runs.recover()

    async def run(self) -> None:
        """Until cancelled."""
        before = self._analysis.begun
        past = refill(self.history, self._analysis.log, self._site, before=before)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.scheduler.run(), name="instructions: scheduler")
                tasks.create_task(self._record.run(), name="instructions: record")
                tasks.create_task(self.rule_runs.run(), name="instructions: runs of rules")
                tasks.create_task(past, name="instructions: history")
        finally:
            self._training.close()

    def close(self) -> None:
        self._runs.close()
