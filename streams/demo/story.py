"""What happens in the demo, in order: learn, watch, break, find, act, compare with the truth.

All is the real thing (the service as `serve` runs it, an embedded MQTT broker, gateways on real MQTT) but for the plant, which
is simulated. What is shown comes from the service; the truth is asked of the plant last of all.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

import numpy as np
from msgspec import Struct

from agents.entry import Entry
from graph.detection.model import Model
from graph.detection.training import train
from graph.faultpath.state import FaultState
from schemas.event import Micros, instant
from schemas.finding import Alert
from streams.listening import AddressError
from streams.pipeline import Reaction
from streams.service import Parts, Service
from streams.settings import Settings
from streams.simulator import SITE, STEP, Fault, FaultKind, Simulator, history

SEED_OF_HISTORY = 1000
HISTORY_DAYS = 14
SPEED = 3000.0
"""Simulated seconds per second: ten steps."""
WATCH_STEPS = 80
"""Steps of normal work before something breaks."""
SETTLE_STEPS = 24
"""Steps after the alarm in which the fault may show itself: two hours of the plant."""
SHOWN_WAYS = 8
PORT = 8080
"""Of the console, if nobody else has it."""
LEAST_LEFT = 5.0
"""Seconds that are kept for the end of the story."""


class Plot(Struct, frozen=True):
    """Which story: the kind of fault, the seed of plant, noise and place, and how many seconds it may take.

    `stay`: the console stays open after the end.
    """

    kind: FaultKind = FaultKind.LEAK
    seed: int = 1
    seconds: float = 120.0
    stay: bool = False


class Scene(Struct):
    """What the screen shows; filled from the service's own reactions."""

    act: str = "starting"
    at: Micros | None = None
    events: int = 0
    devices: int = 0
    edges: int = 0
    scores: list[tuple[float, float]] = []
    fault: FaultState | None = None
    broken: Fault | None = None
    alarms: dict[str, Alert] = {}
    actions: dict[str, Entry] = {}
    verdict: str = ""


