"""Services that tests share; see `tests.services`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.services import Local
from tests.services import running

# Programs of the benchmarks, some of which run in an environment of their own.
collect_ignore = ["bench/peers"]


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
