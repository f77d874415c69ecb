"""The order of an edge node's messages, what happens when one is missing, and how a rebirth is asked for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.sparkplug.codec import decode, encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.host import Host, asks_rebirth, rebirth_request
from schemas.sparkplug.model import Payload
from schemas.sparkplug.session import Rules
from schemas.sparkplug.topic import MessageType, parse
from schemas.sparkplug.values import metric
from tests.schemas.sparkplug.bench import NODE, PUMP, Bench, Edge, Said, bare, number, values, went

REBIRTH = "Node Control/Rebirth"


def alive(**rules: object) -> tuple[Bench, Edge]:
    bench, edge = Bench(**rules), Edge()
    bench.hear(edge.nbirth(number("t", 0)))
    return bench, edge


def numbered(edge: Edge, count: int) -> list[Said]:
    return [edge.ndata(number("t", at, timestamp=edge.at + at)) for at in range(1, count + 1)]


# --- Numbers ---------------------------------------------------------------------------------------------------------------


def test_tck_id_payloads_sequence_num_incrementing() -> None:
    """Over all topics of the node, past 255 to 0, for longer than one round."""
    bench, edge = alive()
    bench.hear(edge.dbirth(number("t", 0)))
    for at in range(1000):
        assert bench.hear(edge.ddata(number("t", at)) if at % 2 else edge.ndata(number("t", at))), at
    assert bench.host.counts.gaps == 0
    assert bench.host.due is None


def test_tck_id_payloads_sequence_num_always_included() -> None:
    """A number that is absent is 0, as proto2 reads it: senders that leave zeros out are understood, others are too early."""
    bench, edge = alive()
    edge.seq = 255
    bench.hear(edge.nbirth(number("t", 0), seq=255))
    assert values(bench.hear(edge.say(MessageType.NDATA, number("t", 1), seq=None))) == [{"t": 1}]
    assert bench.hear(edge.say(MessageType.NDATA, number("t", 2), seq=None)) == []
    assert bench.host.due is not None


# --- Reordering ------------------------------------------------------------------------------------------------------------


def test_tck_id_operational_behavior_host_reordering_param() -> None:
    """How long is waited is a parameter; 0 waits not at all."""
    for seconds in (0, 1, 7):
        bench, edge = alive(reorder=seconds * 1_000_000)
        _, second = numbered(edge, 2)
        bench.hear(second)
        assert bench.host.due == bench.now + seconds * 1_000_000
        assert values(bench.wait(seconds)) == [{"t": 2}]


def test_tck_id_operational_behavior_host_reordering_start() -> None:
    """The clock starts with the first message that is too early, and is not set anew by later ones."""
    bench, edge = alive()
    _, second, third = numbered(edge, 3)
    assert bench.host.due is None
    assert bench.hear(second) == []
    started = bench.now
    bench.wait(1)
    assert bench.hear(third) == []
    assert bench.host.due == started + 2_000_000


def test_tck_id_operational_behavior_host_reordering_success() -> None:
    """What was missing comes in time: all go on in order, the clock stops, nobody is asked."""
    bench, edge = alive()
    first, second, third = numbered(edge, 3)
    bench.hear(third, second)
    bench.wait(1)
    assert values(bench.hear(first)) == [{"t": 1}, {"t": 2}, {"t": 3}]
    assert bench.host.due is None
    bench.wait(3600)
    assert (bench.rebirths, bench.host.counts.gaps) == ([], 0)


def test_tck_id_operational_behavior_host_reordering_rebirth() -> None:
    """What was missing does not come: a rebirth is asked for, and what waited is not lost."""
    bench, edge = alive()
    _, second, third = numbered(edge, 3)
    bench.hear(second, third)
    assert bench.rebirths == []
    assert values(bench.wait(2)) == [{"t": 2}, {"t": 3}]
    assert [node for _, node in bench.rebirths] == [edge.node]
    assert bench.host.counts.gaps == 1
    assert values(bench.hear(edge.ndata(number("t", 4)))) == [{"t": 4}]


def test_a_second_gap_behind_the_first_starts_its_own_clock() -> None:
    bench, edge = alive()
    first, _, third, fourth = numbered(edge, 4)
    bench.hear(third)
    bench.wait(1)
    assert values(bench.hear(first)) == [{"t": 1}]
    assert bench.hear(fourth) == []
    assert values(bench.wait(1.5)) == [{"t": 3}, {"t": 4}]


def test_what_comes_after_it_was_given_up_is_still_taken() -> None:
    """Its values have their own times, so they are history by then; the order goes on undisturbed."""
    bench, edge = alive()
    first, second = numbered(edge, 2)
    bench.hear(second)
    bench.wait(2)
    (late,) = bench.hear(first)
    assert values([late]) == [{"t": 1}]
    assert bench.value(NODE, "t") == 2
    assert late.stamp.sequence < bench.events[-2].stamp.sequence
    assert bench.hear(first) == []
    assert values(bench.hear(edge.ndata(number("t", 5)))) == [{"t": 5}]
    assert bench.host.counts.gaps == 1


def test_a_gap_of_more_than_a_round_is_noticed() -> None:
    bench, edge = alive()
    messages = numbered(edge, 600)
    bench.hear(*messages[:300])
    for message in messages[300 + 200 :]:
        bench.hear(message)
        bench.wait(0.1)
    assert bench.host.counts.gaps >= 1
    assert bench.rebirths
    assert bench.value(NODE, "t") == 600


def test_what_comes_late_is_known_by_its_place_even_after_a_round() -> None:
    bench, edge = alive(asks=False)
    messages = numbered(edge, 300)
    bench.hear(*messages[:298], messages[299])
    bench.wait(2)
    assert values(bench.hear(messages[298])) == [{"t": 299}]
    assert bench.host.due is None
    assert values(bench.hear(edge.ndata(number("t", 301)))) == [{"t": 301}]


def test_a_whole_round_that_waits_is_let_go() -> None:
    """The same number is missing in two rounds, and the timeout is long: no message is dropped, and the order is kept."""
    bench, edge = alive(reorder=10**12)
    messages = numbered(edge, 400)
    assert [*map(dict, values(bench.hear(*messages[1:256], *messages[257:])))] == [{"t": at} for at in range(2, 257)]
    assert [*map(dict, values(bench.wait(2 * 10**6)))] == [{"t": at} for at in range(258, 401)]


def test_a_birth_settles_everything() -> None:
    """What waited is taken as it was meant; the clock stops."""
    bench, edge = alive()
    _, second = numbered(edge, 2)
    bench.hear(second)
    edge.at += 10
    assert values(bench.hear(edge.nbirth(number("t", 7)))) == [{"t": 2}, {"t": 7}]
    assert bench.host.due is None
    bench.wait(3600)
    assert bench.rebirths == []


def test_messages_of_a_new_session_may_overtake_its_birth() -> None:
    bench, edge = alive()
    edge.at += 1000
    birth = edge.nbirth(number("new", 1), seq=100)
    device, data = edge.dbirth(number("t", 1)), edge.ndata(number("new", 2))
    assert bench.hear(data, device) == []
    assert values(bench.hear(birth)) == [{"new": 1}, {"t": 1}, {"new": 2}]
    assert bench.value(PUMP, "t") == 1


def test_a_death_lets_go_of_what_waits_first() -> None:
    bench, edge = alive()
    _, second = numbered(edge, 2)
    bench.hear(second)
    events = bench.hear(edge.ndeath())
    assert (values(events), went(events)) == ([{"t": 2}], [NODE])
    assert bench.host.due is None


@given(st.integers(1, 12), st.randoms(use_true_random=False), st.integers(0, 255))
@settings(deadline=None, max_examples=60)
def test_any_order_within_the_timeout_is_the_order_in_which_it_was_sent(count: int, chance: random.Random, first: int) -> None:
    edge = Edge()
    birth = edge.nbirth(number("t", 0), seq=first)
    messages = numbered(edge, count)
    straight, mixed = Bench(), Bench()
    straight.hear(birth, *messages)
    mixed.hear(birth, *chance.sample(messages, count))
    assert mixed.events == straight.events
    assert mixed.host.due is None


# --- Asking ----------------------------------------------------------------------------------------------------------------

REQUEST: dict[str, Callable[[str, Payload], bool]] = {
    "tck-id-operational-behavior-data-commands-ncmd-rebirth-verb": lambda topic, _: parse(topic).kind is MessageType.NCMD,
    "tck-id-operational-behavior-data-commands-ncmd-rebirth-name": lambda _, one: [m.name for m in one.metrics] == [REBIRTH],
    "tck-id-operational-behavior-data-commands-ncmd-rebirth-value": lambda _, one: one.metrics[0].value is True,
    "tck-id-operational-behavior-data-commands-ncmd-metric-name": lambda _, one: one.metrics[0].alias is None,
    "tck-id-operational-behavior-data-commands-ncmd-metric-value": lambda _, one: one.metrics[0].datatype == Datatype.BOOLEAN,
    "tck-id-topics-ncmd-timestamp": lambda _, one: one.timestamp == 5,
    "tck-id-payloads-ncmd-timestamp": lambda _, one: one.timestamp == 5,
    "tck-id-payloads-name-cmd-requirement": lambda _, one: one.metrics[0].timestamp == 5,
    "tck-id-payloads-ncmd-seq": lambda _, one: one.seq is None,
    "tck-id-topics-ncmd-payload": lambda _, one: len(one.metrics) == 1 and not one.metrics[0].is_null,
}


@pytest.mark.parametrize("tck_id", REQUEST)
def test_the_request_for_a_rebirth(tck_id: str) -> None:
    bench = Bench()
    bench.now = type(bench.now)(5999)
    topic, raw = rebirth_request(Edge().node, bench.now)
    assert REQUEST[tck_id](topic, decode(raw))
    assert asks_rebirth(decode(raw))


def test_tck_id_operational_behavior_data_commands_rebirth_action_1() -> None:
    """Data that come between the request and the births are taken as before."""
    bench, edge = alive()
    bench.hear(edge.ndata(number("unknown", 1)))
    assert bench.rebirths
    assert values(bench.hear(edge.ndata(number("t", 2)))) == [{"t": 2}]


def test_tck_id_operational_behavior_data_commands_rebirth_action_2() -> None:
    """NBIRTH and DBIRTHs answer; then all is known, and nothing is asked again."""
    bench, edge = alive()
    bench.hear(edge.ndata(number("more", 1)))
    edge.at += 1
    bench.hear(edge.nbirth(number("t", 0), number("more", 1)), edge.dbirth(number("p", 2)))
    assert values(bench.hear(edge.ndata(number("more", 5)), edge.ddata(number("p", 6)))) == [{"more": 5}, {"p": 6}]
    bench.wait(3600)
    assert len(bench.rebirths) == 1


def test_tck_id_operational_behavior_data_commands_rebirth_action_3() -> None:
    """The births of a rebirth carry the bdSeq of before, so the will still belongs to them."""
    bench, edge = alive()
    edge.at += 1
    bench.hear(edge.nbirth(number("t", 0)))
    assert went(bench.hear(edge.ndeath())) == [NODE]


def test_a_passive_host_asks_nobody() -> None:
    bench, edge = alive(asks=False)
    bench.hear(Edge(edge="two").ndata(number("t", 1)), edge.ndata(bare(9, Datatype.DOUBLE, 1)), numbered(edge, 2)[1])
    bench.wait(3600)
    bench.keep(bench.host.lost(bench.now))
    bench.keep(bench.host.back(bench.now))
    bench.wait(3600)
    assert bench.rebirths == []
    assert bench.host.counts.gaps == 1, "it sees the gap all the same"


def test_requests_are_throttled_and_back_off_and_end() -> None:
    """One cause, no answer: after 0, 10, 30, 70 and 150 seconds, then silence until there is a new cause."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.ndata(number("t", 1)))
    began = bench.now
    bench.wait(3600)
    assert [(at - began) // 1_000_000 for at, _ in bench.rebirths] == [0, 10, 30, 70, 150]
    bench.hear(edge.ndata(number("t", 1)))
    assert len(bench.rebirths) == 6


def test_a_flood_of_unknown_data_asks_once_in_a_throttle() -> None:
    bench, edge = Bench(), Edge()
    for _ in range(5000):
        bench.hear(edge.ndata(number("t", 1)))
    assert len(bench.rebirths) == 1, "5,000 messages in 5 seconds"


def test_a_new_gap_soon_after_a_birth_waits_for_the_throttle() -> None:
    bench, edge = alive()
    bench.hear(edge.ndata(number("new", 1)))
    asked = bench.now
    edge.at += 1
    bench.hear(edge.nbirth(number("t", 0)))
    bench.hear(edge.ndata(number("other", 1)))
    assert len(bench.rebirths) == 1
    bench.wait(11)
    assert [at - asked for at, _ in bench.rebirths] == [0, 10_000_000]


def test_one_nodes_throttle_is_not_anothers() -> None:
    bench = Bench()
    bench.hear(*(Edge(edge=name).ndata(number("t", 1)) for name in "abc"))
    assert len(bench.rebirths) == 3


def test_commands_of_others_that_ask_for_nothing_change_nothing() -> None:
    bench, edge = alive()
    write = metric(Datatype.BOOLEAN, True, name="Node Control/Reboot")
    bench.hear((edge.node.topic(MessageType.NCMD), encode(Payload(timestamp=1, metrics=(write,)))))
    bench.hear((edge.node.topic(MessageType.DCMD, "pump"), b"\xff no payload at all"))
    bench.hear(("spBv1.0/STATE/other", b'{"online":true,"timestamp":1}'))
    bench.hear(edge.ndata(number("new", 1)))
    assert len(bench.rebirths) == 1
    assert bench.refused == []


def test_what_is_no_message_is_refused_with_its_reason_and_its_bytes() -> None:
    host = Host(Rules())
    outs = [
        host.take("spBv1.0/G/NDATA", b"", Bench().now),
        host.take("spBv1.0/G/NDATA/E", b"\x08", Bench().now),
        host.take("spBv1.0/G/NBIRTH/E", encode(Payload(uuid="SPBV1.0_COMPRESSED", body=b"x")), Bench().now),
    ]
    reasons = [out.refused[0][1].reason for out in outs]
    assert [reason.split(",")[0] for reason in reasons] == [
        "the topic has too few levels",
        "the payload is cut short",
        "a compressed payload",
    ]
    assert outs[1].refused == [("spBv1.0/G/NDATA/E", outs[1].refused[0][1])]
    assert outs[1].refused[0][1].raw == "\x08"
    assert (host.counts.received, host.counts.refused) == (3, 3)
