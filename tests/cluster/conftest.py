"""A deployment with topics of its own for each test, on the Kafka that the session shares."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.services import Local
from graph.detection.model import Model, save
from graph.detection.training import train
from tests.cluster.harness import Harness
from tests.streams.plant import recording

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    trained = train([recording(500, seed=seed) for seed in range(3)])
    folder = tmp_path_factory.mktemp("model")
    save(trained, folder)
    return trained, folder


@pytest.fixture
async def harness(kafka: Local, tmp_path: Path, model: tuple[Model, Path]) -> AsyncIterator[Harness]:
    deployment = Harness(f"127.0.0.1:{kafka.port}", f"test{next(NUMBERS)}", tmp_path, model[1])
    try:
        yield deployment
    finally:
        await deployment.end()
