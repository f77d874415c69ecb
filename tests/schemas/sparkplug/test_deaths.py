"""Deaths: who of an edge node is gone, since when, and which deaths do not count."""

from __future__ import annotations

import pytest

from graph.topology import DeviceState
from schemas.device import DeviceId
from schemas.event import Disconnected
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.topic import EdgeNode, MessageType
from schemas.sparkplug.values import metric
from tests.schemas.sparkplug.bench import NODE, PUMP, START, Bench, Edge, bare, came, number, values, went

VALVE = DeviceId("plant/line/valve")


def alive(*, bd_seq: int = 5) -> tuple[Bench, Edge]:
    """A node with two devices."""
    bench, edge = Bench(), Edge(bd_seq=bd_seq)
    bench.hear(edge.nbirth(number("t", 1)), edge.dbirth(number("t", 1)), edge.dbirth(number("t", 1), device="valve"))
    return bench, edge


def stale(bench: Bench, *devices: DeviceId) -> bool:
    """A disconnected device is how the graph says that readings are old."""
    return all(bench.state(device) is DeviceState.DISCONNECTED for device in devices)


# --- NDEATH ----------------------------------------------------------------------------------------------------------------

NODE_OFFLINE = {
    "tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-offline": NODE,
    "tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-offline": PUMP,
}


@pytest.mark.parametrize("tck_id", NODE_OFFLINE)
def test_an_ndeath_takes_the_node_and_its_devices_at_the_time_of_receipt(tck_id: str) -> None:
    """The will was written at the connection, so its own time says nothing."""
    bench, edge = alive()
    bench.wait(60)
    events = bench.hear(edge.ndeath())
    assert set(went(events)) == {NODE, PUMP, VALVE}
    assert {event.stamp.at for event in events} == {bench.now}
    assert bench.state(NODE_OFFLINE[tck_id]) is DeviceState.DISCONNECTED
    assert all(isinstance(event.body, Disconnected) and event.body.reason == "the edge node died" for event in events)


STALE = {
    "tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale": NODE,
    "tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale": VALVE,
}


@pytest.mark.parametrize("tck_id", STALE)
def test_after_an_ndeath_readings_stay_but_are_no_longer_current(tck_id: str) -> None:
    bench, edge = alive()
    bench.hear(edge.ndeath())
    assert stale(bench, STALE[tck_id])
    assert bench.value(STALE[tck_id], "t") == 1
    assert bench.hear(edge.ndata(number("t", 2))) == [], "nothing is believed before the next birth"
    bench.hear(edge.nbirth(number("t", 3)))
    assert not stale(bench, NODE)


BD_SEQS = ["tck-id-payloads-ndeath-bdseq", "tck-id-topics-ndeath-payload"]


@pytest.mark.parametrize("tck_id", BD_SEQS)
@pytest.mark.parametrize("number_of_death", [0, 4, 6, 255])
def test_an_ndeath_of_another_session_is_ignored(tck_id: str, number_of_death: int) -> None:
    bench, edge = alive(bd_seq=5)
    other = Edge(bd_seq=number_of_death)
    assert bench.hear(other.ndeath()) == []
    assert bench.state(NODE) is DeviceState.CONNECTED
    assert bench.host.counts.outdated == 1
    assert went(bench.hear(edge.ndeath()))


@pytest.mark.parametrize("tck_id", ["tck-id-payloads-ndeath-seq", "tck-id-topics-ndeath-seq"])
def test_an_ndeath_has_no_number_and_waits_for_none(tck_id: str) -> None:
    """Even one that carries a number stands outside of the order."""
    bench, edge = alive()
    edge.seq += 3
    assert set(went(bench.hear(edge.say(MessageType.NDEATH, metric(Datatype.INT64, 5, name="bdSeq"))))) == {NODE, PUMP, VALVE}


WILLS = ["tck-id-payloads-ndeath-will-message", "tck-id-payloads-ndeath-will-message-publisher"]


@pytest.mark.parametrize("tck_id", WILLS)
def test_the_node_itself_or_the_broker_may_say_it_and_once_is_enough(tck_id: str) -> None:
    bench, edge = alive()
    assert len(went(bench.hear(edge.ndeath()))) == 3
    edge.at += 5
    assert bench.hear(edge.ndeath()) == []


