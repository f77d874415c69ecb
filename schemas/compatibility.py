"""Whether a schema may follow another: the rules by which events evolve.

A change is compatible if it can be proven; what these rules do not understand counts as a break. They compare keyword by
keyword, so they may refuse a change that is harmless, and never let one pass that is not: the property test looks for one.
Used by `tests` on every published schema and by whoever plans a new version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeAlias

import jsonschema
import msgspec

from schemas.strict import point

Schema = dict[str, Any]
Node: TypeAlias = "Schema | bool"


class Mode(StrEnum):
    """Who must understand whom."""

    BACKWARD = "backward"
    """The new schema's reader accepts all that was valid under the old one."""
    FORWARD = "forward"
    """The old schema's reader accepts all that is valid under the new one."""
    FULL = "full"


class Break(msgspec.Struct, frozen=True):
    """Why one schema's reader may refuse the other's data: where in the reader's schema, by which keyword, in words."""

    pointer: str
    rule: str
    sentence: str


def check(old: Schema, new: Schema, mode: Mode = Mode.BACKWARD) -> list[Break]:
    """All breaks found; an empty list is a proof of compatibility.

    >>> check({"type": "integer"}, {"type": "number"}), check({"type": "integer"}, {"type": "number"}, Mode.FORWARD)[0].rule
    ([], 'type')
    """
    breaks: list[Break] = []
    if mode in (Mode.BACKWARD, Mode.FULL):
        breaks += Reading(writer=old, reader=new, name="new").breaks()
    if mode in (Mode.FORWARD, Mode.FULL):
        breaks += Reading(writer=new, reader=old, name="old").breaks()
    return breaks


ANNOTATIONS = frozenset(
    [
        "$schema",
        "$comment",
        "$defs",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
    ]
)
TYPES = frozenset(["null", "boolean", "object", "array", "number", "string"])
LEAST = {"minLength": "string", "minItems": "array", "minProperties": "object"}
MOST = {"maxLength": "string", "maxItems": "array", "maxProperties": "object"}
EQUAL = {"pattern": "string", "format": "string", "multipleOf": "number"}
"""Keywords that are understood only as far as that the same one demands the same."""

