"""Stores to run the contracts over, the embedded one in a folder, the real one in the session's Neo4j; and a small plant."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from deploy.local.services import PASSWORD, Local
from graph.sqlite_store import SqliteGraphStore
from graph.store import GraphStore
from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import Body, Connected, Event, Linked, Micros, Severity, Stamp, Telemetry, rfc3339
from schemas.finding import Alert, AlertState, Explanation
from tests.graph.projected import Projected

FEEDS, CONTAINS, CONTROLS, NETWORK = Relation.FEEDS, Relation.CONTAINS, Relation.CONTROLS, Relation.NETWORK
PLC, PUMP, PIPE, VALVE, TANK = (DeviceId(name) for name in ("plc", "pump", "pipe", "valve", "tank"))
SECOND = 1_000_000
START = 1_767_571_200_000_000


def at(time: int, body: Body, name: str = "") -> Event:
    return Event(Stamp(Micros(time), "gw", 0, 0, name or f"{time}-{id(body)}"), body)


PLANT = [
    at(1, Connected(PUMP, "pump", "hall 1", zone="east", signals=(Signal(SignalName("flow"), SignalKind.NUMERIC),))),
    at(1, Connected(PLC, "controller", children=(PUMP,), properties={"maker": "x", "slots": [1, 2]})),
    at(2, Linked(PLC, PUMP, CONTROLS)),
    at(2, Linked(PUMP, PIPE, FEEDS, weight=2.5, properties={"mm": 80})),
    at(2, Linked(PIPE, VALVE, FEEDS, directed=False)),
    at(2, Linked(TANK, VALVE, FEEDS)),
    at(2, Linked(PLC, TANK, NETWORK)),
    at(3, Telemetry(TANK, {SignalName("level"): 1.0})),
]


def plant(store: GraphStore, site: str) -> Projected:
    projected = Projected(store, site).merge(PLANT)
    projected.flush()
    return projected


def alert(name: str, time: int, state: AlertState, **more: Any) -> Alert:
    return Alert(
        alert_id=name,
        time=rfc3339(Micros(START + time * SECOND)),
        device_id=PUMP,
        condition="anomaly",
        severity=Severity.HIGH,
        state=state,
        score=1.5,
        explanation=Explanation(),
        **more,
    )


class Opened:
    """A store by its name, prepared; Neo4j is started only where it is asked for."""

    def __init__(self, name: str, request: pytest.FixtureRequest, folder: Path) -> None:
        if name == "neo4j":
            from graph.neo4j import Access, Neo4jStore

            service: Local = request.getfixturevalue("neo4j")
            self._store: GraphStore = Neo4jStore(Access(f"bolt://127.0.0.1:{service.port}", "neo4j", PASSWORD))
        else:
            self._store = SqliteGraphStore(folder / "graph.db")

    def __enter__(self) -> GraphStore:
        self._store.prepare()
        return self._store

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._store.close()
