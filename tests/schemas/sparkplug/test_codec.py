"""The payload's wire format: what was written is read again, limits hold, and no bytes bring anything but a refusal."""

from __future__ import annotations

import random
import struct
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.sparkplug.codec import Limits, decode, encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import (
    Cell,
    DataSet,
    Held,
    MetaData,
    Metric,
    Parameter,
    Payload,
    Property,
    PropertySet,
    PropertySetList,
    Row,
    SparkplugError,
    Template,
)
from schemas.sparkplug.values import metric

TEXT = st.text(max_size=12)
U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
FLOAT = st.floats(width=32, allow_nan=False)
DOUBLE = st.floats(allow_nan=False)


def held(*pairs: tuple[Held, st.SearchStrategy[object]]) -> st.SearchStrategy[tuple[int, object]]:
    nothing = st.just((int(Held.NOTHING), None))
    return st.one_of(nothing, *(st.tuples(st.just(int(member)), values) for member, values in pairs))


PLAIN = (
    (Held.INT, U32),
    (Held.LONG, U64),
    (Held.FLOAT, FLOAT),
    (Held.DOUBLE, DOUBLE),
    (Held.BOOLEAN, st.booleans()),
    (Held.STRING, TEXT),
)
CELLS = held(*PLAIN).map(lambda pair: Cell(*pair))
TABLES = st.builds(
    DataSet,
    st.none() | U64,
    st.lists(TEXT, max_size=3).map(tuple),
    st.lists(U32, max_size=3).map(tuple),
    st.lists(st.lists(CELLS, max_size=3).map(lambda cells: Row(tuple(cells))), max_size=3).map(tuple),
)


def sets(children: st.SearchStrategy[object]) -> st.SearchStrategy[PropertySet]:
    lists = st.lists(children, max_size=2).map(lambda found: PropertySetList(tuple(found)))  # type: ignore[arg-type]
    inner = held(*PLAIN, (Held.SET, children), (Held.SETS, lists))
    one = st.tuples(st.none() | U32, st.booleans(), inner).map(lambda found: Property(found[0], found[1], *found[2]))
    return st.builds(PropertySet, st.lists(TEXT, max_size=3).map(tuple), st.lists(one, max_size=3).map(tuple))


PROPERTIES = st.recursive(st.just(PropertySet()), sets, max_leaves=4)
META = st.builds(MetaData, st.booleans(), st.none() | TEXT, st.none() | U64, st.none() | U64, *[st.none() | TEXT] * 4)
PARAMETERS = st.tuples(st.none() | TEXT, st.none() | U32, held(*PLAIN)).map(lambda one: Parameter(one[0], one[1], *one[2]))


def metrics(templates: st.SearchStrategy[object]) -> st.SearchStrategy[Metric]:
    value = held(*PLAIN, (Held.BYTES, st.binary(max_size=8)), (Held.DATASET, TABLES), (Held.TEMPLATE, templates))
    flags = (st.booleans(), st.booleans(), st.booleans())
    rest = st.tuples(st.none() | TEXT, st.none() | U64, st.none() | U64, st.none() | U32, *flags, st.none() | META)
    names = ("name", "alias", "timestamp", "datatype", "is_historical", "is_transient", "is_null", "metadata")
    return st.tuples(rest, st.none() | PROPERTIES, value).map(
        lambda one: Metric(**dict(zip(names, one[0], strict=True)), properties=one[1], held=one[2][0], value=one[2][1])
    )


TEMPLATES = st.recursive(
    st.builds(Template, st.none() | TEXT),
    lambda inner: st.builds(
        Template,
        st.none() | TEXT,
        st.lists(metrics(inner), max_size=2).map(tuple),
        st.lists(PARAMETERS, max_size=2).map(tuple),
        st.none() | TEXT,
        st.none() | st.booleans(),
    ),
    max_leaves=3,
)
PAYLOADS = st.builds(
    Payload,
    st.none() | U64,
    st.lists(metrics(TEMPLATES), max_size=4).map(tuple),
    st.none() | U64,
    st.none() | TEXT,
    st.none() | st.binary(max_size=8),
)


