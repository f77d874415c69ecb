"""The one way in for instructions: a sentence becomes a plan, the plan a run, and what was shown is what runs.

Used by the API through the control room. What a sentence means is the interpreter's to say (`agents.interpreter`); what runs is
the scheduler's. Planning changes nothing in the plant, so everybody may plan.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agents.identity import derived
from agents.run import Order, Run, RunState, Step
from agents.scheduler import NoSuchRunError, Scheduler
from agents.taskgraph import TaskGraph
from schemas.action import moment
from schemas.event import Micros, rfc3339
from streams.access import Principal
from streams.journal import wall_clock
from streams.plantview import Census, PlantView
from streams.roles import Role
from streams.workshop.runfiles import RunFiles

if TYPE_CHECKING:
    from agents.names import Names  # its lexicon takes a while, and is only needed once somebody asks for something

logger = logging.getLogger(__name__)
LONGEST = 2_000
"""Characters of an instruction."""
PATIENCE = 30.0
"""Seconds that understanding one may take."""
LONGEST_PLANNED = 1_800
"""Seconds for which a plan may be begun: the plant goes on, and so does what may be done in it."""
LEAST_AGE = 3.0
"""Seconds for which an index of the plant's names counts at least."""


class Understood(Protocol):
    """What an instruction means. No graph: it must be asked differently, and `questions` say how."""

    @property
    def graph(self) -> TaskGraph | None: ...

    @property
    def questions(self) -> tuple[str, ...]: ...

    @property
    def form(self) -> Any:
        """Intents and entities, as JSON can hold them."""
        ...


class Unclear(NamedTuple):
    """What is made of a sentence whose numbers nothing can be reckoned with."""

    graph: TaskGraph | None = None
    questions: tuple[str, ...] = ("a number in this is too large",)
    form: Any = None


class Interpreter(Protocol):
    def understand(self, text: str, names: Names) -> Understood:
        """Whatever the text: it is about this plant, or it is not understood."""
        ...


class PlantInterpreter:
    """`agents.interpreter`, loaded with the first sentence: that takes seconds, and the plant does not wait for it."""

    def __init__(self) -> None:
        self._loaded: Interpreter | None = None

    def understand(self, text: str, names: Names) -> Understood:
        if self._loaded is None:
            from agents.interpreter import Interpreter as Loaded  # noqa: PLC0415

            self._loaded = Loaded()
        return self._loaded.understand(text, names)


class Planned(NamedTuple):
    """What became of a sentence; `run` is None where it was not understood."""

    run: Run | None
    questions: tuple[str, ...]
    form: Any


class NotYoursError(Exception):
    """Only who gave an instruction, or an operator, may do this."""


class ChangedPlanError(Exception):
    """What is asked to run is not what was shown, or that was too long ago."""


class PlantNames:
    """The plant's names, indexed once for each count of the plant."""

    def __init__(self, plant: PlantView) -> None:
        self._plant = plant
        self._of: Census | None = None
        self._names: Names | None = None
        self._until = 0.0
        self._making = asyncio.Lock()

    async def get(self) -> Names:
        census = await self._plant.census()
        async with self._making:
            if self._names is None or (census is not self._of and time.monotonic() >= self._until):
                self._names = await asyncio.to_thread(_names_of, census)
                self._of, self._until = census, time.monotonic() + LEAST_AGE
            return self._names


def _names_of(census: Census) -> Names:
    from agents.names import Names  # noqa: PLC0415

    return Names.of(census.devices)


