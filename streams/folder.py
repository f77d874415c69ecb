"""The data folder: where each part keeps its file, and the lock that lets one service at a time work in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


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
        self.requests = path / "requests.db"
        self.graph = path / "graph.db"
        self.checkpoint = path / "checkpoint.bin"
        self.access = path / "access.db"
        self.webhooks = path / "webhooks.db"
        self.address = path / "address"
        self.runs = path / "runs.db"
        self.run_files = path / "runs"
        self.models = path / "models"

    def identity(self) -> str:
        """A name of this folder and its log that no other has; made when first asked for."""
        path = self.path / "identity"
        with suppress(FileNotFoundError):
            return path.read_text(encoding="ascii")
        self.path.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(uuid4().hex, encoding="ascii")
        fresh.replace(path)
        return path.read_text(encoding="ascii")

    @property
    def in_use(self) -> bool:
        """Whether a service works here."""
        try:
            with self.locked():
                return False
        except InUseError:
            return True

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
