"""`projection` and `ask` on what a service left in its data folder, and on the same in Neo4j."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.local.services import PASSWORD, Local
from graph.detection import train
from schemas.event import Micros, rfc3339
from streams.folder import Folder
from streams.upkeep import FolderTruth, NothingThereError
from tests.e2e.service import SITE, running, until
from tests.streams.plant import START, STEP, line, recording
from tests.streams.test_cli import Ended, run
from tests.streams.test_projection import quiet

pytestmark = pytest.mark.xdist_group("neo4j")
Run = Callable[..., Ended]
__all__ = ["run"]
BROKEN = recording(260, seed=9, broken_from=180)
NAMES = ["junction-1", "pipe-1", "pump-1", "tank-1"]


async def _served(folder: Path, settings: dict[str, Any]) -> None:
    model = train([recording(500, seed=seed) for seed in range(3)])
    async with running(folder, model=model, checkpoint_every=0.1, **settings) as (parts, client):
        for event in BROKEN:
            await client.publish(parts.topics.gateway("gw-1"), line(event))
        await until(lambda: parts.analysis.pipeline.counts.accepted == len(BROKEN), seconds=60)
        await quiet(parts.projection)


@pytest.fixture(scope="module", params=["sqlite", "neo4j"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Served to the end and stopped; the environment in which commands find what it left."""
    folder = tmp_path_factory.mktemp("service")
    settings: dict[str, Any] = {}
    if request.param == "neo4j":
        neo4j: Local = request.getfixturevalue("neo4j")
        settings = {"neo4j_uri": f"bolt://127.0.0.1:{neo4j.port}", "neo4j_password": PASSWORD}
        from graph.neo4j import Access, Neo4jStore

        store = Neo4jStore(Access(settings["neo4j_uri"], "neo4j", PASSWORD))
        store.prepare()
        store.clear(SITE)
        store.close()
    asyncio.run(_served(folder, settings))
    return {f"OPENAUTOGLM_{name.upper()}": str(value) for name, value in {**settings, "data": folder, "site": SITE}.items()}


@pytest.fixture
def ask(service: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in service.items():
        monkeypatch.setenv(name, value)
    return run


def test_nothing_differs(ask: Run) -> None:
    ended = ask("projection", "verify", "--json")
    assert ended.code == 0
    assert ended.rows[-1]["differences"] == 0
    assert ended.rows[-1]["rows"] > len(NAMES) + 3
    assert ask("projection", "status", "--json").rows[0]["ours"] is True


def test_neighbours_and_impact(ask: Run) -> None:
    assert [
        row["deviceId"] if "deviceId" in row else row["deviceId"] for row in ask("ask", "neighbours", "pipe-1", "--json").rows
    ] == [
        "junction-1",
        "pump-1",
    ]
    found = ask("ask", "impact", "pump-1", "--json").rows
    assert [(row["deviceId"], row["hops"]) for row in found] == [("pipe-1", 1), ("junction-1", 2), ("tank-1", 3)]
    assert ask("ask", "impact", "tank-1", "--json").rows == []
    assert ask("ask", "neighbours", "pipe-1", "--relation", "POWERS", "--json").rows == []
    assert "pipe-1" in ask("ask", "impact", "pump-1").out


def test_the_path_of_a_fault_is_the_one_that_was_found(ask: Run) -> None:
    faults = ask("faults", "--json").rows
    assert faults
    assert ask("ask", "path", faults[-1]["faultId"], "--json").rows == [faults[-1]]
    assert ask("ask", "path", "fault-none").code == 2


def test_the_past_and_what_changed(ask: Run) -> None:
    before, after = rfc3339(Micros(START - STEP)), rfc3339(Micros(START + STEP))
    assert ask("ask", "past", before, "--json").rows == []
    rows = ask("ask", "past", after, "--json").rows
    assert [row["device"]["deviceId"] for row in rows if "device" in row] == NAMES
    assert sum("edge" in row for row in rows) == 3
    around = ask("ask", "past", after, "--device", "tank-1", "--json").rows
    assert [row["device"]["deviceId"] for row in around if "device" in row] == ["junction-1", "tank-1"]
    changes = ask("ask", "changed", before, after, "--json").rows
    assert {row["device"]["kind"] for row in changes if "device" in row} == {"appeared"}
    assert ask("ask", "changed", after, rfc3339(Micros(START + 2 * STEP)), "--json").rows == []
    assert ask("ask", "past", "yesterday").code == 2
    assert "time zone" in ask("ask", "past", "2026-01-05T08:30:00").err


def test_rebuilding_gives_the_same(ask: Run) -> None:
    assert ask("projection", "rebuild", "--json").rows[0]["rows"] >= 7
    assert ask("projection", "verify").code == 0


def test_a_difference_is_listed_by_its_key(ask: Run, service: dict[str, str]) -> None:
    if "OPENAUTOGLM_NEO4J_URI" in service:
        from neo4j import GraphDatabase

        with GraphDatabase.driver(service["OPENAUTOGLM_NEO4J_URI"], auth=("neo4j", PASSWORD)) as driver:
            driver.execute_query("MATCH (:Device {site: $site, deviceId: 'pump-1'})-[r:FEEDS]->() DELETE r", site=SITE)
    else:
        with sqlite3.connect(Path(service["OPENAUTOGLM_DATA"]) / "graph.db") as connection:
            connection.execute("DELETE FROM edge_span WHERE source = 'pump-1'")
        connection.close()
    ended = ask("projection", "verify", "--json")
    assert ended.code == 1
    assert ended.rows[0] == {"kind": "edge", "key": "pump-1 FEEDS pipe-1", "why": "missing in the database"}
    assert "pump-1 FEEDS pipe-1" in ask("projection", "verify").out
    assert ask("projection", "rebuild").code == 0
    assert ask("projection", "verify").code == 0


def test_a_folder_without_a_service(run: Run, tmp_path: Path) -> None:
    for command in (("projection", "verify"), ("projection", "rebuild"), ("ask", "impact", "pump-1")):
        ended = run(*command, "--data", tmp_path)
        assert (ended.code, "no service" in ended.err) == (3, True), command


def test_a_database_that_is_away_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAUTOGLM_NEO4J_URI", "bolt://127.0.0.1:1")
    ended = run("ask", "impact", "pump-1", "--data", tmp_path)
    assert (ended.code, "neo4j_uri" in ended.err) == (3, True)
    with pytest.raises(NothingThereError):
        FolderTruth(Folder(tmp_path)).live()
