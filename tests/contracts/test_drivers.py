"""Each driver is imported in the file that names it, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("openautoglm", "streams", "agents", "graph", "schemas")
DRIVERS = {
    "aiokafka": {"streams/kafka.py", "streams/kafka_admin.py"},
    "faust": {"streams/worker.py"},
    "aiomqtt": {"streams/mqtt.py"},
    "amqtt": {"streams/mqtt.py"},
    "httpx": {"streams/outlets.py", "streams/webhooks/url.py", "streams/access.py", "streams/cli/remote.py"},
    "httpcore": {"streams/webhooks/guard.py", "streams/webhooks/sender.py"},
    "fastapi": {
        f"streams/{name}.py"
        for name in (
            *("api/alarms", "api/answering", "api/application", "api/document", "api/events", "api/gate", "api/operation"),
            *("api/instructions",),
            *("api/parameters", "api/plant", "api/problems", "api/repeats", "api/webhooks", "api/work", "console/installation"),
        )
    },
    "uvicorn": {"streams/listening.py", "streams/connections.py"},
    "jwt": {"streams/access.py"},
    "prometheus_client": {"streams/metrics.py"},
    "sqlite3": {"streams/database.py", "streams/broker.py", "streams/outbox.py", "streams/findings.py", "streams/ledger.py"}
    | {"graph/sqlite_store.py", "streams/access.py", "streams/api/repeats.py", "streams/runstore.py"}
    | {"streams/webhooks/record.py", "streams/webhooks/log.py", "streams/requestbook.py"},
    "cedarpy": {"agents/cedar.py"},
    "neo4j": {"graph/neo4j.py"},
    "matplotlib": {"streams/workshop/matplotlib_chart.py"},
    "wntr": {"streams/simulator/network.py"},
}


def importers(package: str) -> set[str]:
    """The product's files that import a package."""
    found = set()
    for path in (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == package for name in names):
                found.add(str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize("package", DRIVERS)
def test_a_driver_stays_in_its_file(package: str) -> None:
    assert importers(package) - {"streams/doctor.py"} <= DRIVERS[package]


def test_nothing_but_the_settings_reads_the_environment() -> None:
    readers = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if "os.environ" in (text := path.read_text(encoding="utf-8")) or "getenv" in text
    ]
    assert readers == []
