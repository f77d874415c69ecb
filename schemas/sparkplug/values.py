"""Values by their data type: what the wire's members mean, and the way back.

Signed integers travel in unsigned members, so the same bits mean -12 or 4294967284; only the type tells. Both spellings of a
negative number are understood that senders use: within the type's bits, and extended to the member's.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any

from schemas.sparkplug.datatype import BASIC, PROPERTY_ONLY, Datatype
from schemas.sparkplug.model import DataSet, Held, Metric, Property, PropertySet, SparkplugError, Template
from schemas.sparkplug.wire import MASK32, MASK64

Scalar = bool | int | float | str | bytes
Table = tuple[tuple[Scalar | None, ...], ...]
Value = Scalar | tuple[Scalar, ...] | Table | Template

MOST_ELEMENTS = 50_000
"""Elements of an array, and cells of a table."""

BITS = {
    Datatype.INT8: 8,
    Datatype.INT16: 16,
    Datatype.INT32: 32,
    Datatype.INT64: 64,
    Datatype.UINT8: 8,
    Datatype.UINT16: 16,
    Datatype.UINT32: 32,
    Datatype.UINT64: 64,
    Datatype.DATETIME: 64,
}
SIGNED = frozenset({Datatype.INT8, Datatype.INT16, Datatype.INT32, Datatype.INT64})
INTEGER = frozenset({Held.INT, Held.LONG})
ARRAYS = {
    Datatype.INT8_ARRAY: "b",
    Datatype.INT16_ARRAY: "h",
    Datatype.INT32_ARRAY: "i",
    Datatype.INT64_ARRAY: "q",
    Datatype.UINT8_ARRAY: "B",
    Datatype.UINT16_ARRAY: "H",
    Datatype.UINT32_ARRAY: "I",
    Datatype.UINT64_ARRAY: "Q",
    Datatype.FLOAT_ARRAY: "f",
    Datatype.DOUBLE_ARRAY: "d",
    Datatype.DATETIME_ARRAY: "Q",
}
KNOWN = {int(one): one for one in Datatype}


def datatype(number: int | None) -> Datatype:
    """The data type of a number. Raises SparkplugError for one that the specification does not know."""
    known = KNOWN.get(number or 0)
    if known is None:
        raise SparkplugError("no data type" if number is None else f"unknown data type {number}")
    return known


def value_of(kind: Datatype, held: int, raw: Any) -> Value:
    """What a held value means. DateTime stays in milliseconds since 1970. Raises SparkplugError."""
    read = READERS.get(kind)
    if read is None:
        raise SparkplugError(f"{kind.name} is not a data type of metrics")
    allowed, convert = read
    if held not in allowed:
        name = Held(held).name.lower()
        raise SparkplugError(f"data type {kind.name} does not go with a value of {name}")
    value: Value = convert(kind, raw)
    return value


def metric_value(metric: Metric, kind: Datatype) -> Value | None:
    """A metric's value; None if it is null. Raises SparkplugError."""
    if metric.is_null:
        return None
    if metric.held == Held.NOTHING:
        raise SparkplugError("neither a value nor the mark of null")
    return value_of(kind, metric.held, metric.value)


def _integer(kind: Datatype, raw: int) -> int:
    bits = BITS[kind]
    if raw < 1 << bits:
        return raw - (1 << bits) if kind in SIGNED and raw >> bits - 1 else raw
    for wide in (MASK32, MASK64):
        if kind in SIGNED and wide - (1 << bits - 1) < raw <= wide:
            return raw - wide - 1
    raise SparkplugError(f"{raw} is out of range for data type {kind.name}")


def _same(_: Datatype, raw: Scalar) -> Scalar:
    return raw


def _uuid(_: Datatype, raw: str) -> str:
    try:
        return str(uuid.UUID(raw))
    except ValueError:
        raise SparkplugError(f"{raw[:64]!r} is not a UUID") from None


