"""The MQTT interface as an AsyncAPI 3.0.0 document, made from the very schemas that decide what is valid.

`docs/asyncapi.yaml` is `python -m schemas.asyncapi`; a test keeps it so.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml

from schemas.definitions import BODIES, DEFS, EVENTS, Schema
from schemas.findings import FINDINGS

VERSION = "1.0.0"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
PARAMETERS = {
    "site": "The plant or line: the key by which events are partitioned.",
    "gateway": "The gateway that sends, one level of a topic.",
    "deviceId": "The device that the command is for; as many levels of a topic as its id has parts.",
}

CHANNELS: dict[str, tuple[str, str, str, list[str]]] = {
    "events": (
        "openautoglm/{site}/events/{gateway}",
        "receive",
        "Events in: one per message, or a JSON array of them (application/cloudevents-batch+json).",
        list(EVENTS),
    ),
    "alerts": ("openautoglm/{site}/alerts", "send", "Every transition of every alarm.", ["alert"]),
    "faults": ("openautoglm/{site}/faults", "send", "Every state of every fault, newest last.", ["fault"]),
    "alarms": (
        "openautoglm/{site}/alarms",
        "send",
        "Every transition of every alarm in the hands of operators; the newest says how it is.",
        ["transition"],
    ),
    "floods": ("openautoglm/{site}/floods", "send", "Floods of alarms, as they open, grow and close.", ["flood"]),
    "actions": ("openautoglm/{site}/actions", "send", "How far each action has come.", ["progress"]),
    "runs": ("openautoglm/{site}/runs", "send", "How far each instruction's run and its tasks have come.", ["run"]),
    "commands": ("openautoglm/{site}/commands/{deviceId}", "send", "Commands out.", ["command"]),
    "watermarks": (
        "openautoglm/{site}/watermarks/{gateway}",
        "send",
        "How far a gateway's events are safe, so that it may forget them.",
        ["watermark"],
    ),
}


SENT = frozenset(message for *_, messages in CHANNELS.values() for message in messages)


def document() -> dict[str, Any]:
    """The whole document. Nothing in it is shared with the schemas, so a caller may change it."""
    schemas = EVENTS | {name: schema for name, schema in FINDINGS.items() if name in SENT}
    described = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Open-AutoGLM",
            "version": VERSION,
            "description": "Events of a plant's devices in; alerts, faults, alarms, actions and commands out. All over MQTT.",
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in CHANNELS},
        "operations": {f"{action}{name.capitalize()}": _operation(name) for name, (_, action, _, _) in CHANNELS.items()},
        "components": {
            "messages": {str(name): _message(str(name), schema) for name, schema in schemas.items()},
            "schemas": DEFS | _components(schemas),
        },
    }
    return _here(json.loads(json.dumps(described)))  # type: ignore[no-any-return]


def text() -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, width=120, allow_unicode=True)


def _channel(name: str) -> dict[str, Any]:
    address, _, description, messages = CHANNELS[name]
    parameters = {key: {"description": PARAMETERS[key]} for key in PARAMETERS if f"{{{key}}}" in address}
    return {
        "address": address,
        "description": description,
        "parameters": parameters,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
    }


def _operation(name: str) -> dict[str, Any]:
    _, action, description, _ = CHANNELS[name]
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "summary": description}


def _message(name: str, schema: Schema) -> dict[str, Any]:
    sentence = BODIES[name][0] if name in BODIES else schema.get("description", "")  # type: ignore[index]
    return {
        "name": name,
        "title": name,
        **({"summary": sentence} if sentence else {}),
        "contentType": "application/cloudevents+json" if name in EVENTS else "application/json",
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"#/components/schemas/{name}"}},
        "examples": [{"payload": example} for example in schema["examples"]],
    }


def _components(schemas: dict[Any, Schema]) -> dict[str, Schema]:
    """The schemas and their own definitions, side by side under names of the whole document."""
    found: dict[str, Schema] = {}
    for name, schema in schemas.items():
        found |= schema.get("$defs", {})
        found[str(name)] = {key: value for key, value in schema.items() if key not in ("$schema", "$id", "$defs", "examples")}
    return found


def _here(node: Any) -> Any:
    """References into a schema's own definitions become references into the components."""
    match node:
        case dict():
            return {
                key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _here(value)
                for key, value in node.items()
            }
        case list():
            return [_here(item) for item in node]
    return node


if __name__ == "__main__":
    sys.stdout.write(text())
