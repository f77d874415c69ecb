"""A workshop of made-up tools, and orders for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from agents.run import Order
from agents.taskgraph import TaskGraph
from agents.toolset import Effect, Slot, Tool, ToolSet
from agents.workshop import Call
from schemas.event import Micros

DEVICE = Slot("device", "device", required=False)
TOOLS = ToolSet(
    [
        Tool(
            "read",
            inputs=(Slot("device", "device", required=False),),
            outputs=(Slot("count", "number"), Slot("series", "series")),
        ),
        Tool("draw", inputs=(Slot("series", "series"),), outputs=(Slot("file", "file"),), effect=Effect.MAKE),
        Tool("act", inputs=(Slot("device", "device"),), outputs=(Slot("action", "action"),), effect=Effect.ACT),
        Tool("tell", inputs=(Slot("parts", "any", required=False),), outputs=(Slot("action", "action"),), effect=Effect.ACT),
    ]
)
NOW = Micros(1_767_571_200_000_000)


def order(graph: TaskGraph, *, name: str = "run-1", dry: bool = False) -> Order:
    asked = "2026-01-05T00:00:00Z"
    return Order(run_id=name, site="s", text="do it", principal="anna", role="operator", asked_at=asked, graph=graph, dry=dry)


class FakeWorkshop:
    """Puts out what it was told to for a task's key, or raises it; `gates` hold tasks up until they are set."""

    def __init__(self, outputs: Mapping[str, Any] | None = None) -> None:
        self.outputs = dict(outputs or {})
        self.gates: dict[str, asyncio.Event] = {}
        self.used: list[str] = []
        self.previewed: list[str] = []
        self.withdrawn: list[str] = []
        self.calls: dict[str, Call] = {}
        self.at_once = self.most_at_once = 0
        self.before: Callable[[Call], Any] = lambda _: None

    async def use(self, call: Call) -> Mapping[str, Any]:
        key = call.task.key
        self.used.append(key)
        self.calls[key] = call
        self.before(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.005)
            if key in self.gates:
                await self.gates[key].wait()
        finally:
            self.at_once -= 1
        return self._put_out(key)

    def _put_out(self, key: str) -> Mapping[str, Any]:
        found = self.outputs.get(key, {"count": 1, "series": [[0, 1.0]], "file": f"{key}.svg", "action": {"actionId": key}})
        if isinstance(found, list):
            found = found.pop(0)
        if isinstance(found, BaseException):
            raise found
        return dict(found)

    async def preview(self, call: Call) -> Mapping[str, Any]:
        self.previewed.append(call.task.key)
        return {"action": {"would": "be allowed"}}

    async def withdraw(self, call: Call, actor: str) -> bool:
        self.withdrawn.append(f"{call.task.key} by {actor}")
        return call.task.key in self.used

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.used)
