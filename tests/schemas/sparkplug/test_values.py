"""Values by data type, and what the specification asks of metrics, properties, tables and templates."""

from __future__ import annotations

import math
from typing import Any

import pytest

from schemas.event import Quality
from schemas.sparkplug.datatype import BASIC, Datatype
from schemas.sparkplug.model import Cell, DataSet, Held, Metric, Parameter, Property, PropertySet, Row, SparkplugError, Template
from schemas.sparkplug.values import MOST_ELEMENTS, datatype, holding, metric, metric_value, properties, value_of
from tests.schemas.sparkplug.bench import NODE, Bench, Edge, number, values

EDGES: dict[Datatype, list[Any]] = {
    Datatype.INT8: [-128, -1, 0, 127],
    Datatype.INT16: [-32768, -1, 0, 32767],
    Datatype.INT32: [-(2**31), -12, 0, 2**31 - 1],
    Datatype.INT64: [-(2**63), -1, 0, 2**63 - 1],
    Datatype.UINT8: [0, 255],
    Datatype.UINT16: [0, 65535],
    Datatype.UINT32: [0, 2**32 - 1],
    Datatype.UINT64: [0, 2**64 - 1],
    Datatype.FLOAT: [1.5, -0.0],
    Datatype.DOUBLE: [0.1, 1e308],
    Datatype.BOOLEAN: [True, False],
    Datatype.STRING: ["", "ä"],
    Datatype.DATETIME: [0, 1_767_571_200_000],
    Datatype.TEXT: ["a\nb"],
    Datatype.UUID: ["1b4e28ba-2fa1-11d2-883f-0016d3cca427"],
    Datatype.BYTES: [b"", b"\x00\xff"],
    Datatype.FILE: [b"MZ"],
    Datatype.INT8_ARRAY: [(), (-23, 123)],
    Datatype.INT16_ARRAY: [(-30000, 30000)],
    Datatype.INT32_ARRAY: [(-1, 315338746)],
    Datatype.INT64_ARRAY: [(-4270929666821191986, -3601064768563266876)],
    Datatype.UINT8_ARRAY: [(23, 250)],
    Datatype.UINT16_ARRAY: [(30, 52360)],
    Datatype.UINT32_ARRAY: [(52, 3293969225)],
    Datatype.UINT64_ARRAY: [(52, 16444743074749521625)],
    Datatype.FLOAT_ARRAY: [(1.5, -2.25)],
    Datatype.DOUBLE_ARRAY: [(12.354213, 1022.9123213)],
    Datatype.BOOLEAN_ARRAY: [(), (False, False, True, True, False, True, False, False, True, True, False, True)],
    Datatype.STRING_ARRAY: [(), ("ABC", "hello"), ("",)],
    Datatype.DATETIME_ARRAY: [(1256102875335, 1656107875000)],
}
CASES = [(kind, value) for kind, given in EDGES.items() for value in given]


@pytest.mark.parametrize(("kind", "value"), CASES)
def test_a_value_of_each_type_comes_back(kind: Datatype, value: Any) -> None:
    held, raw = holding(kind, value)
    assert value_of(kind, held, raw) == value


SPELLINGS = [
    (Datatype.INT8, Held.INT, 0xF4, -12),
    (Datatype.INT8, Held.INT, 0xFFFF_FFF4, -12),
    (Datatype.INT16, Held.INT, 0xFFF4, -12),
    (Datatype.INT32, Held.INT, 4_294_967_284, -12),
    (Datatype.INT32, Held.LONG, 2**64 - 12, -12),
    (Datatype.INT64, Held.LONG, 2**64 - 12, -12),
    (Datatype.INT64, Held.INT, 12, 12),
    (Datatype.UINT32, Held.LONG, 4_294_967_284, 4_294_967_284),
]


@pytest.mark.parametrize(("kind", "held", "raw", "value"), SPELLINGS)
def test_negative_numbers_are_read_in_both_spellings(kind: Datatype, held: Held, raw: int, value: int) -> None:
    assert value_of(kind, held, raw) == value