def refusal(raw: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(SparkplugError) as caught:
        decode(raw, limits or Limits())
    return str(caught.value)


@given(PAYLOADS)
@settings(deadline=None, max_examples=150)
def test_what_was_written_is_read_again(payload: Payload) -> None:
    assert decode(encode(payload)) == payload


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=500)
def test_random_bytes_give_a_payload_or_a_refusal(raw: bytes) -> None:
    with suppress(SparkplugError):
        assert isinstance(decode(raw), Payload)


@given(PAYLOADS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300)
def test_a_damaged_payload_gives_a_payload_or_a_refusal(payload: Payload, chance: random.Random) -> None:
    raw = bytearray(encode(payload))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(raw) + 1)
        match chance.randrange(3):
            case 0 if raw:
                raw[place - 1] = chance.randrange(256)
            case 1:
                raw[place:place] = chance.randbytes(chance.randint(1, 3))
            case _:
                del raw[place : place + chance.randint(1, 9)]
    with suppress(SparkplugError):
        assert isinstance(decode(bytes(raw)), Payload)


def test_a_payload_cut_anywhere_never_reads_as_something_longer() -> None:
    whole = Payload(
        timestamp=9, seq=3, metrics=(metric(Datatype.STRING, "text", name="a"), metric(Datatype.DOUBLE, 1.5, name="b"))
    )
    raw = encode(whole)
    for length in range(len(raw)):
        try:
            part = decode(raw[:length])
        except SparkplugError:
            continue
        assert part.metrics == whole.metrics[: len(part.metrics)]


# --- proto2 ----------------------------------------------------------------------------------------------------------------

UNKNOWN = [
    pytest.param(b"\xf8\x01\x07", id="varint"),
    pytest.param(b"\xf9\x01" + bytes(8), id="fixed64"),
    pytest.param(b"\xfa\x01\x02ab", id="length"),
    pytest.param(b"\xfd\x01" + bytes(4), id="fixed32"),
    pytest.param(b"\xfb\x01\x08\x05\x13\x08\x01\x14\xfc\x01", id="group in a group"),
    pytest.param(b"\x0d" + bytes(4), id="a known number in another wire type"),
]


@pytest.mark.parametrize("field", UNKNOWN)
def test_unknown_fields_are_passed_over(field: bytes) -> None:
    assert decode(field + encode(Payload(seq=4)) + field) == Payload(seq=4)


def test_the_last_of_a_singular_field_counts() -> None:
    assert decode(encode(Payload(seq=1, timestamp=5)) + encode(Payload(seq=2))) == Payload(seq=2, timestamp=5)


def test_pieces_of_a_singular_message_are_merged() -> None:
    first, second = Metric(metadata=MetaData(size=1, md5="a")), Metric(metadata=MetaData(size=2, seq=3))
    body = b"".join(encode(Payload(metrics=(one,)))[2:] for one in (first, second))
    assert decode(b"\x12" + bytes([len(body)]) + body).metrics[0].metadata == MetaData(size=2, md5="a", seq=3)


def test_the_last_member_of_a_value_counts() -> None:
    first = metric(Datatype.TEMPLATE, Template(version="1"))
    second, third = metric(Datatype.BOOLEAN, True), metric(Datatype.TEMPLATE, Template(template_ref="t"))
    for wanted, order in ((True, (first, second)), (Template(template_ref="t"), (first, second, third))):
        body = b"".join(encode(Payload(metrics=(one,)))[2:] for one in order)
        assert decode(b"\x12" + bytes([len(body)]) + body).metrics[0].value == wanted


def test_packed_numbers_are_read_like_single_ones() -> None:
    single = encode(Payload(metrics=(metric(Datatype.DATASET, DataSet(2, ("a", "b"), (3, 300))),)))
    packed = single.replace(b"\x18\x03\x18\xac\x02", b"\x1a\x03\x03\xac\x02")
    assert len(packed) == len(single)
    assert packed != single
    assert decode(packed) == decode(single)


def test_numbers_are_cut_to_their_width() -> None:
    """As every reader of proto2 does with a number that is too large for its field."""
    wide = b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    assert decode(b"\x12" + bytes([len(wide)]) + wide).metrics[0].datatype == 2**32 - 1
    assert decode(b"\x18" + b"\xff" * 9 + b"\x7f").seq == 2**64 - 1