def _array(kind: Datatype, raw: bytes) -> tuple[Scalar, ...]:
    """Packed, least significant byte first."""
    code = ARRAYS[kind]
    count, rest = divmod(len(raw), struct.calcsize(f"<{code}"))
    if rest:
        raise SparkplugError(f"{len(raw)} bytes are no whole number of elements of {kind.name}")
    if count > MOST_ELEMENTS:
        raise SparkplugError(f"more than {MOST_ELEMENTS} elements")
    return struct.unpack(f"<{count}{code}", raw)


def _booleans(_: Datatype, raw: bytes) -> tuple[Scalar, ...]:
    """The count in four bytes, then the bits, the first in a byte's highest place."""
    count = int.from_bytes(raw[:4], "little")
    if len(raw) < 4 or len(raw) != 4 + (count + 7) // 8:  # noqa: PLR2004 - the count's own bytes
        raise SparkplugError("an array of booleans whose count does not fit its bytes")
    if count > MOST_ELEMENTS:
        raise SparkplugError(f"more than {MOST_ELEMENTS} elements")
    return tuple(bool(raw[4 + at // 8] & 0x80 >> at % 8) for at in range(count))


def _strings(_: Datatype, raw: bytes) -> tuple[Scalar, ...]:
    """Each ends with a null byte."""
    if raw and raw[-1]:
        raise SparkplugError("an array of strings whose last one does not end")
    if raw.count(0) > MOST_ELEMENTS:
        raise SparkplugError(f"more than {MOST_ELEMENTS} elements")
    try:
        return tuple(raw[:-1].decode().split("\0")) if raw else ()
    except UnicodeDecodeError:
        raise SparkplugError("an array of strings that is not UTF-8") from None


def _table(_: Datatype, raw: DataSet) -> Table:
    """The rows, each cell by its column's type."""
    if not len(raw.columns) == len(raw.types) == raw.num_of_columns:
        raise SparkplugError("a table whose counts of columns, names and types differ")
    kinds = [datatype(number) for number in raw.types]
    if not all(kind in BASIC for kind in kinds):
        raise SparkplugError("a table with a column that is not of a basic data type")
    if len(raw.rows) * len(kinds) > MOST_ELEMENTS:
        raise SparkplugError(f"more than {MOST_ELEMENTS} cells")
    return tuple(_row(kinds, row.elements) for row in raw.rows)


def _row(kinds: list[Datatype], cells: Any) -> tuple[Scalar | None, ...]:
    if len(cells) != len(kinds):
        raise SparkplugError("a table with a row that is longer or shorter than the columns")
    return tuple(
        None if cell.held == Held.NOTHING else value_of(kind, cell.held, cell.value)  # type: ignore[misc]
        for kind, cell in zip(kinds, cells, strict=True)
    )


def _template(_: Datatype, raw: Template) -> Template:
    """A definition says so and names no other; an instance names its definition."""
    if raw.is_definition is None:
        raise SparkplugError("a template that does not say whether it is a definition")
    if raw.is_definition is (raw.template_ref is not None):
        raise SparkplugError("a definition of a template must not refer to one, an instance must")
    for parameter in raw.parameters:
        if parameter.name is None:
            raise SparkplugError("a template's parameter without a name")
        if parameter.type is not None and datatype(parameter.type) not in BASIC:
            raise SparkplugError(f"a template's parameter {parameter.name[:64]!r} that is not of a basic data type")
        if parameter.held != Held.NOTHING:
            value_of(datatype(parameter.type), parameter.held, parameter.value)
    return raw


Read = tuple[frozenset[Held], Callable[[Datatype, Any], Any]]
READERS: dict[Datatype, Read] = {
    **dict.fromkeys(BITS, (INTEGER, _integer)),
    **dict.fromkeys((Datatype.FLOAT, Datatype.DOUBLE), (frozenset({Held.FLOAT, Held.DOUBLE}), _same)),
    Datatype.BOOLEAN: (frozenset({Held.BOOLEAN}), _same),
    **dict.fromkeys((Datatype.STRING, Datatype.TEXT), (frozenset({Held.STRING}), _same)),
    Datatype.UUID: (frozenset({Held.STRING}), _uuid),
    **dict.fromkeys((Datatype.BYTES, Datatype.FILE), (frozenset({Held.BYTES}), _same)),
    **dict.fromkeys(ARRAYS, (frozenset({Held.BYTES}), _array)),
    Datatype.BOOLEAN_ARRAY: (frozenset({Held.BYTES}), _booleans),
    Datatype.STRING_ARRAY: (frozenset({Held.BYTES}), _strings),
    Datatype.DATASET: (frozenset({Held.DATASET}), _table),
    Datatype.TEMPLATE: (frozenset({Held.TEMPLATE}), _template),
}


def properties(raw: PropertySet | None) -> dict[str, Scalar | PropertySet | None]:
    """A metric's properties by key; None for null. Raises SparkplugError where keys and values do not match."""
    if raw is None:
        return {}
    if len(raw.keys) != len(raw.values):
        raise SparkplugError("a set of properties with more keys than values, or fewer")
    return {key: _property(one) for key, one in zip(raw.keys, raw.values, strict=True)}


def _property(raw: Property) -> Any:
    if raw.is_null:
        return None
    kind = datatype(raw.type) if raw.type is not None else None
    if kind is None or kind in PROPERTY_ONLY:
        return raw.value
    return value_of(kind, raw.held, raw.value)


# --- The way back -------------------------------------------------------------------------------------------------------


def holding(kind: Datatype, value: Any) -> tuple[Held, Any]:
    """The member that holds a value of a type, and what it holds. Raises SparkplugError if it is out of range."""
    if kind in BITS:
        bits = BITS[kind]
        low, high = (-(1 << bits - 1), 1 << bits - 1) if kind in SIGNED else (0, 1 << bits)
        if not low <= value < high:
            raise SparkplugError(f"{value} is out of range for data type {kind.name}")
        return (Held.INT if bits <= 32 else Held.LONG), value & (1 << bits) - 1  # noqa: PLR2004 - of the member
    if kind in ARRAYS:
        return Held.BYTES, struct.pack(f"<{len(value)}{ARRAYS[kind]}", *value)
    if kind is Datatype.BOOLEAN_ARRAY:
        bits = sum(bool(one) << (7 - at % 8) + (at // 8) * 8 for at, one in enumerate(value))
        return Held.BYTES, len(value).to_bytes(4, "little") + bits.to_bytes((len(value) + 7) // 8, "little")
    if kind is Datatype.STRING_ARRAY:
        return Held.BYTES, b"".join(one.encode() + b"\0" for one in value)
    return HOLDERS[kind], value


HOLDERS = {
    Datatype.FLOAT: Held.FLOAT,
    Datatype.DOUBLE: Held.DOUBLE,
    Datatype.BOOLEAN: Held.BOOLEAN,
    Datatype.STRING: Held.STRING,
    Datatype.TEXT: Held.STRING,
    Datatype.UUID: Held.STRING,
    Datatype.DATASET: Held.DATASET,
    Datatype.BYTES: Held.BYTES,
    Datatype.FILE: Held.BYTES,
    Datatype.TEMPLATE: Held.TEMPLATE,
    Datatype.PROPERTY_SET: Held.SET,
    Datatype.PROPERTY_SET_LIST: Held.SETS,
}


def metric(kind: Datatype, value: Any, **rest: Any) -> Metric:
    """A metric of a typed value; None is null.

    >>> metric(Datatype.INT8, -12, name="t").value
    244
    """
    if value is None:
        return Metric(datatype=kind, is_null=True, **rest)
    held, raw = holding(kind, value)
    return Metric(datatype=kind, held=held, value=raw, **rest)
