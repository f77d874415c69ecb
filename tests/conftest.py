"""What tests share: services (see `tests.services`), and how examples are drawn."""

from __future__ import annotations

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