WRONG: list[tuple[Datatype, Held, Any, str]] = [
    (Datatype.INT8, Held.INT, 300, "out of range"),
    (Datatype.INT8, Held.INT, 128 + 2**31, "out of range"),
    (Datatype.UINT8, Held.INT, 256, "out of range"),
    (Datatype.UINT32, Held.LONG, 2**32, "out of range"),
    (Datatype.DOUBLE, Held.STRING, "1", "does not go with"),
    (Datatype.BOOLEAN, Held.INT, 1, "does not go with"),
    (Datatype.STRING, Held.EXTENSION, None, "does not go with"),
    (Datatype.UUID, Held.STRING, "no", "is not a UUID"),
    (Datatype.INT16_ARRAY, Held.BYTES, b"abc", "no whole number of elements"),
    (Datatype.INT8_ARRAY, Held.BYTES, bytes(MOST_ELEMENTS + 1), "more than"),
    (Datatype.BOOLEAN_ARRAY, Held.BYTES, b"\x09\x00\x00\x00\xff", "does not fit"),
    (Datatype.BOOLEAN_ARRAY, Held.BYTES, b"\x01", "does not fit"),
    (Datatype.BOOLEAN_ARRAY, Held.BYTES, b"\xff\xff\xff\xff", "does not fit"),
    (Datatype.BOOLEAN_ARRAY, Held.BYTES, b"\xa0\x86\x01\x00" + bytes(12500), "more than"),
    (Datatype.STRING_ARRAY, Held.BYTES, b"abc", "does not end"),
    (Datatype.STRING_ARRAY, Held.BYTES, b"\xff\x00", "not UTF-8"),
    (Datatype.STRING_ARRAY, Held.BYTES, bytes(MOST_ELEMENTS + 1), "more than"),
    (Datatype.PROPERTY_SET, Held.SET, PropertySet(), "is not a data type of metrics"),
]


@pytest.mark.parametrize(("kind", "held", "raw", "words"), WRONG)
def test_what_is_no_value_of_its_type_is_refused(kind: Datatype, held: Held, raw: Any, words: str) -> None:
    with pytest.raises(SparkplugError, match=words):
        value_of(kind, held, raw)


def test_a_value_out_of_range_is_not_written() -> None:
    for kind, value in ((Datatype.INT8, 128), (Datatype.UINT16, -1), (Datatype.UINT64, 2**64)):
        with pytest.raises(SparkplugError, match="out of range"):
            holding(kind, value)


def test_the_specifications_examples_of_arrays() -> None:
    bits = bytes([0x0C, 0, 0, 0, 0x34, 0xD0])
    assert holding(Datatype.BOOLEAN_ARRAY, EDGES[Datatype.BOOLEAN_ARRAY][1]) == (Held.BYTES, bits)
    assert holding(Datatype.STRING_ARRAY, ("ABC", "hello")) == (Held.BYTES, b"ABC\0hello\0")
    assert holding(Datatype.INT16_ARRAY, (-30000, 30000)) == (Held.BYTES, bytes([0xD0, 0x8A, 0x30, 0x75]))


# --- Metrics ---------------------------------------------------------------------------------------------------------------


def test_tck_id_payloads_timestamp_in_utc() -> None:
    """Milliseconds since 1970: the event's time is the very instant."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1)))
    edge.at += 250
    (event,) = bench.hear(edge.ndata(number("t", 2)))
    assert event.stamp.at == edge.at * 1000


def test_tck_id_payloads_metric_timestamp_in_utc() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1)))
    (event,) = bench.hear(edge.ndata(number("t", 2, timestamp=edge.at + 7)))
    assert event.stamp.at == (edge.at + 7) * 1000


def test_a_time_that_cannot_be_written_is_refused() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1), number("u", 1)))
    (event,) = bench.hear(edge.ndata(number("t", 2, timestamp=2**64 - 1), number("u", 2)))
    assert values([event]) == [{"u": 2}]
    assert "beyond the year 9999" in bench.refused[-1]


def test_tck_id_payloads_metric_datatype_value_type() -> None:
    """A number of 32 bits, read by its bits: 3 is Int32, not a signed or a wide one."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(Metric(name="t", datatype=3, held=Held.INT, value=2**32 - 1)))
    assert bench.value(NODE, "t") == -1


def test_tck_id_payloads_metric_datatype_value() -> None:
    """Each of the enumeration is known; no other is, and the refusal names the metric."""
    assert [datatype(number) for number in range(1, 35)] == list(Datatype)
    for other in (0, 35, 2**32 - 1):
        with pytest.raises(SparkplugError, match=f"unknown data type {other}"):
            datatype(other)
    bench = Bench()
    bench.hear(Edge().nbirth(Metric(name="odd", datatype=99, held=Held.INT, value=1), number("t", 2)))
    assert bench.refused == ["metric 'odd': unknown data type 99"]
    assert bench.value(NODE, "t") == 2


def test_tck_id_payloads_metric_datatype_req() -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(Metric(name="bare", held=Held.INT, value=1), number("t", 2)))
    assert bench.refused == ["metric 'bare': no data type"]
    assert bench.value(NODE, "t") == 2


