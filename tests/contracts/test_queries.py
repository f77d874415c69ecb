"""Every query of docs/queries.md, on the real Neo4j, beside the answers of the store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neo4j import GraphDatabase

from deploy.local.services import PASSWORD, Local
from graph.neo4j import Access, Neo4jStore
from graph.questions import as_of, impact, neighbours
from schemas.event import Micros, Unlinked
from schemas.finding import AlertState
from tests.contracts.stores import FEEDS, PIPE, PLC, PUMP, alert, at, plant
from tests.contracts.test_questions import FAULT

pytestmark = pytest.mark.xdist_group("neo4j")
PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```cypher\n(.*?)```", PAGE, re.DOTALL)
SITE = "queries"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def store(neo4j: Local) -> Iterator[Neo4jStore]:
    opened = Neo4jStore(Access(f"bolt://127.0.0.1:{neo4j.port}", "neo4j", PASSWORD))
    opened.prepare()
    opened.clear(SITE)
    projected = plant(opened, SITE)
    projected.pending.found([alert("al-1", 1, AlertState.RAISED)], [FAULT])
    projected.merge([at(10, Unlinked(PUMP, PIPE, FEEDS))]).flush()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def answers(neo4j: Local, store: Neo4jStore) -> list[list[Row]]:
    """Of each query of the page, in its order."""
    values = {"site": SITE, "device": PLC, "fault": FAULT.fault_id, "at": 5, "after": 5, "until": 20}
    with GraphDatabase.driver(f"bolt://127.0.0.1:{neo4j.port}", auth=("neo4j", PASSWORD)) as driver:
        return [[record.data() for record in driver.execute_query(query, values).records] for query in QUERIES]


def test_each_query_gives_an_answer(answers: list[list[Row]]) -> None:
    assert len(answers) == len(QUERIES) == 10
    for query, rows in zip(QUERIES, answers, strict=True):
        assert rows or "State {site" in query, query


def test_they_are_those_of_the_store(answers: list[list[Row]], store: Neo4jStore) -> None:
    around, reached, origins, affected, path, edges, devices, changes, states, alarms = answers
    assert [(row["device"], row["hops"]) for row in around] == [
        (near.device_id, near.hops) for near in neighbours(store, SITE, PLC, hops=2).near
    ]
    assert [(row["device"], row["hops"]) for row in reached] == [
        (near.device_id, near.hops) for near in impact(store, SITE, PLC, hops=6).near
    ]
    fault = store.fault(SITE, FAULT.fault_id)
    assert fault is not None
    assert [(row["device"], row["probability"]) for row in origins] == [(o.device_id, o.probability) for o in fault.origins]
    assert [row["device"] for row in affected] == [found.device_id for found in fault.affected]
    assert [(row["source"], row["target"], row["lag"]) for row in path] == [
        (step.source, step.target, step.lag_seconds) for step in fault.path
    ]
    graph = as_of(store, SITE, Micros(5))
    assert [(row["source"], row["target"], row["relation"]) for row in edges] == [
        (edge.source, edge.target, edge.relation.value) for edge in graph.edges
    ]
    assert [row["device"] for row in devices] == [d.device_id for d in graph.devices if d.state != "placeholder"]
    assert [(row["source"], row["target"], row["began"], row["ended"]) for row in changes] == [(PUMP, PIPE, False, True)]
    assert states == []
    assert [row["alarm"] for row in alarms] == ["al-1"]
