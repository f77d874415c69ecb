"""The AsyncAPI document is whole: what it refers to is there, what it shows is valid."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import yaml

from schemas import asyncapi
from tests.schemas.test_definitions import references

DOCUMENT = asyncapi.document()
TOPICS = {
    "openautoglm/{site}/events/{gateway}",
    "openautoglm/{site}/alerts",
    "openautoglm/{site}/faults",
    "openautoglm/{site}/alarms",
    "openautoglm/{site}/floods",
    "openautoglm/{site}/actions",
    "openautoglm/{site}/runs",
    "openautoglm/{site}/commands/{deviceId}",
    "openautoglm/{site}/watermarks/{gateway}",
}


def at(pointer: str) -> Any:
    node: Any = DOCUMENT
    for step in pointer.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_yaml_says_the_same() -> None:
    assert yaml.safe_load(asyncapi.text()) == DOCUMENT


def test_required_parts() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == TOPICS


def test_every_reference_leads_somewhere() -> None:
    for target in references(DOCUMENT):
        assert isinstance(at(target), dict)


def test_parameters_are_those_of_the_address() -> None:
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])


def test_each_channel_has_one_operation() -> None:
    operations = DOCUMENT["operations"].values()
    assert {operation["action"] for operation in operations} == {"send", "receive"}
    assert sorted(operation["channel"]["$ref"] for operation in operations) == sorted(
        f"#/channels/{name}" for name in DOCUMENT["channels"]
    )


@pytest.mark.parametrize("name", DOCUMENT["components"]["messages"])
def test_examples_are_valid(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    whole = {**message["payload"]["schema"], "components": DOCUMENT["components"]}
    for example in message["examples"]:
        jsonschema.Draft202012Validator(whole).validate(example["payload"])
