"""Bytes to typed, valid events; whatever is not valid comes back with its reason and its bytes.

Fed by MQTT and Kafka messages (`decode`) and by the lines of NDJSON files (`decode_lines`); used by the gateway, the worker and
the command line. Nothing here raises, whatever the bytes.

The fast way: the whole batch goes through the strict types of `schemas.wire` at once. If anything at all is in doubt, each
event is decoded by itself, and what is still in doubt is judged by its JSON Schema (`schemas.verdict`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from schemas.batch import MARKS, Element, elements
from schemas.event import Connected, Event
from schemas.finding import Invalid
from schemas.strict import WHITE, Refusal
from schemas.verdict import judge
from schemas.wire import MANY, ONE, WRITER, WireEvent, tame

PART = 32
"""Lines that are tried together again where more together did not decode: most of these hold no bad one."""

NOT_TEXT = 65_536
"""Bytes that are kept of a message that is not UTF-8. No fix makes an event of it, and megabytes would take half a second."""

QUOTE = b'"'
VECTORS_PAY = 2048
_HIGH_CONTROL = re.compile(rb"\xc2[\x80-\x9f]")
_CONTROL_ESCAPE = re.compile(rb"\\(?:[bfnrt]|u00[018-9][0-9a-fA-F]|u007[fF])")
_ESCAPED = re.compile(rb"\\x(5c|[89a-f][0-9a-f])")
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
Wire = TypeVar("Wire", WireEvent, list[WireEvent])


class Limits(msgspec.Struct, frozen=True):
    """What one message may hold; checked before the work that it would cost.

    `message`: bytes. `batch`: events. `depth`: nesting of one event, itself included; at least 4, the depth of a signal.
    `values`: of one event, nested ones included; at least 50,000, what the largest event of the strict types comes near.
    """

    message: int = 2 * 1024 * 1024
    batch: int = 4_000
    depth: int = 16
    values: int = 50_000


LIMITS = Limits()


class Decoded(msgspec.Struct, gc=False):
    """What a message held. `offsets` are the places of `events`: indices in the batch, or numbers of lines."""

    events: list[Event]
    invalid: list[Invalid]
    offsets: Sequence[int]


def decode(raw: bytes, *, limits: Limits = LIMITS) -> Decoded:
    """The events of one message: an object, or an array of objects (a CloudEvents batch). Never raises.

    >>> decode(b"[]").invalid[0].reason
    'an empty batch'
    """
    if len(raw) > limits.message:
        return _too_long(raw, limits)
    if not raw.lstrip(WHITE).startswith(b"["):
        return _each([(0, raw)], limits)
    events = _vouched_batch(raw, limits)
    if events is None:
        return _broken(raw, limits)
    if not events:
        return _refused(raw, "an empty batch")
    return Decoded(events, [], range(len(events)))


def decode_lines(lines: Iterable[bytes], *, start: int = 0, limits: Limits = LIMITS) -> Decoded:
    """The events of NDJSON lines, one a line; blank lines are passed over. Never raises.

    `offset` counts lines, blank ones too, from `start`. Fastest with 100 to 1,000 lines at a time.
    """
    texts = [line.strip(WHITE) for line in lines]
    numbered: Sequence[int] = range(start, start + len(texts))
    if not all(texts):
        numbered = [at for at, text in zip(numbered, texts, strict=True) if text]
        texts = [text for text in texts if text]
    whole = _vouched_lines(texts, limits) if texts else []
    if whole is not None:
        return Decoded(whole, [], numbered)
    offsets: list[int] = []
    decoded = Decoded([], [], offsets)
    for at in range(0, len(texts), PART):
        part, places = texts[at : at + PART], numbered[at : at + PART]
        events = _vouched_lines(part, limits)
        one = _each(zip(places, part, strict=True), limits) if events is None else Decoded(events, [], places)
        decoded.events += one.events
        decoded.invalid += one.invalid
        offsets += one.offsets
    return decoded


def original(text: str) -> bytes:
    r"""The very bytes that `Invalid.raw` shows.

    >>> original(shown(b'\xff\\xff\xc3\xa9')) == b'\xff\\xff\xc3\xa9'
    True
    """
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())


def shown(raw: bytes) -> str:
    r"""Bytes as text: UTF-8 stays as it is, any other byte is shown as \xNN, of what is no text the first `NOT_TEXT` bytes.

    A backslash before an x becomes \x5c, so `original` has one answer.
    """
    try:
        return raw.replace(rb"\x", rb"\x5cx").decode()
    except UnicodeDecodeError:
        return raw[:NOT_TEXT].replace(rb"\x", rb"\x5cx").decode(errors="backslashreplace")


def _refused(raw: bytes, reason: str) -> Decoded:
    return Decoded([], [Invalid(offset=0, reason=reason, pointer="", raw=shown(raw))], [])


def _too_long(raw: bytes, limits: Limits) -> Decoded:
    return _refused(raw[: limits.message], f"message longer than {limits.message} bytes")


def _vouched_batch(raw: bytes, limits: Limits) -> list[Event] | None:
    """The events of a batch if the strict types vouch for all of them."""
    try:
        wires = MANY.decode(raw)
        if len(wires) > limits.batch or not _unambiguous(raw, wires) or not tame(wires):
            return None
        return [wire.event() for wire in wires]
    except (ValueError, RecursionError):
        return None


def _vouched_lines(lines: list[bytes], limits: Limits) -> list[Event] | None:
    r"""The events of lines if the strict types vouch for all of them, read as one array.

    A border is `,\n{`: within a string it is refused, between the members of an object it is no JSON. So if there are no other
    newlines, each border is between elements of an array: of the outer one, or of `signals`, the only other with objects.
    """
    joined = b"[" + b",\n".join(lines) + b"]"
    if joined.count(b"\n") != len(lines) - 1 or {line[0] for line in lines} != {ord("{")}:
        return None
    if len(joined) > limits.message and max(map(len, lines)) > limits.message:
        return None
    events = _vouched_batch(joined, msgspec.structs.replace(limits, batch=len(lines)))
    if events is None or len(events) != len(lines):
        return None
    if any([type(event.body) is Connected for event in events]):  # noqa: C419 - a list is faster than a generator
        pieces = _RAW.decode(joined)
        return events if all(map(bytes.__eq__, map(bytes, pieces), lines)) else None
    return events


def _vouched(raw: bytes) -> Event | None:
    try:
        wire = ONE.decode(raw)
        return wire.event() if _unambiguous(raw, wire) and tame((wire,)) else None
    except (ValueError, RecursionError):
        return None


def _unambiguous(raw: bytes, wires: Wire) -> bool:
    """Whether no key came twice and no control character is in a name. Says False when it does not know.

    The types know every member that they accept, so writing them again gives as many strings, and so quotes, as came, unless
    a repeated key has overwritten some. Escaped quotes are taken away first; escaped spellings of a key count like any.
    """
    again = WRITER.encode(wires)
    if b"\x7f" in raw or (not raw.isascii() and _HIGH_CONTROL.search(raw)):
        return False
    if b"\\" in raw:
        if _CONTROL_ESCAPE.search(raw):
            return False
        raw, again = _without_escapes(raw), _without_escapes(again)
    return _quotes(raw) == _quotes(again)


def _quotes(raw: bytes) -> int:
    """As `raw.count`, but five times as fast where there are many."""
    return raw.count(QUOTE) if len(raw) < VECTORS_PAY else int(np.count_nonzero(np.frombuffer(raw, np.uint8) == ord(QUOTE)))


def _without_escapes(raw: bytes) -> bytes:
    return raw.replace(b"\\\\", b"").replace(b'\\"', b"")


def _broken(raw: bytes, limits: Limits) -> Decoded:
    """A batch, element by element; one that is too long is refused as a whole."""
    pieces: list[bytes] = []
    faults: list[Invalid] = []
    for at, (text, fault) in enumerate(_elements(raw)):
        if fault:
            faults.append(Invalid(offset=at, reason=fault, pointer="", raw=shown(text)))
        elif at >= limits.batch:
            return _refused(raw, f"batch longer than {limits.batch} events")
        else:
            pieces.append(text)
    decoded = _each(enumerate(pieces), limits)
    decoded.invalid.extend(faults)
    return decoded


def _elements(raw: bytes) -> Iterable[Element]:
    """At a parser's speed where the array is well-formed and not absurdly long."""
    if raw.count(b",") > MARKS:
        return elements(raw)
    try:
        return [Element(bytes(piece)) for piece in _RAW.decode(raw)]
    except (ValueError, RecursionError):
        return elements(raw)


def _each(pieces: Iterable[tuple[int, bytes]], limits: Limits) -> Decoded:
    decoded = Decoded([], [], offsets := [])
    for at, raw in pieces:
        if len(raw) > limits.message:
            decoded.invalid += (msgspec.structs.replace(found, offset=at) for found in _too_long(raw, limits).invalid)
            continue
        event = _vouched(raw)
        if event is None:
            try:
                event = judge(raw, limits.depth, limits.values)
            except Refusal as refusal:
                decoded.invalid.append(Invalid(offset=at, reason=refusal.reason, pointer=refusal.pointer, raw=shown(raw)))
                continue
        decoded.events.append(event)
        offsets.append(at)
    return decoded
