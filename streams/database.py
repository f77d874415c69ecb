"""SQLite as the embedded services use it: one file, one connection, one thread at a time, durable when a call returns."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


class Database:
    """A connection in WAL mode that syncs each commit, and the lock that guards it.

    `run` does blocking work in a thread, so the event loop goes on; each call is one transaction.
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "auto_vacuum=INCREMENTAL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is done in the block is on disk when it ends, or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def transact(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """`transaction`, of work that has a result."""
        with self.transaction() as connection:
            return work(connection)

    def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock:
            return work(self._connection)

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """`transact`, without holding up the event loop."""
        return await asyncio.to_thread(self.transact, work)

    def close(self) -> None:
        with self._lock:
            self._connection.close()
