"""The schemas are schemas, their examples are valid, and the published copies are current."""

from __future__ import annotations

from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from schemas.definitions import ENVELOPE, EVENTS, Schema
from schemas.event import EventType
from schemas.findings import FINDINGS
from tests.schemas.publish import ROOT, published

ALL: dict[str, Schema] = {str(name): schema for name, schema in EVENTS.items()} | FINDINGS | {"envelope": ENVELOPE}


def test_published_copies_are_current() -> None:
    texts = published()
    for path, text in texts.items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path} is stale: python -m tests.schemas.publish"
    assert {path.name for path in (ROOT / "schemas" / "published").iterdir()} == {f"{name}.json" for name in ALL}


def test_every_type_has_a_schema() -> None:
    assert set(EVENTS) == set(EventType)


@pytest.mark.parametrize("name", ALL)
def test_schema_is_a_schema_with_valid_examples(name: str) -> None:
    schema = ALL[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(f"/{name}.json")
    for example in schema["examples"]:
        assert jsonschema.Draft202012Validator(schema).is_valid(example)
        assert jsonschema_rs.Draft202012Validator(schema).is_valid(example)


def references(node: Any) -> set[str]:
    match node:
        case dict():
            here = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return here.union(*(references(inner) for inner in node.values()))
        case list():
            return set().union(*(references(inner) for inner in node))
    return set()


@pytest.mark.parametrize("name", ALL)
def test_schema_is_complete_in_itself(name: str) -> None:
    for target in references(ALL[name]):
        assert target.startswith("#/$defs/")
        assert target.removeprefix("#/$defs/") in ALL[name]["$defs"]
