"""Protocol buffers' wire format (proto2), as far as one payload needs it: shapes of messages, and reading and writing by them.

A shape says for each number which kind of field it is. What has an unknown number, or a known one in another wire type, is
passed over, as proto2 demands; a repeated singular field is overwritten, a repeated singular message merged.
Reading takes time linear in the bytes, and gives up at the limits before the work that they forbid.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from schemas.sparkplug.model import SparkplugError

VARINT, FIXED64, LENGTH, GROUP, END, FIXED32 = range(6)
MASK32 = 0xFFFF_FFFF
MASK64 = 0xFFFF_FFFF_FFFF_FFFF
MORE = 0x80
SHORT = "the payload is cut short"
_FLOAT = struct.Struct("<f")
_DOUBLE = struct.Struct("<d")


class Kind(IntEnum):
    """The scalar kinds of fields; another message is named by its struct."""

    U32 = 0
    U64 = 1
    BOOL = 2
    FLOAT = 3
    DOUBLE = 4
    STRING = 5
    BYTES = 6


WIRE_TYPE = {
    Kind.U32: VARINT,
    Kind.U64: VARINT,
    Kind.BOOL: VARINT,
    Kind.FLOAT: FIXED32,
    Kind.DOUBLE: FIXED64,
    Kind.STRING: LENGTH,
    Kind.BYTES: LENGTH,
}


class Field(NamedTuple):
    """`many`: it repeats. `held`: it is a member of the value, which is noted under this number."""

    number: int
    name: str
    kind: Kind | type[msgspec.Struct]
    many: bool = False
    held: int = 0

    @property
    def wire_type(self) -> int:
        return WIRE_TYPE[self.kind] if isinstance(self.kind, Kind) else LENGTH

    @property
    def tag(self) -> int:
        return self.number << 3 | self.wire_type


Read = Callable[[bytes, int, int], tuple[Any, int]]
"""From bytes, where a value begins, and where its message ends: the value, and where it ends."""


def _u64(raw: bytes, at: int, _: int) -> tuple[int, int]:
    value = raw[at]
    return (value, at + 1) if value < MORE else varint(raw, at)


def _u32(raw: bytes, at: int, end: int) -> tuple[int, int]:
    value, at = _u64(raw, at, end)
    return value & MASK32, at


def _bool(raw: bytes, at: int, end: int) -> tuple[bool, int]:
    value, at = _u64(raw, at, end)
    return value != 0, at


def _float(raw: bytes, at: int, _: int) -> tuple[float, int]:
    return _FLOAT.unpack_from(raw, at)[0], at + 4


def _double(raw: bytes, at: int, _: int) -> tuple[float, int]:
    return _DOUBLE.unpack_from(raw, at)[0], at + 8


def _bytes(raw: bytes, at: int, end: int) -> tuple[bytes, int]:
    length, at = _u64(raw, at, end)
    stop = at + length
    if stop > end:
        raise SparkplugError(SHORT)
    return raw[at:stop], stop


def _string(raw: bytes, at: int, end: int) -> tuple[str, int]:
    piece, stop = _bytes(raw, at, end)
    return piece.decode(), stop


READS: dict[Kind, Read] = {
    Kind.U32: _u32,
    Kind.U64: _u64,
    Kind.BOOL: _bool,
    Kind.FLOAT: _float,
    Kind.DOUBLE: _double,
    Kind.STRING: _string,
    Kind.BYTES: _bytes,
}


class Rule(NamedTuple):
    """What to do with one tag: where its value goes, and how it is read. `read` is None for messages and packed numbers."""

    slot: int
    read: Read | None
    message: type[msgspec.Struct] | None
    many: bool
    held: int


class Shape:
    """The fields of one message; values go into the struct `made`, in the order of its own fields."""

    def __init__(self, made: type[msgspec.Struct], *fields: Field) -> None:
        names = made.__struct_fields__
        empty = made()
        self.made = made
        self.fields = fields
        self.defaults = [getattr(empty, name) for name in names]
        self.held = names.index("held") if "held" in names else -1
        self.slots = [names.index(field.name) for field in fields]
        self.rules: dict[int, Rule] = {}
        for field, slot in zip(fields, self.slots, strict=True):
            if isinstance(field.kind, Kind):
                self.rules[field.tag] = Rule(slot, READS[field.kind], None, field.many, field.held)
            else:
                self.rules[field.tag] = Rule(slot, None, field.kind, field.many, field.held)
            if field.many and field.kind is Kind.U32:
                self.rules[field.number << 3 | LENGTH] = Rule(slot, None, None, many=True, held=0)


Shapes = dict[type[msgspec.Struct], Shape]


class Open:
    """A message that is being read: its struct's values so far, repeated ones, and pieces of messages in it."""

    __slots__ = ("depth", "lists", "parts", "shape", "slots")

    def __init__(self, shape: Shape, depth: int) -> None:
        self.shape = shape
        self.depth = depth
        self.slots = [*shape.defaults]
        self.lists: dict[int, list[Any]] = {}
        self.parts: dict[int, tuple[Rule, list[bytes]]] = {}


