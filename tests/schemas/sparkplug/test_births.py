"""Births: what an edge node and its devices say of themselves, and that their values are data."""

from __future__ import annotations

import msgspec
import pytest

from schemas.decode import decode
from schemas.device import DeviceId, SignalKind
from schemas.event import Connected
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Held, Metric
from schemas.sparkplug.topic import MessageType
from schemas.sparkplug.values import metric
from tests.schemas.sparkplug.bench import NODE, PUMP, START, Bench, Edge, bare, came, number, values, went

REBIRTH = "Node Control/Rebirth"


def announced(*metrics: Metric) -> Connected:
    (event, *_) = Bench().hear(Edge().nbirth(*metrics))
    assert isinstance(event.body, Connected)
    return event.body


# --- NBIRTH ----------------------------------------------------------------------------------------------------------------

TIMES = ["tck-id-payloads-nbirth-timestamp", "tck-id-topics-nbirth-timestamp"]


@pytest.mark.parametrize("tck_id", TIMES)
def test_an_nbirth_counts_from_its_own_time(tck_id: str) -> None:
    """It gives the events their epoch; without it, the time of receipt does."""
    bench, edge = Bench(), Edge()
    edge.at -= 5
    events = bench.hear(edge.nbirth(number("t", 1)))
    assert {(event.stamp.at, event.stamp.epoch) for event in events} == {(edge.at * 1000, edge.at)}
    (bare_birth, *_) = bench.hear(edge.say(MessageType.NBIRTH, timestamp=None))
    assert (bare_birth.stamp.at, bare_birth.stamp.epoch) == (bench.now, bench.now // 1000)


SEQUENCES = ["tck-id-payloads-nbirth-seq", "tck-id-topics-nbirth-seq-num", "tck-id-payloads-sequence-num-zero-nbirth"]


@pytest.mark.parametrize("tck_id", SEQUENCES)
@pytest.mark.parametrize("first", [0, 1, 17, 255])
def test_an_nbirth_may_begin_with_any_number_and_the_next_one_follows(tck_id: str, first: int) -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1), seq=first))
    assert edge.seq == (first + 1) % 256
    bench.hear(edge.ndata(number("t", 2)))
    assert bench.value(NODE, "t") == 2
    assert bench.host.due is None


def test_a_number_beyond_255_is_refused() -> None:
    bench, edge = Bench(), Edge()
    edge.seq = 256
    assert bench.hear(edge.say(MessageType.NBIRTH, seq=256)) == []
    assert bench.refused == ["the sequence number 256 is beyond 255"]


BD_SEQS = [
    "tck-id-payloads-nbirth-bdseq",
    "tck-id-topics-nbirth-bdseq-included",
    "tck-id-message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
]


@pytest.mark.parametrize("tck_id", BD_SEQS)
def test_the_bd_seq_of_an_nbirth_is_kept_and_is_no_signal(tck_id: str) -> None:
    bench = Bench()
    bench.hear(Edge(bd_seq=7).nbirth(number("t", 1)))
    assert [session.bd_seq for session in bench.host.sessions.values()] == [7]
    assert bench.graph.readings(NODE).keys() == {"t"}


MATCHING = ["tck-id-topics-nbirth-bdseq-matching", "tck-id-payloads-nbirth-bdseq-repeat"]


@pytest.mark.parametrize("tck_id", MATCHING)
def test_the_bd_seq_of_an_nbirth_ties_it_to_its_will(tck_id: str) -> None:
    bench, edge, other = Bench(), Edge(bd_seq=3), Edge(bd_seq=2)
    bench.hear(edge.nbirth())
    assert went(bench.hear(other.ndeath())) == []
    assert went(bench.hear(edge.ndeath())) == [NODE]


def test_tck_id_topics_nbirth_bdseq_increment() -> None:
    """255 is followed by 0, which is as good as any other number."""
    bench, edge = Bench(), Edge(bd_seq=255)
    bench.hear(edge.nbirth())
    edge.bd_seq, edge.at = 0, edge.at + 1
    bench.hear(edge.nbirth())
    assert went(bench.hear(edge.ndeath())) == [NODE]


