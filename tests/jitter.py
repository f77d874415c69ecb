"""A plugin for finding tests, and code, that only work when the machine is quick: `make test-jitter SEED=1`.

Sockets, threads and timers answer late and in another order than they came, as on a busy machine they may: nothing here
is against what asyncio promises. Tests come in another order too. A seed gives the same choices again, though not the same run,
since what they meet depends on the machine. Processes that tests start are left as they are.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

import pytest

Given = TypeVarTuple("Given")
Found = TypeVar("Found")

SEED = os.environ.get("SEED", "0")
STALL, HELD, LATE = 0.06, 0.2, 0.15
"""How often the loop stands still before it looks at what came, leaves some of it for later, or is late."""
LONGEST = 0.05
"""Seconds of each."""


class JitteryLoop(asyncio.SelectorEventLoop):
    """Late wherever a loop may be late."""

    def __init__(self) -> None:
        self._dice = Random(SEED)
        super().__init__()

    def _process_events(self, event_list: list[Any]) -> None:
        """What is left out is there again at the next look: the selector tells of what is ready, not of what becomes so."""
        if event_list and self._dice.random() < STALL:
            time.sleep(self._dice.random() * LONGEST)
        if len(event_list) > 1 and self._dice.random() < HELD:
            self._dice.shuffle(event_list)
            event_list = event_list[: self._dice.randrange(1, len(event_list))]
        super()._process_events(event_list)  # type: ignore[misc]

    def call_at(
        self,
        when: float,
        callback: Callable[[*Given], object],
        *args: *Given,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self._dice.random() < LATE:
            when += self._dice.random() * LONGEST
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[[*Given], Found], *args: *Given) -> asyncio.Future[Found]:
        before, after = (self._dice.random() * LONGEST if self._dice.random() < LATE else 0.0 for _ in range(2))

        def late() -> Found:
            time.sleep(before)
            try:
                return func(*args)
            finally:
                time.sleep(after)

        return super().run_in_executor(executor, late)


class JitteryPolicy(asyncio.DefaultEventLoopPolicy):
    """Every loop of the process is such a one."""

    _loop_factory = JitteryLoop


def pytest_configure() -> None:
    asyncio.set_event_loop_policy(JitteryPolicy())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """File by file, so that what a file's tests share is made once."""
    dice, files = Random(SEED), dict[Any, list[pytest.Item]]()
    for item in items:
        files.setdefault(item.path, []).append(item)
    order = list(files.values())
    dice.shuffle(order)
    for tests in order:
        dice.shuffle(tests)
    items[:] = [item for tests in order for item in tests]
