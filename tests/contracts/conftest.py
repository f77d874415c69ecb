"""Fixtures of the stores' contracts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.store import GraphStore
from tests.contracts.stores import Opened


@pytest.fixture(params=["sqlite", "neo4j"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GraphStore]:
    with Opened(request.param, request, tmp_path) as opened:
        yield opened


@pytest.fixture
def site(request: pytest.FixtureRequest) -> str:
    """A site of its own for each test: all share one Neo4j."""
    return f"{request.node.name}-{random.randrange(1 << 40)}"