CONTROLS = [
    "tck-id-payloads-nbirth-rebirth-req",
    "tck-id-topics-nbirth-rebirth-metric",
    "tck-id-operational-behavior-data-commands-rebirth-name",
    "tck-id-operational-behavior-data-commands-rebirth-datatype",
    "tck-id-operational-behavior-data-commands-rebirth-value",
]


@pytest.mark.parametrize("tck_id", CONTROLS)
def test_the_rebirth_command_in_an_nbirth_is_no_signal_and_asks_nothing(tck_id: str) -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(number("t", 1)))
    device = bench.graph.device(NODE)
    assert device is not None
    assert device.signals.keys() == {"t"}
    assert bench.rebirths == []


def test_tck_id_operational_behavior_data_commands_rebirth_name_aliases() -> None:
    """A birth that uses aliases leaves the command without one, and is understood."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1, alias=0), number("u", 2, alias=1)))
    bench.hear(edge.ndata(bare(0, Datatype.DOUBLE, 5)))
    assert (bench.value(NODE, "t"), bench.value(NODE, "u")) == (5, 2)


METRICS = ["tck-id-topics-nbirth-metrics", "tck-id-operational-behavior-data-publish-nbirth-values"]


@pytest.mark.parametrize("tck_id", METRICS)
def test_names_types_and_values_of_an_nbirth_arrive(tck_id: str) -> None:
    body = announced(number("p", 1), metric(Datatype.BOOLEAN, True, name="on"), metric(Datatype.STRING, "a", name="mode"))
    assert {signal.name: signal.kind for signal in body.signals} == {
        "p": SignalKind.NUMERIC,
        "on": SignalKind.BINARY,
        "mode": SignalKind.CATEGORICAL,
    }
    bench = Bench()
    events = bench.hear(Edge().nbirth(number("p", 1), number("empty", None)))
    assert values(events) == [{"p": 1}], "null is no value, but a signal"
    device = bench.graph.device(NODE)
    assert device is not None
    assert "empty" in device.signals


ALL_METRICS = ["tck-id-topics-nbirth-metric-reqs", "tck-id-operational-behavior-data-publish-nbirth"]


@pytest.mark.parametrize("tck_id", ALL_METRICS)
def test_what_an_nbirth_did_not_have_asks_for_a_rebirth(tck_id: str) -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1)))
    assert values(bench.hear(edge.ndata(number("new", 1), number("t", 2)))) == [{"t": 2}]
    assert [node for _, node in bench.rebirths] == [edge.node]


RETAINED = ["tck-id-topics-nbirth-mqtt", "tck-id-payloads-nbirth-retain"]


@pytest.mark.parametrize("tck_id", RETAINED)
def test_an_nbirth_that_the_broker_had_kept_is_old(tck_id: str) -> None:
    """It shows that the node exists, so it is asked; its values are not taken for the present."""
    bench, edge = Bench(), Edge()
    assert bench.hear(edge.nbirth(number("t", 1)), retained=True) == []
    assert bench.host.counts.retained == 1
    assert [node for _, node in bench.rebirths] == [edge.node]


# --- DBIRTH ----------------------------------------------------------------------------------------------------------------


def born(bench: Bench | None = None) -> tuple[Bench, Edge]:
    bench, edge = bench or Bench(), Edge()
    bench.hear(edge.nbirth())
    return bench, edge


@pytest.mark.parametrize("tck_id", ["tck-id-payloads-dbirth-timestamp", "tck-id-topics-dbirth-timestamp"])
def test_a_dbirth_has_its_own_time(tck_id: str) -> None:
    bench, edge = born()
    edge.at += 1
    events = bench.hear(edge.dbirth(number("t", 1)))
    assert {event.stamp.at for event in events} == {edge.at * 1000}


DBIRTH_SEQUENCES = [
    "tck-id-payloads-dbirth-seq",
    "tck-id-payloads-dbirth-seq-inc",
    "tck-id-topics-dbirth-seq",
    "tck-id-message-flow-device-birth-publish-dbirth-payload-seq",
]


@pytest.mark.parametrize("tck_id", DBIRTH_SEQUENCES)
def test_a_dbirth_takes_the_next_number_of_its_node(tck_id: str) -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(seq=254))
    assert came(bench.hear(edge.dbirth(device="a"), edge.dbirth(device="b"))) == ["plant/line/a", "plant/line/b"]
    edge.seq += 1
    assert bench.hear(edge.dbirth(device="c")) == [], "it waits for the one before"


ORDER = ["tck-id-payloads-dbirth-order", "tck-id-message-flow-device-birth-publish-nbirth-wait"]


@pytest.mark.parametrize("tck_id", ORDER)
def test_a_device_is_born_after_its_node(tck_id: str) -> None:
    bench, edge = Bench(), Edge()
    assert bench.hear(edge.dbirth(number("t", 1))) == []
    assert bench.host.counts.early == 1
    assert [node for _, node in bench.rebirths] == [edge.node]
    assert came(bench.hear(edge.nbirth(), edge.dbirth(number("t", 1)))) == [NODE, PUMP]


def test_tck_id_message_flow_device_birth_publish_dbirth_match_edge_node_topic() -> None:
    """A device belongs to the node that its topic names, and is its child."""
    bench, edge = born()
    bench.hear(Edge(edge="other").dbirth())
    assert bench.state(DeviceId("plant/other/pump")) is None
    bench.hear(edge.dbirth())
    device = bench.graph.device(PUMP)
    assert device is not None
    assert (device.parent, device.type) == (NODE, "unknown")


DBIRTH_METRICS = ["tck-id-topics-dbirth-metrics", "tck-id-operational-behavior-data-publish-dbirth-values"]


@pytest.mark.parametrize("tck_id", DBIRTH_METRICS)
def test_names_types_and_values_of_a_dbirth_arrive(tck_id: str) -> None:
    bench, edge = born()
    assert values(bench.hear(edge.dbirth(number("t", 4), metric(Datatype.INT8, -4, name="i")))) == [{"t": 4, "i": -4}]


DBIRTH_ALL = ["tck-id-topics-dbirth-metric-reqs", "tck-id-operational-behavior-data-publish-dbirth"]


@pytest.mark.parametrize("tck_id", DBIRTH_ALL)
def test_what_a_dbirth_did_not_have_asks_for_a_rebirth(tck_id: str) -> None:
    """A metric of the node is none of its device."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("n", 1)), edge.dbirth(number("t", 1)))
    assert bench.hear(edge.ddata(number("n", 2))) == []
    assert [node for _, node in bench.rebirths] == [edge.node]


