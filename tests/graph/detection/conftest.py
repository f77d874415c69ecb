"""Models that several tests use, trained once."""

from __future__ import annotations

from functools import partial

import pytest

from graph.detection.model import Model
from graph.detection.training import train
from graph.nn.training import fit
from tests.graph.detection.plants import machine, sampled


@pytest.fixture(scope="session")
def numeric_model() -> Model:
    return train([sampled(seed, 400) for seed in range(4)])


@pytest.fixture(scope="session")
def network_model() -> Model:
    return train([sampled(seed, 420) for seed in range(5)], network=partial(fit, steps=40))


@pytest.fixture(scope="session")
def discrete_model() -> Model:
    return train([machine(seed, 20) for seed in range(20)])
