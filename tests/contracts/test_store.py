"""What every store of the graph must do, run over each that there is: the embedded one and the real Neo4j."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from graph.questions import Near, as_of, neighbours
from graph.store import NOW, GraphStore, Outcome, Position
from graph.topology import Topology
from schemas.device import DeviceId, Edge, Signal, SignalKind, SignalName
from schemas.event import Connected, Disconnected, Event, Linked, Micros, Unlinked
from schemas.finding import AlertState
from tests.contracts.stores import CONTAINS, FEEDS, PIPE, PLANT, PLC, PUMP, TANK, VALVE, alert, at, plant
from tests.graph.projected import ORIGIN, Projected, gist_of_graph, gist_of_store, named

pytestmark = pytest.mark.xdist_group("neo4j")
# --- Writing ------------------------------------------------------------------------------------------------------------------


def test_nothing_is_held_of_a_site_that_was_never_written(store: GraphStore, site: str) -> None:
    assert store.position(site) is None
    assert list(store.rows(site)) == []
    assert as_of(store, site, NOW).devices == []
    assert store.fault(site, "fault-1") is None


def test_what_is_written_is_the_graph(store: GraphStore, site: str) -> None:
    projected = plant(store, site)
    assert gist_of_store(store, site, NOW) == gist_of_graph(projected.topology)
    assert named(store, site, NOW) == {PLC, PUMP, PIPE, VALVE, TANK}
    found = {device.device_id: device for device in as_of(store, site, NOW).devices}
    assert (found[PUMP].state, found[PUMP].type, found[PUMP].location, found[PUMP].zone) == (
        "connected",
        "pump",
        "hall 1",
        "east",
    )
    assert found[PUMP].signals == ("flow",)
    assert found[PLC].properties == {"maker": "x", "slots": [1, 2]}
    assert (found[TANK].state, found[TANK].signals) == ("placeholder", ("level",))
    assert store.edges(site, [PIPE], NOW, limit=10) == [
        Edge(PIPE, VALVE, FEEDS, directed=False),
        Edge(PUMP, PIPE, FEEDS, weight=2.5, properties={"mm": 80}),
    ]


def test_the_position_moves_with_the_last_part_alone(store: GraphStore, site: str) -> None:
    projected = Projected(store, site).merge(PLANT)
    assert projected.step(limit=3) is Outcome.WRITTEN
    assert store.position(site) is None
    projected.flush(limit=3)
    assert store.position(site) == Position(ORIGIN, 1)


def test_a_batch_that_is_known_changes_nothing(store: GraphStore, site: str) -> None:
    projected = Projected(store, site).merge(PLANT)
    batch = projected.pending.take(site=site, origin=ORIGIN, offset=7, limit=100)
    assert batch is not None
    assert store.apply(batch) is Outcome.WRITTEN
    held = list(store.rows(site))
    assert store.apply(batch) is Outcome.WRITTEN
    assert list(store.rows(site)) == held, "what is said again"
    stale = Projected(store, site).merge([at(9, Unlinked(PUMP, PIPE, FEEDS))])
    assert stale.flush() == [Outcome.KNOWN], "an owner that is behind"
    assert list(store.rows(site)) == held
    assert store.position(site) == Position(ORIGIN, 7)


def test_another_log_is_fenced_off(store: GraphStore, site: str) -> None:
    plant(store, site)
    held = list(store.rows(site))
    stranger = Projected(store, site, origin="log-2").merge([at(9, Unlinked(PUMP, PIPE, FEEDS))])
    stranger.offset = 99
    assert stranger.flush() == [Outcome.FENCED]
    assert list(store.rows(site)) == held
    assert store.position(site) == Position(ORIGIN, 1)


def test_a_store_that_was_emptied_is_written_whole_again(store: GraphStore, site: str) -> None:
    projected = plant(store, site)
    held = list(store.rows(site))
    store.clear(site)
    assert list(store.rows(site)) == []
    projected.merge([at(5, Disconnected(PLC))])
    assert projected.flush() == [Outcome.LOST, Outcome.WRITTEN]
    assert gist_of_store(store, site, NOW) == gist_of_graph(projected.topology)
    assert len(list(store.rows(site))) == len(held)


def test_clearing_one_site_leaves_the_others(store: GraphStore, site: str) -> None:
    plant(store, site)
    other = plant(store, f"{site}-other")
    gone: list[int] = []
    store.clear(site, gone.append)
    assert sum(gone) > 5
    assert as_of(store, site, NOW).devices == []
    assert gist_of_store(store, f"{site}-other", NOW) == gist_of_graph(other.topology)


def test_sites_do_not_mix(store: GraphStore, site: str) -> None:
    """Not even where the name of one is the beginning of another's."""
    one, other = Projected(store, site), Projected(store, f"{site}/a")
    one.merge([at(1, Linked(DeviceId("a/b"), DeviceId("c"), FEEDS))]).flush()
    other.merge([at(1, Linked(DeviceId("b"), DeviceId("c"), FEEDS))]).flush()
    assert named(store, site, NOW) == {"a/b", "c"}
    assert named(store, f"{site}/a", NOW) == {"b", "c"}
    assert [edge.source for edge in store.edges(site, [DeviceId("c")], NOW, limit=10)] == ["a/b"]