@pytest.mark.parametrize("tck_id", ["tck-id-topics-dbirth-mqtt", "tck-id-payloads-dbirth-retain"])
def test_a_dbirth_that_the_broker_had_kept_is_old(tck_id: str) -> None:
    bench, edge = born()
    assert bench.hear(edge.dbirth(number("t", 1)), retained=True) == []
    assert bench.state(PUMP) is None


# --- Aliases ---------------------------------------------------------------------------------------------------------------


def test_tck_id_payloads_alias_birth_requirement() -> None:
    """Name and alias together; an alias alone announces nothing."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(bare(3, Datatype.DOUBLE, 1), number("t", 1, alias=4)))
    assert bench.refused == ["metric with alias 3: a birth must name its metrics"]
    assert values(bench.hear(edge.ndata(bare(4, Datatype.DOUBLE, 2)))) == [{"t": 2}]


def test_tck_id_payloads_alias_uniqueness() -> None:
    """Over the whole edge node, its devices included. What comes under one that was given twice is not guessed."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1, alias=4)), edge.dbirth(number("u", 1, alias=4), number("v", 1, alias=5)))
    assert bench.refused == ["metric 'u': alias 4 is given twice"]
    four = bare(4, Datatype.DOUBLE, 9)
    assert bench.hear(edge.ndata(four)) == []
    assert values(bench.hear(edge.ddata(four, bare(5, Datatype.DOUBLE, 2)))) == [{"v": 2}]
    assert all("belongs to another metric" in reason for reason in bench.refused[1:])


