"""The plant's page: the live graph, a fault drawn over it, and both as of a time of the last day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from graph.store import StoreError
from schemas.device import DeviceId
from schemas.event import Micros, micros, rfc3339
from schemas.finding import Fault, Finding
from streams.console.frame import Console, View, Visit, plain
from streams.console.scenes import Drawn, Scene, Where
from streams.console.watch import Look
from streams.plantview import NotHereError, UnknownDeviceError

STRONG = 3
"""Origins that are drawn boldly."""
FAINT = 0.01
"""Less probable ones are not drawn."""


class PlantView(View, component="static/plant.js"):
    """See `plant.js`."""


class Role(Finding, frozen=True, kw_only=True):
    """What a device is in a fault, and since or from when; `words` for those who do not see it."""

    role: str
    words: str
    at: str | None = None
    probability: float | None = None
    strong: bool = False


def overlay(fault: Fault) -> dict[str, Any]:
    """A fault as it is drawn: the part of each device in it, and its path."""
    roles: dict[DeviceId, Role] = {}
    for coming in fault.forecast:
        words = f"expected to be hit, {coming.probability:.0%}"
        roles[coming.device_id] = Role(role="next", words=words, at=coming.expected_at)
    for step in fault.path:
        for end in (step.source, step.target):
            roles.setdefault(end, Role(role="way", words="on the fault's path"))
    onsets = {part.device_id: part.onset for part in fault.affected}
    for part in fault.affected:
        roles[part.device_id] = Role(role="hit", words="hit by the fault", at=part.onset)
    for place, origin in enumerate(fault.origins):
        strong, onset = place < STRONG, onsets.get(origin.device_id)
        if strong or (onset is None and origin.probability >= FAINT):
            roles[origin.device_id] = Role(
                role="origin",
                words=f"the fault began here with a probability of {origin.probability:.0%}",
                at=onset,
                probability=origin.probability,
                strong=strong,
            )
    drawn: dict[str, Any] = plain({"fault": fault, "devices": roles, "path": fault.path})
    return drawn


class PlantPage:
    """One browser's view of the plant."""

    def __init__(self, console: Console, where: Where) -> None:
        self.visit = Visit(console, here="plant")
        self._console = console
        self._room = console.room
        self._where = where
        self._at: Micros | None = None
        self._drawn = Drawn(Scene(title=""))
        self._painted: object = None
        with self.visit.shell:
            self._view = PlantView(scene=self._drawn.scene, paint={}, chosen=where.fault)
        self.visit.on(self._view, "find", self._find)
        self.visit.on(self._view, "at", self._go)
        self.visit.on(self._view, "fault", self._choose)

    async def begin(self) -> None:
        self.visit.refresh = self._refresh
        await self.visit.begin()

    # --- What people ask --------------------------------------------------------------------------------------------------

    async def _find(self, asked: dict[str, Any]) -> None:
        text = str(asked.get("text", "")).strip()
        found = await self._room.plant.devices(text=text, limit=8) if text else []
        self._view.show(found=[device.device_id for device in found])

    async def _go(self, asked: dict[str, Any]) -> None:
        time = asked.get("time")
        self._at = None if time is None else micros(datetime.fromisoformat(str(time)))
        await self._refresh()

    async def _choose(self, asked: dict[str, Any]) -> None:
        chosen = asked.get("id")
        self._where = msgspec.structs.replace(self._where, fault=None if chosen is None else str(chosen))
        await self._refresh()

    # --- What is shown ----------------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        fault, problem = None, ""
        try:
            if self._where.fault is not None:
                fault = await self._room.fault(self._where.fault, at=self._at)
                problem = "" if fault is not None else self._no_fault()
            self._drawn = await self._console.scenes.draw(self._where, at=self._at, fault=fault)
        except (NotHereError, StoreError, UnknownDeviceError) as error:
            problem = f"This cannot be shown: {error}."
            self._drawn = Drawn(Scene(title="", crumbs=[("Plant", "/")]))
        now = self._console.watch.now
        look = await self._console.watch.look()
        self._paint(look)
        self._view.show(
            scene=self._drawn.scene,
            faults=look.faults,
            overlay=None if fault is None else overlay(fault),
            chosen=self._where.fault,
            asof=None if self._at is None else rfc3339(self._at),
            now=None if now is None else rfc3339(now),
            problem=problem,
        )

    def _no_fault(self) -> str:
        return "This fault is not known." if self._at is None else "This fault was not known then."

    def _paint(self, look: Look) -> None:
        """States alone are sent without the scene, which is large."""
        painted = plain(self._drawn.painted(look.conditions) if self._at is None else {})
        if painted != self._painted:
            self._painted = painted
            self._view.props["paint"] = painted
            self._view.run_method("repaint", painted)
