"""The list of commands is true though nothing is loaded for it, and what is slow to load is loaded by who needs it alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.cli.app import COMMANDS
from tests.commands import tree

SLOW = ("numba", "scipy", "torch", "fastapi", "nicegui", "aiokafka", "amqtt", "neo4j", "cedarpy")
QUICK = ("alarm", "fault", "topology", "events", "action", "audit", "key", "deadletter", "schema", "runs", "do")
LOADED = """
import sys
from importlib import import_module
for module in sys.argv[2:]:
    import_module(module)
print(*sorted(set(sys.modules) & set(sys.argv[1].split(","))))
"""


def loaded(*modules: str) -> list[str]:
    """Which slow parts these modules bring."""
    told = [sys.executable, "-c", LOADED, ",".join(SLOW), *modules]
    return subprocess.run(told, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_is_its_own(name: str) -> None:
    assert tree().commands[name].help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name].line


def test_the_list_of_commands_loads_none() -> None:
    assert loaded("streams.cli.app") == []


@pytest.mark.parametrize("module", sorted({COMMANDS[name].module for name in QUICK}))
def test_who_looks_at_what_is_there_loads_no_network_and_no_server(module: str) -> None:
    assert loaded(f"streams.cli.{module}", "streams.cli.remote", "streams.cli.still") == []


def test_who_serves_does() -> None:
    assert {"numba", "scipy"} <= set(loaded("streams.cli.operation"))
