"""The real broker and database for tests: started on free ports with their own folders, ended when the session ends.

Without Java, Maven or Mosquitto their tests are skipped by name; where `OPENAUTOGLM_SERVICES=required` (CI), they fail instead.
Tests that use a service belong to its group, so that one process of the test run starts it once:
`pytestmark = pytest.mark.xdist_group("kafka")`.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deploy.local.services import Local, MissingError

REQUIRED = os.environ.get("OPENAUTOGLM_SERVICES") == "required"
PORTS = range(20_000, 32_000)
"""Below those that a system gives out by itself: what is free here stays so, though others ask for any port meanwhile."""


def free_port(count: int = 1) -> int:
    """The first of `count` adjacent ports that are free."""
    while True:
        port = secrets.choice(PORTS)
        with ExitStack() as stack:
            try:
                for offset in range(count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return port


def missing(reason: str) -> None:
    """Something that a test needs is not here: skip it, or fail where all must be here."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running(name: str, folder: Path) -> Iterator[Local]:
    """A service of one's own, to be killed and started again at will."""
    service = Local(name, folder, free_port(3))
    try:
        service.start()
    except MissingError as error:
        missing(str(error))
    try:
        yield service
    finally:
        service.stop()
