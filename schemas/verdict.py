"""Whether one event is valid, by its JSON Schema, and if not, why and where.

`schemas.decode` asks here for each event that the strict types would not vouch for. The verdict is `jsonschema_rs`'s, with
regular expressions in linear time; `jsonschema` is the oracle in the tests.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from schemas.definitions import ENVELOPE, EVENTS, Schema
from schemas.event import Event
from schemas.strict import Refusal, point, read
from schemas.wire import Doubt, Envelope, WireEvent

MOST_ERRORS = 100
MOST_LETTERS = 200


def validator(schema: Schema) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        schema, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=False, offline=True
    )


VALIDATORS = {kind.value: (validator(schema), schema) for kind, schema in EVENTS.items()}
_SHARED = (validator(ENVELOPE), ENVELOPE)
_ATTRIBUTES = frozenset(ENVELOPE["properties"])
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


def judge(raw: bytes, depth: int, values: int) -> Event:
    """The event that these bytes hold, nested at most `depth` levels and of at most `values` values.

    Raises:
        Refusal: they hold none.
    """
    value = read(raw, depth, values)
    if not isinstance(value, dict):
        inner = " (a batch inside a batch, or a line that holds one?)" if isinstance(value, list) else ""
        raise Refusal(f"an event is an object, not {_KINDS.get(type(value), 'null')}{inner}")
    check(value)
    return _typed(value)


def check(value: dict[str, Any]) -> None:
    """Raises Refusal if a schema forbids the event."""
    kind = value.get("type")
    judging, schema = VALIDATORS.get(kind, _SHARED) if isinstance(kind, str) else _SHARED
    if not judging.is_valid(value):
        raise _explained(judging, schema, value)


def _typed(value: dict[str, Any]) -> Event:
    known = {name: member for name, member in value.items() if name in _ATTRIBUTES}
    try:
        wire: Envelope = msgspec.convert(known, WireEvent)
        return wire.event()
    except (msgspec.ValidationError, Doubt) as error:  # the differential test finds no such event
        raise Refusal(f"valid by its schema, but not by its type: {error}") from error


def _explained(judging: jsonschema_rs.Validator, schema: Schema, value: dict[str, Any]) -> Refusal:
    """The deepest of the first errors: a fault inside `data` says more than one about the whole."""
    error = max(islice(judging.iter_errors(value), MOST_ERRORS), key=lambda found: len(found.instance_path))
    pointer = ""
    for step in error.instance_path:
        pointer = point(pointer, step)
    return _sentence(error, _rule(schema, error.schema_path), pointer)


def _sentence(error: jsonschema_rs.ValidationError, rule: str, pointer: str) -> Refusal:
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(name):
            return Refusal(f"{name} is missing", pointer)
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(names):
            return Refusal("not a member of this object", point(pointer, names[0]))
        case jsonschema_rs.ValidationErrorKind.PropertyNames(inner):
            return Refusal(f"not {rule}", point(pointer, str(inner.instance)))
        case jsonschema_rs.ValidationErrorKind.Enum(options):
            return Refusal(f"not one of {', '.join(map(str, options))}", pointer)
    return Refusal(f"not {rule}" if rule else error.message[:MOST_LETTERS], pointer)


def _rule(schema: Schema, path: list[str | int]) -> str:
    """The innermost title on the way to the keyword that failed."""
    found = ""
    node: Any = schema
    for step in path:
        if isinstance(node, dict) and "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
            found = node["title"]
        if step != "$ref":
            node = node[step]
        if isinstance(node, dict) and isinstance(node.get("title"), str):
            found = node["title"]
    return found
