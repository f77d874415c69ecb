"""Events exactly as they stand on the wire, as types that are at least as strict as the JSON Schemas.

`schemas.decode` reads into these first, because that is the fastest way to know that an event is valid: what they accept,
and what `event()` then makes of it, is valid by `schemas.definitions`; the differential test proves it. What they do not
accept may still be valid (an extension attribute, say); `schemas.verdict` decides. Optional members are UNSET rather than
None, so encoding a decoded event again yields the very members that came: the check for repeated keys rests on that.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from schemas import bounds, event
from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import ActionStatus, Body, Event, Micros, Quality, Severity, Stamp, micros

Read = TypeVar("Read")


class Doubt(ValueError):  # noqa: N818 - no error: the schema has still to decide
    """The strict types cannot vouch for this event."""


class Known(dict[str, Read], Generic[Read]):
    """Texts that were checked before, with what they mean: an event repeats its gateway, its device and its second.

    Forgets everything when it holds `limit` texts, so that hostile input cannot fill the memory.
    """

    def __init__(self, read: Callable[[str], Read], limit: int = 100_000) -> None:
        super().__init__()
        self._read = read
        self._limit = limit

    def __missing__(self, text: str) -> Read:
        meaning = self._read(text)
        if len(self) >= self._limit:
            self.clear()
        self[text] = meaning
        return meaning


def _matched(pattern: str, text: str, most: int) -> str:
    if len(text) > most or re.fullmatch(pattern, text) is None:
        raise Doubt(text[:64])
    return text


def _second(text: str) -> int:
    _matched(bounds.SECOND, text, 19)
    if text.startswith("0000"):
        raise Doubt(text)
    return micros(datetime.fromisoformat(text + "+00:00"))


def _fraction(text: str) -> int:
    _matched(bounds.FRACTION, text, 13)
    return int(text.removesuffix("Z").removesuffix("+00:00")[1:].ljust(6, "0"))


def _device(text: str) -> DeviceId:
    return DeviceId(sys.intern(_matched(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*", text, bounds.ID)))


def _source(text: str) -> str:
    if not text:
        raise Doubt
    return sys.intern(_matched(bounds.URI_REFERENCE, text, bounds.URI))


SECONDS = Known(_second)
FRACTIONS = Known(_fraction)
DEVICES = Known(_device, limit=400_000)
SOURCES = Known(_source, limit=10_000)
EPOCHS = Known(lambda text: int(_matched(bounds.EPOCH, text, 19)))
LAST_SEQUENCE = "08999999999999999999"

Id = Annotated[DeviceId, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*\Z", max_length=bounds.ID)]
Name = Annotated[str, Meta(min_length=1, max_length=bounds.NAME)]
Label = Annotated[str, Meta(max_length=bounds.LABEL)]
Text = Annotated[str, Meta(max_length=bounds.TEXT)]
Uri = Annotated[str, Meta(min_length=1, max_length=bounds.URI, pattern=bounds.URI_REFERENCE[:-1] + r"\Z")]
MediaType = Annotated[str, Meta(max_length=bounds.NAME, pattern=bounds.MEDIA_TYPE)]
# Possessive: a picture is a million characters, and the engine need not remember each group.
Base64 = Annotated[
    str,
    Meta(min_length=4, max_length=bounds.IMAGE, pattern=bounds.BASE64.replace("{4})*", "{4})*+").removesuffix("$") + r"\Z"),
]
Values = Annotated[
    dict[Annotated[SignalName, Meta(min_length=1, max_length=bounds.NAME)], bool | float | Text], Meta(max_length=bounds.MANY)
]
Properties = Annotated[dict[str, Any], Meta(max_length=bounds.MANY)]


class Data(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel", gc=False):
    """The wire's form of a body."""

    def given(self) -> dict[str, Any]:
        """The members that came."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class SignalData(Data, frozen=True, gc=False):
    name: Name
    kind: SignalKind
    unit: Annotated[str, Meta(max_length=bounds.NAME)] | UnsetType = UNSET
    min: float | UnsetType = UNSET
    max: float | UnsetType = UNSET


class ConnectedData(Data, frozen=True, gc=False):
    device_id: Id
    type: Name
    location: Label | UnsetType = UNSET
    parent: Id | UnsetType = UNSET
    children: Annotated[tuple[Id, ...], Meta(max_length=bounds.MANY)] | UnsetType = UNSET
    zone: Label | UnsetType = UNSET
    signals: Annotated[tuple[SignalData, ...], Meta(max_length=bounds.MANY)] | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


class DisconnectedData(Data, frozen=True, gc=False):
    device_id: Id
    reason: Text | UnsetType = UNSET


class TelemetryData(Data, frozen=True, gc=False):
    device_id: str
    values: Values
    quality: Quality | UnsetType = UNSET


class LinkedData(Data, frozen=True, gc=False):
    source: Id
    target: Id
    relation: Relation
    directed: bool | UnsetType = UNSET
    weight: float | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


class UnlinkedData(Data, frozen=True, gc=False):
    source: Id
    target: Id
    relation: Relation


class AlarmData(Data, frozen=True, gc=False):
    device_id: Id
    alarm: Name
    active: bool
    severity: Severity | UnsetType = UNSET
    text: Text | UnsetType = UNSET


class LogData(Data, frozen=True, gc=False):
    device_id: Id
    text: Text
    level: Name | UnsetType = UNSET


class ImageData(Data, frozen=True, gc=False):
    device_id: Id
    media_type: MediaType
    data: Base64 | UnsetType = UNSET
    uri: Uri | UnsetType = UNSET


class ResultData(Data, frozen=True, gc=False):
    action_id: Name
    device_id: Id
    status: ActionStatus
    detail: Text | UnsetType = UNSET


class Envelope(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type", kw_only=True, gc=False):
    """CloudEvents 1.0 with no extension attributes but the common ones. None stands for unset, as its JSON format allows."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=bounds.ID)]
    source: str
    time: str
    subject: Annotated[str, Meta(min_length=1, max_length=bounds.SUBJECT)] | None = None
    sequence: str | None = None
    epoch: str | None = None
    datacontenttype: Literal["application/json"] | None = None
    dataschema: Uri | None = None
    traceparent: Text | None = None
    tracestate: Text | None = None
    partitionkey: Text | None = None

    def event(self) -> Event:
        """The event for the core.

        Raises:
            Doubt: a text is outside its alphabet, or the strict types know too little to vouch for it.
        """
        time, epoch, digits = self.time, self.epoch, self.sequence
        if digits is None:
            sequence = 0
        elif len(digits) == len(LAST_SEQUENCE) and digits <= LAST_SEQUENCE and digits.isascii() and digits.isdigit():
            sequence = int(digits)
        else:
            raise Doubt(digits[:64])
        at = Micros(SECONDS[time[:19]] + FRACTIONS[time[19:]])
        stamp = Stamp(at, SOURCES[self.source], 0 if epoch is None else EPOCHS[epoch], sequence, self.id)
        return Event(stamp, self.body())

    def body(self) -> Body:
        raise NotImplementedError


