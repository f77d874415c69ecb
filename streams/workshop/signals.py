"""Tools about signals: their history, figures of it, and two stretches of it beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from agents.workshop import Call, ToolError
from schemas.device import DeviceId, SignalKind, SignalName
from streams.answers import SignalNow
from streams.history import History
from streams.plantview import PlantView
from streams.workshop.asking import asked
from streams.workshop.periods import Calendar, Span
from streams.workshop.series import Series, read_series, series_of

NAMED = 20
"""Choices that a refusal names."""


class Signals:
    """`signal_history`, `signal_statistics`, `compare_periods`."""

    def __init__(self, plant: PlantView, history: History, calendar: Calendar) -> None:
        self._plant = plant
        self._history = history
        self._calendar = calendar

    async def history(self, call: Call) -> Mapping[str, Any]:
        signal = await self._signal(call)
        found = await self._read(call, signal, self._calendar.span(call.arguments["period"]))
        statistics = found.statistics
        return {"series": msgspec.to_builtins(found), "latest": statistics.latest, "count": statistics.count}

    async def statistics(self, call: Call) -> Mapping[str, Any]:
        found = read_series(call.arguments["series"]).statistics
        if not found.count:
            raise ToolError("the series has no readings")
        figures = {name: getattr(found, name) for name in ("mean", "minimum", "maximum", "latest")}
        return {"statistics": msgspec.to_builtins(found), **figures}

    async def compare(self, call: Call) -> Mapping[str, Any]:
        signal = await self._signal(call)
        periods = [call.arguments[name] for name in ("period", "reference")]
        now, before = [await self._read(call, signal, self._calendar.span(period)) for period in periods]
        for name, some in zip(periods, (now, before), strict=True):
            if not some.statistics.count:
                kept = f"; the oldest is of {some.since}" if some.since else ""
                raise ToolError(f"no readings of {signal.name} in {name}{kept}")
        figures = {"signal": signal.name, "unit": signal.unit} | {
            side: {"name": name, "start": some.start, "end": some.end, **msgspec.to_builtins(some.statistics)}
            for side, name, some in zip(("period", "reference"), periods, (now, before), strict=True)
        }
        return {"statistics": figures, "change": _percent(now.statistics.mean, before.statistics.mean)}

    async def _read(self, call: Call, signal: SignalNow, within: Span) -> Series:
        device = DeviceId(call.arguments["device"])

        def work() -> Series:
            found = self._history.read(device, signal.name, within.start, within.end)
            return series_of(device, signal.name, signal.unit, found, within)

        return await asyncio.to_thread(work)

    async def _signal(self, call: Call) -> SignalNow:
        """The one that is named; without a name the device's only numeric one."""
        device, name = DeviceId(call.arguments["device"]), call.arguments.get("signal")
        with asked():
            every = await self._plant.signals(device)
        numeric = [signal for signal in every if signal.kind is not SignalKind.CATEGORICAL]
        chosen = [signal for signal in numeric if signal.name == name] if name is not None else numeric
        if len(chosen) == 1:
            return chosen[0]
        choices = ", ".join(signal.name for signal in numeric[:NAMED]) or "none with numbers"
        if name is not None and any(signal.name == SignalName(name) for signal in every):
            raise ToolError(f"{name} of {device} has no numbers, and only those are kept; signals: {choices}")
        raise ToolError(f"{device} has no signal {name}: {choices}" if name else f"which signal of {device}: {choices}?")


def _percent(now: float | None, before: float | None) -> float | None:
    if now is None or not before:
        return None
    return round(100 * (now - before) / abs(before), 6)