def test_preparing_again_is_harmless(store: GraphStore, site: str) -> None:
    projected = plant(store, site)
    store.prepare()
    assert gist_of_store(store, site, NOW) == gist_of_graph(projected.topology)


# --- The past -----------------------------------------------------------------------------------------------------------------


def test_the_graph_as_of_each_time(store: GraphStore, site: str) -> None:
    history = [
        *PLANT,
        at(10, Unlinked(PUMP, PIPE, FEEDS)),
        at(12, Disconnected(PUMP)),
        at(14, Linked(PUMP, PIPE, FEEDS, weight=3.0)),
        at(16, Connected(PUMP, "pump", "hall 2")),
        at(18, Connected(PLC, "controller")),
    ]
    projected = Projected(store, site)
    for event in history:
        projected.merge([event]).flush()
    for time in range(20):
        assert gist_of_store(store, site, Micros(time)) == gist_of_graph(projected.topology.as_of(Micros(time))), time


def test_history_that_arrives_out_of_order(store: GraphStore, site: str) -> None:
    link = [at(time, Linked(PUMP, PIPE, FEEDS, weight=time)) for time in (1, 5, 9)]
    unlink = [at(time, Unlinked(PUMP, PIPE, FEEDS)) for time in (3, 7)]
    for number, seed in enumerate((1, 2, 3)):
        projected = Projected(store, f"{site}-{number}")
        for event in random.Random(seed).sample([*link, *unlink], 5):
            projected.merge([event]).flush()
        for time, weight in enumerate([None, 1, 1, None, None, 5, 5, None, None, 9]):
            found = as_of(store, projected.site, Micros(time)).edges
            assert [edge.weight for edge in found] == ([] if weight is None else [weight]), time


def test_what_the_graph_forgot_stays_in_the_store(store: GraphStore, site: str) -> None:
    projected = Projected(store, site)
    history: list[tuple[int, Any]] = [
        (1, Linked(PUMP, PIPE, FEEDS)),
        (2, Unlinked(PUMP, PIPE, FEEDS)),
        (5, Linked(PUMP, PIPE, FEEDS)),
        (20, Linked(PUMP, PIPE, FEEDS)),
        (30, Unlinked(PUMP, PIPE, FEEDS)),
    ]
    for time, body in history:
        projected.merge([at(time, body)]).flush()
        projected.topology.forget(Micros(time - 3))
    assert [bool(as_of(store, site, Micros(time)).edges) for time in (0, 1, 2, 4, 5, 19, 29, 30)] == [
        *(False, True, False, False, True, True, True, False)
    ]
    assert [(span.start, span.end) for span in store.edge_spans(site, [(PUMP, PIPE, FEEDS)])[PUMP, PIPE, FEEDS]] == [
        (1, 2),
        (5, 30),
    ]


