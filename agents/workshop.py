"""The port to where the tools are: one use of a tool, and what may become of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from agents.run import Order, TaskState
from agents.taskgraph import Task
from agents.toolset import Tool


class ToolError(Exception):
    """A tool cannot do what is asked, and could not if asked again; the message is for the one who asked."""


class TransientError(Exception):
    """A tool could not do it this time."""


class UnknownOutcomeError(Exception):
    """Nobody can say whether the effect happened."""


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a task before this one, for tools that tell of it."""

    key: str
    tool: str
    state: TaskState
    outputs: Mapping[str, Any]
    detail: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One use of a tool, its arguments final. `waits` is to be called when it begins to wait for a person."""

    order: Order
    task: Task
    tool: Tool
    arguments: Mapping[str, Any]
    parts: tuple[Part, ...]
    waits: Callable[[str], Awaitable[None]]


class Workshop(Protocol):
    """Where the tools are."""

    async def use(self, call: Call) -> Mapping[str, Any]:
        """The tool's outputs. Raises ToolError, TransientError, UnknownOutcomeError."""
        ...

    async def preview(self, call: Call) -> Mapping[str, Any]:
        """What a tool that would leave something behind would put out; nothing changes. Raises ToolError."""
        ...

    async def withdraw(self, call: Call, actor: str) -> bool:
        """Somebody has cancelled the run: what only waits for approval shall not happen any more.

        Whether it may have happened, or is under way: then `use` tells what became of it.
        """
        ...