def test_extensions_are_passed_over() -> None:
    body = b"\x9a\x01\x02\x08\x01"
    assert decode(b"\x12" + bytes([len(body)]) + body).metrics[0].held == Held.EXTENSION


# --- Limits and damage -----------------------------------------------------------------------------------------------------


def nested(depth: int) -> Payload:
    template = Template(is_definition=True)
    for _ in range(depth):
        template = Template(metrics=(metric(Datatype.TEMPLATE, template, name="t"),))
    return Payload(metrics=(metric(Datatype.TEMPLATE, template, name="t"),))


def properties(depth: int) -> Payload:
    inner = PropertySet()
    for _ in range(depth):
        inner = PropertySet(("k",), (Property(20, held=Held.SET, value=inner),))
    return Payload(metrics=(Metric(properties=inner),))


@pytest.mark.parametrize("deep", [nested(60), properties(60)], ids=["templates", "properties"])
def test_deep_nesting_is_refused(deep: Payload) -> None:
    assert refusal(encode(deep)) == "the payload is nested too deeply"


def test_a_template_in_a_template_is_not_deep() -> None:
    assert decode(encode(nested(3))) == nested(3)


def test_limits_are_kept() -> None:
    raw = encode(Payload(metrics=(Metric(alias=1),) * 10))
    assert refusal(raw, Limits(size=10)) == "the payload is longer than 10 bytes"
    assert refusal(raw, Limits(metrics=9)) == "the payload has more than 9 metrics"
    assert refusal(raw, Limits(fields=19)) == "the payload holds too many fields"
    assert len(decode(raw, Limits(metrics=10, fields=20)).metrics) == 10


BOMBS = [
    pytest.param(b"\x08\x01" * 1_000_000, id="one field a million times"),
    pytest.param(b"\x12\x00" * 1_000_000, id="a million empty metrics"),
    pytest.param(b"\x0b" * 2_000_000, id="two million groups"),
    pytest.param(b"\x12\xc8\x01" + b"\x42\x64" + b"\x12" * 100, id="lengths that lie"),
    pytest.param(b"\x12\xff\xff\x7f" + b"\x42\x00" * 1_048_573, id="a million pieces of one message"),
    pytest.param(
        b"\x12\xfa\xff\x7f\x42\xf0\xff\x3f" + b"\x12\xec\xff\x3f" + bytes(1_048_556) + b"\x42\x00" * 500_000, id="a long one"
    ),
    pytest.param(b"\x18" + b"\xff" * 2_000_000, id="an endless number"),
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_no_stall(bomb: bytes) -> None:
    began = time.process_time()
    assert refusal(bomb)
    assert time.process_time() - began < 3, "a generous limit, for a busy machine"


BROKEN = {
    "a number that ends too soon": (b"\x08", "cut short"),
    "a float that ends too soon": (b"\x12\x03\x65\x00\x00", "cut short"),
    "a length beyond the end": (b"\x22\x05ab", "cut short"),
    "a length beyond its own message": (b"\x12\x03\x0a\x09a" + b"bcdefghij", "cut short"),
    "a number beyond its own message": (b"\x12\x01\x10\x18\x05", "cut short"),
    "a text that is not UTF-8": (b"\x22\x02\xc3\x28", "not UTF-8"),
    "the number 0": (b"\x00\x01", "number 0"),
    "an end without a beginning": (b"\x0c", "without a beginning"),
    "an end of another group": (b"\x33\x3c", "without a beginning"),
    "a wire type that there is not": (b"\x0f\x01", "wire type 7"),
    "a number of eleven bytes": (b"\x08" + b"\xff" * 10 + b"\x01", "more than ten bytes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_damage_is_named(name: str) -> None:
    raw, words = BROKEN[name]
    assert words in refusal(raw)


def test_a_number_that_has_no_place_is_not_written() -> None:
    with pytest.raises(SparkplugError, match="64 bits"):
        encode(Payload(seq=-1))


def test_floats_keep_their_bits() -> None:
    (pi,) = struct.unpack("<f", struct.pack("<f", 3.14159))
    assert decode(encode(Payload(metrics=(metric(Datatype.FLOAT, 3.14159),)))).metrics[0].value == pi