NUMERIC = frozenset(["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"])
OBJECT = frozenset(["properties", "additionalProperties", "required", "propertyNames"])
LOGIC = frozenset(["$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "not"])
ARRAY = frozenset({"items", "uniqueItems"})
KNOWN = ANNOTATIONS | LEAST.keys() | MOST.keys() | EQUAL.keys() | NUMERIC | OBJECT | LOGIC | ARRAY
# What these mean depends on their neighbours, so that even equal ones prove nothing.
ENTANGLED = frozenset(
    [
        "unevaluatedProperties",
        "unevaluatedItems",
        "contains",
        "minContains",
        "maxContains",
        "prefixItems",
        "additionalItems",
        "patternProperties",
        "if",
        "then",
        "else",
        "$id",
        "id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
        "$recursiveAnchor",
        "definitions",
    ]
)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _refers_to_defs_only(document: Schema) -> bool:
    text = _text({key: value for key, value in document.items() if key != "$id"})
    words = set(re.findall(r'"(\$\w+)":', text))
    targets = re.findall(r'"\$ref": "([^"]*)"', text)
    return words <= {"$ref", "$defs", "$schema", "$comment"} and all(target.startswith("#/$defs/") for target in targets)


def _types(schema: Schema) -> frozenset[str]:
    kinds = schema.get("type", TYPES)
    return frozenset({kinds} if isinstance(kinds, str) else kinds)


def _concerns(schema: Schema, kind: str) -> bool:
    """Whether a value of this type can be valid."""
    kinds = _types(schema)
    return kind in kinds or (kind == "number" and "integer" in kinds)


def _plain(schema: Node) -> Schema:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return schema


def _floor(schema: Schema, keyword: str, sign: int) -> tuple[float, bool]:
    """The tightest bound on one side as (bound, exclusive); `sign` -1 turns upper bounds into lower ones."""
    exclusive = "exclusive" + keyword.capitalize()
    bounds = [(sign * schema[name], name == exclusive) for name in (keyword, exclusive) if name in schema]
    return max(bounds, default=(-float("inf"), False))


class Reading:
    """One direction: does `reader` accept all that `writer` allows? `name` says whose reader it is, for the sentences."""

    def __init__(self, *, writer: Schema, reader: Schema, name: str) -> None:
        self.writer = writer
        self.reader = reader
        self.name = name
        self._open: set[tuple[str, str]] = set()
        same_defs = _text(writer.get("$defs", {})) == _text(reader.get("$defs", {}))
        self._same_references = same_defs and _refers_to_defs_only(writer) and _refers_to_defs_only(reader)

    def breaks(self) -> list[Break]:
        roots = [{key: value for key, value in root.items() if key != "$id"} for root in (self.writer, self.reader)]
        return list(self._compare(roots[0], roots[1], ""))

    def _break(self, pointer: str, rule: str, why: str) -> Break:
        return Break(pointer, rule, f"The {self.name} schema's reader may refuse: {why}.")

    def _resolved(self, schema: Node, root: Schema) -> Schema:
        """Without `$ref`, as long as it points into the document's own `$defs` and stands alone."""
        plain = _plain(schema)
        seen: set[str] = set()
        while (target := plain.get("$ref")) and set(plain) - ANNOTATIONS == {"$ref"} and target not in seen:
            seen.add(target)
            prefix, _, name = target.rpartition("/")
            if prefix != "#/$defs" or name not in root.get("$defs", {}):
                break
            plain = _plain(root["$defs"][name])
        return plain

    def _same(self, writer: Any, reader: Any) -> bool:
        """Equal text, and equal meaning of the references in it."""
        text = _text(reader)
        return text == _text(writer) and (self._same_references or '"$' not in text)

    def _compare(self, written: Node, read: Node, pointer: str) -> Iterator[Break]:
        if self._same(written, read):
            return
        writer, reader = self._resolved(written, self.writer), self._resolved(read, self.reader)
        pair = (_text(writer), _text(reader))
        if self._same(writer, reader) or pair in self._open or writer.get("not") == {}:
            return
        if reader == {"not": {}}:
            yield self._break(pointer, "false", "something was allowed here and nothing is now")
            return
        # A pair met again inside itself: what breaks it is found by the outer comparison.
        self._open.add(pair)
        yield from self._branches(writer, reader, pointer)
        self._open.discard(pair)

    def _branches(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        if "const" in writer or "enum" in writer:
            yield from self._values(writer, reader, pointer)
            return
        choice = next((key for key in ("anyOf", "oneOf") if key in writer), None)
        if choice and not self._same(writer[choice], reader.get(choice)) and not (set(writer) - ANNOTATIONS - {choice}):
            for index, branch in enumerate(writer[choice]):
                yield from self._compare(branch, reader, point(point(pointer, choice), index))
            return
        yield from self._keywords(writer, reader, pointer)

    def _values(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        """A finite set is simply tried out; a value that another keyword of the writer forbids is harmless to try."""
        values = [writer["const"]] if "const" in writer else writer["enum"]
        if "$ref" in _text(reader) and not self._local(reader):
            yield self._break(pointer, "$ref", "a reference cannot be followed")
            return
        judge = jsonschema.Draft202012Validator({**reader, "$defs": self.reader.get("$defs", {})})
        for value in values:
            if not judge.is_valid(value):
                yield self._break(pointer, "enum", f"{_text(value)} was allowed and is no longer")

    def _local(self, schema: Any) -> bool:
        match schema:
            case dict():
                target = schema.get("$ref", "#/$defs/")
                known = target == "#/$defs/" or target.removeprefix("#/$defs/") in self.reader.get("$defs", {})
                return known and all(map(self._local, schema.values()))
            case list():
                return all(map(self._local, schema))
        return True

    def _keywords(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        yield from self._unknown(writer, reader, pointer)
        yield from self._type(writer, reader, pointer)
        yield from self._logic(writer, reader, pointer)
        yield from self._sizes(writer, reader, pointer)
        if _concerns(writer, "number"):
            yield from self._numbers(writer, reader, pointer)
        if _concerns(writer, "array"):
            yield from self._items(writer, reader, pointer)
        if _concerns(writer, "object"):
            yield from self._members(writer, reader, pointer)

    def _unknown(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        for keyword, demand in reader.items():
            equal = self._same(writer.get(keyword), demand)
            strange = keyword not in KNOWN and (keyword in ENTANGLED or not equal)
            if strange or (keyword == "$ref" and not (equal and self._same_references)):
                yield self._break(point(pointer, keyword), keyword, f"what {keyword} demands cannot be compared")
        for keyword in ("patternProperties", "prefixItems", "additionalItems"):
            if keyword in writer and keyword not in reader:
                yield self._break(pointer, keyword, f"what {keyword} allowed cannot be compared")

    def _type(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        allowed = _types(reader)
        for kind in sorted(_types(writer) - allowed):
            if not (kind == "integer" and "number" in allowed):
                yield self._break(pointer, "type", f"{kind} was allowed and is no longer")

    def _logic(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        for keyword in ("enum", "const"):
            if keyword in reader:
                yield self._break(pointer, keyword, "any value was allowed and now only some are")
        if "anyOf" in reader and not self._same(writer.get("anyOf"), reader["anyOf"]):
            fits = (not list(self._compare(writer, branch, pointer)) for branch in reader["anyOf"])
            if not any(fits):
                yield self._break(point(pointer, "anyOf"), "anyOf", "no branch alone accepts all that was allowed")
        for index, branch in enumerate(reader.get("allOf", [])):
            if not self._same(writer.get("allOf"), reader["allOf"]):
                yield from self._compare(writer, branch, point(point(pointer, "allOf"), index))
        for keyword in ("oneOf", "not"):
            if keyword in reader and not self._same(writer.get(keyword), reader[keyword]):
                yield self._break(point(pointer, keyword), keyword, f"what {keyword} demands was not demanded before")

    def _sizes(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        for keyword, kind in LEAST.items():
            if _concerns(writer, kind) and reader.get(keyword, 0) > writer.get(keyword, 0):
                yield self._break(point(pointer, keyword), keyword, f"{keyword} was {writer.get(keyword, 0)} and has grown")
        for keyword, kind in MOST.items():
            if _concerns(writer, kind) and keyword in reader and reader[keyword] < writer.get(keyword, float("inf")):
                yield self._break(point(pointer, keyword), keyword, f"{keyword} has shrunk to {reader[keyword]}")
        for keyword, kind in EQUAL.items():
            if _concerns(writer, kind) and keyword in reader and not self._same(writer.get(keyword), reader[keyword]):
                yield self._break(point(pointer, keyword), keyword, f"{keyword} differs")

    def _numbers(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        for keyword, sign in (("minimum", 1), ("maximum", -1)):
            if _floor(reader, keyword, sign) > _floor(writer, keyword, sign):
                yield self._break(pointer, keyword, f"the {keyword} is tighter")

    def _items(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        if reader.get("uniqueItems") and not writer.get("uniqueItems"):
            yield self._break(point(pointer, "uniqueItems"), "uniqueItems", "equal items were allowed")
        if writer.get("maxItems") != 0:
            yield from self._compare(writer.get("items", {}), reader.get("items", {}), point(pointer, "items"))

    def _members(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        for name in reader.get("required", []):
            if name not in writer.get("required", []):
                yield self._break(point(pointer, "required"), "required", f"{name} was not required")
        yield from self._names(writer, reader, pointer)
        rest = (writer.get("additionalProperties", {}), reader.get("additionalProperties", {}))
        written, wanted = writer.get("properties", {}), reader.get("properties", {})
        for name in written | wanted:
            here = point(point(pointer, "properties"), name)
            yield from self._compare(written.get(name, rest[0]), wanted.get(name, rest[1]), here)
        yield from self._compare(*rest, point(pointer, "additionalProperties"))

    def _names(self, writer: Schema, reader: Schema, pointer: str) -> Iterator[Break]:
        """Names of properties: bounded by the writer's own rule, or by its closed list."""
        demand = reader.get("propertyNames", {})
        if self._same(writer.get("propertyNames", {}), demand):
            return
        if writer.get("additionalProperties") is False:
            names: Schema = {"enum": sorted(writer.get("properties", {}))}
        else:
            names = {"type": "string", **self._resolved(writer.get("propertyNames", {}), self.writer)}
        yield from self._compare(names, demand, point(pointer, "propertyNames"))
