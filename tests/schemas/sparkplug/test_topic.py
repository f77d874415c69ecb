"""Topics and names: what the specification says of them, and how they become the contract's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bounds import CONTROL, ID, NAME
from schemas.device import DEVICE_ID_PATTERN, DeviceId, SignalName
from schemas.sparkplug.host import rebirth_request
from schemas.sparkplug.model import SparkplugError
from schemas.sparkplug.names import device_id, element_name, ids, metric_name, signal_name
from schemas.sparkplug.topic import OF_DEVICES, EdgeNode, MessageType, Topic, filters, parse, state_topic
from tests.schemas.sparkplug.bench import NODE, PUMP, Bench, Edge, number, values

EDGE = EdgeNode("G", "E")
OF_NODES = [kind for kind in MessageType if kind not in OF_DEVICES and kind is not MessageType.STATE]


def refused(topic: str) -> bool:
    try:
        parse(topic)
    except SparkplugError:
        return True
    return False


TOPICS = {
    "tck-id-topics-nbirth-topic": ("spBv1.0/G/NBIRTH/E", MessageType.NBIRTH),
    "tck-id-topics-ndata-topic": ("spBv1.0/G/NDATA/E", MessageType.NDATA),
    "tck-id-topics-ndeath-topic": ("spBv1.0/G/NDEATH/E", MessageType.NDEATH),
    "tck-id-topics-ncmd-topic": ("spBv1.0/G/NCMD/E", MessageType.NCMD),
    "tck-id-topics-dbirth-topic": ("spBv1.0/G/DBIRTH/E/D", MessageType.DBIRTH),
    "tck-id-topics-ddata-topic": ("spBv1.0/G/DDATA/E/D", MessageType.DDATA),
    "tck-id-topics-ddeath-topic": ("spBv1.0/G/DDEATH/E/D", MessageType.DDEATH),
    "tck-id-topics-dcmd-topic": ("spBv1.0/G/DCMD/E/D", MessageType.DCMD),
}


@pytest.mark.parametrize("tck_id", TOPICS)
def test_a_topic_is_read_and_written_in_one_form(tck_id: str) -> None:
    text, kind = TOPICS[tck_id]
    device = "D" if kind in OF_DEVICES else None
    assert parse(text) == Topic(kind, EDGE, device)
    assert EDGE.topic(kind, device) == text


def test_tck_id_topic_structure() -> None:
    """Too few levels, and too many."""
    for topic in ("spBv1.0", "spBv1.0/G", "spBv1.0/G/NDATA", "spBv1.0/G/DDATA/E/D/more", "spBv1.0/G/NEWS/E"):
        assert refused(topic), topic


def test_tck_id_topic_structure_namespace_a() -> None:
    assert parse("spBv1.0/G/NDATA/E").node == EDGE
    for topic in ("spAv1.0/G/NDATA/E", "spbv1.0/G/NDATA/E", "/spBv1.0/G/NDATA/E", "spBv1.01/G/NDATA/E"):
        assert refused(topic), topic


VALID: dict[str, Callable[[str], Topic]] = {
    "tck-id-topic-structure-namespace-valid-group-id": lambda name: parse(f"spBv1.0/{name}/DDATA/E/D"),
    "tck-id-topic-structure-namespace-valid-edge-node-id": lambda name: parse(f"spBv1.0/G/DDATA/{name}/D"),
    "tck-id-topic-structure-namespace-valid-device-id": lambda name: parse(f"spBv1.0/G/DDATA/E/{name}"),
}


@pytest.mark.parametrize("tck_id", VALID)
def test_ids_may_hold_anything_but_three_characters(tck_id: str) -> None:
    read = VALID[tck_id]
    for name in ("line 1", "Größe", "泵", "a.b:c_d-e", "'\"\\%$"):
        parsed = read(name)
        assert parsed.node is not None
        assert name in {parsed.node.group, parsed.node.edge, parsed.device}
    for name in ("a+", "#", "a#b", ""):
        with pytest.raises(SparkplugError):
            read(name)


INTRO: dict[str, Callable[[str], str]] = {
    "tck-id-intro-group-id-chars": lambda name: EdgeNode(name, "E").topic(MessageType.NCMD),
    "tck-id-intro-edge-node-id-chars": lambda name: EdgeNode("G", name).topic(MessageType.NCMD),
    "tck-id-intro-device-id-chars": lambda name: EDGE.topic(MessageType.DCMD, name),
}


@pytest.mark.parametrize("tck_id", INTRO)
def test_no_topic_is_written_that_could_not_be_read(tck_id: str) -> None:
    for name in ("a/b", "a+b", "a#b", ""):
        with pytest.raises(SparkplugError):
            INTRO[tck_id](name)
    assert not refused(INTRO[tck_id]("a b"))


UTF8: dict[str, Callable[[str], DeviceId]] = {
    "tck-id-intro-group-id-string": lambda name: device_id(EdgeNode(name, "E"), "D"),
    "tck-id-intro-edge-node-id-string": lambda name: device_id(EdgeNode("G", name), "D"),
    "tck-id-intro-device-id-string": lambda name: device_id(EDGE, name),
}


@pytest.mark.parametrize("tck_id", UTF8)
def test_any_utf8_text_has_a_device_id_of_its_own(tck_id: str) -> None:
    found = {UTF8[tck_id](name) for name in ("a b", "a_b", "a:20b", "a.b", "ab", "äb", "ab ", "A b")}
    assert len(found) == 8
    assert all(re.fullmatch(DEVICE_ID_PATTERN, one) for one in found)


def test_tck_id_topic_structure_namespace_device_id_associated_message_types() -> None:
    for kind in OF_DEVICES:
        assert refused(f"spBv1.0/G/{kind}/E")
        with pytest.raises(SparkplugError):
            EDGE.topic(kind)


def test_tck_id_topic_structure_namespace_device_id_non_associated_message_types() -> None:
    for kind in OF_NODES:
        assert refused(f"spBv1.0/G/{kind}/E/D")
        with pytest.raises(SparkplugError):
            EDGE.topic(kind, "D")
    assert refused("spBv1.0/STATE/host/D")


def test_tck_id_topic_structure_namespace_unique_edge_node_descriptor() -> None:
    """Group and edge node together: either alone may occur twice."""
    bench, edges = Bench(), [Edge("a", "x"), Edge("a", "y"), Edge("b", "x")]
    for edge, value in zip(edges, (1, 2, 3), strict=True):
        bench.hear(edge.nbirth(number("t", value)))
    assert [bench.value(DeviceId(name), "t") for name in ("a/x", "a/y", "b/x")] == [1, 2, 3]


def test_tck_id_payloads_nbirth_edge_node_descriptor() -> None:
    """Each has its own source, so no two count or repeat each other's events."""
    bench = Bench()
    events = bench.hear(Edge("a", "x").nbirth(), Edge("a", "y").nbirth())
    assert {event.stamp.source for event in events} == {"/sparkplug/a/x", "/sparkplug/a/y"}