class Instructions:
    """Of one site."""

    def __init__(
        self,
        site: str,
        *,
        scheduler: Scheduler,
        interpreter: Interpreter,
        plant: PlantView,
        files: RunFiles,
        clock: Callable[[], Micros] = wall_clock,
    ) -> None:
        self.site = site
        self._clock = clock
        self._scheduler = scheduler
        self._interpreter = interpreter
        self._names = PlantNames(plant)
        self._files = files
        self._understanding = asyncio.Lock()

    async def plan(self, text: str, who: Principal, *, dry: bool = False, key: str | None = None) -> Planned:
        """Understand an instruction and keep what it would be. The same `key` again gives the run that it gave.

        Raises ChangedPlanError where the key was another instruction's, TimeoutError, NotHereError.
        """
        understood = await self._understand(text)
        if understood.graph is None:
            return Planned(None, understood.questions, understood.form)
        order = Order(
            run_id=derived("run", self.site, who.name, key or secrets.token_hex(16)),
            site=self.site,
            text=text,
            principal=who.name,
            role=who.role,
            asked_at=rfc3339(self._clock()),
            graph=understood.graph,
            dry=dry,
        )
        run = await self._scheduler.plan(order)
        if (run.order.text, run.order.dry) != (text, dry):
            raise ChangedPlanError("the key was used for another instruction")
        return Planned(run, understood.questions, understood.form)

    async def _understand(self, text: str) -> Understood:
        names = await self._names.get()
        async with asyncio.timeout(PATIENCE), self._understanding:
            try:
                return await asyncio.to_thread(self._interpreter.understand, text, names)
            except (ArithmeticError, ValueError):
                logger.exception("an instruction of %d characters could not be understood", len(text))
                return Unclear()

    async def start(self, run_id: str, digest: str, who: Principal) -> Run:
        """Let run what was shown. Raises NoSuchRunError, NotYoursError, ChangedPlanError, BusyError."""
        run = await self.run(run_id)
        self._check(run, who)
        if not run.order.dry:
            _check_acting(run, who)
        if run.order.graph.digest != digest:
            raise ChangedPlanError("the plan is not the one that was shown: look at it again")
        if run.state is RunState.PLANNED and self._clock() - moment(run.order.asked_at) > LONGEST_PLANNED * 1_000_000:
            raise ChangedPlanError(f"it was planned more than {LONGEST_PLANNED // 60} minutes ago: plan it again")
        return await self._scheduler.start(run_id)

    async def cancel(self, run_id: str, who: Principal) -> Run:
        """Raises NoSuchRunError, NotYoursError."""
        self._check(await self.run(run_id), who)
        return await self._scheduler.cancel(run_id, who.name)

    @staticmethod
    def _check(run: Run, who: Principal) -> None:
        if run.order.principal != who.name and not who.role.may(Role.OPERATOR):
            raise NotYoursError(f"{run.order.principal} gave this instruction: only they, or an operator, may do that")

    # --- For those who ask ------------------------------------------------------------------------------------------------

    async def run(self, run_id: str) -> Run:
        """Raises NoSuchRunError."""
        found = await self._scheduler.get(run_id)
        if found is None:
            raise NoSuchRunError(f"no run {run_id}")
        return found

    async def finished(self, run_id: str) -> Run:
        """The run, once it has ended. Raises NoSuchRunError."""
        return await self._scheduler.finished(run_id)

    async def newest(self, limit: int) -> list[Run]:
        return await self._scheduler.newest(limit)

    async def trace(self, run_id: str) -> list[Step]:
        """Every step, oldest first. Raises NoSuchRunError."""
        await self.run(run_id)
        return await self._scheduler.trace(run_id)

    async def file(self, run_id: str, name: str) -> Path | None:
        """Where a file that a run has made is. Raises NoSuchRunError."""
        await self.run(run_id)
        return await asyncio.to_thread(self._files.find, run_id, name)


def _check_acting(run: Run, who: Principal) -> None:
    """Its actions carry the name and role of who planned it, so nobody else may begin it, nor they with less than that role."""
    order = run.order
    if order.principal != who.name or order.role not in set(Role):
        raise NotYoursError(f"{order.principal} gave this instruction, and its actions are theirs: plan it yourself to run it")
    if not who.role.may(Role.OPERATOR):
        raise NotYoursError(f"to run it needs the role {Role.OPERATOR}; {who.name} is {who.role}, and may try it dry")
    if not who.role.may(Role(order.role)):
        raise NotYoursError(f"{who.name} planned this as {order.role}, and is {who.role} now: plan it again")
