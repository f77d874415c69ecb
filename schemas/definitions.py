"""The JSON Schemas (2020-12) of every event: the binding form of the contract.

Each is complete in itself: envelope and `data` of one type, references only into its own `$defs`. The files in
`schemas/published/` are their published copies, which a test keeps equal. `schemas.verdict` validates with them and
`schemas.asyncapi` publishes them. Which members there are is written here and, for speed, again in `schemas.wire`; the
differential test proves that both agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from enum import StrEnum
from typing import Any

from schemas import bounds
from schemas.device import Relation, SignalKind
from schemas.event import ActionStatus, EventType, Quality, Severity

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HOME = "https://openautoglm.dev/schemas/"

DEFS: dict[str, Schema] = {
    "deviceId": {
        "title": "1..128 letters, digits and _ . : / -, a letter or digit first",
        "type": "string",
        "pattern": "^[A-Za-z0-9]",
        "not": {"pattern": bounds.NOT_IN_DEVICE_ID},
        "maxLength": bounds.ID,
    },
    "name": {
        "title": "1..128 characters, none of them a control character",
        "type": "string",
        "minLength": 1,
        "maxLength": bounds.NAME,
        "not": {"pattern": bounds.CONTROL},
    },
    "label": {
        "title": "at most 256 characters, none of them a control character",
        "type": "string",
        "maxLength": bounds.LABEL,
        "not": {"pattern": bounds.CONTROL},
    },
    "text": {"title": "at most 16384 characters", "type": "string", "maxLength": bounds.TEXT},
    "number": {
        "title": "a finite double",
        "type": "number",
        "minimum": -bounds.LARGEST,
        "maximum": bounds.LARGEST,
    },
    "time": {
        "title": "RFC 3339 in UTC up to microseconds, a date that exists, no leap second",
        "type": "string",
        "format": "date-time",
        "pattern": bounds.TIME,
        "not": {"anyOf": [{"pattern": bounds.NOT_IN_TIME}, {"pattern": bounds.YEAR_ZERO}]},
    },
    "uri": {
        "title": "a URI reference (RFC 3986), not empty",
        "type": "string",
        "format": "uri-reference",
        "minLength": 1,
        "maxLength": bounds.URI,
        "pattern": bounds.URI_REFERENCE,
        "not": {"pattern": bounds.NOT_IN_URI},
    },
    "properties": {
        "title": "a free object",
        "type": "object",
        "maxProperties": bounds.MANY,
    },
}


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def closed(required: str, **properties: Schema) -> Schema:
    """An object of these members only; `required` lists names, parted by blanks."""
    return {"type": "object", "required": required.split(), "properties": properties, "additionalProperties": False}


def one_of(kind: type[StrEnum]) -> Schema:
    return {"enum": [member.value for member in kind]}


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items, "maxItems": bounds.MANY}


TRUTH: Schema = {"type": "boolean"}
SIGNAL = closed(
    "name kind",
    name=ref("name"),
    kind=one_of(SignalKind),
    unit={
        "title": "at most 128 characters, none of them a control character",
        "type": "string",
        "maxLength": bounds.NAME,
        "not": {"pattern": bounds.CONTROL},
    },
    min=ref("number"),
    max=ref("number"),
)
VALUES: Schema = {
    "title": "signal name to number, boolean or text",
    "type": "object",
    "maxProperties": bounds.MANY,
    "propertyNames": ref("name"),
    "additionalProperties": {
        "title": "a finite number, a boolean, or a text of at most 16384 characters",
        "type": ["number", "boolean", "string"],
        "minimum": -bounds.LARGEST,
        "maximum": bounds.LARGEST,
        "maxLength": bounds.TEXT,
    },
}
MEDIA_TYPE: Schema = {
    "title": "a media type (RFC 6838)",
    "type": "string",
    "maxLength": bounds.NAME,
    "pattern": bounds.MEDIA_TYPE,
    "not": {"pattern": bounds.CONTROL},
}
BASE64: Schema = {
    "title": "base64 of at most 1 MiB",
    "type": "string",
    "minLength": 4,
    "maxLength": bounds.IMAGE,
    "pattern": bounds.BASE64,
    "not": {"pattern": bounds.NOT_IN_BASE64},
}
LINK: dict[str, Schema] = {"source": ref("deviceId"), "target": ref("deviceId"), "relation": one_of(Relation)}

BODIES: dict[EventType, tuple[str, Schema]] = {
    EventType.CONNECTED: (
        "A device is there: what it is, where it is, which signals it sends.",
        closed(
            "deviceId type",
            deviceId=ref("deviceId"),
            type=ref("name"),
            location=ref("label"),
            parent=ref("deviceId"),
            children=many(ref("deviceId")),
            zone=ref("label"),
            signals=many(SIGNAL),
            properties=ref("properties"),
        ),
    ),
    EventType.DISCONNECTED: (
        "A device has left.",
        closed("deviceId", deviceId=ref("deviceId"), reason=ref("text")),
    ),
    EventType.TELEMETRY: (
        "Values of a device's signals at one moment.",
        closed("deviceId values", deviceId=ref("deviceId"), values=VALUES, quality=one_of(Quality)),
    ),
    EventType.LINKED: (
        "One device acts upon another. If not directed, influence may run both ways.",
        closed(
            "source target relation",
            **LINK,
            directed=TRUTH,
            weight=ref("number"),
            properties=ref("properties"),
        ),
    ),
    EventType.UNLINKED: ("A link is gone.", closed("source target relation", **LINK)),
    EventType.ALARM: (
        "The control system itself raises or clears an alarm.",
        closed(
            "deviceId alarm active",
            deviceId=ref("deviceId"),
            alarm=ref("name"),
            active=TRUTH,
            severity=one_of(Severity),
            text=ref("text"),
        ),
    ),
    EventType.LOG: (
        "A line of a device's log.",
        closed("deviceId text", deviceId=ref("deviceId"), text=ref("text"), level=ref("name")),
    ),
    EventType.IMAGE: (
        "A picture, as base64 data or by uri: exactly one of the two.",
        closed("deviceId mediaType", deviceId=ref("deviceId"), mediaType=MEDIA_TYPE, data=BASE64, uri=ref("uri"))
        | {"oneOf": [{"required": ["data"]}, {"required": ["uri"]}]},
    ),
    EventType.ACTION_RESULT: (
        "What became of an action.",
        closed(
            "actionId deviceId status",
            actionId=ref("name"),
            deviceId=ref("deviceId"),
            status=one_of(ActionStatus),
            detail=ref("text"),
        ),
    ),
}

EXAMPLE_DATA: dict[EventType, Schema] = {
    EventType.CONNECTED: {
        "deviceId": "pump-07",
        "type": "pump",
        "location": "hall 2",
        "parent": "line-1",
        "zone": "north",
        "signals": [{"name": "flow", "kind": "numeric", "unit": "m3/h", "min": 0, "max": 40}],
        "properties": {"maker": "Acme"},
    },
    EventType.DISCONNECTED: {"deviceId": "pump-07", "reason": "keep-alive expired"},
    EventType.TELEMETRY: {"deviceId": "pump-07", "values": {"flow": 12.5, "running": True}, "quality": "good"},
    EventType.LINKED: {"source": "pump-07", "target": "tank-03", "relation": "FEEDS", "weight": 0.8},
    EventType.UNLINKED: {"source": "pump-07", "target": "tank-03", "relation": "FEEDS"},
    EventType.ALARM: {"deviceId": "pump-07", "alarm": "DRY_RUN", "active": True, "severity": "high"},
    EventType.LOG: {"deviceId": "pump-07", "text": "bearing temperature rises", "level": "warning"},
    EventType.IMAGE: {"deviceId": "camera-2", "mediaType": "image/png", "data": "iVBORw0KGgo="},
    EventType.ACTION_RESULT: {"actionId": "a-4711", "deviceId": "pump-07", "status": "succeeded"},
}


def example(kind: EventType) -> Schema:
    """A valid event of this type, the caller's own."""
    data = deepcopy(EXAMPLE_DATA[kind])
    return {
        "specversion": "1.0",
        "id": "gw-01-42",
        "source": "/plants/homberg/gateways/gw-01",
        "type": kind.value,
        "subject": data.get("deviceId", data.get("source")),
        "time": "2026-01-05T08:30:00.250Z",
        "sequence": "00000000000000000042",
        "epoch": "3",
        "data": data,
    }


