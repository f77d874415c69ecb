"""Checks of what the service needs on this machine, before it is needed."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from agents.policyfolder import Policy
from agents.runbook import Runbook
from graph.detection.model import load
from streams.ledger import SqliteLedger
from streams.settings import Settings

LEAST_FREE = 1 << 30
"""Bytes of disk below which the service should not begin."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Check]:
    """All checks; none of them raises or changes anything that stays."""
    return [_tried(name, look) for name, look in _looks(settings)]


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, ok=True, detail=look())
    except Exception as error:  # noqa: BLE001 - whatever fails is the finding
        return Check(name, ok=False, detail=f"{type(error).__name__}: {error}")


def _looks(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "python", lambda: sys.version.split()[0]
    yield "sqlite", lambda: f"{sqlite3.sqlite_version}, threads serialised: {sqlite3.threadsafety == 3}"  # noqa: PLR2004 - PEP 249
    yield "data folder", lambda: _writable(settings.data)
    yield "mqtt", lambda: _mqtt(settings)
    yield "demo plant", lambda: "wntr is there" if find_spec("wntr") else "not installed: pip install 'openautoglm[demo]'"
    if settings.model is not None:
        model = settings.model
        yield "model", lambda: load(model).digest
    if settings.runbook is not None:
        runbook = settings.runbook
        yield "runbook", lambda: f"{len(Runbook.load(runbook, site=settings.site).rules)} rules"
    if settings.policy is not None:
        policy = settings.policy
        yield "policy", lambda: _policy(policy)


def _writable(path: Path) -> str:
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    with tempfile.TemporaryFile(dir=there):
        free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        raise RuntimeError(f"{there}: only {free >> 20} MiB free")
    return f"{path}: {free >> 30} GiB free"


def _mqtt(settings: Settings) -> str:
    if settings.mqtt_host is not None:
        with socket.create_connection((settings.mqtt_host, settings.mqtt_port), timeout=3):
            return f"{settings.mqtt_host}:{settings.mqtt_port} answers"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.mqtt_bind, settings.mqtt_port))
    return f"embedded broker: {settings.mqtt_bind}:{settings.mqtt_port} is free"


def _policy(path: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        ledger = SqliteLedger(Path(scratch) / "ledger.db")
        Policy.load(path, ledger)
        ledger.close()
    return str(path)