class Reader:
    """Reads one message; `left` counts down what it may still hold in fields of any kind."""

    def __init__(self, shapes: Shapes, raw: bytes, *, fields: int) -> None:
        self._shapes = shapes
        self._raw = raw
        self._left = fields

    def read(self, made: type[msgspec.Struct], depth: int) -> Any:
        """The whole. Raises SparkplugError, and nothing else."""
        try:
            return self._message(self._raw, 0, len(self._raw), Open(self._shapes[made], depth))
        except (IndexError, struct.error):
            raise SparkplugError(SHORT) from None
        except UnicodeDecodeError:
            raise SparkplugError("a text of the payload is not UTF-8") from None

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise SparkplugError("the payload holds too many fields")

    def _message(self, raw: bytes, at: int, end: int, into: Open) -> Any:
        """The fields from `at` to `end`."""
        if into.depth <= 0:
            raise SparkplugError("the payload is nested too deeply")
        rules, slots, held_slot = into.shape.rules, into.slots, into.shape.held
        while at < end:
            self._count()
            tag = raw[at]
            at += 1
            if tag >= MORE:
                tag, at = varint(raw, at - 1)
            rule = rules.get(tag)
            if rule is None:
                at = self._skip(raw, at, tag)
                continue
            slot, read, _, many, held = rule
            if read is None:
                at = self._nested(raw, at, end, rule, into)
                continue
            value, at = read(raw, at, end)
            if many:
                into.lists.setdefault(slot, []).append(value)
                continue
            slots[slot] = value
            if held:
                slots[held_slot] = held
                into.parts.pop(slot, None)
        if at != end:
            raise SparkplugError(SHORT)
        return self._made(into)

    def _nested(self, raw: bytes, at: int, end: int, rule: Rule, into: Open) -> int:
        """A message, or numbers in one field. A singular message waits until all of its pieces are there."""
        length, at = _u64(raw, at, end)
        stop = at + length
        if stop > end:
            raise SparkplugError(SHORT)
        if not rule.many:
            _gather(into.parts, rule, raw[at:stop])
            if rule.held:
                into.slots[into.shape.held] = rule.held
            return stop
        values = into.lists.setdefault(rule.slot, [])
        if rule.message is None:
            values += self._packed(raw, at, stop)
        else:
            values.append(self._message(raw, at, stop, Open(self._shapes[rule.message], into.depth - 1)))
        return stop

    def _made(self, into: Open) -> Any:
        slots = into.slots
        for slot, values in into.lists.items():
            slots[slot] = tuple(values)
        for slot, (rule, pieces) in into.parts.items():
            assert rule.message is not None
            whole = b"".join(pieces)
            slots[slot] = self._message(whole, 0, len(whole), Open(self._shapes[rule.message], into.depth - 1))
        return into.shape.made(*slots)

    def _packed(self, raw: bytes, at: int, stop: int) -> list[int]:
        values = []
        while at < stop:
            self._count()
            value, at = _u32(raw, at, stop)
            values.append(value)
        if at != stop:
            raise SparkplugError(SHORT)
        return values

    def _skip(self, raw: bytes, at: int, tag: int) -> int:
        """Where the field after this one begins. Groups are counted, not called, so that nesting costs no stack."""
        groups: list[int] = []
        while True:
            number, wire_type = tag >> 3, tag & 7
            if number == 0:
                raise SparkplugError("the payload has a field with the number 0")
            if wire_type == GROUP:
                groups.append(number)
            elif wire_type == END:
                if not groups or groups.pop() != number:
                    raise SparkplugError("the payload has a group that ends without a beginning")
            else:
                at = _past(raw, at, wire_type)
            if not groups:
                return at
            self._count()
            tag, at = varint(raw, at)


def _gather(parts: dict[int, tuple[Rule, list[bytes]]], rule: Rule, piece: bytes) -> None:
    """Pieces of one singular message belong together; another member of the value takes the place of an earlier one."""
    found = parts.get(rule.slot)
    if found is not None and found[0] is rule:
        found[1].append(piece)
    else:
        parts[rule.slot] = (rule, [piece])


def _past(raw: bytes, at: int, wire_type: int) -> int:
    if wire_type == VARINT:
        at = varint(raw, at)[1]
    elif wire_type == LENGTH:
        length, at = varint(raw, at)
        at += length
    elif wire_type in {FIXED32, FIXED64}:
        at += 4 if wire_type == FIXED32 else 8
    else:
        raise SparkplugError(f"the payload has a field of the unknown wire type {wire_type}")
    if at > len(raw):
        raise SparkplugError(SHORT)
    return at


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, as 64 bits, and where it ends.

    >>> varint(bytes([0x96, 0x01]), 0)
    (150, 2)
    """
    value = shift = 0
    for shift in range(0, 70, 7):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < MORE:
            return value & MASK64, at
    raise SparkplugError("the payload has a number of more than ten bytes")


def write(message: msgspec.Struct, shapes: Shapes) -> bytes:
    """The bytes of a message; what equals its default is left out, but a value that is held is written whatever it is."""
    shape = shapes[type(message)]
    held = getattr(message, "held", 0)
    out = bytearray()
    for field, slot in zip(shape.fields, shape.slots, strict=True):
        value = getattr(message, field.name)
        if field.held:
            if field.held == held:
                _field(out, field, value, shapes)
        elif field.many:
            for one in value:
                _field(out, field, one, shapes)
        elif value != shape.defaults[slot]:
            _field(out, field, value, shapes)
    return bytes(out)


def _field(out: bytearray, field: Field, value: Any, shapes: Shapes) -> None:
    _number(out, field.tag)
    match field.kind:
        case Kind.FLOAT:
            out += _FLOAT.pack(value)
        case Kind.DOUBLE:
            out += _DOUBLE.pack(value)
        case Kind.STRING | Kind.BYTES:
            text = value.encode() if field.kind is Kind.STRING else value
            _number(out, len(text))
            out += text
        case Kind():
            _number(out, int(value))
        case _:
            inner = write(value, shapes)
            _number(out, len(inner))
            out += inner


def _number(out: bytearray, value: int) -> None:
    if not 0 <= value <= MASK64:
        raise SparkplugError(f"{value} does not fit into 64 bits without a sign")
    while value >= MORE:
        out.append(value & 0x7F | MORE)
        value >>= 7
    out.append(value)
