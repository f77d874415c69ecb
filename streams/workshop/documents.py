"""Tools that leave a file of the run behind: a chart, a report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from agents.workshop import Call, ToolError
from streams.workshop.periods import Calendar
from streams.workshop.reporting import report_of
from streams.workshop.runfiles import RunFiles, facts
from streams.workshop.series import read_series


class Documents:
    """`draw_chart`, `write_report`."""

    def __init__(self, files: RunFiles, calendar: Calendar) -> None:
        self._files = files
        self._calendar = calendar

    async def chart(self, call: Call) -> Mapping[str, Any]:
        series = read_series(call.arguments["series"])
        if not series.points:
            raise ToolError(f"there is nothing to draw: no readings of {series.signal} of {series.device} in that time")

        def work() -> dict[str, str | int]:
            from streams.workshop.matplotlib_chart import svg_of  # noqa: PLC0415 - takes seconds, and few need it

            return self._files.write(call.order.run_id, f"{call.task.key}.svg", svg_of(series, self._calendar.zone))

        return {"file": await asyncio.to_thread(work)}

    async def report(self, call: Call) -> Mapping[str, Any]:
        def work() -> dict[str, str | int]:
            return self._files.write(call.order.run_id, f"{call.task.key}.md", report_of(call).encode())

        return {"file": await asyncio.to_thread(work)}

    async def preview(self, call: Call) -> Mapping[str, Any]:
        """What there would be; nothing is written."""
        suffix = "svg" if call.tool.id == "draw_chart" else "md"
        return {"file": {**facts(f"{call.task.key}.{suffix}", 0), "dry": True}}
