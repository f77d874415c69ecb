"""The write-behind against a real Neo4j that is killed, away, paused, or refuses us; each ends with the projection compared."""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from deploy.local.services import PASSWORD, Local
from graph.neo4j import Access, Neo4jStore
from graph.store import NOW, StoreAwayError, StoreRefusedError
from graph.validity import EdgeRow
from schemas.device import DeviceId, Relation
from schemas.event import Body, Event, Linked, Micros, Stamp, Unlinked
from streams import projection
from streams.folder import Folder
from streams.pipeline import Pipeline
from streams.upkeep import FolderTruth, verify
from tests.e2e.service import running
from tests.graph.projected import gist_of_graph, gist_of_store
from tests.services import free_port
from tests.streams.plant import line, recording
from tests.streams.test_projection import Owner, quiet, writing
from tests.waiting import HUNG, taken_in, until

pytestmark = pytest.mark.xdist_group("neo4j")
START = 1_767_571_200_000_000


def store_of(service: Local, *, password: str = PASSWORD) -> Neo4jStore:
    return Neo4jStore(Access(f"bolt://127.0.0.1:{service.port}", "neo4j", password))


def links(count: int, seed: int) -> list[Event]:
    """Links that come and go between two hundred devices."""
    rng = random.Random(seed)
    events = []
    for number in range(count):
        one, other = (DeviceId(f"device-{rng.randrange(200)}") for _ in range(2))
        body: Body = Linked(one, other, Relation.FEEDS) if rng.random() < 0.8 else Unlinked(one, other, Relation.FEEDS)
        events.append(Event(Stamp(Micros(START + number * 1000), "gw", 0, number, f"{seed}-{number}"), body))
    return events


def fresh(site: str) -> Owner:
    return Owner(Pipeline(f"{site}-{random.randrange(1 << 40)}", projected=True))


def check(service: Local, owner: Owner) -> None:
    """The projection is the live graph, now and at some times before, and no span is there twice."""
    store, topology = store_of(service), owner.pipeline.topology
    try:
        assert gist_of_store(store, owner.pipeline.site, NOW) == gist_of_graph(topology)
        for at in (START + 300_000, START + 900_000):
            assert gist_of_store(store, owner.pipeline.site, Micros(at)) == gist_of_graph(topology.as_of(Micros(at)))
        for row in store.rows(owner.pipeline.site):
            if isinstance(row, EdgeRow):
                assert len({span.start for span in row.spans}) == len(row.spans), row
    finally:
        store.close()


async def test_killed_while_it_is_written(neo4j: Local) -> None:
    owner, events = fresh("killed"), links(3000, 1)
    try:
        async with writing(store_of(neo4j), owner, rows=100) as written:
            for place in range(0, len(events), 100):
                owner.take(events[place : place + 100])
                await asyncio.sleep(0.01)
                if place == 1500:
                    await until(lambda: written.written > 0)
                    await asyncio.to_thread(neo4j.kill)
            owner.pipeline.finish()
            owner.source.noticed()
            await until(lambda: bool(written.trouble))
            await asyncio.to_thread(neo4j.start)
            await asyncio.wait_for(quiet(written), HUNG)
    finally:
        if neo4j.pid is None:
            neo4j.start()
    check(neo4j, owner)


async def test_the_owner_dies_while_it_writes(neo4j: Local) -> None:
    """Restored from an older snapshot, with the log told again, while the database is further."""
    owner, events = fresh("owner"), links(2000, 2)
    owner.take(events[:800])
    snapshot, offset = owner.pipeline.snapshot(), owner.offset
    async with writing(store_of(neo4j), owner, rows=100) as written:
        owner.take(events[800:1500])
        await until(lambda: written.written > 200)
    again = Owner(Pipeline(owner.pipeline.site, projected=True), offset)
    again.pipeline.restore(snapshot)
    async with writing(store_of(neo4j), again, rows=100) as written:
        again.take(events[800:1500])
        again.take(events[1500:])
        again.pipeline.finish()
        again.source.noticed()
        await asyncio.wait_for(quiet(written), HUNG)
    check(neo4j, again)


async def test_paused_for_some_seconds(neo4j: Local) -> None:
    owner, events = fresh("paused"), links(1500, 3)
    async with writing(store_of(neo4j), owner, rows=100) as written:
        owner.take(events[:700])
        await until(lambda: written.written > 0)
        neo4j.pause()
        owner.take(events[700:])
        owner.pipeline.finish()
        owner.source.noticed()
        await asyncio.sleep(3)
        assert written.lag > 2
        neo4j.resume()
        await asyncio.wait_for(quiet(written), HUNG)
    check(neo4j, owner)


async def test_away_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Neo4jStore(Access(f"bolt://127.0.0.1:{free_port()}", "neo4j", PASSWORD))
    with pytest.raises(StoreAwayError, match="neo4j_uri bolt://127"):
        nobody.prepare()
    owner = fresh("away")
    owner.take(recording(20))
    with caplog.at_level(logging.WARNING, logger="streams.projection"):
        async with writing(nobody, owner) as written:
            await until(lambda: bool(written.trouble))
            assert written.waiting > 0
    assert "neo4j_uri" in caplog.text


async def test_a_wrong_password_is_named_and_not_hammered(neo4j: Local, caplog: pytest.LogCaptureFixture) -> None:
    wrong = store_of(neo4j, password="wrong")
    with pytest.raises(StoreRefusedError, match="neo4j_username and neo4j_password"):
        wrong.prepare()
    owner = fresh("wrong")
    owner.take(recording(20))
    with caplog.at_level(logging.WARNING, logger="streams.projection"):
        async with writing(wrong, owner) as written:
            await until(lambda: bool(written.trouble))
            await asyncio.sleep(1)
    assert [record.message for record in caplog.records if "neo4j_password" in record.message] != []
    assert len(caplog.records) == 1
    assert "wrong" not in caplog.text


def test_a_wrong_database_is_named(neo4j: Local) -> None:
    store = Neo4jStore(Access(f"bolt://127.0.0.1:{neo4j.port}", "neo4j", PASSWORD, database="nothere"))
    with pytest.raises(StoreRefusedError, match="neo4j_database 'nothere'"):
        store.prepare()
    store.close()


def test_an_address_that_is_none_is_named() -> None:
    for address in ("what", "http://127.0.0.1"):
        with pytest.raises(StoreRefusedError, match="neo4j_uri"):
            Neo4jStore(Access(address, "neo4j", PASSWORD)).prepare()


async def test_the_service_writes_to_the_database_of_its_settings(
    neo4j: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "GATHER", 0.01)
    address = f"bolt://127.0.0.1:{neo4j.port}"
    settings: dict[str, Any] = {"neo4j_uri": address, "neo4j_password": PASSWORD, "checkpoint_every": 0.1}
    store = store_of(neo4j)
    store.prepare()
    store.clear("e2e")
    async with running(tmp_path, **settings) as (parts, client):
        for event in recording(40):
            await client.publish(parts.topics.gateway("gw-1"), line(event))
        await taken_in(parts.analysis, len(recording(40)))
        await quiet(parts.projection)
        assert parts.projection.written > 0
        assert (await asyncio.to_thread(verify, FolderTruth(Folder(tmp_path)), "e2e", store)).differences == []
    assert not (tmp_path / "graph.db").exists()
    found = verify(FolderTruth(Folder(tmp_path)), "e2e", store)
    assert found.differences == []
    assert found.rows >= 7
    store.close()
