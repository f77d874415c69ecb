"""A device's page: its signals beside what was expected of them, its neighbours, its alarms and why, what it takes down."""

from __future__ import annotations

from typing import Any

from graph.store import StoreError
from schemas.device import DeviceId
from schemas.event import rfc3339
from streams.answers import DeviceNow, ReachNow, SignalNow
from streams.console.desk import Desk
from streams.console.frame import Console, View, Visit
from streams.plantview import NotHereError, UnknownDeviceError

CHARTS = 8
POINTS = 240
NEAR, TAKEN = 60, 100
"""Neighbours and devices taken down that are listed."""


class DeviceView(View, component="static/device.js"):
    """See `device.js`."""


class DevicePage:
    """One browser's view of a device."""

    def __init__(self, console: Console, name: DeviceId) -> None:
        self.visit = Visit(console, here="plant", lively=True)
        self._console = console
        self._room = console.room
        self._name = name
        self._around: tuple[object, ReachNow | None, ReachNow | None] = (None, None, None)
        with self.visit.shell:
            self._view = DeviceView(name=name, rows=[], signals=[], traces={})
        self._desk = Desk(self.visit, self._view)

    async def begin(self) -> None:
        self.visit.refresh = self._refresh
        await self.visit.begin()

    async def _refresh(self) -> None:
        try:
            device = await self._room.plant.device(self._name)
        except (NotHereError, StoreError, UnknownDeviceError) as error:
            self._view.show(problem=f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        look, now = await self._console.watch.look(), self._console.watch.now
        alarms = [alarm for alarm in look.alarms if alarm.device_id == self._name]
        why = next((alarm.alert.explanation for alarm in alarms if alarm.alert.explanation.signals), None)
        near, taken = await self._reach()
        self._view.show(
            problem=None,
            device=device,
            rows=self._desk.rows(alarms, {self._name: device.zone}, limit=50),
            why=why,
            near=near,
            taken=taken,
            now=None if now is None else rfc3339(now),
            **await self._readings(device),
        )
        await self._desk.refresh()

    async def _reach(self) -> tuple[ReachNow | None, ReachNow | None]:
        """Asked anew when the graph has changed."""
        version = (await self._room.plant.census()).version
        if version != self._around[0]:
            near = await self._room.plant.neighbours(self._name, limit=NEAR)
            taken = await self._room.plant.impact(self._name, limit=TAKEN)
            self._around = (version, near, taken)
        return self._around[1:]

    async def _readings(self, device: DeviceNow) -> dict[str, Any]:
        try:
            signals = await self._room.plant.signals(device.device_id)
        except NotHereError as error:
            return {"signals": [], "traces": {}, "unread": str(error)}
        return {"signals": signals, "traces": self._traces(device.device_id, signals), "unread": None}

    def _traces(self, name: DeviceId, signals: list[SignalNow]) -> dict[str, Any]:
        watched = [signal.name for signal in signals if signal.expected is not None][:CHARTS]
        return {signal: self._room.plant.trace(name, signal, limit=POINTS).points for signal in watched}
