"""What tests share: services (see `tests.services`), and how examples are drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from deploy.local.services import Local
from tests.services import running

# Programs of the benchmarks, some of which run in an environment of their own.
collect_ignore = ["bench/peers"]


# As its profile for CI, everywhere: the same examples each time, however slow the machine is.
settings.register_profile(
    "steady", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def loudness() -> Iterator[None]:
    """A command sets for its whole process who may log, and where to; for those who come after it that is as it was."""
    root = logging.getLogger()
    known = [root, *(one for one in list(root.manager.loggerDict.values()) if isinstance(one, logging.Logger))]
    levels, handlers = [one.level for one in known], [*root.handlers]
    yield
    for one, level in zip(known, levels, strict=True):
        if one.level != level:  # setting it makes all loggers forget what they worked out
            one.setLevel(level)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with running("kafka", tmp_path_factory.mktemp("kafka")) as service:
        yield service


@pytest.fixture(scope="session")
def neo4j(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with running("neo4j", tmp_path_factory.mktemp("neo4j")) as service:
        yield service


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with running("mosquitto", tmp_path_factory.mktemp("mosquitto")) as service:
        yield service