def test_tck_id_payloads_metric_datatype_not_req() -> None:
    """DATA may leave it out: the birth's is kept."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(metric(Datatype.INT16, 1, name="t")))
    bench.hear(edge.ndata(Metric(name="t", held=Held.INT, value=65535)))
    assert bench.value(NODE, "t") == -1


def test_tck_id_payloads_name_requirement() -> None:
    """Neither a name nor an alias: nobody can say what it is."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 1)))
    assert values(bench.hear(edge.ndata(number(None, 5), number("t", 2)))) == [{"t": 2}]
    assert bench.host.counts.unknown == 1


# --- Properties ------------------------------------------------------------------------------------------------------------


def quality(code: int, kind: int | None = Datatype.INT32, held: Held = Held.INT) -> PropertySet:
    return PropertySet(("Quality",), (Property(kind, held=held, value=code),))


def said(*given: PropertySet) -> list[Quality]:
    """The qualities under which values arrive."""
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 0)))
    return [bench.reading(NODE, "t").quality for one in given if bench.hear(edge.ndata(number("t", 1, properties=one)))]


def test_tck_id_payloads_propertyset_quality_value_value() -> None:
    assert said(quality(192), quality(0), quality(500)) == [Quality.GOOD, Quality.BAD, Quality.UNCERTAIN]
    assert said(quality(777)) == [Quality.UNCERTAIN], "a code that nobody knows is not good"


def test_tck_id_payloads_propertyset_quality_value_type() -> None:
    """The type Int32 in an int; where it says another, the code alone is not believed to be good."""
    assert said(quality(0, Datatype.INT32)) == [Quality.BAD]
    text = PropertySet(("Quality",), (Property(Datatype.STRING, held=Held.STRING, value="192"),))
    assert said(text) == [Quality.UNCERTAIN]


def test_a_metric_without_quality_is_good_even_after_a_bad_one() -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 0, properties=quality(0))), edge.ndata(number("t", 1)))
    assert bench.reading(NODE, "t").quality is Quality.GOOD


ARRAY_SIZES = {
    "tck-id-payloads-propertyset-keys-array-size": PropertySet(("a", "b"), (Property(3, held=Held.INT, value=1),)),
    "tck-id-payloads-propertyset-values-array-size": PropertySet(("a",), (Property(3, held=Held.INT, value=1),) * 2),
}


@pytest.mark.parametrize("tck_id", ARRAY_SIZES)
def test_keys_and_values_go_in_pairs(tck_id: str) -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(number("t", 1, properties=ARRAY_SIZES[tck_id]), number("u", 2)))
    assert bench.refused == ["metric 't': a set of properties with more keys than values, or fewer"]
    assert bench.value(NODE, "u") == 2


def test_tck_id_payloads_metric_propertyvalue_type_type() -> None:
    """The type decides about the bits here too."""
    read = properties(PropertySet(("low",), (Property(Datatype.INT32, held=Held.INT, value=2**32 - 5),)))
    assert read == {"low": -5}


def test_tck_id_payloads_metric_propertyvalue_type_value() -> None:
    """Basic types, sets and lists of sets; no other."""
    inner = PropertySet(("k",), (Property(12, held=Held.STRING, value="v"),))
    assert properties(PropertySet(("set",), (Property(20, held=Held.SET, value=inner),))) == {"set": inner}
    with pytest.raises(SparkplugError, match="unknown data type 77"):
        properties(PropertySet(("k",), (Property(77, held=Held.INT, value=1),)))


def test_tck_id_payloads_metric_propertyvalue_type_req() -> None:
    """One that came without a type is taken as it is; null is null."""
    bare = PropertySet(("engUnit", "gone"), (Property(held=Held.STRING, value="bar"), Property(12, is_null=True)))
    assert properties(bare) == {"engUnit": "bar", "gone": None}


def test_units_and_limits_reach_the_signal() -> None:
    kinds = (Property(12, held=Held.STRING, value="bar"), Property(10, held=Held.DOUBLE, value=-1.0))
    high = Property(10, held=Held.DOUBLE, value=math.inf)
    bench = Bench()
    bench.hear(Edge().nbirth(number("p", 1, properties=PropertySet(("engUnit", "engLow", "engHigh"), (*kinds, high)))))
    device = bench.graph.device(NODE)
    assert device is not None
    signal = device.signals["p"]  # type: ignore[index]
    assert (signal.unit, signal.min, signal.max) == ("bar", -1.0, None)


# --- Tables ----------------------------------------------------------------------------------------------------------------