def test_tck_id_payloads_ndeath_will_message_retain() -> None:
    """One that the broker had kept, against the rules: it may be of any session that there ever was."""
    bench, edge = Bench(), Edge(bd_seq=5)
    assert bench.hear(edge.ndeath(), retained=True) == []
    assert bench.state(NODE) is None
    bench.hear(edge.nbirth())
    edge.bd_seq = 4
    assert bench.hear(edge.ndeath(), retained=True) == []
    edge.bd_seq = 5
    assert went(bench.hear(edge.ndeath(), retained=True)) == [NODE], "of this session, it is true all the same"


def test_an_ndeath_without_its_number_is_refused() -> None:
    bench, edge = alive()
    assert bench.hear(edge.ndeath(number("other", 1), number("more", 2))) == []
    assert bench.refused == ["a death certificate without bdSeq belongs to no birth"]
    assert bench.state(NODE) is DeviceState.CONNECTED


def test_a_birth_without_its_number_dies_of_any_death() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(plain=True))
    assert went(bench.hear(edge.ndeath())) == [NODE]


def test_the_same_will_in_two_sessions_is_two_deaths() -> None:
    """After 256 sessions, or with an edge node that never counts, the bytes are the same."""
    bench, edge = Bench(), Edge(bd_seq=0)
    deaths = []
    for _ in range(2):
        edge.at += 1000
        bench.hear(edge.nbirth())
        deaths += bench.hear((edge.node.topic(MessageType.NDEATH), b"\x08\x05\x12\x0b\x0a\x05bdSeq\x20\x04\x58\x00"))
    assert went(deaths) == [NODE, NODE]
    assert deaths[0].stamp.id != deaths[1].stamp.id


def test_the_death_of_a_node_that_is_not_known_is_told_and_asked_about() -> None:
    """After a restart of the host. A newer session may run, which its rebirth would show."""
    bench, edge = Bench(), Edge()
    assert went(bench.hear(edge.ndeath())) == [NODE]
    assert [node for _, node in bench.rebirths] == [edge.node]
    bench.hear(edge.nbirth())
    assert bench.state(NODE) is DeviceState.CONNECTED


def test_a_death_by_a_clock_behind_the_edge_nodes_still_ends_the_birth() -> None:
    bench, edge = Bench(), Edge()
    edge.at += 3_600_000
    bench.hear(edge.nbirth(), edge.dbirth())
    bench.hear(edge.ndeath())
    assert stale(bench, NODE, PUMP)


def test_a_birth_by_a_clock_behind_the_hosts_still_ends_the_death() -> None:
    bench, edge = alive()
    bench.wait(60)
    bench.hear(edge.ndeath())
    edge.at -= 10_000
    bench.hear(edge.nbirth(), edge.dbirth())
    assert (bench.state(NODE), bench.state(PUMP), bench.state(VALVE)) == ("connected", "connected", "disconnected")


# --- DDEATH ----------------------------------------------------------------------------------------------------------------


def test_tck_id_operational_behavior_edge_node_termination_host_action_ddeath_devices_offline() -> None:
    """At the payload's time, and this device alone."""
    bench, edge = alive()
    bench.wait(10)
    edge.at += 4000
    (event,) = bench.hear(edge.ddeath())
    assert (went([event]), event.stamp.at) == ([PUMP], edge.at * 1000)
    assert (bench.state(NODE), bench.state(VALVE)) == ("connected", "connected")


def test_tck_id_operational_behavior_edge_node_termination_host_action_ddeath_devices_tags_stale() -> None:
    bench, edge = alive()
    bench.hear(edge.ddeath())
    assert stale(bench, PUMP)
    assert bench.value(PUMP, "t") == 1
    assert bench.hear(edge.ddata(number("t", 2))) == []
    bench.hear(edge.dbirth(number("t", 3)))
    assert not stale(bench, PUMP)


@pytest.mark.parametrize("tck_id", ["tck-id-payloads-ddeath-timestamp"])
def test_a_ddeath_is_neither_before_its_birth_nor_in_the_future(tck_id: str) -> None:
    bench, edge = alive()
    edge.at -= 5000
    (early,) = bench.hear(edge.ddeath())
    assert early.stamp.at == START * 1000 + 1
    edge.at = START + 3_600_000
    (late,) = bench.hear(edge.ddeath("valve"))
    assert late.stamp.at == bench.now


DDEATH_SEQUENCES = [
    "tck-id-topics-ddeath-seq-num",
    "tck-id-payloads-ddeath-seq",
    "tck-id-payloads-ddeath-seq-inc",
    "tck-id-payloads-ddeath-seq-number",
]


