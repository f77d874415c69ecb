"""JSON read without mercy: bytes to one Python value, or the reason and place of the first fault.

`json` alone is too kind: it reads NaN, turns 1e400 into infinity, keeps the last of two equal keys and makes strings that no
encoder can write. `schemas.verdict` uses this for every event that the strict types do not accept at once.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from schemas import bounds

WHITE = b" \t\r\n"
"""The four blanks of JSON; Python strips more than these."""

BOM = b"\xef\xbb\xbf"
STRING = rb'"(?:[^"\\]++|\\.)*+"?'
PREFIX = 4096
"""A bomb shows in its first bytes; looking there first spares reading it all."""

_STRINGS = re.compile(STRING, re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHER = bytes(byte for byte in range(256) if byte not in b"[]{}")


class Refusal(ValueError):  # noqa: N818 - a verdict, handed on as data
    """Why an input is refused, and the JSON pointer of the fault ("" is the whole)."""

    def __init__(self, reason: str, pointer: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.pointer = pointer


class Unreadable(str):
    """A number that is no finite double, as it was written."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object in which `key` came more than once."""

    key: str


def deeper(raw: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than `limit`, without parsing: time is linear in the length for a fixed limit.

    Every pass takes away the innermost pairs, so what is left after `limit` passes was nested deeper, or never closed.

    >>> deeper(b'{"a": [[1], "[[["]}', 3), deeper(b'{"a": [[1], "[[["]}', 2), deeper(b"[" * 1000, 16)
    (False, True, True)
    """
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    left = _STRINGS.sub(b"", raw).translate(_BRACKETS, _OTHER)
    for _ in range(limit):
        left = left.replace(b"[]", b"")
    return b"[]" in left or left.startswith(b"[" * (limit + 1))


def _crowded(raw: bytes, limit: int) -> bool:
    """Whether more than `limit` values stand in it, without parsing: each but the first follows a bracket or a comma."""
    if raw.count(b"[") + raw.count(b"{") + raw.count(b",") <= limit:
        return False
    bare = _STRINGS.sub(b"", raw)
    return bare.count(b"[") + bare.count(b"{") + bare.count(b",") > limit


def point(pointer: str, step: str | int) -> str:
    """One step further down a JSON pointer (RFC 6901); letters that UTF-8 lacks are shown by their code."""
    token = str(step).replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{token.encode(errors='backslashreplace').decode()}"


def _integer(digits: str) -> int | float | Unreadable:
    number = int(digits) if len(digits) <= len(str(bounds.LONG.start)) else None
    return number if number is not None and number in bounds.LONG else _float(digits)


def _float(digits: str) -> float | Unreadable:
    number = float(digits)
    return number if -bounds.LARGEST <= number <= bounds.LARGEST else Unreadable(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    marked = Repeated(members)
    seen: set[str] = set()
    marked.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


class _Fault(Exception):  # noqa: N818 - never leaves this module
    """There is something to search for."""


def _stop(_: str) -> NoReturn:
    raise _Fault


def _sound_number(digits: str) -> int | float:
    number = _integer(digits) if digits.lstrip("-").isdigit() else _float(digits)
    return _stop(digits) if isinstance(number, Unreadable) else number


def _sound_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _stop("")


_SOUND = json.JSONDecoder(
    object_pairs_hook=_sound_object, parse_int=_sound_number, parse_float=_sound_number, parse_constant=_stop
)
_MARKING = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=Unreadable)


def _search(value: Any, pointer: str) -> None:
    """Refuse at the first fault that the parser let pass."""
    match value:
        case Unreadable():
            number = value[:1].isdigit() or value[1:2].isdigit()
            raise Refusal("number out of range of a double" if number else f"{value} is not JSON", pointer)
        case str():
            _letters(value, pointer)
        case dict():
            if isinstance(value, Repeated):
                raise Refusal("key repeated in one object", point(pointer, value.key))
            for key, member in value.items():
                here = point(pointer, key)
                _letters(key, here)
                _search(member, here)
        case list():
            for index, item in enumerate(value):
                _search(item, point(pointer, index))


def _letters(text: str, pointer: str) -> None:
    if not text.isascii() and (found := _SURROGATE.search(text)):
        raise Refusal(f"lone surrogate \\u{ord(found[0]):04x}", pointer)


def _malformed(text: str, error: json.JSONDecodeError) -> NoReturn:
    if error.msg == "Extra data":
        raise Refusal(f"trailing characters after the JSON value, at character {error.pos}")
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        raise Refusal(f"truncated JSON: it ends at character {len(text)}")
    raise Refusal(f"malformed JSON at character {error.pos}: {error.msg.removesuffix(' at')}")


def read(raw: bytes, depth: int, values: int) -> Any:
    """The value of a JSON text.

    Integers outside of 64 bits become floats, as JSON's own interoperable range has it (RFC 8259, section 6).

    Raises:
        Refusal: bad UTF-8, a byte order mark, nesting deeper than `depth`, more than `values` values, bad syntax, NaN or
            Infinity, a number out of a double's range, a repeated key, a lone surrogate.
    """
    if raw.startswith(BOM):
        raise Refusal("begins with a byte order mark")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Refusal(f"not UTF-8: byte 0x{raw[error.start]:02x} at {error.start}") from None
    if not text.strip(" \t\r\n"):
        raise Refusal("empty")
    if deeper(raw[:PREFIX], depth) or deeper(raw, depth):
        raise Refusal(f"nested deeper than {depth} levels")
    if _crowded(raw, values):
        raise Refusal(f"more than {values} values")
    try:
        return _value(text)
    except json.JSONDecodeError as error:
        _malformed(text, error)


def _value(text: str) -> Any:
    """Parsed with hooks that stop at a fault, so that only faulty text pays for the search of where it is."""
    try:
        value = _SOUND.decode(text)
    except _Fault:
        value = _MARKING.decode(text)
        _search(value, "")
    else:
        if _SURROGATE_ESCAPE.search(text):
            _search(value, "")
    return value