@pytest.mark.parametrize(
    ("first", "then", "stands"),
    [
        ([Connected(PLC, "a", children=(PUMP,)), Unlinked(PLC, PUMP, CONTAINS)], Connected(PLC, "a", children=(PUMP,)), [True]),
        (
            [Linked(PLC, PUMP, CONTAINS, directed=False), Connected(PLC, "a", children=(PUMP,))],
            Linked(PLC, PUMP, CONTAINS, directed=False),
            [False],
        ),
        ([Connected(PLC, "a", children=(PUMP,))], Connected(PLC, "a"), []),
    ],
)
def test_claims_and_links_of_one_containment(
    store: GraphStore, site: str, first: list[Any], then: Any, stands: list[bool]
) -> None:
    projected = Projected(store, site).merge(at(time, body) for time, body in enumerate(first))
    projected.flush()
    projected.merge([at(9, then)]).flush()
    assert gist_of_store(store, site, NOW) == gist_of_graph(projected.topology)
    assert [edge.directed for edge in store.edges(site, [PLC], NOW, limit=9)] == stands


def test_random_events_in_random_batches(store: GraphStore, site: str) -> None:
    """The property of tests/properties/test_projection_laws.py on a few plants, since Neo4j takes its time."""
    for seed in range(4):
        rng = random.Random(seed)
        projected = Projected(store, f"{site}-{seed}")
        for number in range(12):
            projected.merge(_random_event(rng, number * 5 + place) for place in range(rng.randrange(1, 6)))
            if rng.random() < 0.3:
                projected.topology.forget(Micros(rng.randrange(20)))
            if rng.random() < 0.5:
                projected.step(limit=2)
        projected.flush(limit=3)
        for time in range(projected.topology.forgotten or 0, 22):
            expected = gist_of_graph(projected.topology.as_of(Micros(time)))
            assert gist_of_store(store, projected.site, Micros(time)) == expected, (seed, time)


def _random_event(rng: random.Random, number: int) -> Event:
    one, other = rng.choice([PLC, PUMP, PIPE]), rng.choice([PLC, PUMP, PIPE])
    body: Any = rng.choice(
        [
            Connected(one, rng.choice("ab"), parent=rng.choice([None, other]), children=rng.choice([(), (PIPE,)])),
            Disconnected(one),
            Linked(one, other, rng.choice([CONTAINS, FEEDS]), rng.random() < 0.5),
            Unlinked(one, other, rng.choice([CONTAINS, FEEDS])),
        ]
    )
    return at(rng.randrange(20), body, str(number))


# --- Hostile ------------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "'; DROP TABLE device; --",
    '" OR 1=1 --',
    "}) DETACH DELETE n //",
    "`x`) MATCH (n) DETACH DELETE n WITH 1 AS x",
    "$at {0} %s \\u0027 \\",
    "Ölpumpe-7 汉字 🙂 \u202e abc",
    "x" * 5000,
    "null",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_it_says_stays_data(store: GraphStore, site: str, text: str) -> None:
    """Ids of the wire have a narrow alphabet; the store does not rely on it."""
    site = f"{site}-{text}"[:300]
    other = plant(store, f"{site}-other")
    name = DeviceId(text)
    body = Connected(
        name, text, text, zone=text, signals=(Signal(SignalName(text), SignalKind.NUMERIC),), properties={text: text}
    )
    events = [at(1, body), at(2, Linked(name, PUMP, FEEDS, properties={text: [text, 1 << 70, 1e300, None]}))]
    projected = Projected(store, site).merge(events)
    projected.pending.found([msgspec.structs.replace(alert(text, 1, AlertState.RAISED), condition=text)], ())
    projected.flush()
    assert gist_of_store(store, site, NOW) == gist_of_graph(projected.topology)
    assert neighbours(store, site, name).near == [Near(PUMP, 1, name, PUMP, FEEDS)]
    assert [row.alert.condition for row in store.alarms(site, NOW, limit=9)] == [text]
    assert gist_of_store(store, f"{site}-other", NOW) == gist_of_graph(other.topology)


def test_a_restored_graph_goes_on(store: GraphStore, site: str) -> None:
    """Killed after a part was written: the snapshot's pending keys are written again, and nothing is there twice."""
    projected = Projected(store, site).merge(PLANT)
    state = projected.pending.state()
    projected.step(limit=4)
    again = projected.crash(state, PLANT, 1)
    again.flush(limit=2)
    again.merge([at(20, Unlinked(PUMP, PIPE, FEEDS))]).flush()
    assert gist_of_store(store, site, NOW) == gist_of_graph(again.topology)
    assert gist_of_store(store, site, Micros(19)) == gist_of_graph(Topology().merge(PLANT))