def unset_or(schema: Schema) -> Schema:
    """CloudEvents JSON format: null stands for an attribute that is not set."""
    titled = {"title": schema["title"]} if "title" in schema else {}
    return titled | {"anyOf": [schema, {"type": "null"}]}


def attributes(kinds: Iterable[str], data: Schema) -> Schema:
    """The envelope around `data`. Any other member is an extension attribute: lower-case name, scalar value."""
    names = {"title": "an attribute's name: 1..20 lower-case letters and digits"}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": ref("name"),
            "source": ref("uri"),
            "type": {"enum": list(kinds)},
            "subject": unset_or(
                {
                    "title": "1..1024 characters, none of them a control character",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": bounds.SUBJECT,
                    "not": {"pattern": bounds.CONTROL},
                }
            ),
            "time": ref("time"),
            "sequence": unset_or(
                {"title": "20 digits, below 9e18", "type": "string", "maxLength": 20, "pattern": bounds.SEQUENCE}
            ),
            "epoch": unset_or(
                {
                    "title": "1..19 digits, below 9e18",
                    "type": "string",
                    "pattern": bounds.EPOCH,
                    "not": {"pattern": "[^0-9]"},
                }
            ),
            "datacontenttype": {"enum": ["application/json", None]},
            "dataschema": unset_or(ref("uri")),
            "data": data,
        },
        "propertyNames": names | {"minLength": 1, "maxLength": bounds.EXTENSION_NAME, "not": {"pattern": "[^a-z0-9]"}},
        "additionalProperties": {
            "title": "an extension attribute: a scalar",
            "type": ["string", "number", "boolean", "null"],
            "minimum": -bounds.LARGEST,
            "maximum": bounds.LARGEST,
            "maxLength": bounds.TEXT,
        },
    }


def schema_of(kind: EventType) -> Schema:
    """The schema of whole events of one type."""
    sentence, data = BODIES[kind]
    return {
        "$schema": DIALECT,
        "$id": f"{HOME}{kind}.json",
        "title": kind.value,
        "description": sentence,
        **attributes([kind.value], data),
        "$defs": DEFS,
        "examples": [example(kind)],
    }


def envelope() -> Schema:
    """The schema of what all events share; `data` is any object."""
    return {
        "$schema": DIALECT,
        "$id": f"{HOME}envelope.json",
        "title": "envelope",
        "description": "CloudEvents 1.0, structured JSON: what every event shares, whatever its type.",
        **attributes([kind.value for kind in EventType], {"type": "object"}),
        "$defs": {name: DEFS[name] for name in ("name", "time", "uri")},
        "examples": [example(EventType.TELEMETRY)],
    }


EVENTS = {kind: schema_of(kind) for kind in EventType}
ENVELOPE = envelope()
