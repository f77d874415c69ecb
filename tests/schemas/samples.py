"""Valid events and damaged ones, for the property tests."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from typing import Any

from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from schemas.definitions import BASE64, BODIES, DEFS, MEDIA_TYPE, Schema, example
from schemas.event import EventType

TIMES = ["2026-01-05T08:30:00Z", "2024-02-29T23:59:59.999999Z", "1969-12-31T23:59:59.5+00:00", "9999-12-31T00:00:00.000001Z"]
# For making events only: the real definitions are too narrow to be hit by chance.
EASY: dict[str, Schema] = {
    "deviceId": {"type": "string", "pattern": r"\A[A-Za-z0-9][A-Za-z0-9_.:/-]{0,30}\Z"},
    "name": {"type": "string", "pattern": r"\A[ -~\u00a0-\u0400]{1,20}\Z"},
    "label": {"type": "string", "pattern": r"\A[ -~\u00a0-\u0400]{0,20}\Z"},
    "uri": {"enum": ["/plants/a/gateways/gw-1", "urn:x:y", "http://[::1]/%41?b=c#d", "#"]},
}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 2.5, 1e308, 2**63, -(2**63) - 1, 10**30, 10**400, "", "a", "a\n", "\n", "a b", " ", "\x00"),
    *(
        "\x7f",
        "\x80",
        "\u00a0",
        "ü",
        "💣",
        [],
        {},
        [[]],
        [1],
        ["a"],
        {"a": 1},
        {"a": []},
        "1.0",
        "A" * 128,
        "A" * 129,
        "x" * 257,
    ),
    *("2026-02-30T00:00:00Z", "2026-12-31T23:59:60Z", "2026-01-01T24:00:00Z", "2026-01-01t00:00:00z", "0000-01-01T00:00:00Z"),
    *("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00", "2100-02-29T00:00:00Z", TIMES[1]),
    *("2026-01-05T08:30:00Z\n", "٢026-01-05T08:30:00Z", "00000000000000000042", "42", "-1", "09000000000000000000", "0" * 19),
    *("9000000000000000000", "123\n", "٣", "good", "GOOD", "bad", "FEEDS", "high", "succeeded", "numeric", "device.log"),
    *("/a b", "%zz", "%41", "a#b#c", "iVBORw0KGgo=", "iVBORw0KGg", "image/png", "image", "application/json"),
    *("x" * 257, "x" * 16_385),
]
KEYS = [
    "id",
    "deviceId",
    "extra",
    "Extra",
    "traceparent",
    "a" * 21,
    "",
    "quality",
    "data",
    "uri",
    "subject",
    "epoch",
    "type",
    "a\n",
]


LEAVES = {
    BASE64["title"]: st.binary(min_size=1, max_size=40).map(lambda data: b64encode(data).decode()),
    MEDIA_TYPE["title"]: st.sampled_from(["image/png", "image/svg+xml", "image/jpeg; q=1"]),
}
SCALARS = st.one_of(st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.text(max_size=20))
FREE = st.recursive(
    st.none() | SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def valid(schema: Schema, defs: dict[str, Schema]) -> st.SearchStrategy[Any]:
    """Values that a schema allows: objects and arrays by hand, since from_schema's objects fail with this Hypothesis."""
    match schema:
        case {"$ref": target}:
            return valid(defs[target.rpartition("/")[2]], defs)
        case {"type": "array", "items": items}:
            return st.lists(valid(items, defs), max_size=3)
        case {"type": "object", "properties": _}:
            return _closed(schema, defs)
        case {"type": "object", "propertyNames": names, "additionalProperties": values}:
            return st.dictionaries(valid(names, defs), valid(values, defs), max_size=4)
        case {"type": "object"}:
            return st.dictionaries(st.text(), FREE, max_size=4)
    title = schema.get("title", "")
    return LEAVES[title] if title in LEAVES else from_schema(schema)


def _closed(schema: Schema, defs: dict[str, Schema]) -> st.SearchStrategy[Any]:
    required = set(schema["required"])
    made = {name: valid(inner, defs) for name, inner in schema["properties"].items()}
    members = st.fixed_dictionaries(
        {name: one for name, one in made.items() if name in required},
        optional={name: one for name, one in made.items() if name not in required},
    )
    return members if "oneOf" not in schema else members.filter(lambda value: ("data" in value) is not ("uri" in value))


def _made(kind: EventType) -> st.SearchStrategy[dict[str, Any]]:
    defs = DEFS | EASY
    data = valid(BODIES[kind][1], defs)
    extensions = st.dictionaries(
        st.sampled_from(["traceparent", "partition", "tracestate"]), st.sampled_from(["a", 1, True, None, 2.5])
    )
    envelope = st.fixed_dictionaries(
        {"time": st.sampled_from(TIMES), "id": valid(defs["name"], defs), "source": valid(defs["uri"], defs), "data": data},
        optional={"subject": valid(defs["name"], defs), "sequence": st.none(), "dataschema": valid(defs["uri"], defs)},
    )
    base = {"specversion": "1.0", "type": kind.value}
    return st.builds(lambda attributes, extra: extra | base | attributes, envelope, extensions)


EVENTS = st.one_of([_made(kind) for kind in EventType])
EXAMPLES = st.sampled_from([example(kind) for kind in EventType])


def places(value: Any) -> list[tuple[Any, Any]]:
    """All (container, key or index) in it."""
    match value:
        case dict():
            return [(value, key) for key in value] + [place for inner in value.values() for place in places(inner)]
        case list():
            return [(value, at) for at in range(len(value))] + [place for inner in value for place in places(inner)]
    return []


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """An event in which up to three members are replaced, removed or added. It may be valid still."""
    event: dict[str, Any] = copy.deepcopy(draw(st.one_of(EXAMPLES, EXAMPLES, EVENTS)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(event)
        if not found:
            break
        container, key = found[draw(st.integers(0, len(found) - 1))]
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "replace":
                container[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
            case "remove":
                del container[key]
            case _ if isinstance(container, dict):
                container[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return event


def spelled(value: Any, repeat: tuple[Any, Any], spelling: str) -> str:
    """JSON in which the member `repeat` = (container, key) comes twice, its key the second time spelled anew."""
    match value:
        case dict():
            members = [f"{json.dumps(key)} : {spelled(inner, repeat, spelling)}" for key, inner in value.items()]
            if value is repeat[0]:
                members.append(f'"{spelling}":{json.dumps(value[repeat[1]])}')
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ", ".join(spelled(inner, repeat, spelling) for inner in value) + "]"
    return json.dumps(value)
