"""Faults that other hosts shipped, each with the conversation that showed it."""

from __future__ import annotations

import pytest

from schemas.sparkplug.codec import encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.host import Host, rebirth_request
from schemas.sparkplug.model import Held, Metric, Payload
from schemas.sparkplug.session import Rules
from schemas.sparkplug.topic import MessageType
from schemas.sparkplug.values import metric
from tests.schemas.sparkplug.bench import NODE, PUMP, Bench, Edge, bare, number, values, went


def test_birth_values_are_data() -> None:
    """Hosts took a birth for a description, and showed nothing until the first change, which may be days away."""
    bench, edge = Bench(), Edge()
    assert values(bench.hear(edge.nbirth(number("t", 21)), edge.dbirth(number("p", 4)))) == [{"t": 21}, {"p": 4}]
    assert (bench.value(NODE, "t"), bench.value(PUMP, "p")) == (21, 4)


@pytest.mark.parametrize("name", ["t", None], ids=["with its name", "by alias alone"])
def test_data_with_name_and_alias_keep_their_datatype(name: str | None) -> None:
    """An Int32 of -12 was read as 4294967284, because the lookup by name forgot the type that the alias had."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(metric(Datatype.INT32, 1, name="t", alias=7)))
    bench.hear(edge.ndata(Metric(name=name, alias=7, held=Held.INT, value=4_294_967_284)))
    assert bench.value(NODE, "t") == -12


def test_an_alias_that_is_unknown_after_a_restart_is_recovered() -> None:
    """A host that was started anew in the middle of a session stayed blind, since nothing asked for the births."""
    edge = Edge()
    birth = edge.nbirth(number("t", 1, alias=3))
    Bench().hear(birth)
    restarted = Bench()
    assert restarted.hear(edge.ndata(bare(3, Datatype.DOUBLE, 5))) == []
    ((_, asked),) = restarted.rebirths
    assert asked == edge.node
    edge.at += 1
    restarted.hear(edge.nbirth(number("t", 6, alias=3)), edge.ndata(bare(3, Datatype.DOUBLE, 7)))
    assert restarted.value(NODE, "t") == 7


def test_a_lost_answer_to_the_request_is_asked_for_again() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.ndata(number("t", 5)))
    bench.wait(60)
    assert len(bench.rebirths) == 3


@pytest.mark.parametrize("alias", [12, 0])
def test_an_ndeath_whose_bd_seq_has_an_alias_only(alias: int) -> None:
    """The death was taken for one without bdSeq, and the node stayed alive for ever."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(metric(Datatype.INT64, 4, name="bdSeq", alias=alias), plain=True), edge.dbirth(number("t", 1)))
    assert bench.hear(edge.ndeath(bare(alias, Datatype.INT64, 3))) == []
    assert set(went(bench.hear(edge.ndeath(bare(alias, Datatype.INT64, 4))))) == {NODE, PUMP}


def test_an_ndeath_in_the_middle_of_a_rebirth() -> None:
    """NBIRTH has come, a DBIRTH has not: the device that was still waited for stayed alive after its node's death."""
    bench, edge = Bench(), Edge(bd_seq=1)
    bench.hear(edge.nbirth(number("t", 1)), edge.dbirth(number("p", 1)), edge.dbirth(number("v", 1), device="valve"))
    bench.hear(edge.ndata(number("new", 1)))
    edge.at += 1
    bench.hear(edge.nbirth(number("t", 2)), edge.dbirth(number("p", 2)))
    assert set(went(bench.hear(edge.ndeath()))) == {NODE, PUMP, "plant/line/valve"}
    assert bench.host.due is None
    bench.wait(3600)
    assert len(bench.rebirths) == 1
    assert len(went(bench.events)) == 3, "and nobody dies a second time when the wait for births would have ended"


def test_the_old_will_after_the_new_birth() -> None:
    """A node reconnects before the broker notices; the first session's will then comes after the second one's birth."""
    bench, edge = Bench(), Edge(bd_seq=1)
    bench.hear(edge.nbirth(number("t", 1)))
    old_will = edge.ndeath()
    edge.bd_seq, edge.at = 2, edge.at + 1
    bench.hear(edge.nbirth(number("t", 2)))
    assert bench.hear(old_will) == []
    assert bench.state(NODE) == "connected"


def test_several_hosts_do_not_storm() -> None:
    """All see the same gap. Each waits its own while, and takes another's request for its own."""
    hosts = [Bench(stagger=stagger) for stagger in (50_000, 200_000, 400_000)]
    edge = Edge()
    birth = edge.nbirth(number("t", 0))
    unknown = edge.ndata(number("new", 1))
    for bench in hosts:
        bench.hear(birth, unknown)
        assert bench.rebirths == []
    hosts[0].wait(0.1)
    ((at, node),) = hosts[0].rebirths
    edge.at += 100
    answers = [rebirth_request(node, at), edge.nbirth(number("t", 0), number("new", 1))]
    for bench in hosts:
        bench.hear(*answers)
        bench.wait(60)
    assert [len(bench.rebirths) for bench in hosts] == [1, 0, 0]


def test_another_hosts_request_that_is_not_answered_is_not_the_last_word() -> None:
    bench, edge = Bench(stagger=300_000), Edge()
    bench.hear(edge.nbirth(number("t", 0)), edge.ndata(number("new", 1)))
    bench.hear(rebirth_request(edge.node, bench.now))
    bench.wait(1)
    assert bench.rebirths == []
    bench.wait(10)
    assert len(bench.rebirths) == 1


def test_ones_own_request_comes_back_and_counts_once() -> None:
    """A host subscribes to everything, so it hears itself."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(), edge.ndata(number("new", 1)))
    bench.hear(rebirth_request(edge.node, bench.now))
    bench.wait(9)
    assert len(bench.rebirths) == 1


def test_zeros_that_a_sender_leaves_out() -> None:
    """Encoders of proto3 do not write zeros: seq, bdSeq and its value are absent then."""
    bench, edge = Bench(), Edge()
    bd_seq = Metric(name="bdSeq", datatype=Datatype.INT64)
    topic = edge.node.topic(MessageType.NBIRTH)
    bench.hear((topic, encode(Payload(timestamp=edge.at, metrics=(bd_seq, number("t", 1))))))
    edge.seq = 1
    assert values(bench.hear(edge.ndata(number("t", 2)))) == [{"t": 2}]
    assert went(bench.hear(edge.ndeath(bd_seq))) == [NODE]


def test_a_poisoned_message_costs_one_refusal_and_the_session_goes_on() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1)))
    bench.hear((edge.node.topic(MessageType.NDATA), b"\x12" * 1000))
    assert len(bench.refused) == 1
    assert values(bench.hear(edge.ndata(number("t", 2)))) == [{"t": 2}]


def test_a_node_whose_every_message_is_hostile_fills_no_memory() -> None:
    host = Host(Rules(devices=3))
    edge, bench = Edge(), Bench()
    host.take(*edge.nbirth(), bench.now)
    for at in range(2000):
        host.take(*edge.dbirth(number("t", 1), device=f"d{at}"), bench.now)
    (session,) = host.sessions.values()
    assert len(session._devices) == 4
