"""Typed events back to CloudEvents: what leaves the service for others, on Kafka for example.

The inverse of `schemas.decode`: what is written here decodes to the same event, whatever its order of members was when it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from schemas import event as body
from schemas.event import Event, Micros, Quality, rfc3339
from schemas.wire import (
    WRITER,
    AlarmData,
    AlarmEvent,
    ConnectedData,
    ConnectedEvent,
    Data,
    DisconnectedData,
    DisconnectedEvent,
    ImageData,
    ImageEvent,
    Known,
    LinkedData,
    LinkedEvent,
    LogData,
    LogEvent,
    ResultData,
    ResultEvent,
    SignalData,
    TelemetryData,
    TelemetryEvent,
    UnlinkedData,
    UnlinkedEvent,
    WireEvent,
)

_FORMS: dict[type, tuple[type[Any], type[Data]]] = {
    body.Connected: (ConnectedEvent, ConnectedData),
    body.Disconnected: (DisconnectedEvent, DisconnectedData),
    body.Linked: (LinkedEvent, LinkedData),
    body.Unlinked: (UnlinkedEvent, UnlinkedData),
    body.ControlAlarm: (AlarmEvent, AlarmData),
    body.Log: (LogEvent, LogData),
    body.Image: (ImageEvent, ImageData),
    body.ActionResult: (ResultEvent, ResultData),
}
_TIMES: Known[str] = Known(lambda at: rfc3339(Micros(int(at))))


def encode(events: Sequence[Event]) -> bytes:
    """A CloudEvents batch, JSON.

    >>> from schemas.decode import decode
    >>> from schemas.event import Log, Stamp
    >>> event = Event(Stamp(Micros(0), "/gw", 1, 7, "a"), Log("pump-1", "hot"))
    >>> decode(encode([event])).events == [event]
    True
    """
    return WRITER.encode([wire(event) for event in events])


def wire(event: Event) -> WireEvent:
    """An event as it stands on the wire."""
    stamp, said = event.stamp, event.body
    numbered = stamp.sequence or stamp.epoch
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": stamp.id,
        "source": stamp.source,
        "time": _TIMES[str(stamp.at)],
        "sequence": f"{stamp.sequence:020}" if numbered else None,
        "epoch": str(stamp.epoch) if numbered else None,
    }
    if isinstance(said, body.Telemetry):
        quality = UNSET if said.quality == Quality.GOOD else said.quality
        return TelemetryEvent(subject=said.device_id, data=TelemetryData(said.device_id, said.values, quality), **envelope)
    form, data = _FORMS[type(said)]
    written: WireEvent = form(subject=getattr(said, "device_id", None), data=data(**_members(said)), **envelope)
    return written


def _members(said: body.Data) -> dict[str, Any]:
    members = {name: value for name in said.__struct_fields__ if (value := getattr(said, name)) is not None}
    if "signals" in members:
        members["signals"] = tuple(
            SignalData(**{name: value for name, value in msgspec.structs.asdict(signal).items() if value is not None})
            for signal in members["signals"]
        )
    return members
