"""What operators ask, and the answers of every store: the embedded one and the real Neo4j."""

from __future__ import annotations

import msgspec
import pytest

from graph.faultpath.state import FaultState, Way
from graph.questions import ChangeKind, Near, TooFarError, as_of, changed, impact, neighbours, route
from graph.store import NOW, GraphStore
from schemas.device import DeviceId, Edge
from schemas.event import Disconnected, Linked, Micros, Unlinked
from schemas.finding import AlertState
from tests.contracts.stores import CONTAINS, CONTROLS, FEEDS, PIPE, PLC, PUMP, SECOND, START, TANK, VALVE, alert, at, plant

pytestmark = pytest.mark.xdist_group("neo4j")


# --- Questions ----------------------------------------------------------------------------------------------------------------


def test_neighbours(store: GraphStore, site: str) -> None:
    plant(store, site)
    assert neighbours(store, site, PUMP).near == [Near(PIPE, 1, PUMP, PIPE, FEEDS), Near(PLC, 1, PLC, PUMP, CONTAINS)]
    assert {near.device_id: near.hops for near in neighbours(store, site, PUMP, hops=2).near} == {
        PIPE: 1,
        PLC: 1,
        VALVE: 2,
        TANK: 2,
    }
    assert [near.device_id for near in neighbours(store, site, PUMP, hops=9, relations=[FEEDS]).near] == [PIPE, VALVE, TANK]
    assert neighbours(store, site, PUMP, at=Micros(1)).near == [Near(PLC, 1, PLC, PUMP, CONTAINS)]
    assert neighbours(store, site, DeviceId("nobody")).near == []
    assert neighbours(store, site, PUMP, hops=9, limit=2).cut_short


def test_a_way(store: GraphStore, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut short is not said to be none."""
    plant(store, site)
    way = route(store, site, PUMP, TANK, onward=False)
    assert way is not None
    assert {PUMP, TANK} <= {end for edge in way for end in (edge.source, edge.target)}
    assert route(store, site, PUMP, DeviceId("nobody"), onward=False) is None
    with pytest.raises(TooFarError, match="among the 1 devices"):
        route(store, site, PUMP, TANK, onward=False, limit=1)
    monkeypatch.setattr("graph.questions.MOST_EDGES", 0)
    with pytest.raises(TooFarError, match="along 0 edges"):
        route(store, site, PUMP, TANK, onward=False)


def test_impact_follows_influence(store: GraphStore, site: str) -> None:
    """From source to target, both ways where undirected, and not along what contains or connects."""
    plant(store, site)
    assert impact(store, site, PLC).near == [
        Near(PUMP, 1, PLC, PUMP, CONTROLS),
        Near(PIPE, 2, PUMP, PIPE, FEEDS),
        Near(VALVE, 3, PIPE, VALVE, FEEDS),
    ]
    assert [near.device_id for near in impact(store, site, TANK).near] == [VALVE, PIPE]
    assert [near.device_id for near in impact(store, site, TANK, hops=1).near] == [VALVE]


def test_the_graph_around_a_device(store: GraphStore, site: str) -> None:
    plant(store, site)
    graph = as_of(store, site, NOW, around=PIPE)
    assert [device.device_id for device in graph.devices] == [PIPE, PUMP, VALVE]
    assert [(edge.source, edge.target) for edge in graph.edges] == [(PIPE, VALVE), (PUMP, PIPE)]


def test_what_changed(store: GraphStore, site: str) -> None:
    projected = plant(store, site)
    projected.merge(
        [
            at(10, Unlinked(PUMP, PIPE, FEEDS)),
            at(11, Linked(PLC, DeviceId("new"), CONTROLS)),
            at(12, Disconnected(PUMP)),
            at(13, Linked(PIPE, VALVE, FEEDS, directed=True)),
            at(14, Unlinked(TANK, VALVE, FEEDS)),
            at(15, Linked(TANK, VALVE, FEEDS)),
        ]
    ).flush()
    found = changed(store, site, Micros(5), Micros(20))
    edges = [(change.kind, change.before or change.after) for change in found.edges]
    assert [(kind, edge.source, edge.target) for kind, edge in edges if isinstance(edge, Edge)] == [
        (ChangeKind.CHANGED, PIPE, VALVE),
        (ChangeKind.APPEARED, PLC, "new"),
        (ChangeKind.WENT, PUMP, PIPE),
    ]
    devices = [(change.kind, change.before, change.after) for change in found.devices]
    assert [(kind, getattr(after, "device_id", None), getattr(after, "state", None)) for kind, _, after in devices] == [
        (ChangeKind.APPEARED, "new", "placeholder"),
        (ChangeKind.CHANGED, PUMP, "disconnected"),
    ]
    assert not changed(store, site, Micros(20), Micros(30)).edges
    assert changed(store, site, Micros(5), Micros(20), limit=1).cut_short


# --- Findings -----------------------------------------------------------------------------------------------------------------


FAULT = FaultState(
    "fault-1",
    Micros(START),
    Micros(START + SECOND),
    None,
    ((PUMP, 0.7), (PLC, 0.2)),
    ((PUMP, Micros(START)), (PIPE, Micros(START + SECOND))),
    (Way(PUMP, PIPE, FEEDS, SECOND, 0.9), Way(PIPE, VALVE, FEEDS, None, 0.5)),
)


def test_a_fault_and_its_path(store: GraphStore, site: str) -> None:
    projected = plant(store, site)
    projected.pending.found((), [FAULT])
    projected.merge(()).flush()
    assert store.fault(site, "fault-1") == FAULT.finding()
    closed = msgspec.structs.replace(FAULT, closed_at=Micros(START + 9 * SECOND), path=FAULT.path[:1])
    projected.pending.found((), [closed])
    projected.merge(()).flush()
    assert store.fault(site, "fault-1") == closed.finding()
    assert [row for row in store.rows(site) if getattr(row, "fault_id", "") == "fault-1"] == [closed.finding()]


def test_alarms_that_stood_at_a_time(store: GraphStore, site: str) -> None:
    projected = plant(store, site)

    def standing(seconds: int) -> list[str]:
        return sorted(row.alert_id for row in store.alarms(site, Micros(START + seconds * SECOND), limit=10))

    projected.pending.found([alert("al-1", 1, AlertState.RAISED), alert("al-2", 5, AlertState.RAISED)], ())
    projected.merge(()).flush()
    projected.pending.found([alert("al-1", 2, AlertState.UPDATED), alert("al-1", 4, AlertState.CLEARED)], ())
    projected.merge(()).flush()
    projected.pending.found([alert("al-2", 7, AlertState.UPDATED, fault_id="fault-1")], ())
    projected.merge(()).flush()
    assert [standing(seconds) for seconds in range(7)] == [[], ["al-1"], ["al-1"], ["al-1"], [], ["al-2"], ["al-2"]]
    assert store.alarms(site, NOW, limit=10)[0].alert == alert("al-2", 7, AlertState.UPDATED, fault_id="fault-1")
    assert store.alarms(site, NOW, limit=10)[0].raised_at == alert("al-2", 5, AlertState.RAISED).time
