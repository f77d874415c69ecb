"""The embedded log: frames of 200 events written durably and read again, beside a plain file with fsync."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.frame import pack
from streams.broker import SqliteLog
from tests.bench.plant import readings

FRAME = 200
FRAMES = 500
GROUPS = (1, 64)
"""Frames in one transaction: a quiet gateway's, and what the gateway hands over at most (`streams.gateway.FRAMES`)."""


def frames() -> list[bytes]:
    events = list(readings(FRAME, FRAMES, seed=1))
    return [pack(events[at : at + FRAME]) for at in range(0, len(events), FRAME)]


def row(case: str, values: list[bytes], seconds: float) -> dict[str, Any]:
    return {
        "bench": "log",
        "case": case,
        "events_per_second": round(len(values) * FRAME / seconds),
        "megabytes_per_second": round(sum(map(len, values)) / seconds / 1e6, 1),
    }


async def through_log(folder: Path, values: list[bytes], group: int) -> list[dict[str, Any]]:
    with closing(SqliteLog(folder / f"log-{group}.db")) as log:
        began = time.perf_counter()
        for at in range(0, len(values), group):
            await log.append("bench", values[at : at + group])
        written = time.perf_counter()
        offset = 0
        while records := await log.read("bench", offset, limit=200):
            offset = records[-1].offset + 1
        read = time.perf_counter()
    return [
        row(f"append, {group} frames at once", values, written - began),
        row(f"read, written {group} at once", values, read - written),
    ]


def through_file(path: Path, values: list[bytes], group: int) -> dict[str, Any]:
    began = time.perf_counter()
    with path.open("ab") as file:
        for at in range(0, len(values), group):
            file.writelines(values[at : at + group])
            file.flush()
            os.fsync(file.fileno())
    return row(f"plain file and fsync, {group} frames at once", values, time.perf_counter() - began)


def run() -> list[dict[str, Any]]:
    values = frames()
    found: list[dict[str, Any]] = []
    with TemporaryDirectory() as scratch:
        for group in GROUPS:
            found += asyncio.run(through_log(Path(scratch), values, group))
            found.append(through_file(Path(scratch) / f"plain-{group}", values, group))
    return found
