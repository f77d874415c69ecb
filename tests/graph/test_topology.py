"""The live graph on plants of a few devices, with exact answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from graph.claims import EdgeKey
from graph.topology import Device, DeviceState, Reading, TooLongAgoError, Topology
from schemas.device import DeviceId, Edge, Relation, Signal, SignalKind, SignalName
from schemas.event import (
    ActionResult,
    ActionStatus,
    Body,
    Connected,
    ControlAlarm,
    Disconnected,
    Event,
    Image,
    Linked,
    Log,
    Micros,
    Quality,
    SignalValue,
    Stamp,
    Telemetry,
    Unlinked,
)

TANK, PUMP, VALVE, PIPE = (DeviceId(name) for name in ("tank", "pump", "valve", "pipe"))
FLOW, OPEN, MODE = (SignalName(name) for name in ("flow", "open", "mode"))
FEEDS, CONTAINS = Relation.FEEDS, Relation.CONTAINS


def at(time: int, body: Body, name: str = "") -> Event:
    return Event(Stamp(Micros(time), "gw", 0, 0, name or f"{time}"), body)


def graph(*events: Event) -> Topology:
    return Topology().merge(events)


def keys(topology: Topology) -> set[EdgeKey]:
    return {(edge.source, edge.target, edge.relation) for edge in topology.edges()}


def states(topology: Topology) -> dict[DeviceId, DeviceState]:
    return {device.device_id: device.state for device in topology.devices()}


LINK = Linked(PUMP, VALVE, FEEDS)
UNLINK = Unlinked(PUMP, VALVE, FEEDS)

# --- Devices ------------------------------------------------------------------------------------------------------------------


def test_nothing_is_known_of_a_device_that_nobody_named() -> None:
    assert graph().device(PUMP) is None
    assert list(graph().devices()) == []
    assert list(graph().edges_of(PUMP)) == []
    assert dict(graph().readings(PUMP)) == {}


@pytest.mark.parametrize(
    "body",
    [
        Log(PUMP, "hello"),
        Image(PUMP, "image/png", uri="urn:x"),
        ControlAlarm(PUMP, "overload", active=False),
        ActionResult("a-1", PUMP, ActionStatus.SUCCEEDED),
        Telemetry(PUMP, {}),
        Telemetry(PUMP, {FLOW: 1.0}),
        Linked(TANK, PUMP, FEEDS),
        Connected(TANK, "tank", children=(PUMP,)),
        Connected(TANK, "tank", parent=PUMP),
    ],
)
def test_whoever_is_named_is_a_placeholder(body: Body) -> None:
    topology = graph(at(1, body))
    device = topology.device(PUMP)
    assert device is not None
    assert (device.state, device.type) == (DeviceState.PLACEHOLDER, "unknown")
    assert states(topology)[PUMP] is DeviceState.PLACEHOLDER


def test_a_placeholder_becomes_the_device_when_it_introduces_itself() -> None:
    signal = Signal(FLOW, SignalKind.NUMERIC, "l/s")
    body = Connected(PUMP, "pump", "hall 1", zone="east", signals=(signal,), properties={"maker": "x"})
    expected = Device(PUMP, DeviceState.CONNECTED, "pump", "hall 1", None, "east", {FLOW: signal}, {"maker": "x"})
    for events in permutations([at(1, LINK), at(2, body)]):
        assert graph(*events).device(PUMP) == expected


def test_a_device_that_leaves_stays_known() -> None:
    topology = graph(at(1, Connected(PUMP, "pump")), at(2, Disconnected(PUMP)))
    assert topology.device(PUMP) == Device(PUMP, DeviceState.DISCONNECTED, "pump")
    topology.merge([at(3, Connected(PUMP, "pump"))])
    assert states(topology) == {PUMP: DeviceState.CONNECTED}


def test_the_newest_of_connect_and_disconnect_decides_in_any_order() -> None:
    events = [
        at(1, Connected(PUMP, "old")),
        at(2, Disconnected(PUMP)),
        at(3, Connected(PUMP, "new")),
        at(4, Disconnected(PUMP)),
    ]
    for order in permutations(events):
        assert graph(*order).device(PUMP) == Device(PUMP, DeviceState.DISCONNECTED, "new")


def test_a_device_that_only_ever_left() -> None:
    assert states(graph(at(1, Disconnected(PUMP)))) == {PUMP: DeviceState.DISCONNECTED}


# --- Signals and readings -----------------------------------------------------------------------------------------------------


def test_signals_are_those_declared_and_those_seen() -> None:
    declared = Signal(FLOW, SignalKind.COUNTER)
    values: dict[SignalName, SignalValue] = {FLOW: 1.0, OPEN: True, MODE: "auto", SignalName("level"): 2}
    topology = graph(at(1, Connected(PUMP, "pump", signals=(declared,))), at(2, Telemetry(PUMP, values)))
    device = topology.device(PUMP)
    assert device is not None
    assert {name: signal.kind for name, signal in device.signals.items()} == {
        FLOW: SignalKind.COUNTER,
        OPEN: SignalKind.BINARY,
        MODE: SignalKind.CATEGORICAL,
        SignalName("level"): SignalKind.NUMERIC,
    }


def test_the_newest_reading_of_each_signal_stands() -> None:
    early, late = at(1, Telemetry(PUMP, {FLOW: 1.0, OPEN: True})), at(2, Telemetry(PUMP, {FLOW: 2.0}, Quality.BAD))
    for order in permutations([early, late, late]):
        assert graph(*order).readings(PUMP) == {
            FLOW: Reading(late.stamp, 2.0, Quality.BAD),
            OPEN: Reading(early.stamp, True, Quality.GOOD),
        }


def test_active_alarms() -> None:
    on, off = ControlAlarm(PUMP, "overload", active=True), ControlAlarm(PUMP, "overload", active=False)
    other = at(3, ControlAlarm(PUMP, "dry", active=True))
    assert list(graph(at(2, off), at(1, on), other).active_alarms()) == [other]


# --- Edges --------------------------------------------------------------------------------------------------------------------


def test_links_and_their_weights() -> None:
    topology = graph(at(1, LINK), at(2, Linked(PUMP, VALVE, FEEDS, directed=False, weight=2.0, properties={"a": 1})))
    expected = Edge(PUMP, VALVE, FEEDS, directed=False, weight=2.0, properties={"a": 1})
    assert list(topology.edges()) == [expected] == list(topology.edges_of(PUMP)) == list(topology.edges_of(VALVE))
    assert topology.edge((PUMP, VALVE, FEEDS)) == expected
    assert topology.edge((VALVE, PUMP, FEEDS)) is None


def test_relations_are_edges_of_their_own() -> None:
    topology = graph(at(1, LINK), at(2, Linked(PUMP, VALVE, Relation.CONTROLS)), at(3, Unlinked(PUMP, VALVE, FEEDS)))
    assert keys(topology) == {(PUMP, VALVE, Relation.CONTROLS)}


def test_an_unlink_leaves_a_tombstone() -> None:
    for order in permutations([at(1, LINK, "a"), at(2, UNLINK, "b"), at(1, LINK, "a"), at(2, UNLINK, "b")]):
        assert keys(graph(*order)) == set()
    topology = graph(at(2, UNLINK), at(1, LINK))
    assert list(topology.devices()) == []
    assert keys(topology.merge([at(3, LINK)])) == {(PUMP, VALVE, FEEDS)}


def test_an_edge_to_itself_is_one_edge() -> None:
    topology = graph(at(1, Linked(PUMP, PUMP, FEEDS)))
    assert len(list(topology.edges_of(PUMP))) == 1
    topology.merge([at(2, Unlinked(PUMP, PUMP, FEEDS))]).forget(Micros(9))
    assert list(topology.edges_of(PUMP)) == []


# --- Parent and children ------------------------------------------------------------------------------------------------------


def test_parent_and_children_are_contains_edges() -> None:
    topology = graph(at(1, Connected(PUMP, "pump", parent=TANK, children=(VALVE, PIPE))))
    assert keys(topology) == {(TANK, PUMP, CONTAINS), (PUMP, VALVE, CONTAINS), (PUMP, PIPE, CONTAINS)}
    assert states(topology) == {
        PUMP: DeviceState.CONNECTED,
        TANK: DeviceState.PLACEHOLDER,
        VALVE: DeviceState.PLACEHOLDER,
        PIPE: DeviceState.PLACEHOLDER,
    }


def test_a_new_description_withdraws_what_the_old_one_claimed() -> None:
    events = [at(1, Connected(PUMP, "pump", parent=TANK, children=(VALVE,))), at(2, Connected(PUMP, "pump", children=(PIPE,)))]
    for order in permutations(events):
        topology = graph(*order)
        assert keys(topology) == {(PUMP, PIPE, CONTAINS)}
        assert set(states(topology)) == {PUMP, PIPE}


def test_what_two_claim_stands_until_both_withdraw() -> None:
    topology = graph(at(1, Connected(PUMP, "pump", children=(VALVE,))), at(2, Connected(VALVE, "valve", parent=PUMP)))
    assert len(list(topology.edges())) == 1
    assert keys(topology.merge([at(3, Connected(PUMP, "pump"))])) == {(PUMP, VALVE, CONTAINS)}
    assert keys(topology.merge([at(4, Connected(VALVE, "valve"))])) == set()


@pytest.mark.parametrize(
    "body",
    [Connected(PUMP, "pump", children=(VALVE, VALVE)), Connected(PUMP, "pump", parent=PUMP, children=(PUMP,))],
)
def test_a_child_that_is_named_twice_is_withdrawn_once(body: Connected) -> None:
    topology = graph(at(1, body))
    assert len(list(topology.edges())) == 1
    assert keys(topology.merge([at(2, Connected(PUMP, "pump"))])) == set()


def test_between_a_claim_and_a_statement_the_newer_decides() -> None:
    claim = Connected(PUMP, "pump", children=(VALVE,))
    link, unlink = Linked(PUMP, VALVE, CONTAINS, weight=3.0), Unlinked(PUMP, VALVE, CONTAINS)
    key = (PUMP, VALVE, CONTAINS)
    assert graph(at(1, claim), at(2, unlink)).edge(key) is None
    assert graph(at(2, claim), at(1, unlink)).edge(key) == Edge(*key)
    assert graph(at(1, claim), at(2, link)).edge(key) == Edge(*key, weight=3.0)
    assert graph(at(2, claim), at(1, link)).edge(key) == Edge(*key)
    assert graph(at(1, link), at(2, claim), at(3, Connected(PUMP, "pump"))).edge(key) == Edge(*key, weight=3.0)


# --- The past -----------------------------------------------------------------------------------------------------------------

LIFE = [
    at(1, Connected(PUMP, "pump", children=(PIPE,))),
    at(2, LINK),
    at(3, Telemetry(PUMP, {FLOW: 1.0})),
    at(4, ControlAlarm(PUMP, "overload", active=True)),
    at(5, UNLINK),
    at(6, Connected(PUMP, "motor")),
    at(7, Disconnected(PUMP)),
    at(8, ControlAlarm(PUMP, "overload", active=False)),
]


def test_as_of() -> None:
    topology = graph(*LIFE)
    past = [topology.as_of(Micros(time)) for time in range(9)]
    assert [len(list(then.active_alarms())) for then in past] == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert [keys(then) for then in past[:3]] == [
        set(),
        {(PUMP, PIPE, CONTAINS)},
        {(PUMP, PIPE, CONTAINS), (PUMP, VALVE, FEEDS)},
    ]
    assert [(PUMP, VALVE, FEEDS) in keys(then) for then in past] == [False, False, True, True, True, False, False, False, False]
    kinds = [None if (device := then.device(PUMP)) is None else (device.type, device.state.value) for then in past]
    assert kinds == [
        None,
        *[("pump", "connected")] * 5,
        ("motor", "connected"),
        *[("motor", "disconnected")] * 2,
    ]
    assert [FLOW in then.readings(PUMP) for then in past] == [False] * 3 + [True] * 6
    assert past[8].digest() == topology.digest()


def test_a_reading_from_after_the_time_hides_the_older_one() -> None:
    """Only the newest reading is kept, as the detector keeps its own past."""
    topology = graph(at(1, Telemetry(PUMP, {FLOW: 1.0})), at(3, Telemetry(PUMP, {FLOW: 2.0})))
    assert topology.as_of(Micros(2)).readings(PUMP) == {}


def test_before_the_horizon_there_is_no_answer() -> None:
    topology = graph(*LIFE)
    topology.forget(Micros(5))
    topology.forget(Micros(3))
    with pytest.raises(TooLongAgoError):
        topology.as_of(Micros(4))
    assert topology.as_of(Micros(5)).digest() == graph(*LIFE[:5]).digest()


def test_forgetting_changes_nothing_that_stands_and_lets_go_of_the_rest() -> None:
    topology = graph(*LIFE)
    before = topology.digest()
    topology.forget(Micros(100))
    assert topology.digest() == before
    bodies = {type(event.body).__name__ for event in topology.kept()}
    assert bodies == {"Connected", "Disconnected", "Telemetry", "ControlAlarm", "Log"}
    assert len(list(topology.kept())) == 5


def test_a_tombstone_that_holds_down_a_claim_is_not_forgotten() -> None:
    topology = graph(at(1, Connected(PUMP, "pump", children=(VALVE,))), at(2, Unlinked(PUMP, VALVE, CONTAINS)))
    topology.forget(Micros(9))
    assert keys(topology) == set()
    topology.merge([at(10, Connected(PUMP, "pump"))]).forget(Micros(20))
    assert not any(isinstance(event.body, Unlinked) for event in topology.kept())


def test_an_event_from_before_the_horizon_may_bring_an_edge_back() -> None:
    """The price of bounded memory, as `forget` says."""
    topology = graph(at(1, LINK), at(2, UNLINK))
    topology.forget(Micros(9))
    assert keys(topology.merge([at(1, LINK)])) == {(PUMP, VALVE, FEEDS)}


# --- Digest, snapshot, version ------------------------------------------------------------------------------------------------


def test_the_digest_tells_graphs_apart() -> None:
    def prefixes() -> Iterator[str]:
        for count in range(len(LIFE) + 1):
            yield graph(*LIFE[:count]).digest()

    assert len(set(prefixes())) == len(LIFE) + 1


def test_a_snapshot_is_a_list_of_events() -> None:
    topology = graph(*LIFE)
    restored = graph(*topology.kept())
    assert restored.digest() == topology.digest()
    assert list(restored.kept()) == list(topology.kept())


def test_windows_cover_the_whole() -> None:
    whole = graph(*LIFE)
    times = sorted({event.stamp.at for event in whole.kept()})
    cut = times[len(times) // 2]
    first, second = whole.window(times[0], cut), whole.window(cut, Micros(times[-1] + 1))
    assert all(event.stamp.at < cut for event in first.kept())
    assert all(event.stamp.at >= cut for event in second.kept())
    assert Topology().join(second).join(first).digest() == whole.digest()


def test_a_window_is_merged_into_the_whole() -> None:
    whole = graph(*LIFE[:4])
    window = graph(*LIFE[4:])
    assert keys(window) == set()
    assert states(window) == {PUMP: DeviceState.DISCONNECTED}
    assert whole.join(window).digest() == graph(*LIFE).digest()
    assert graph(*window.kept()).merge(graph(*LIFE[:4]).kept()).digest() == graph(*LIFE).digest()


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (at(20, Telemetry(PUMP, {FLOW: 9.0})), False),
        (at(20, Telemetry(PUMP, {OPEN: True})), True),
        (at(20, Connected(PUMP, "motor")), True),
        (at(20, Disconnected(PUMP)), False),
        (at(20, Unlinked(PUMP, VALVE, FEEDS)), False),
        (at(20, Linked(PUMP, VALVE, FEEDS)), True),
        (at(20, Linked(TANK, PUMP, FEEDS)), True),
        (at(20, Log(PUMP, "still here")), False),
        (at(20, Log(TANK, "first word")), True),
        (at(0, Connected(PUMP, "ancient")), False),
        (at(0, LINK), False),
    ],
)
def test_the_version_grows_with_structure_only(event: Event, *, changes: bool) -> None:
    topology = graph(*LIFE)
    before = topology.version
    assert (topology.merge([event]).version > before) is changes
    after = topology.version
    assert topology.merge([event]).version == after


def test_what_unlinked_a_claimed_edge_is_kept_as_long_as_the_claim() -> None:
    """Found by thinking about projections: forgetting the one alone brought the edge back into the past."""
    topology = graph(
        at(1, Connected(TANK, "tank", children=(PUMP,))), at(2, Unlinked(TANK, PUMP, CONTAINS)), at(9, Connected(TANK, "tank"))
    )
    assert keys(topology.as_of(Micros(6))) == set()
    topology.forget(Micros(5))
    assert keys(topology.as_of(Micros(6))) == set()
