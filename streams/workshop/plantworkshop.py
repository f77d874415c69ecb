"""The workshop of a plant: every tool of the catalogue by its name, behind the scheduler's port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from agents.toolset import Effect
from agents.workshop import Call, ToolError
from streams.controlroom import ControlRoom
from streams.history import History
from streams.workshop.acting import Acting, ActingSide
from streams.workshop.diagnosis import Diagnosis
from streams.workshop.documents import Documents
from streams.workshop.periods import Calendar
from streams.workshop.runfiles import RunFiles
from streams.workshop.signals import Signals
from streams.workshop.surveying import Surveying
from streams.workshop.wishes import Wishes

Use = Callable[[Call], Awaitable[Mapping[str, Any]]]


class PlantWorkshop:
    """`agents.scheduler.Workshop`."""

    def __init__(self, room: ControlRoom, history: History, files: RunFiles, side: ActingSide, calendar: Calendar) -> None:
        surveying, signals = Surveying(room.plant, calendar), Signals(room.plant, history, calendar)
        diagnosis, documents = Diagnosis(room), Documents(files, calendar)
        wishes = Wishes(room, calendar).by_tool()
        self._acting = Acting(side, wishes, calendar)
        self._documents = documents
        self._tools: Mapping[str, Use] = {
            "find_devices": surveying.devices,
            "show_neighbours": surveying.neighbours,
            "assess_impact": surveying.impact,
            "show_changes": surveying.changes,
            "trace_fault": diagnosis.fault,
            "list_faults": diagnosis.faults,
            "explain_device": diagnosis.explain,
            "list_alarms": diagnosis.alarms,
            "signal_history": signals.history,
            "signal_statistics": signals.statistics,
            "compare_periods": signals.compare,
            "draw_chart": documents.chart,
            "write_report": documents.report,
            **dict.fromkeys(wishes, self._acting.use),
        }

    @property
    def names(self) -> frozenset[str]:
        """Of the tools that there are."""
        return frozenset(self._tools)

    async def use(self, call: Call) -> Mapping[str, Any]:
        tool = self._tools.get(call.tool.id)
        if tool is None:
            raise ToolError(f"there is no tool {call.tool.id} in this plant")
        return _plain(await tool(call))

    async def preview(self, call: Call) -> Mapping[str, Any]:
        preview = self._acting.preview if call.tool.effect is Effect.ACT else self._documents.preview
        return _plain(await preview(call))

    async def withdraw(self, call: Call, actor: str) -> bool:
        return await self._acting.withdraw(call, actor)


def _plain(outputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """As they are found again on disk after a crash."""
    return msgspec.json.decode(msgspec.json.encode(outputs), type=dict[str, Any])
