"""Snapshot and position in one file, replaced as a whole: a crash leaves either the old one or the new one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from schemas.event import Micros
from streams.crashpoints import CrashPoint, CrashPoints

DIGEST = 32


class DamagedError(Exception):
    """The checkpoint is not what was written."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The pipeline's state after all records before `offset`, and the time then, in the `plant` and on the `wall`."""

    offset: int
    snapshot: bytes
    plant: Micros = Micros(0)
    wall: float = 0.0

    def plant_time(self, wall: float) -> Micros:
        """What time it is in the plant by now: it went on while nobody listened."""
        return Micros(self.plant + max(0, round((wall - self.wall) * 1e6))) if self.plant else Micros(0)


def save(checkpoint: Checkpoint, path: Path, crash: CrashPoints) -> None:
    """Replace the file; on disk when this returns."""
    body = msgspec.msgpack.encode(checkpoint)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(hashlib.blake2b(body, digest_size=DIGEST).digest() + body)
        file.flush()
        os.fsync(file.fileno())
    crash.reached(CrashPoint.CHECKPOINT_WRITTEN)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    crash.reached(CrashPoint.CHECKPOINT_SAVED)


def load(path: Path) -> Checkpoint | None:
    """The last checkpoint; None if there is none yet. Raises DamagedError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, body = content[:DIGEST], content[DIGEST:]
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise DamagedError(f"{path}: damaged; move it away to start from the log that is kept")
    return msgspec.msgpack.decode(body, type=Checkpoint)