class Demo:
    """One performance. `show` is called whenever the scene has changed, `say` with each line of the story."""

    def __init__(self, plot: Plot, *, show: Callable[[Scene], None], say: Callable[[str], None]) -> None:
        self.plot = plot
        self.scene = Scene()
        self._show = show
        self._say = say
        self._changed = asyncio.Event()
        self._ends = time.monotonic() + plot.seconds

    async def run(self) -> None:
        """Play the story to its end, or to the end of its time. Raises SimulatorMissingError."""
        model = await self._learn()
        with tempfile.TemporaryDirectory(prefix="openautoglm-demo-") as folder:
            async with _service(Path(folder), model) as parts:
                parts.analysis.observers.append(lambda reaction: self._observe(reaction, parts))
                parts.responder.observers.append(self._acted)
                await parts.gateway.connected.wait()
                self._say(f"The console, where all of this can be watched in a browser: {parts.url}")
                plant = await asyncio.to_thread(Simulator, SITE, parts.address, seed=self.plot.seed, speed=SPEED)
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(plant.run(), name="demo: plant")
                    await self._play(plant)
                    if self.plot.stay:
                        self._say("The plant goes on, and so does the console. Ctrl-C ends both.")
                        await asyncio.get_running_loop().create_future()
                    running.cancel()

    # --- The acts ---------------------------------------------------------------------------------------------------------

    async def _learn(self) -> Model:
        self._enter("learning", f"Learning what is normal from {HISTORY_DAYS} days of the plant's history, without labels ...")
        began = time.monotonic()
        model = await asyncio.to_thread(_learnt)
        self._say(f"  learnt in {time.monotonic() - began:.0f} s: {len(model.layout.sampled)} signals, a reading each {STEP} s")
        return model

    async def _play(self, plant: Simulator) -> None:
        self._enter("watching", "The plant works. Three gateways publish over MQTT; the service watches.")
        if not await self._until(lambda: plant.plant.steps >= WATCH_STEPS):
            self._enter("over", "The time is over before anything broke; give it more with --seconds.")
            return
        fault = plant.plant.draw(self.plot.kind, np.random.default_rng(self.plot.seed))
        plant.inject(fault)
        self.scene.broken = fault
        self._enter("broken", f"{_clock(fault.start)} Something breaks. The service is not told what or where.")
        found = await self._until(lambda: self._fault_of(fault) is not None)
        if not found or self.scene.fault is None:
            self._end(fault, "The service raised no alarm in the time given.")
            return
        late = (self.scene.fault.opened_at - fault.start) / 60e6
        self._enter("alarm", f"{_clock(self.scene.fault.opened_at)} ALARM, {late:.0f} minutes of plant time after it broke.")
        until = plant.plant.steps + SETTLE_STEPS
        await self._until(lambda: plant.plant.steps >= until)
        self._end(fault, "")

    def _end(self, fault: Fault, otherwise: str) -> None:
        for way in self.scene.fault.path[:SHOWN_WAYS] if self.scene.fault is not None else ():
            lag = "" if way.lag is None else f", {way.lag / 60e6:+.0f} min"
            self._say(f"  spreads: {way.source} -> {way.target} ({way.relation}{lag})")
        self.scene.verdict = otherwise or verdict(fault, self.scene.fault)
        self._enter("over", f"The truth: {fault.kind} at {fault.device}. {self.scene.verdict}")

    async def _until(self, true: Callable[[], bool]) -> bool:
        """Wait for the plant, but leave time for the end."""
        while not true():
            left = self._ends - LEAST_LEFT - time.monotonic()
            if left <= 0:
                return False
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, 0.5))
        return True

    def _enter(self, act: str, line: str) -> None:
        self.scene.act = act
        self._say(line)
        self._show(self.scene)

    # --- What the service tells -------------------------------------------------------------------------------------------

    def _observe(self, reaction: Reaction, parts: Parts) -> None:
        scene, pipeline = self.scene, parts.analysis.pipeline
        scene.events = pipeline.counts.accepted
        for step in reaction.steps:
            scene.at = step.at
            scene.scores.append((step.plant, step.plant_threshold))
        for fault in reaction.faults:
            self._tell_fault(fault)
        for alert in reaction.alerts:
            if alert.suppressed_by is None:
                scene.alarms[alert.alert_id] = alert
        if not scene.devices or reaction.faults:
            scene.devices = sum(1 for _ in pipeline.topology.devices())
            scene.edges = sum(1 for _ in pipeline.topology.edges())
        self._changed.set()
        self._show(scene)

    def _tell_fault(self, fault: FaultState) -> None:
        known = self.scene.fault
        if (known is None or known.fault_id != fault.fault_id) and self.scene.broken is None:
            self._say(f"  {_clock(fault.opened_at)} a false alarm: a fault was opened before anything broke")
        self.scene.fault = fault
        if known is not None and (known.fault_id, known.origins[0][0]) == (fault.fault_id, fault.origins[0][0]):
            return
        names = ", ".join(f"{device} {probability:.0%}" for device, probability in fault.origins[:3])
        self._say(f"  {_clock(fault.updated_at)} where it began: {names}; {len(fault.affected)} devices affected")

    def _fault_of(self, broken: Fault) -> FaultState | None:
        """The fault that is open now, if it was last seen after the break."""
        fault = self.scene.fault
        return fault if fault is not None and fault.updated_at >= broken.start and fault.closed_at is None else None

    def _acted(self, entry: Entry) -> None:
        self.scene.actions[entry.action.action_id] = entry
        detail = f" ({entry.detail})" if entry.detail else ""
        self._say(f"  action: {entry.action.verb} {entry.action.target}: {entry.stage}{detail}")
        self._show(self.scene)


@asynccontextmanager
async def _service(folder: Path, model: Model) -> AsyncIterator[Parts]:
    """On the usual port, or on a free one if somebody else has that."""
    async with AsyncExitStack() as stack:
        try:
            parts = await stack.enter_async_context(Service(_settings(folder, PORT), model=model).started())
        except AddressError:
            parts = await stack.enter_async_context(Service(_settings(folder, 0), model=model).started())
        yield parts


def _settings(folder: Path, port: int) -> Settings:
    """The plant reports every five minutes, so a gateway is not idle before three reports are missing."""
    rules = Path(str(files("streams.demo")))
    return Settings(
        site=SITE,
        data=folder,
        mqtt_port=0,
        api_port=port,
        idle_source=3 * STEP,
        runbook=rules / "runbook.yaml",
        policy=rules / "policy",
    )


def _learnt() -> Model:
    """Two stretches of history, so that the thresholds come from days that the fit has not seen."""
    halves = [history(HISTORY_DAYS * 12, seed=SEED_OF_HISTORY + half) for half in range(2)]
    return train(halves, seed=0)


def verdict(truth: Fault, found: FaultState | None) -> str:
    """Whether the service named the true origin, in words.

    >>> verdict(Fault(FaultKind.LEAK, "pipe-1", 0), None)
    'The service did not find it.'
    """
    names = [device for device, _ in found.origins] if found is not None else []
    if truth.device not in names:
        return "The service did not name it." if names else "The service did not find it."
    rank = names.index(truth.device) + 1
    return "The service named it first." if rank == 1 else f"The service named it in place {rank} of {len(names)}."


def _clock(at: Micros) -> str:
    return f"{instant(at):%a %H:%M}"