def test_an_alias_of_another_device_is_refused() -> None:
    bench, edge = born()
    bench.hear(edge.dbirth(number("t", 1, alias=4), device="a"), edge.dbirth(number("t", 1, alias=5), device="b"))
    assert bench.hear(edge.ddata(bare(4, Datatype.DOUBLE, 9), device="b")) == []
    assert "belongs to another metric" in bench.refused[0]


def test_a_device_that_is_born_again_may_give_its_aliases_anew() -> None:
    bench, edge = born()
    bench.hear(edge.dbirth(number("t", 1, alias=4), number("u", 2, alias=5)))
    bench.hear(edge.dbirth(number("t", 1, alias=5), number("u", 2, alias=4)))
    bench.hear(edge.ddata(bare(4, Datatype.DOUBLE, 7)))
    assert (bench.value(PUMP, "t"), bench.value(PUMP, "u")) == (1, 7)
    assert bench.refused == []


def test_a_rebirth_gives_all_aliases_anew() -> None:
    """Those of before count no longer, and the same ones are not given twice."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1, alias=1), number("u", 2, alias=2)), edge.dbirth(number("t", 1, alias=3)))
    edge.at += 1
    bench.hear(edge.nbirth(number("t", 1, alias=2), number("u", 2, alias=3)))
    assert bench.refused == []
    seven = [bare(alias, Datatype.DOUBLE, 7 + alias) for alias in (1, 2, 3)]
    assert values(bench.hear(edge.ndata(*seven))) == [{"t": 9, "u": 10}]
    assert bench.host.counts.unknown == 1


# --- What a birth says besides ---------------------------------------------------------------------------------------------


def test_facts_become_properties_and_original_ids_are_kept() -> None:
    bench, edge = Bench(), Edge("Halle 1", "Linie/2".replace("/", " "))
    make = metric(Datatype.STRING, "Acme", name="Properties/Hardware Make")
    (event, *_) = bench.hear(edge.nbirth(make, metric(Datatype.INT32, 4, name="Properties/Cores")))
    assert isinstance(event.body, Connected)
    assert event.body.device_id == "Halle:201/Linie:202"
    assert event.body.properties == {
        "sparkplugGroup": "Halle 1",
        "sparkplugEdgeNode": "Linie 2",
        "Hardware Make": "Acme",
        "Cores": 4.0,
    }
    assert event.body.signals == ()
    assert event.body.type == "gateway"


def test_events_of_births_are_valid_by_the_contract() -> None:
    """Written as CloudEvents, they pass the same validation as a gateway's."""
    event, telemetry = Bench().hear(Edge().nbirth(number("a b%", 1), metric(Datatype.DATETIME, START, name="when")))
    assert isinstance(event.body, Connected)
    for one, kind in ((event, "device.connected"), (telemetry, "device.telemetry")):
        body = msgspec.to_builtins(one.body)
        data = (
            {"deviceId": body[1], "type": body[2]} if kind == "device.connected" else {"deviceId": body[1], "values": body[2]}
        )
        wire = {
            "specversion": "1.0",
            "id": one.stamp.id,
            "source": one.stamp.source,
            "type": kind,
            "time": "2026-01-05T00:00:00Z",
            "sequence": f"{one.stamp.sequence:020d}",
            "epoch": str(one.stamp.epoch),
            "data": data,
        }
        assert decode(msgspec.json.encode(wire)).events == [
            msgspec.structs.replace(one, body=decode(msgspec.json.encode(wire)).events[0].body)
        ]


def test_a_birth_that_holds_no_value_for_a_metric_is_told_so() -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(Metric(name="t", datatype=Datatype.INT32), Metric(name="u", datatype=3, held=Held.INT, value=1)))
    assert bench.refused == ["metric 't': neither a value nor the mark of null"]
    assert bench.value(NODE, "u") == 1
