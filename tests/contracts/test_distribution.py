"""Our import names are ours alone, the public names exist, and the edge stays light."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

import openautoglm
from tests.waiting import HUNG

NAMES = ("openautoglm", "streams", "agents", "graph", "schemas")
HEAVY = ("torch", "torch_geometric", "neo4j", "faust")
EDGE = ("streams.gateway", "streams.outbox", "streams.broker", "streams.mqtt", "streams.sparkplug")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_owns_our_names(name: str) -> None:
    """`agents`, for one, is also what the distribution openai-agents installs."""
    owners = packages_distributions().get(name, ["openautoglm"])
    assert set(owners) == {"openautoglm"}


def test_every_public_name_is_there() -> None:
    assert [name for name in openautoglm.__all__ if not hasattr(openautoglm, name)] == []


def loaded(module: str) -> set[str]:
    """The packages, and packages in packages, that a fresh interpreter holds after an import."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HUNG, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", EDGE)
def test_the_edge_reaches_neither_graph_nor_agents(module: str) -> None:
    assert loaded(module).isdisjoint({*HEAVY, "graph", "agents"})


@pytest.mark.parametrize("module", ["streams.cli", "streams.service", "openautoglm"])
def test_the_service_starts_without_weights(module: str) -> None:
    assert loaded(module).isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["graph.nn.origins", "graph.nn.finder", "graph.detection", "graph.faultpath"])
def test_what_finds_faults_can_be_imported_first_and_without_torch(module: str) -> None:
    assert "torch" not in loaded(module)