@pytest.mark.parametrize("tck_id", DDEATH_SEQUENCES)
def test_a_ddeath_takes_a_number_like_any_message(tck_id: str) -> None:
    bench, edge = alive()
    birth_again, death = edge.dbirth(number("t", 9)), edge.ddeath()
    assert bench.hear(death) == [], "it waits for the one before"
    events = bench.hear(birth_again)
    assert (came(events), went(events)) == ([PUMP], [PUMP])
    assert values(bench.hear(edge.ndata(number("t", 2)))) == [{"t": 2}]


def test_tck_id_topics_ddeath_mqtt() -> None:
    """One that the broker had kept is old."""
    bench, edge = alive()
    assert bench.hear(edge.ddeath(), retained=True) == []
    assert bench.state(PUMP) is DeviceState.CONNECTED


def test_tck_id_operational_behavior_device_ddeath() -> None:
    """The edge node says it for the device; saying it twice, or of a device that never was, is no news."""
    bench, edge = alive()
    assert went(bench.hear(edge.ddeath(), edge.ddeath(), edge.ddeath("never"))) == [PUMP]


# --- The broker, and births that do not come -------------------------------------------------------------------------------


def test_all_is_stale_when_the_broker_is_lost_and_rebirths_are_asked_for_when_it_is_back() -> None:
    bench, edge = alive()
    other = Edge(edge="two")
    bench.hear(other.nbirth(number("t", 1)))
    bench.wait(30)
    bench.keep(out := bench.host.lost(bench.now))
    assert set(went(out.events)) == {NODE, PUMP, VALVE, "plant/two"}
    assert {event.stamp.at for event in out.events} == {bench.now}
    bench.wait(30)
    bench.keep(out := bench.host.back(bench.now))
    assert out.rebirths == [edge.node, other.node]
    assert bench.hear(edge.ndata(number("t", 2))) == []
    bench.hear(edge.nbirth(number("t", 3)))
    assert bench.state(NODE) is DeviceState.CONNECTED


def test_a_node_that_was_dead_before_is_not_asked_when_the_broker_is_back() -> None:
    bench, edge = alive()
    bench.hear(edge.ndeath())
    bench.keep(bench.host.lost(bench.now))
    assert bench.host.back(bench.now).rebirths == []


def test_a_node_that_died_meanwhile_is_asked_no_longer() -> None:
    bench, edge = alive()
    bench.keep(bench.host.lost(bench.now))
    bench.keep(bench.host.back(bench.now))
    bench.hear(edge.ndeath())
    bench.wait(3600)
    assert len(bench.rebirths) == 1


def test_a_device_that_is_not_born_again_after_its_node_is_gone() -> None:
    """Until then it is neither there nor not there; a flicker for each rebirth would be an alarm for each."""
    bench, edge = alive()
    edge.at += 1
    assert went(bench.hear(edge.nbirth(), edge.dbirth(number("t", 2)))) == []
    assert bench.hear(edge.ddata(number("t", 5), device="valve")) == [], "its data are not understood"
    (event,) = bench.wait(11)
    assert went([event]) == [VALVE]
    assert isinstance(event.body, Disconnected)
    assert event.body.reason == "not born again after its edge node"
    assert bench.state(PUMP) is DeviceState.CONNECTED


def test_an_ndeath_by_alias_ends_the_birth_that_gave_the_alias() -> None:
    bench, edge = Bench(), Edge()
    birth = metric(Datatype.INT64, 9, name="bdSeq", alias=40)
    bench.hear(edge.nbirth(birth, plain=True))
    assert bench.hear(edge.ndeath(bare(40, Datatype.INT64, 8))) == []
    assert went(bench.hear(edge.ndeath(bare(40, Datatype.INT64, 9)))) == [NODE]


def test_as_many_edge_nodes_and_devices_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.sparkplug.host.MOST_NODES", 2)
    bench = Bench(devices=1)
    edges = [Edge(edge=name) for name in "abc"]
    bench.hear(*(edge.nbirth() for edge in edges))
    assert bench.refused == ["there are more than 2 edge nodes"]
    bench.hear(edges[0].dbirth(), edges[0].dbirth(device="valve"))
    assert bench.refused[1] == "the edge node has more than 1 devices"
    assert list(bench.host.sessions) == [EdgeNode("plant", "a"), EdgeNode("plant", "b")]
