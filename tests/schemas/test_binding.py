"""CloudEvents on Kafka in every mode, and records that are none."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from schemas.binding import BATCH, STRUCTURED, BindingError, binary, message
from schemas.decode import decode
from schemas.encode import encode
from schemas.event import Event
from tests.schemas.samples import damaged
from tests.streams.plant import alarm, line, recording, wire

EVENTS = [*recording(3), alarm(99, 1_767_571_200_250_000, active=True)]


@given(damaged())
@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_written_decodes_to_the_same_event(sample: dict[str, object]) -> None:
    """Of those that are valid still."""
    events = decode(json.dumps(sample).encode()).events
    if events:
        assert decode(encode(events)).events == events


def test_structured_records_are_read_as_they_are() -> None:
    body = line(EVENTS[0])
    assert message([("content-type", STRUCTURED.encode() + b"; charset=utf-8")], body) == body
    assert message([("Content-Type", BATCH.encode())], b"[" + body + b"]") == b"[" + body + b"]"
    assert message([], body) == body


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.stamp.id)
def test_binary_mode_is_the_same_event(event: Event) -> None:
    attributes = {name: str(value) for name, value in wire(event).items() if name != "data"}
    value = msgspec.json.encode(wire(event)["data"])
    assert decode(message(binary(attributes), value)).events == [event]


@pytest.mark.parametrize(
    ("headers", "value", "reason"),
    [
        ([], None, "without a value"),
        ([("ce_id", b"1"), ("CE_ID", b"2")], b"{}", "came twice"),
        ([("ce_id", b"\xff")], b"{}", "not UTF-8"),
        ([("ce_id", b"1"), ("content-type", b"text/plain")], b"{}", "text/plain"),
        ([("content-type", b"application/cloudevents+avro")], b"\x00", "avro"),
        ([("ce_id", b"1"), ("ce_data", b"{}")], b"{}", "ce_data"),
        ([("ce_id", b"1")], b"{", "no JSON"),
        ([("ce_id", b"1")], b"[" * 100_000, "no JSON"),
        ([("ce_id", b"1")], b"", "no JSON"),
    ],
)
def test_what_is_no_cloudevent_is_refused(headers: list[tuple[str, bytes]], value: bytes | None, reason: str) -> None:
    with pytest.raises(BindingError, match=reason):
        message(headers, value)


def test_data_cannot_smuggle_in_attributes() -> None:
    with pytest.raises(BindingError, match="no JSON"):
        message([("ce_id", b"1")], b'{}, "source": "/another"')
