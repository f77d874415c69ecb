"""Evolution rules: known changes, and a search for a change that they pass although data breaks."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from schemas.compatibility import Mode, check
from schemas.definitions import EVENTS
from schemas.event import EventType
from tests.schemas.samples import places
from tests.schemas.test_agreement import quiet

OPEN: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = {**OPEN, "additionalProperties": False}
OPTIONAL = {**CLOSED, "properties": {**CLOSED["properties"], "b": {"type": "integer"}}}
NUMBER = {"type": "number", "minimum": 0, "maximum": 10}
TREE = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}
BOUNDED = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}, "maxItems": 3}}}

CASES: list[tuple[str, Any, Any, set[str], set[str]]] = [
    ("the same", CLOSED, CLOSED, set(), set()),
    ("optional added, closed", CLOSED, OPTIONAL, set(), {"false"}),
    ("optional added, open", OPEN, {**OPEN, "properties": {**OPEN["properties"], "b": {"type": "integer"}}}, {"type"}, set()),
    ("required added", CLOSED, {**OPTIONAL, "required": ["a", "b"]}, {"required"}, {"false"}),
    ("type widened", {"type": "integer"}, {"type": "number"}, set(), {"type"}),
    ("type widened by null", {"type": "string"}, {"type": ["string", "null"]}, set(), {"type"}),
    ("enum grown", {"enum": ["a"]}, {"enum": ["a", "b"]}, set(), {"enum"}),
    ("const to type", {"const": 1}, {"type": "integer"}, set(), {"const"}),
    ("true is not 1", {"const": 1}, {"const": True}, {"enum"}, {"enum"}),
    ("bound widened", NUMBER, {**NUMBER, "maximum": 11}, set(), {"maximum"}),
    ("bound exclusive", {"minimum": 0}, {"exclusiveMinimum": 0}, {"minimum"}, set()),
    ("length", {"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 6}, set(), {"maxLength"}),
    ("length of no string", {"type": "integer"}, {"type": "integer", "maxLength": 1}, set(), set()),
    ("pattern", {"type": "string", "pattern": "a"}, {"type": "string", "pattern": "b"}, {"pattern"}, {"pattern"}),
    ("closed", OPEN, CLOSED, {"false"}, set()),
    ("items", {"items": {"type": "integer"}}, {"items": {"type": "number"}}, set(), {"type"}),
    (
        "branch added",
        {"anyOf": [{"type": "string"}]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        set(),
        {"anyOf"},
    ),
    ("recursion", TREE, BOUNDED, {"maxItems"}, set()),
    ("unknown keyword", {}, {"dependentRequired": {"a": ["b"]}}, {"dependentRequired"}, set()),
    ("pattern properties", {}, {"patternProperties": {"a": {}}}, {"patternProperties"}, {"patternProperties"}),
    ("annotations", {"title": "a"}, {"description": "b"}, set(), set()),
    ("names", {"propertyNames": {"maxLength": 3}}, {"propertyNames": {"maxLength": 4}}, set(), {"maxLength"}),
    ("reference to a file", {"$ref": "a.json"}, {"$ref": "a.json"}, {"$ref"}, {"$ref"}),
]


@pytest.mark.parametrize(("old", "new", "backward", "forward"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_known_changes(old: Any, new: Any, backward: set[str], forward: set[str]) -> None:
    assert {one.rule for one in check(old, new)} == backward
    assert {one.rule for one in check(old, new, Mode.FORWARD)} == forward
    assert {one.rule for one in check(old, new, Mode.FULL)} == backward | forward


def test_a_break_says_where() -> None:
    new = copy.deepcopy(EVENTS[EventType.TELEMETRY])
    new["properties"]["data"]["required"].append("quality")
    [one] = check(EVENTS[EventType.TELEMETRY], new)
    assert (one.pointer, one.rule) == ("/properties/data/required", "required")
    assert one.sentence == "The new schema's reader may refuse: quality was not required."


@pytest.mark.parametrize("kind", EventType)
def test_every_event_is_compatible_with_itself(kind: EventType) -> None:
    assert check(EVENTS[kind], copy.deepcopy(EVENTS[kind]), Mode.FULL) == []


SMALL = st.integers(0, 3)
LEAVES: list[dict[str, st.SearchStrategy[Any]]] = [
    {"type": st.sampled_from(["string", "integer", "number", "boolean", "null", ["string", "null"], ["integer", "string"]])},
    {"enum": st.lists(st.sampled_from(["a", "b", 1, 1.5, True, None, "abc"]), min_size=1, max_size=3, unique_by=repr)},
    {"const": st.sampled_from(["a", 1, True, None])},
    {"type": st.just("integer"), "minimum": SMALL, "maximum": st.integers(3, 6)},
    {"type": st.just("number"), "exclusiveMinimum": SMALL, "maximum": st.integers(4, 6)},
    {"type": st.just("integer"), "multipleOf": st.integers(1, 3)},
    {"type": st.just("string"), "minLength": SMALL, "maxLength": st.integers(3, 5)},
    {"type": st.just("string"), "pattern": st.sampled_from(["^a", "b"])},
]
LEAF = st.one_of(st.booleans(), st.just({}), *(st.fixed_dictionaries(one) for one in LEAVES))


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    extra = {"minItems": SMALL, "uniqueItems": st.booleans()}
    array = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional=extra)
    choice = st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
    both = st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)})
    members = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    thing = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": members},
        optional={"additionalProperties": inner, "required": st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2)},
    )
    return st.one_of(array, choice, both, thing, st.fixed_dictionaries({"not": inner}), st.just({"$ref": "#/$defs/d"}))


SCHEMAS = st.recursive(LEAF, _nested, max_leaves=4)
ROOTS = st.builds(
    lambda root, inner: {**(root if isinstance(root, dict) else {"items": root}), "$defs": {"d": inner}}, SCHEMAS, LEAF
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 7) | st.sampled_from([0.5, 1.5, "", "a", "b", "ab", "abc", "abcd"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two schemas, mostly the second an edit of the first: a keyword gone, or another in its place."""
    old = copy.deepcopy(draw(ROOTS))
    new = copy.deepcopy(draw(ROOTS)) if draw(st.integers(0, 4)) == 0 else copy.deepcopy(old)
    for _ in range(draw(st.integers(0, 2))):
        found = places(new)
        container, key = found[draw(st.integers(0, len(found) - 1))]
        if draw(st.booleans()):
            del container[key]
        else:
            container[key] = copy.deepcopy(draw(st.one_of(LEAF, SMALL, st.just("number"))))
    return old, new


def is_schema(schema: Any) -> bool:
    return jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA).is_valid(schema)


def whole(schema: Any) -> bool:
    return is_schema(schema) and ("#/$defs/d" not in repr(schema) or "d" in schema.get("$defs", {}))


@settings(quiet, max_examples=400)
@given(pairs(), st.lists(VALUES, min_size=25, max_size=25))
def test_what_is_proven_compatible_holds_for_data(pair: tuple[Any, Any], values: list[Any]) -> None:
    old, new = pair
    if not whole(new) or check(old, new):
        return
    writer, reader = jsonschema.Draft202012Validator(old), jsonschema.Draft202012Validator(new)
    for value in values:
        if writer.is_valid(value):
            assert reader.is_valid(value), (value, old, new)


@settings(quiet, max_examples=300)
@given(LEAF, LEAF, st.data())
def test_what_is_proven_compatible_holds_for_made_data(old: Any, new: Any, data: st.DataObject) -> None:
    if old is False or check({"anyOf": [old]}, {"anyOf": [new]}):
        return
    assert jsonschema.Draft202012Validator(new).is_valid(data.draw(from_schema(old)))
