"""What decode answers to each input whose treatment is defined: the table of docs/events.md, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas import event
from schemas.decode import Limits, decode, decode_lines, original, shown
from schemas.definitions import example
from schemas.device import DeviceId, SignalName
from schemas.event import EventType
from schemas.wire import Known

FINE = json.dumps(example(EventType.TELEMETRY)).encode()
LOG = json.dumps(example(EventType.LOG)).encode()
LINKED = json.dumps(example(EventType.LINKED)).encode()


def put(old: bytes, new: bytes) -> bytes:
    assert FINE.count(old) >= 1
    return FINE.replace(old, new, 1)


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "NaN": (put(b"12.5", b"NaN"), "NaN is not JSON", "/data/values/flow"),
    "Infinity": (put(b"12.5", b"-Infinity"), "-Infinity is not JSON", "/data/values/flow"),
    "1e400": (put(b"12.5", b"1e400"), "number out of range of a double", "/data/values/flow"),
    "integer of 400 digits": (put(b"12.5", b"9" * 400), "number out of range of a double", "/data/values/flow"),
    "repeated key": (put(b'"flow"', b'"flow": 1, "flow"'), "key repeated in one object", "/data/values/flow"),
    "repeated key, escaped": (put(b'"flow"', b'"fl\\u006fw": 1, "flow"'), "key repeated in one object", "/data/values/flow"),
    "repeated attribute": (put(b'"id"', b'"type":"device.log","id"'), "key repeated in one object", "/type"),
    "lone surrogate": (put(b"gw-01-42", b"\\ud800"), "lone surrogate \\ud800", "/id"),
    "lone surrogate in a key": (put(b"flow", b"\\udc00"), "lone surrogate \\udc00", "/data/values/\\udc00"),
    "bad UTF-8": (put(b"gw-01-42", b"\xff"), "not UTF-8: byte 0xff at 30", ""),
    "overlong UTF-8": (put(b"gw-01-42", b"\xc0\x80"), "not UTF-8: byte 0xc0 at 30", ""),
    "byte order mark": (b"\xef\xbb\xbf" + FINE, "begins with a byte order mark", ""),
    "truncated": (FINE[:-2], "truncated JSON", ""),
    "truncated in a string": (FINE[:40], "truncated JSON", ""),
    "trailing garbage": (FINE + b" x", "trailing characters after the JSON value", ""),
    "two events": (FINE + FINE, "trailing characters after the JSON value", ""),
    "empty": (b"", "empty", ""),
    "blank": (b" \r\n", "empty", ""),
    "empty batch": (b" [ ] ", "an empty batch", ""),
    "a number": (b"5", "an event is an object, not a number", ""),
    "null": (b"null", "an event is an object, not null", ""),
    "control character": (put(b"gw-01-42", b"a\x01"), "malformed JSON at character 31", ""),
    "control character, escaped": (put(b"gw-01-42", b"a\\u0001"), "not 1..128 characters", "/id"),
    "control character, C1": (put(b"gw-01-42", "a\x85".encode()), "not 1..128 characters", "/id"),
    "30 February": (put(b"2026-01-05", b"2026-02-30"), "not RFC 3339", "/time"),
    "29 February 2100": (put(b"2026-01-05", b"2100-02-29"), "not RFC 3339", "/time"),
    "leap second": (put(b"08:30:00.250", b"23:59:60"), "not RFC 3339", "/time"),
    "hour 24": (put(b"08:30:00.250", b"24:00:00"), "not RFC 3339", "/time"),
    "not UTC": (put(b"250Z", b"250+01:00"), "not RFC 3339", "/time"),
    "nanoseconds": (put(b"250Z", b"250000001Z"), "not RFC 3339", "/time"),
    "no zone": (put(b"250Z", b"250"), "not RFC 3339", "/time"),
    "wrong type": (put(b"12.5", b"[1]"), "not a finite number", "/data/values/flow"),
    "null for a member": (put(b'"good"', b"null"), "not one of good", "/data/quality"),
    "unknown type": (put(b"device.telemetry", b"device.dream"), "not one of device.connected", "/type"),
    "unknown member": (put(b'"quality"', b'"mood"'), "not a member of this object", "/data/mood"),
    "missing member": (put(b'"deviceId": "pump-07", ', b""), "deviceId is missing", "/data"),
    "missing attribute": (put(b'"specversion": "1.0", ', b""), "specversion is missing", ""),
    "bad deviceId": (put(b'"deviceId": "pump-07"', b'"deviceId": "pump 07"'), "not 1..128 letters", "/data/deviceId"),
    "bad attribute name": (put(b'"id"', b'"Trace_id": 1, "id"'), "not an attribute's name", "/Trace_id"),
    "sequence not padded": (put(b"00000000000000000042", b"42"), "not 20 digits", "/sequence"),
    "deep": (b'{"a":' * 100_000, "nested deeper than 16 levels", ""),
    "deep inside": (LINKED.replace(b"0.8", b'0.8, "properties": {"a":' + b"[" * 14 + b"]" * 14 + b"}"), "nested deeper", ""),
    "wide": (b'{"a":[' + b"1," * 60_000 + b"1]}", "more than 50000 values", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_reason_and_pointer_and_nothing_else_lost(name: str) -> None:
    raw, reason, pointer = REFUSED[name]
    alone = decode(raw)
    assert not alone.events
    [invalid] = alone.invalid
    assert invalid.reason.startswith(reason)
    assert (invalid.pointer, invalid.offset, original(invalid.raw)) == (pointer, 0, raw)
    if raw.strip():
        among = decode_lines([FINE, b"", raw, LOG], start=1)
        assert (list(among.offsets), [one.offset for one in among.invalid]) == ([1, 4], [3])
        assert original(among.invalid[0].raw) == raw.strip()


SPLITTABLE = [name for name in REFUSED if not name.startswith(("truncated", "deep", "byte order", "empty", "blank", "two"))]


@pytest.mark.parametrize("name", SPLITTABLE)
def test_one_bad_event_in_a_batch_costs_only_itself(name: str) -> None:
    raw, reason, pointer = REFUSED[name]
    decoded = decode(b"[" + FINE + b"," + raw + b", " + LOG + b"]")
    assert list(decoded.offsets) == [0, 2]
    [invalid] = decoded.invalid
    assert invalid.reason.startswith(reason)
    assert (invalid.pointer, invalid.offset, original(invalid.raw)) == (pointer, 1, raw)


ACCEPTED: dict[str, tuple[bytes, Callable[[Any], object], object]] = {
    "huge integer": (put(b"12.5", b"123456789012345678901234567890"), lambda e: e.body.values["flow"], 1.2345678901234568e29),
    "integer": (put(b"12.5", b"12"), lambda e: type(e.body.values["flow"]), float),
    "boolean": (put(b"12.5", b"true"), lambda e: e.body.values["flow"], True),
    "escape": (put(b"flow", b"fl\\u006fw"), lambda e: list(e.body.values), ["flow", "running"]),
    "extension attribute": (put(b'"id"', b'"traceparent": "00-a", "id"'), lambda e: e.stamp.id, "gw-01-42"),
    "another extension attribute": (put(b'"id"', b'"severitytext": 5, "id"'), lambda e: e.stamp.id, "gw-01-42"),
    "unset attribute": (put(b'"3"', b"null"), lambda e: e.stamp.epoch, 0),
    "zone": (put(b"250Z", b"25+00:00"), lambda e: e.stamp.at, 1_767_601_800_250_000),
    "before 1970": (put(b"2026-01-05T08:30:00.250Z", b"1969-12-31T23:59:59.5Z"), lambda e: e.stamp.at, -500_000),
    "text with a line feed": (LOG.replace(b"bearing", b"a\\n"), lambda e: e.body.text[:2], "a\n"),
    "integer beyond 64 bits in a free object": (
        LINKED.replace(b"0.8", b'0.8, "properties": {"n": 18446744073709551616}'),
        lambda e: repr(e.body.properties["n"]),
        "1.8446744073709552e+19",
    ),
    "nested free object": (
        LINKED.replace(b"0.8", b'0.8, "properties": {"n": {"a": [null]}}'),
        lambda e: e.body.properties,
        {"n": {"a": [None]}},
    ),
    "subject that is another": (put(b'"subject": "pump-07"', b'"subject": "line-1"'), lambda e: e.body.device_id, "pump-07"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    raw, read, expected = ACCEPTED[name]
    for decoded in (decode(raw), decode(b"[" + FINE + b"," + raw + b"]"), decode_lines([raw])):
        assert decoded.invalid == []
        assert read(decoded.events[-1]) == expected


VALUES: dict[SignalName, event.SignalValue] = {SignalName("flow"): 12.5, SignalName("running"): True}


def test_stamp_and_body() -> None:
    [made] = decode(FINE).events
    assert made.stamp == event.Stamp(event.Micros(1_767_601_800_250_000), "/plants/homberg/gateways/gw-01", 3, 42, "gw-01-42")
    assert made.body == event.Telemetry(DeviceId("pump-07"), VALUES, event.Quality.GOOD)


def test_ids_of_devices_and_gateways_are_interned() -> None:
    one, other = decode(b"[" + FINE + b"," + FINE + b"]").events
    assert one.stamp.source is other.stamp.source
    assert one.body.device_id is other.body.device_id  # type: ignore[union-attr]


def test_the_array_itself_may_be_broken() -> None:
    cases = {
        b"[" + FINE + b"," + FINE[:50]: ("truncated JSON", 2),
        b"[" + FINE + b"] x": ("trailing characters after the array", 1),
        b"[" + FINE + b",]": ("empty", 1),
        b"[[" + FINE + b"]," + FINE + b"]": ("an event is an object, not an array", 1),
        b"[" + FINE + b',{"a":[1},' + FINE + b"]": ("malformed JSON", 1),
    }
    for raw, (reason, faults) in cases.items():
        decoded = decode(raw)
        assert decoded.events
        assert decoded.invalid[0].reason.startswith(reason)
        assert len(decoded.invalid) == faults


def test_caps() -> None:
    small = Limits(message=2 * len(FINE) + 3, batch=2)
    assert len(decode(b"[" + FINE + b"," + FINE + b"]", limits=small).events) == 2
    assert decode(FINE + b" " * 1000, limits=small).invalid[0].reason == f"message longer than {small.message} bytes"
    assert decode(b"[1,1,1]", limits=small).invalid[0].reason == "batch longer than 2 events"
    assert len(decode_lines([FINE] * 3, limits=small).events) == 3
    assert [one.offset for one in decode_lines([FINE, FINE + b" " * 1000 + b"x"], limits=small).invalid] == [1]


@pytest.mark.parametrize(
    "raw", [b"", b"a", b"\xff\xfe", b"\\xff\xff\\x5c\\x5cxff", "é".encode(), b"\xc3", b"\x00", bytes(range(256))]
)
def test_raw_can_be_had_back(raw: bytes) -> None:
    assert original(shown(raw)) == raw


def test_what_is_remembered_is_bounded() -> None:
    known = Known(len, limit=3)
    assert [known[text] for text in ("a", "bb", "a", "ccc", "dddd")] == [1, 2, 1, 3, 4]
    assert len(known) == 1
