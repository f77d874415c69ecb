"""Write-behind: nothing that waits is lost, whatever the database does, and the service does not mind."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from graph.sqlite_store import SqliteGraphStore
from graph.store import NOW, Batch, GraphStore, Outcome, StoreAwayError, StoreRefusedError
from schemas.event import Event
from streams import projection
from streams.pipeline import Pipeline
from streams.projection import PipelineSource, Projection
from tests.graph.projected import gist_of_graph, gist_of_store
from tests.streams.plant import recording
from tests.waiting import HUNG, until

SITE = "plant"
EVENTS = recording(30)


class Owner:
    """A pipeline and its log, as the service has them."""

    def __init__(self, pipeline: Pipeline | None = None, offset: int = 0) -> None:
        self.pipeline = pipeline or Pipeline(SITE, projected=True)
        self.offset = offset
        self.source = PipelineSource(self.pipeline, origin="log-1", offset=lambda: self.offset, run=self._run)

    async def _run(self, work: Callable[[], Any]) -> Any:
        return work()

    def take(self, events: list[Event]) -> None:
        self.pipeline(events)
        self.offset += 1
        self.source.noticed()


class Moody(SqliteGraphStore):
    """Fails as often as it is told to."""

    def __init__(self, path: Path, troubles: list[Exception]) -> None:
        super().__init__(path)
        self.troubles = troubles
        self.applied: list[Batch] = []
        self.held = threading.Event()
        self.held.set()

    def apply(self, batch: Batch) -> Outcome:
        self.held.wait(20)
        if self.troubles:
            raise self.troubles.pop(0)
        self.applied.append(batch)
        return super().apply(batch)


@asynccontextmanager
async def writing(store: GraphStore, owner: Owner, **more: Any) -> AsyncIterator[Projection]:
    written = Projection(store, owner.source, **more)
    task = asyncio.create_task(written.run())
    try:
        yield written
    finally:
        task.cancel()
        await asyncio.wait([task])


async def quiet(written: Projection) -> None:
    async with asyncio.timeout(HUNG):
        while written.waiting or written.lag:
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(projection, "GATHER", 0.01)
    monkeypatch.setattr(projection, "REFUSED_PAUSE", 0.05)


def the_same(path: Path, owner: Owner) -> bool:
    store = SqliteGraphStore(path)
    try:
        return gist_of_store(store, SITE, NOW) == gist_of_graph(owner.pipeline.topology)
    finally:
        store.close()


async def test_what_changes_is_written_and_telemetry_costs_nothing(tmp_path: Path) -> None:
    owner, store = Owner(), Moody(tmp_path / "graph.db", [])
    async with writing(store, owner) as written:
        owner.take(EVENTS[:40])
        await quiet(written)
        rows = written.written
        assert rows > 0
        owner.take(EVENTS[40:])
        await asyncio.sleep(0.05)
        assert written.written == rows
    assert the_same(tmp_path / "graph.db", owner)


async def test_a_database_that_is_away_is_waited_for_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    owner, store = Owner(), Moody(tmp_path / "graph.db", [StoreAwayError("neo4j_uri bolt://x: away")] * 3)
    with caplog.at_level(logging.INFO, logger="streams.projection"):
        async with writing(store, owner) as written:
            owner.take(EVENTS)
            await quiet(written)
    assert the_same(tmp_path / "graph.db", owner)
    assert [record.message for record in caplog.records] == [
        "the projection waits: neo4j_uri bolt://x: away",
        "the projection goes on",
    ]


async def test_a_database_that_refuses_us_is_not_hammered(tmp_path: Path) -> None:
    owner, store = Owner(), Moody(tmp_path / "graph.db", [StoreRefusedError("neo4j_password")] * 100)
    async with writing(store, owner) as written:
        owner.take(EVENTS)
        await until(lambda: written.trouble)
        await asyncio.sleep(0.2)
        assert "neo4j_password" in written.trouble
        assert 100 - len(store.troubles) <= 5
        assert written.waiting > 0
        assert written.lag > 0.1


async def test_what_waits_is_bounded_by_the_graph(tmp_path: Path) -> None:
    owner, store = Owner(), Moody(tmp_path / "graph.db", [StoreAwayError("away")] * 10_000)
    async with writing(store, owner) as written:
        for place in range(0, len(EVENTS), 5):
            owner.take(EVENTS[place : place + 5])
            await asyncio.sleep(0)
        assert 0 < written.waiting <= 10


async def test_what_waits_is_in_the_snapshot(tmp_path: Path) -> None:
    owner = Owner()
    owner.take(EVENTS)
    fresh = Pipeline(SITE, projected=True)
    fresh.restore(owner.pipeline.snapshot())
    again = Owner(fresh, owner.offset)
    async with writing(Moody(tmp_path / "graph.db", []), again) as written:
        await quiet(written)
    assert the_same(tmp_path / "graph.db", owner)


async def test_a_snapshot_of_a_time_without_projection_is_written_whole(tmp_path: Path) -> None:
    plain = Pipeline(SITE)
    plain(EVENTS)
    fresh = Pipeline(SITE, projected=True)
    fresh.restore(plain.snapshot())
    again = Owner(fresh, 1)
    async with writing(Moody(tmp_path / "graph.db", []), again) as written:
        await quiet(written)
    assert the_same(tmp_path / "graph.db", again)


async def test_a_site_of_another_service_is_left_alone(tmp_path: Path) -> None:
    owner = Owner()
    owner.take(EVENTS)
    async with writing(Moody(tmp_path / "graph.db", []), owner) as written:
        await quiet(written)
    stranger = Owner()
    stranger.source = PipelineSource(stranger.pipeline, origin="log-2", offset=lambda: 99, run=stranger._run)
    async with writing(Moody(tmp_path / "graph.db", []), stranger) as written:
        stranger.take(EVENTS[:60])
        await until(lambda: "projection rebuild" in written.trouble)
    assert the_same(tmp_path / "graph.db", owner)


async def test_a_database_that_hangs_does_not_keep_the_service_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "END", 0.1)
    owner, store = Owner(), Moody(tmp_path / "graph.db", [])
    store.held.clear()
    async with writing(store, owner):
        owner.take(EVENTS)
        await asyncio.sleep(0.1)
    store.held.set()
    await asyncio.sleep(0.1)
    store.close()


async def test_a_database_that_was_emptied_is_noticed_without_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "LOOK", 0.1)
    owner, store = Owner(), Moody(tmp_path / "graph.db", [])
    async with writing(store, owner) as written:
        owner.take(EVENTS)
        await quiet(written)
        store.clear(SITE)
        rows = written.written
        async with asyncio.timeout(HUNG):
            while written.written == rows or written.waiting:
                await asyncio.sleep(0.02)
    assert the_same(tmp_path / "graph.db", owner)