CELLS = (Cell(Held.INT, 2**32 - 1), Cell(Held.STRING, "a"))
TABLE = DataSet(2, ("x", "y"), (Datatype.INT32, Datatype.STRING), (Row(CELLS),))


def table(**changes: Any) -> Any:
    one = DataSet(**{**{name: getattr(TABLE, name) for name in TABLE.__struct_fields__}, **changes})
    return value_of(Datatype.DATASET, Held.DATASET, one)


TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "tck-id-payloads-dataset-column-size": ({"num_of_columns": 3}, "counts"),
    "tck-id-payloads-dataset-column-num-headers": ({"columns": ("x",)}, "counts"),
    "tck-id-payloads-dataset-types-num": ({"types": (3, 12, 3)}, "counts"),
    "tck-id-payloads-dataset-parameter-type-req": ({"types": ()}, "counts"),
    "tck-id-payloads-dataset-types-value": ({"types": (3, 99)}, "unknown data type 99"),
    "tck-id-payloads-dataset-types-def": ({"types": (3, Datatype.DATASET)}, "not of a basic data type"),
    "tck-id-payloads-template-dataset-value": ({"rows": (Row((CELLS[1], CELLS[1])),)}, "does not go with"),
}


@pytest.mark.parametrize("tck_id", TABLES)
def test_a_table_that_contradicts_itself_is_refused(tck_id: str) -> None:
    assert table() == ((-1, "a"),)
    changes, words = TABLES[tck_id]
    with pytest.raises(SparkplugError, match=words):
        table(**changes)


def test_tck_id_payloads_dataset_types_type() -> None:
    """Each column is read by its type: the same bits, two numbers."""
    signed, unsigned = (table(types=(kind, Datatype.STRING)) for kind in (Datatype.INT32, Datatype.UINT32))
    assert (signed[0][0], unsigned[0][0]) == (-1, 2**32 - 1)


def test_rows_of_another_length_and_too_many_cells_are_refused() -> None:
    with pytest.raises(SparkplugError, match="longer or shorter"):
        table(rows=(Row(CELLS[:1]),))
    with pytest.raises(SparkplugError, match="cells"):
        table(rows=(Row(CELLS),) * MOST_ELEMENTS)
    assert table(rows=(Row((Cell(), Cell())),)) == ((None, None),)


def test_a_table_costs_no_other_metric() -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(metric(Datatype.DATASET, TABLE, name="table"), number("t", 2)))
    assert bench.value(NODE, "t") == 2
    assert bench.host.counts.unmapped == 1
    assert bench.refused == []


# --- Values that are none ----------------------------------------------------------------------------------------------------


def test_neither_value_nor_null_is_refused() -> None:
    with pytest.raises(SparkplugError, match="neither a value nor"):
        metric_value(Metric(name="t", datatype=3), Datatype.INT32)
    assert metric_value(Metric(is_null=True, held=Held.INT, value=4), Datatype.INT32) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_makes_the_last_value_bad(value: float) -> None:
    bench, edge = Bench(), Edge()
    bench.hear(edge.nbirth(number("t", 7), number("u", 1), number("never", value)))
    events = bench.hear(edge.ndata(number("t", value), number("u", 2)))
    assert values(events) == [{"t": 7}, {"u": 2}] or values(events) == [{"u": 2}, {"t": 7}]
    assert (bench.reading(NODE, "t").quality, bench.reading(NODE, "u").quality) == (Quality.BAD, Quality.GOOD)
    assert bench.host.counts.not_finite == 2
    assert "never" not in bench.graph.readings(NODE)


def test_a_long_text_is_refused_by_name() -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(metric(Datatype.STRING, "x" * 20_000, name="long"), number("t", 1)))
    assert bench.refused == ["metric 'long': a text longer than 16384 characters"]
    assert bench.value(NODE, "t") == 1


def test_arrays_become_signals_of_their_elements() -> None:
    bench = Bench()
    bench.hear(Edge().nbirth(metric(Datatype.FLOAT_ARRAY, (1.5, math.nan, 2.5), name="v")))
    assert bench.graph.readings(NODE).keys() == {"v[0]", "v[2]"}
    assert bench.value(NODE, "v[2]") == 2.5


def test_the_types_of_cells_are_the_basic_ones() -> None:
    assert [datatype(one) for one in BASIC][-1] is Datatype.TEXT


def test_parameters_are_read_by_their_type() -> None:
    bad = Template(is_definition=True, parameters=(Parameter("p", Datatype.INT32, Held.STRING, "x"),))
    with pytest.raises(SparkplugError, match="does not go with"):
        value_of(Datatype.TEMPLATE, Held.TEMPLATE, bad)
