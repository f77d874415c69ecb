"""DATA messages: values under their births' names and types, at their own times, in the order of their node's counter."""

from __future__ import annotations

import pytest

from schemas.event import Quality, Telemetry
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Held, Metric, Property, PropertySet
from schemas.sparkplug.topic import MessageType
from schemas.sparkplug.values import metric
from tests.schemas.sparkplug.bench import NODE, PUMP, Bench, Edge, bare, number, values


def alive(**rules: int) -> tuple[Bench, Edge]:
    """A node with t and u, and a pump with t and u."""
    bench, edge = Bench(**rules), Edge()
    bench.hear(edge.nbirth(number("t", 1, alias=1), number("u", 1, alias=2)))
    bench.hear(edge.dbirth(number("t", 1, alias=3), number("u", 1, alias=4)))
    return bench, edge


BOTH = {MessageType.NDATA: NODE, MessageType.DDATA: PUMP}


def say(edge: Edge, kind: MessageType, *metrics: Metric, **rest: object) -> tuple[str, bytes]:
    return edge.say(kind, *metrics, device="pump" if kind is MessageType.DDATA else None, **rest)


def cases(*pairs: tuple[MessageType, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "tck_id"), pairs, ids=[tck_id for _, tck_id in pairs])


@cases(
    (MessageType.NDATA, "tck-id-topics-ndata-timestamp"),
    (MessageType.NDATA, "tck-id-payloads-ndata-timestamp"),
    (MessageType.DDATA, "tck-id-topics-ddata-timestamp"),
    (MessageType.DDATA, "tck-id-payloads-ddata-timestamp"),
)
def test_the_payloads_time_stands_where_a_metric_has_none(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    edge.at += 400
    (event,) = bench.hear(say(edge, kind, number("t", 2)))
    assert event.stamp.at == edge.at * 1000
    (later,) = bench.hear(say(edge, kind, number("t", 3), timestamp=None))
    assert later.stamp.at == bench.now, "without either, the time of receipt"


@cases((MessageType.NDATA, "tck-id-payloads-name-birth-data-requirement"), (MessageType.DDATA, "ddata"))
def test_a_metrics_own_time_counts_and_values_are_grouped_by_it(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    metrics = [
        number("t", 2, timestamp=edge.at + 5),
        number("u", 3, timestamp=edge.at + 5),
        number("t", 4, timestamp=edge.at + 9),
    ]
    events = bench.hear(say(edge, kind, *metrics))
    assert [event.stamp.at // 1000 - edge.at for event in events] == [5, 9]
    assert values(events) == [{"t": 2, "u": 3}, {"t": 4}]


@cases(
    (MessageType.NDATA, "tck-id-topics-ndata-seq-num"),
    (MessageType.NDATA, "tck-id-payloads-ndata-seq"),
    (MessageType.NDATA, "tck-id-payloads-ndata-seq-inc"),
    (MessageType.DDATA, "tck-id-topics-ddata-seq-num"),
    (MessageType.DDATA, "tck-id-payloads-ddata-seq"),
    (MessageType.DDATA, "tck-id-payloads-ddata-seq-inc"),
)
def test_data_count_on_from_whatever_their_node_said_last_and_255_is_followed_by_0(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    for at in range(600):
        other = MessageType.DDATA if at % 3 else MessageType.NDATA
        assert bench.hear(say(edge, other, number("u", at)))
        assert bench.hear(say(edge, kind, number("t", at))), at
    assert bench.host.due is None
    edge.seq = (edge.seq + 1) % 256
    assert bench.hear(say(edge, kind, number("t", -1))) == [], "one is missing"


@cases(
    (MessageType.NDATA, "tck-id-payloads-ndata-order"),
    (MessageType.DDATA, "tck-id-payloads-ddata-order"),
)
def test_data_before_their_birth_are_not_understood_and_ask_for_one(kind: MessageType, tck_id: str) -> None:
    bench, edge = Bench(), Edge()
    assert bench.hear(say(edge, kind, number("t", 1))) == []
    assert bench.host.counts.early == 1
    assert [node for _, node in bench.rebirths] == [edge.node]


def test_data_of_a_device_that_was_not_born_ask_for_a_rebirth() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth())
    assert bench.hear(edge.ddata(number("t", 1))) == []
    assert [node for _, node in bench.rebirths] == [edge.node]


@cases(
    (MessageType.NDATA, "tck-id-topics-ndata-payload"),
    (MessageType.NDATA, "tck-id-operational-behavior-data-publish-nbirth-change"),
    (MessageType.DDATA, "tck-id-topics-ddata-payload"),
    (MessageType.DDATA, "tck-id-operational-behavior-data-publish-dbirth-change"),
)
def test_what_a_message_does_not_mention_stays_as_it_was(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    bench.hear(say(edge, kind, number("t", 2)))
    assert (bench.value(BOTH[kind], "t"), bench.value(BOTH[kind], "u")) == (2, 1)


@cases(
    (MessageType.NDATA, "tck-id-operational-behavior-data-publish-nbirth-order"),
    (MessageType.DDATA, "tck-id-operational-behavior-data-publish-dbirth-order"),
)
def test_several_values_of_one_metric_arrive_in_the_order_of_their_times(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    events = bench.hear(say(edge, kind, *(number("t", at, timestamp=edge.at + at) for at in (1, 2, 3))))
    assert values(events) == [{"t": 1}, {"t": 2}, {"t": 3}]
    assert [event.stamp for event in events] == sorted(event.stamp for event in events)
    assert bench.value(BOTH[kind], "t") == 3


@cases((MessageType.NDATA, "tck-id-topics-ndata-mqtt"), (MessageType.NDATA, "tck-id-payloads-ndata-retain"))
def test_ndata_that_the_broker_had_kept_are_old(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    assert bench.hear(edge.ndata(number("t", 9)), retained=True) == []
    assert bench.value(NODE, "t") == 1


@cases((MessageType.DDATA, "tck-id-topics-ddata-mqtt"), (MessageType.DDATA, "tck-id-payloads-ddata-retain"))
def test_ddata_that_the_broker_had_kept_are_old(kind: MessageType, tck_id: str) -> None:
    bench, edge = alive()
    assert bench.hear(edge.ddata(number("t", 9)), retained=True) == []
    assert bench.value(PUMP, "t") == 1


@pytest.mark.parametrize("kind", BOTH)
def test_tck_id_payloads_alias_data_cmd_requirement(kind: MessageType) -> None:
    """The alias alone says which metric it is; with the name beside it, it is the same one."""
    bench, edge = alive()
    alias = 1 if kind is MessageType.NDATA else 3
    bench.hear(say(edge, kind, bare(alias, Datatype.DOUBLE, 5)))
    assert bench.value(BOTH[kind], "t") == 5
    bench.hear(say(edge, kind, number("t", 6, alias=alias)))
    assert bench.value(BOTH[kind], "t") == 6


def test_an_alias_that_nobody_announced_asks_for_a_rebirth() -> None:
    bench, edge = alive()
    assert values(bench.hear(edge.ndata(bare(77, Datatype.DOUBLE, 1), bare(1, Datatype.DOUBLE, 2)))) == [{"t": 2}]
    assert bench.host.counts.unknown == 1
    assert [node for _, node in bench.rebirths] == [edge.node]


def test_null_makes_the_last_value_bad_and_the_next_one_good() -> None:
    bench, edge = alive()
    bench.hear(edge.ndata(number("t", 4)), edge.ndata(number("t", None)))
    assert (bench.value(NODE, "t"), bench.reading(NODE, "t").quality) == (4, Quality.BAD)
    bench.hear(edge.ndata(number("t", 5)))
    assert (bench.value(NODE, "t"), bench.reading(NODE, "t").quality) == (5, Quality.GOOD)


def test_the_last_value_is_the_newest_not_the_one_that_came_last() -> None:
    bench, edge = alive()
    bench.hear(edge.ndata(number("t", 5, timestamp=edge.at + 10)), edge.ndata(number("t", 4, timestamp=edge.at + 5)))
    edge.at += 20
    bench.hear(edge.ndata(number("t", None)))
    assert (bench.value(NODE, "t"), bench.reading(NODE, "t").quality) == (5, Quality.BAD)


def test_values_of_one_time_are_parted_by_their_quality() -> None:
    bad = PropertySet(("Quality",), (Property(Datatype.INT32, held=Held.INT, value=0),))
    bench, edge = alive()
    events = bench.hear(edge.ndata(number("t", 1), number("u", 2, properties=bad)))
    assert {(event.body.quality, *event.body.values) for event in events if isinstance(event.body, Telemetry)} == {
        (Quality.GOOD, "t"),
        (Quality.BAD, "u"),
    }


def test_more_values_than_an_event_may_hold_become_several_events() -> None:
    bench = Bench()
    connected, *rest = bench.hear(Edge().nbirth(*(number(f"m{at}", at) for at in range(5000))))
    assert [len(one) for one in values(rest)] == [4096, 904]
    assert len(connected.body.signals) == 4096  # type: ignore[union-attr]
    assert bench.value(NODE, "m4999") == 4999


def test_a_type_that_data_bring_along_is_how_they_were_written() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(metric(Datatype.INT32, 1, name="t")))
    bench.hear(edge.ndata(metric(Datatype.DOUBLE, 2.5, name="t")))
    assert bench.value(NODE, "t") == 2.5
    bench.hear(edge.ndata(Metric(name="t", datatype=0, held=Held.INT, value=2**32 - 3)))
    assert bench.value(NODE, "t") == -3, "0 is no type: the birth's counts"


# --- History ---------------------------------------------------------------------------------------------------------------


def test_history_is_kept_at_its_own_time_and_is_not_the_live_value() -> None:
    bench, edge = alive()
    old = [number("t", -at, timestamp=edge.at - at * 1000, is_historical=True) for at in (3, 2, 1)]
    events = bench.hear(edge.ndata(*old))
    assert [event.stamp.at // 1000 - edge.at for event in events] == [-3000, -2000, -1000]
    assert bench.value(NODE, "t") == 1
    assert bench.host.counts.historical == 3


def test_history_newer_than_the_live_value_is_kept_and_the_live_value_stands() -> None:
    """As an edge node with a wrong clock would say it. The graph goes by the newest stamp, so the live one is said again."""
    bench, edge = alive()
    events = bench.hear(edge.ndata(number("t", 99, timestamp=edge.at + 5000, is_historical=True)))
    assert values(events) == [{"t": 99}, {"t": 1}]
    assert {event.stamp.at // 1000 - edge.at for event in events} == {5000}
    assert bench.value(NODE, "t") == 1
    bench.hear(edge.ndata(number("t", 2, timestamp=edge.at + 10)))
    assert bench.value(NODE, "t") == 2, "a live value older than the history stands too"
    edge.at += 6000
    bench.hear(edge.ndata(number("t", 3)))
    assert bench.value(NODE, "t") == 3


def test_a_birth_stands_above_history_of_before_it() -> None:
    bench, edge = alive()
    bench.hear(edge.ndata(number("t", 99, timestamp=edge.at + 5000, is_historical=True)))
    bench.hear(edge.nbirth(number("t", 4)))
    assert bench.value(NODE, "t") == 4


def test_history_and_the_present_in_one_message() -> None:
    bench, edge = alive()
    old = number("t", 10, timestamp=edge.at + 3, is_historical=True)
    bench.hear(edge.ndata(number("t", 20, timestamp=edge.at + 3), old))
    assert bench.value(NODE, "t") == 20


def test_history_of_nothing_is_nothing() -> None:
    bench, edge = alive()
    assert bench.hear(edge.ndata(number("t", None, is_historical=True))) == []
    assert bench.reading(NODE, "t").quality is Quality.GOOD


# --- Identity --------------------------------------------------------------------------------------------------------------


def test_a_restarted_host_says_the_same_of_the_same_message() -> None:
    edge = Edge()
    messages = [
        edge.nbirth(number("t", 1)),
        edge.dbirth(number("t", 2)),
        edge.ndata(number("t", 3)),
        edge.ddata(number("t", 4)),
    ]
    first, second = Bench(), Bench()
    second.now = type(second.now)(second.now + 3_600_000_000)
    assert first.hear(*messages) == second.hear(*messages)
    assert len({event.stamp.id for event in first.events}) == len(first.events)


def test_the_events_of_one_node_have_an_order_of_their_own() -> None:
    bench, edge = alive()
    for at in range(300):
        bench.hear(edge.ndata(number("t", at), number("u", at, timestamp=edge.at + 1)))
    places = [(event.stamp.epoch, event.stamp.sequence) for event in bench.events]
    assert places == sorted(set(places))
    edge.at += 1
    bench.hear(edge.nbirth())
    assert bench.events[-1].stamp.epoch > places[-1][0]


def test_the_same_message_twice_counts_once() -> None:
    """Overlapping subscriptions bring a message for each."""
    bench, edge = Bench(), Edge()
    for message in (edge.nbirth(number("t", 1)), edge.dbirth(), edge.ndata(number("t", 2))):
        assert bench.hear(message)
        assert bench.hear(message) == []
    assert bench.host.counts.duplicate == 3
    assert bench.host.due is None


def test_messages_without_a_time_are_not_taken_for_each_other() -> None:
    bench, edge = alive()
    first = bench.hear(edge.say(MessageType.NDATA, number("t", 1), timestamp=None))
    edge.seq = (edge.seq + 255) % 256
    for _ in range(256):
        edge.seq = (edge.seq + 1) % 256
        last = bench.hear(edge.say(MessageType.NDATA, number("t", 1), timestamp=None, seq=edge.seq))
        edge.seq = (edge.seq + 255) % 256
    assert first[0].stamp.id != last[0].stamp.id