class ConnectedEvent(Envelope, frozen=True, kw_only=True, tag="device.connected", gc=False):
    data: ConnectedData

    def body(self) -> Body:
        members = self.data.given()
        signals = tuple(Signal(**signal.given()) for signal in members.pop("signals", ()))
        return event.Connected(**members, signals=signals)


class DisconnectedEvent(Envelope, frozen=True, kw_only=True, tag="device.disconnected", gc=False):
    data: DisconnectedData

    def body(self) -> Body:
        return event.Disconnected(**self.data.given())


class TelemetryEvent(Envelope, frozen=True, kw_only=True, tag="device.telemetry", gc=False):
    data: TelemetryData

    def body(self) -> Body:
        data = self.data
        quality = data.quality
        return event.Telemetry(DEVICES[data.device_id], data.values, Quality.GOOD if quality is UNSET else quality)


class LinkedEvent(Envelope, frozen=True, kw_only=True, tag="device.linked", gc=False):
    data: LinkedData

    def body(self) -> Body:
        return event.Linked(**self.data.given())


class UnlinkedEvent(Envelope, frozen=True, kw_only=True, tag="device.unlinked", gc=False):
    data: UnlinkedData

    def body(self) -> Body:
        return event.Unlinked(**self.data.given())


class AlarmEvent(Envelope, frozen=True, kw_only=True, tag="device.alarm", gc=False):
    data: AlarmData

    def body(self) -> Body:
        return event.ControlAlarm(**self.data.given())


class LogEvent(Envelope, frozen=True, kw_only=True, tag="device.log", gc=False):
    data: LogData

    def body(self) -> Body:
        return event.Log(**self.data.given())


class ImageEvent(Envelope, frozen=True, kw_only=True, tag="device.image", gc=False):
    data: ImageData

    def body(self) -> Body:
        data = self.data
        if (data.data is UNSET) is (data.uri is UNSET):
            raise Doubt
        return event.Image(**data.given())


class ResultEvent(Envelope, frozen=True, kw_only=True, tag="action.result", gc=False):
    data: ResultData

    def body(self) -> Body:
        return event.ActionResult(**self.data.given())


WireEvent = (
    ConnectedEvent
    | DisconnectedEvent
    | TelemetryEvent
    | LinkedEvent
    | UnlinkedEvent
    | AlarmEvent
    | LogEvent
    | ImageEvent
    | ResultEvent
)


def tame(wires: Iterable[WireEvent]) -> bool:
    """Whether all free objects hold plain values only; nesting and huge integers are for `schemas.strict` to judge."""
    free = [wire.data.properties for wire in wires if isinstance(wire, WITH_FREE_OBJECT)]
    return all(
        not isinstance(value, dict | list) and (not isinstance(value, int) or value in bounds.LONG)
        for properties in free
        if properties is not UNSET
        for value in properties.values()
    )


WITH_FREE_OBJECT = (ConnectedEvent, LinkedEvent)
ONE = msgspec.json.Decoder(WireEvent)
MANY = msgspec.json.Decoder(list[WireEvent])
WRITER = msgspec.json.Encoder()
