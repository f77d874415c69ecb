"""Who understands instructions in tests: a few sentences, each with its graph. And policies for what they ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agents.names import Names
from agents.taskgraph import Condition, Reference, Task, TaskGraph

PERMIT = '@id("all")\npermit (principal, action, resource);'


class Meant(msgspec.Struct, frozen=True):
    """`streams.instructions.Understood`."""

    graph: TaskGraph | None
    questions: tuple[str, ...] = ()
    form: dict[str, Any] = {}


class Phrasebook:
    """`streams.instructions.Interpreter`. What is not in it is asked back."""

    def __init__(self, phrases: Mapping[str, TaskGraph]) -> None:
        self.phrases = dict(phrases)
        self.names: list[Names] = []

    def understand(self, text: str, names: Names) -> Meant:
        self.names.append(names)
        graph = self.phrases.get(text)
        return Meant(graph, () if graph else ("what is to be done?",), {"intents": []})


def permits(folder: Path, text: str = PERMIT) -> Path:
    """A policy."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant.yaml").write_text("version: 1\n", encoding="utf-8")
    (folder / "rules.cedar").write_text(text, encoding="utf-8")
    return folder


CHART = TaskGraph(
    (
        Task("read", "signal_history", {"device": "tank-1", "period": "P1D"}, why="the level"),
        Task("chart", "draw_chart", {"series": Reference("read", "series")}, why="draw"),
        Task("report", "write_report", {"parts": Reference("read", "series")}, why="and report"),
    ),
    (("chart", "report"),),
)
STOP = TaskGraph(
    (
        Task("look", "find_devices", {"type": "pump"}, why="if there is a pump"),
        Task(
            "stop", "command_device", {"device": "pump-1", "verb": "stop"}, (Condition(task="look", output="count", above=0),)
        ),
        Task("tell", "notify", {"to": "maintenance"}),
    ),
    (("stop", "tell"),),
)
PHRASES = {
    "draw the level of tank-1": CHART,
    "stop pump-1 and tell maintenance": STOP,
    "find pumps": TaskGraph((Task("find", "find_devices", {"type": "pump"}),)),
    "acknowledge pump-1": TaskGraph((Task("ack", "acknowledge_alarm", {"device": "pump-1"}),)),
    "order a repair of pump-1": TaskGraph((Task("order", "open_work_order", {"device": "pump-1"}),)),
}
