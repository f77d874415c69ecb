"""Types, jsonschema_rs and jsonschema give one verdict on every event."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.decode import _vouched, decode, decode_lines
from schemas.definitions import ENVELOPE, EVENTS, example
from schemas.event import EventType
from schemas.strict import point
from schemas.verdict import _SHARED, VALIDATORS
from tests.schemas import samples

ORACLES = {kind.value: jsonschema.Draft202012Validator(schema) for kind, schema in EVENTS.items()}
ORACLE = jsonschema.Draft202012Validator(ENVELOPE)
quiet = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def verdicts(event: dict[str, Any]) -> tuple[bool, bool]:
    kind = event.get("type")
    known = isinstance(kind, str) and kind in ORACLES
    oracle = ORACLES[str(kind)] if known else ORACLE
    fast = (VALIDATORS[str(kind)] if known else _SHARED)[0]
    return oracle.is_valid(event), fast.is_valid(event)


def finite(value: Any) -> bool:
    """Whether every number is one of a double's range; free objects may hold any number by their schema."""
    match value:
        case bool():
            return True
        case int():
            return abs(value) < 2**1024 - 2**970
        case dict():
            return all(map(finite, value.values()))
        case list():
            return all(map(finite, value))
    return True


def agree(event: dict[str, Any]) -> bool:
    slow, fast = verdicts(event)
    raw = json.dumps(event).encode()
    assert slow is fast, event
    slow = slow and finite(event)
    assert len(decode(raw).events) == slow, (event, decode(raw).invalid)
    assert decode(b"[" + raw + b"]").events == decode(raw).events == decode_lines([raw]).events
    if _vouched(raw):
        assert slow, event
    return slow


@settings(quiet, max_examples=300)
@given(samples.EVENTS)
def test_valid_events_are_valid_to_all(event: dict[str, Any]) -> None:
    assert agree(event), decode(json.dumps(event).encode()).invalid


@settings(quiet, max_examples=1200)
@given(samples.damaged())
def test_damaged_events_get_one_verdict(event: dict[str, Any]) -> None:
    agree(event)


def test_every_odd_value_in_every_place_gets_one_verdict() -> None:
    verdict = {True: 0, False: 0}
    for kind in EventType:
        whole = example(kind)
        for at in range(len(samples.places(whole))):
            for odd in samples.ODD[:: 3 if kind is not EventType.TELEMETRY else 1]:
                event = copy.deepcopy(whole)
                container, key = samples.places(event)[at]
                container[key] = copy.deepcopy(odd)
                verdict[agree(event)] += 1
    assert min(verdict.values()) > 200


@settings(quiet, max_examples=400)
@given(st.one_of(samples.EXAMPLES, samples.EVENTS), st.data())
def test_no_repeated_key_slips_through(event: dict[str, Any], data: st.DataObject) -> None:
    event = copy.deepcopy(event)
    places = [place for place in samples.places(event) if isinstance(place[0], dict)]
    container, key = places[data.draw(st.integers(0, len(places) - 1))]
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key if ord(letter) < 0x10000)
    plain = json.dumps(key)[1:-1]
    spelling = data.draw(st.sampled_from([plain, escaped] if all(ord(letter) < 0x10000 for letter in key) else [plain]))
    raw = samples.spelled(event, (container, key), spelling).encode()
    fine = json.dumps(example(EventType.TELEMETRY)).encode()
    for decoded in (decode(raw), decode(b"[" + fine + b"," + raw + b"]"), decode_lines([fine, raw])):
        assert [invalid.reason for invalid in decoded.invalid] == ["key repeated in one object"]
        assert decoded.invalid[0].pointer.endswith(point("", key))


@settings(quiet, max_examples=300)
@given(st.lists(st.one_of(samples.EXAMPLES, samples.damaged()), max_size=6), st.data())
def test_lines_are_judged_one_by_one(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Also where a line break falls inside an event, or two events share a line."""
    joint = data.draw(st.sampled_from([b"\n", b",\n", b"\n\n", b","]))
    text = joint.join(json.dumps(event).encode() for event in events)
    for _ in range(data.draw(st.integers(0, 2))):
        text = text.replace(b"}, {", data.draw(st.sampled_from([b"}\n{", b"}\n,{"])), 1)
    lines = text.split(b"\n")
    together = decode_lines(lines)
    alone = [decode(line) for line in lines if line.strip()]
    assert together.events == [event for one in alone for event in one.events]
    assert [invalid.reason for invalid in together.invalid] == [invalid.reason for one in alone for invalid in one.invalid]
