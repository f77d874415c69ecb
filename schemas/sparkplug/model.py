"""The payload's nouns, as they travel: what was absent is None, what repeats is a tuple.

A value stays as the wire had it, with the number of the member that held it, until `values` reads it by its data type: DATA
messages leave the type out, so it is known only to the session.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec


class SparkplugError(ValueError):
    """A message, or a part of it, that cannot be understood; says what and why."""


class Held(IntEnum):
    """The members of a metric's value, by their numbers on the wire. Properties, parameters and cells use the same here."""

    NOTHING = 0
    INT = 10
    LONG = 11
    FLOAT = 12
    DOUBLE = 13
    BOOLEAN = 14
    STRING = 15
    BYTES = 16
    DATASET = 17
    TEMPLATE = 18
    EXTENSION = 19
    SET = 20
    SETS = 21


class MetaData(msgspec.Struct, frozen=True):
    """What describes files and parts of them."""

    is_multi_part: bool = False
    content_type: str | None = None
    size: int | None = None
    seq: int | None = None
    file_name: str | None = None
    file_type: str | None = None
    md5: str | None = None
    description: str | None = None


class Property(msgspec.Struct, frozen=True):
    """The value of a property; `value` may be a `PropertySet` or a `PropertySetList`."""

    type: int | None = None
    is_null: bool = False
    held: int = Held.NOTHING
    value: Any = None


class PropertySet(msgspec.Struct, frozen=True):
    """Keys and values, side by side."""

    keys: tuple[str, ...] = ()
    values: tuple[Property, ...] = ()


class PropertySetList(msgspec.Struct, frozen=True):
    sets: tuple[PropertySet, ...] = ()


class Cell(msgspec.Struct, frozen=True):
    held: int = Held.NOTHING
    value: Any = None


class Row(msgspec.Struct, frozen=True):
    elements: tuple[Cell, ...] = ()


class DataSet(msgspec.Struct, frozen=True):
    """A table: the columns' names and data types, and the rows."""

    num_of_columns: int | None = None
    columns: tuple[str, ...] = ()
    types: tuple[int, ...] = ()
    rows: tuple[Row, ...] = ()


class Parameter(msgspec.Struct, frozen=True):
    name: str | None = None
    type: int | None = None
    held: int = Held.NOTHING
    value: Any = None


class Template(msgspec.Struct, frozen=True):
    """A composed type (`is_definition`), or an instance of the one that `template_ref` names."""

    version: str | None = None
    metrics: tuple[Metric, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    template_ref: str | None = None
    is_definition: bool | None = None


class Metric(msgspec.Struct, frozen=True):
    """One value. `timestamp` is in milliseconds since 1970, UTC; `datatype` a number of `datatype.Datatype`."""

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    metadata: MetaData | None = None
    properties: PropertySet | None = None
    held: int = Held.NOTHING
    value: Any = None

    def called(self) -> str:
        """How to name this metric in a message to people."""
        if self.name is not None:
            return repr(self.name[:128])
        return "without a name" if self.alias is None else f"with alias {self.alias}"


class Payload(msgspec.Struct, frozen=True):
    """A message's content. `timestamp`: when it was sent, milliseconds since 1970, UTC."""

    timestamp: int | None = None
    metrics: tuple[Metric, ...] = ()
    seq: int | None = None
    uuid: str | None = None
    body: bytes | None = None