def test_tck_id_topic_structure_namespace_unique_device_id() -> None:
    """The same device id under one edge node is the same device: its second birth takes the first one's place."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(), edge.dbirth(number("old", 1)), edge.dbirth(number("new", 2)))
    device = bench.graph.device(PUMP)
    assert device is not None
    assert bench.hear(edge.ddata(number("old", 3))) == []
    assert values(bench.hear(edge.ddata(number("new", 4)))) == [{"new": 4}]


def test_tck_id_topic_structure_namespace_duplicate_device_id_across_edge_node() -> None:
    bench, first, second = Bench(), Edge(edge="one"), Edge(edge="two")
    bench.hear(first.nbirth(), second.nbirth(), first.dbirth(number("t", 1)), second.dbirth(number("t", 2)))
    bench.hear(first.ddeath())
    assert bench.state(DeviceId("plant/one/pump")) == "disconnected"
    assert bench.state(DeviceId("plant/two/pump")) == "connected"
    assert bench.value(DeviceId("plant/two/pump"), "t") == 2


def test_tck_id_case_sensitivity_sparkplug_ids() -> None:
    """Two ids that differ in case only are two devices; the message type has one spelling."""
    assert device_id(EdgeNode("a", "e")) != device_id(EdgeNode("A", "e"))
    assert refused("spBv1.0/G/nbirth/E")


def test_tck_id_case_sensitivity_metric_names() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("flow", 1), number("Flow", 2)))
    assert (bench.value(NODE, "flow"), bench.value(NODE, "Flow")) == (1, 2)


HOST_TOPICS = ["tck-id-host-topic-phid-birth-topic", "tck-id-host-topic-phid-death-topic"]


@pytest.mark.parametrize("tck_id", HOST_TOPICS)
def test_birth_and_death_of_a_host_have_one_topic(tck_id: str) -> None:
    assert state_topic("host 1") == "spBv1.0/STATE/host 1"
    assert parse("spBv1.0/STATE/host 1") == Topic(MessageType.STATE, host="host 1")
    with pytest.raises(SparkplugError):
        state_topic("a/b")


def test_tck_id_host_topic_phid_birth_sub_required() -> None:
    """Its own STATE, and all that belongs to edge nodes, without taking anything in twice."""
    assert filters([], "h") == ["spBv1.0/#"]
    assert filters(["a", "b", "a"], "h") == ["spBv1.0/STATE/h", "spBv1.0/a/#", "spBv1.0/b/#"]


def test_tck_id_operational_behavior_data_commands_ncmd_verb() -> None:
    topic, _ = rebirth_request(EDGE, Bench().now)
    assert parse(topic) == Topic(MessageType.NCMD, EDGE)


# --- Names ---------------------------------------------------------------------------------------------------------------

PARTS = st.text(st.characters(exclude_characters="+#/", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(PARTS, PARTS, st.none() | PARTS)
def test_a_device_id_keeps_to_the_contract_and_can_be_turned_back(group: str, edge: str, device: str | None) -> None:
    made = device_id(EdgeNode(group, edge), device)
    assert re.fullmatch(DEVICE_ID_PATTERN, made)
    assert ids(made) in {(EdgeNode(group, edge), device), None}
    assert ids(made) is not None or len(made) == ID


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_signals_name_keeps_to_the_contract_and_can_be_turned_back(name: str) -> None:
    made = signal_name(name)
    assert 1 <= len(made) <= NAME
    assert not re.search(CONTROL, made)
    assert metric_name(made) == name or len(made) == NAME


@given(st.text(max_size=8), st.text(max_size=8), st.integers(0, 20))
def test_an_element_of_an_array_is_never_another_metric(name: str, other: str, at: int) -> None:
    assert signal_name(f"{name}[{at}]") != element_name(signal_name(name), at)
    assert signal_name(other) != element_name(signal_name(name), at)


def test_ids_that_are_easy_to_mix_up_stay_apart() -> None:
    parts = ["-x", ":x", "0::-x", "0", "_", "a:20b", "a b", "a%20b", "0:"]
    made = {device_id(EdgeNode(part, "e")) for part in parts} | {device_id(EdgeNode("g", "e"), part) for part in parts}
    assert len(made) == 2 * len(parts)


def test_long_names_are_cut_to_names_of_their_own() -> None:
    first, second = (device_id(EdgeNode("g" * 200, "e"), device) for device in "ab")
    assert len(first) == len(second) == ID
    assert first != second
    assert ids(first) is None
    long, longer = signal_name("s" * 500), signal_name("s" * 501)
    assert len(long) == len(longer) == NAME
    assert long != longer
    assert metric_name(long) is None
    assert element_name(SignalName("s" * NAME), 1) != element_name(SignalName("s" * NAME), 2)
