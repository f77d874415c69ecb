"""Whatever the network brings: a host goes on, and what it says is valid by the contract."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decode import decode
from schemas.encode import encode as cloudevents
from schemas.event import Event
from schemas.sparkplug.codec import encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Held, Metric, Payload, Property, PropertySet, Template
from schemas.sparkplug.topic import OF_DEVICES, EdgeNode, MessageType
from tests.schemas.sparkplug.bench import START, Bench, Said

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["", "x" * 200, "a\x00b", "%", "a[1]", "bdSeq"]
)
ID = st.sampled_from(["a", "a", "a", "b c", "-", "ä" * 90, "0::"])
NAME = (
    st.sampled_from(["t", "u", "t[0]", "a\x7fb", "Properties/Ma\x01ke", "m", "x" * 300, "Node Control/Rebirth", "bdSeq"]) | TEXT
)
NUMBER = st.integers(0, 2**64 - 1) | st.sampled_from([START, START + 1, 2**63, 253_402_300_799_999])
INTEGERS = [kind for kind in Datatype if kind <= Datatype.UINT64 or kind is Datatype.DATETIME]
ARRAYS = [kind for kind in Datatype if kind >= Datatype.INT8_ARRAY]
VALUES = st.one_of(
    st.tuples(st.sampled_from(INTEGERS), st.just(Held.LONG), NUMBER | st.integers(0, 100)),
    st.tuples(st.just(Datatype.DOUBLE), st.just(Held.DOUBLE), st.floats()),
    st.tuples(st.just(Datatype.FLOAT), st.just(Held.FLOAT), st.floats(width=32)),
    st.tuples(st.just(Datatype.BOOLEAN), st.just(Held.BOOLEAN), st.booleans()),
    st.tuples(st.sampled_from([Datatype.STRING, Datatype.UUID]), st.just(Held.STRING), TEXT),
    st.tuples(st.sampled_from([Datatype.FILE, *ARRAYS]), st.just(Held.BYTES), st.binary(max_size=16)),
    st.tuples(st.just(Datatype.INT8), st.just(Held.NOTHING), st.none()),
)
QUALITY = st.builds(Property, st.sampled_from([3, 3, None, 99]), st.booleans(), st.just(int(Held.INT)), st.integers(0, 600))
UNIT = st.builds(Property, st.just(12), st.booleans(), st.just(int(Held.STRING)), TEXT)
LIMIT = st.builds(Property, st.just(10), st.booleans(), st.just(int(Held.DOUBLE)), st.floats())
DETAILS = st.tuples(QUALITY, UNIT, LIMIT).map(lambda one: PropertySet(("Quality", "engUnit", "engLow"), one))


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    """Mostly a value of its type; now and then anything."""
    kind, held, value = draw(VALUES)
    kind = draw(st.sampled_from([kind, kind, kind, None, 77]))
    if draw(st.integers(0, 9)) == 0:
        inside = draw(st.lists(metrics(), max_size=2).map(tuple))
        kind, held, value = Datatype.TEMPLATE, Held.TEMPLATE, Template(None, inside, template_ref="d", is_definition=False)
    return Metric(
        name=draw(st.none() | NAME),
        alias=draw(st.none() | st.integers(0, 4)),
        timestamp=draw(st.none() | NUMBER),
        datatype=kind,
        is_historical=draw(st.booleans()),
        is_null=draw(st.integers(0, 9)) == 0,
        properties=draw(st.none() | DETAILS),
        held=held,
        value=value,
    )


@st.composite
def messages(draw: st.DrawFn) -> Said:
    kind = draw(st.sampled_from([one for one in MessageType if one is not MessageType.STATE] + [MessageType.NBIRTH] * 4))
    node = EdgeNode(draw(ID), draw(ID))
    topic = node.topic(kind, draw(ID) if kind in OF_DEVICES else None)
    seq = draw(st.none() | st.integers(0, 3) | NUMBER)
    payload = Payload(draw(st.none() | NUMBER), tuple(draw(st.lists(metrics(), max_size=4))), seq)
    raw = bytearray(encode(payload))
    if draw(st.integers(0, 9)) == 0 and raw:
        chance = random.Random(draw(st.integers(0, 1000)))
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return topic, bytes(raw)


def valid(events: list[Event]) -> bool:
    """Written as CloudEvents, each passes the validation of the gateway, and is the same event again."""
    for at in range(0, len(events), 1000):
        part = events[at : at + 1000]
        decoded = decode(cloudevents(part))
        assert not decoded.invalid, decoded.invalid
        assert decoded.events == part
    return True


@given(said=st.lists(st.tuples(messages(), st.booleans(), st.floats(0, 5)), max_size=15), asks=st.booleans())
@settings(deadline=None, max_examples=250)
def test_any_conversation_is_survived_and_told_in_valid_events(*, said: list[tuple[Said, bool, float]], asks: bool) -> None:
    bench = Bench(asks=asks)
    for message, retained, pause in said:
        bench.hear(message, retained=retained)
        bench.wait(pause)
    bench.keep(bench.host.lost(bench.now))
    bench.keep(bench.host.back(bench.now))
    bench.wait(10_000)
    assert valid(bench.events)
    assert bench.host.counts.refused == len(bench.refused)
    assert asks or not bench.rebirths
    assert bench.host.due is None, "no timer goes on for ever"


@given(st.text(max_size=40), st.binary(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_topic_and_any_bytes_are_survived(topic: str, raw: bytes) -> None:
    bench = Bench()
    bench.hear((topic, raw), ("spBv1.0/" + topic, raw), ("spBv1.0/g/NBIRTH/e", raw), ("spBv1.0/g/NDATA/e", raw))
    assert valid(bench.events)
