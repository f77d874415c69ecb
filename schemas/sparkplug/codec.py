"""The Sparkplug B payload: bytes to `model.Payload` and back.

`decode` is for whatever the network brings: it raises `SparkplugError` and nothing else, in time linear in the bytes.
"""

from __future__ import annotations

import msgspec

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
from schemas.sparkplug.wire import Field, Kind, Reader, Shape, Shapes, write


class Limits(msgspec.Struct, frozen=True):
    """What one payload may hold.

    `fields` counts every field at every level, unknown ones too; `depth` counts messages in messages. Reading as many fields as
    are allowed takes about a tenth of a second.
    """

    size: int = 2 * 1024 * 1024
    fields: int = 200_000
    metrics: int = 20_000
    depth: int = 16


LIMITS = Limits()


class Extension(msgspec.Struct, frozen=True):
    """The place that the specification keeps for others' values; its content is passed over."""


def _value(first: int, *more: Field) -> tuple[Field, ...]:
    """The six plain members of a value, from a number on."""
    kinds = (Kind.U32, Kind.U64, Kind.FLOAT, Kind.DOUBLE, Kind.BOOL, Kind.STRING)
    plain = [Field(first + at, "value", kind, held=Held.INT + at) for at, kind in enumerate(kinds)]
    return (*plain, *more)


SHAPES: Shapes = {
    shape.made: shape
    for shape in (
        Shape(
            Payload,
            Field(1, "timestamp", Kind.U64),
            Field(2, "metrics", Metric, many=True),
            Field(3, "seq", Kind.U64),
            Field(4, "uuid", Kind.STRING),
            Field(5, "body", Kind.BYTES),
        ),
        Shape(
            Metric,
            Field(1, "name", Kind.STRING),
            Field(2, "alias", Kind.U64),
            Field(3, "timestamp", Kind.U64),
            Field(4, "datatype", Kind.U32),
            Field(5, "is_historical", Kind.BOOL),
            Field(6, "is_transient", Kind.BOOL),
            Field(7, "is_null", Kind.BOOL),
            Field(8, "metadata", MetaData),
            Field(9, "properties", PropertySet),
            *_value(
                10,
                Field(16, "value", Kind.BYTES, held=Held.BYTES),
                Field(17, "value", DataSet, held=Held.DATASET),
                Field(18, "value", Template, held=Held.TEMPLATE),
                Field(19, "value", Extension, held=Held.EXTENSION),
            ),
        ),
        Shape(
            MetaData,
            Field(1, "is_multi_part", Kind.BOOL),
            Field(2, "content_type", Kind.STRING),
            Field(3, "size", Kind.U64),
            Field(4, "seq", Kind.U64),
            Field(5, "file_name", Kind.STRING),
            Field(6, "file_type", Kind.STRING),
            Field(7, "md5", Kind.STRING),
            Field(8, "description", Kind.STRING),
        ),
        Shape(PropertySet, Field(1, "keys", Kind.STRING, many=True), Field(2, "values", Property, many=True)),
        Shape(PropertySetList, Field(1, "sets", PropertySet, many=True)),
        Shape(
            Property,
            Field(1, "type", Kind.U32),
            Field(2, "is_null", Kind.BOOL),
            *_value(3, Field(9, "value", PropertySet, held=Held.SET), Field(10, "value", PropertySetList, held=Held.SETS)),
        ),
        Shape(
            DataSet,
            Field(1, "num_of_columns", Kind.U64),
            Field(2, "columns", Kind.STRING, many=True),
            Field(3, "types", Kind.U32, many=True),
            Field(4, "rows", Row, many=True),
        ),
        Shape(Row, Field(1, "elements", Cell, many=True)),
        Shape(Cell, *_value(1)),
        Shape(
            Template,
            Field(1, "version", Kind.STRING),
            Field(2, "metrics", Metric, many=True),
            Field(3, "parameters", Parameter, many=True),
            Field(4, "template_ref", Kind.STRING),
            Field(5, "is_definition", Kind.BOOL),
        ),
        Shape(Parameter, Field(1, "name", Kind.STRING), Field(2, "type", Kind.U32), *_value(3)),
        Shape(Extension),
    )
}


def decode(raw: bytes, limits: Limits = LIMITS) -> Payload:
    """What a payload holds. Raises SparkplugError, and nothing else, whatever the bytes."""
    if len(raw) > limits.size:
        raise SparkplugError(f"the payload is longer than {limits.size} bytes")
    payload: Payload = Reader(SHAPES, raw, fields=limits.fields).read(Payload, limits.depth)
    if len(payload.metrics) > limits.metrics:
        raise SparkplugError(f"the payload has more than {limits.metrics} metrics")
    return payload


def encode(payload: Payload) -> bytes:
    """The bytes of a payload. Raises SparkplugError if a number has no place on the wire.

    >>> decode(encode(Payload(timestamp=1, seq=0))).seq
    0
    """
    return write(payload, SHAPES)
