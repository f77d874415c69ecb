"""`projection`, `topology` and `fault` on what a service left in its data folder, and on the same in Neo4j."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.local.services import PASSWORD, Local
from graph.detection.training import train
from schemas.event import Micros, rfc3339
from streams.folder import Folder
from streams.upkeep import FolderTruth, NothingThereError
from tests.e2e.service import SITE, running
from tests.streams.plant import START, STEP, line, recording
from tests.streams.test_cli import Ended, run
from tests.streams.test_projection import quiet
from tests.waiting import taken_in

pytestmark = pytest.mark.xdist_group("neo4j")
Run = Callable[..., Ended]
__all__ = ["run"]
BROKEN = recording(260, seed=9, broken_from=180)
ROW = ("pump-1", "pipe-1", "junction-1", "tank-1")
NAMES = ["junction-1", "pipe-1", "pump-1", "tank-1"]


async def _served(folder: Path, settings: dict[str, Any]) -> None:
    model = train([recording(500, seed=seed) for seed in range(3)])
    async with running(folder, model=model, checkpoint_every=0.1, **settings) as (parts, client):
        for event in BROKEN:
            await client.publish(parts.topics.gateway("gw-1"), line(event))
        await taken_in(parts.analysis, len(BROKEN))
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


def test_neighbours_impact_and_ways(ask: Run) -> None:
    found = ask("topology", "neighbours", "pipe-1", "--json").rows
    assert [row["deviceId"] for row in found] == ["junction-1", "pump-1"]
    found = ask("topology", "impact", "pump-1", "--json").rows
    assert [(row["deviceId"], row["hops"]) for row in found] == [("pipe-1", 1), ("junction-1", 2), ("tank-1", 3)]
    assert ask("topology", "impact", "tank-1", "--json").rows == []
    assert ask("topology", "neighbours", "pipe-1", "--relation", "POWERS", "--json").rows == []
    assert "pipe-1" in ask("topology", "impact", "pump-1").out
    (way,) = ask("topology", "path", "pump-1", "tank-1", "--json").rows
    assert [(edge["source"], edge["target"]) for edge in way["edges"]] == list(itertools.pairwise(ROW))
    back = ask("topology", "path", "tank-1", "pump-1")
    assert (back.code, back.err) == (2, "error: Not found: no way leads from tank-1 to pump-1\n")
    assert ask("topology", "path", "tank-1", "pump-1", "--any-edge").code == 0
    assert ask("topology", "impact", "nobody").err == "error: Not found: no device nobody\n"


def test_the_past_and_what_changed(ask: Run) -> None:
    before, after = rfc3339(Micros(START - STEP)), rfc3339(Micros(START + STEP))
    assert ask("topology", "show", "--at", before, "--json").rows == []
    rows = ask("topology", "show", "--at", after, "--json").rows
    assert [row["device"]["deviceId"] for row in rows if "device" in row] == NAMES
    assert sum("edge" in row for row in rows) == 3
    around = ask("topology", "show", "--at", after, "--device", "tank-1", "--json").rows
    assert [row["device"]["deviceId"] for row in around if "device" in row] == ["junction-1", "tank-1"]
    changes = ask("topology", "diff", "--at", before, "--until", after, "--json").rows
    assert {row["device"]["kind"] for row in changes if "device" in row} == {"appeared"}
    assert len(ask("topology", "diff", "--at", before, "--json").rows) == len(changes)
    assert ask("topology", "diff", "--at", after, "--until", rfc3339(Micros(START + 2 * STEP)), "--json").rows == []
    assert ask("topology", "show", "--at", "yesterday").code == 2
    assert "time zone" in ask("topology", "show", "--at", "2026-01-05T08:30:00").err


def test_the_database_alone_knows_the_graph_and_the_faults(
    ask: Run, service: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fault, *_) = ask("fault", "list", "--json").rows
    if "OPENAUTOGLM_NEO4J_URI" not in service:
        shutil.copy(Path(service["OPENAUTOGLM_DATA"]) / "graph.db", tmp_path)
    monkeypatch.setenv("OPENAUTOGLM_DATA", str(tmp_path))
    assert ask("fault", "show", fault["faultId"], "--json").rows == [fault]
    assert ask("fault", "show", "fault-none").code == 2
    rows = ask("topology", "show", "--json").rows
    assert [row["device"]["deviceId"] for row in rows if "device" in row] == NAMES
    ended = ask("alarm", "list")
    assert (ended.code, "no service" in ended.err) == (3, True)


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
    for command in (("projection", "verify"), ("projection", "rebuild"), ("topology", "impact", "pump-1")):
        ended = run(*command, "--data", tmp_path)
        assert (ended.code, "no service" in ended.err) == (3, True), command


def test_a_database_that_is_away_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAUTOGLM_NEO4J_URI", "bolt://127.0.0.1:1")
    ended = run("topology", "impact", "pump-1", "--data", tmp_path)
    assert (ended.code, "neo4j_uri" in ended.err) == (3, True)
    with pytest.raises(NothingThereError):
        FolderTruth(Folder(tmp_path)).live()
