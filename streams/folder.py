"""The data folder: where each part keeps its file, and the lock that lets one service at a time work in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InUseError(Exception):
    """Another service works in this folder."""


class Folder:
    """All state of one service."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outbox = path / "outbox.db"
        self.log = path / "log.db"
        self.findings = path / "findings.db"
        self.ledger = path / "ledger.db"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; the system lets go of it even after a kill. Raises InUseError."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise InUseError(f"{self.path}: another service works in this data folder") from error
        finally:
            os.close(descriptor)
