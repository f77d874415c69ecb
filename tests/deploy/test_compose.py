"""The compose file, by what can be known of it without containers: commands and settings are the program's, the parts fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.settings import Settings
from tests.commands import command

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "openautoglm"}


@pytest.mark.parametrize("name", OURS)
def test_commands_are_the_programs(name: str) -> None:
    words, options = OURS[name]["command"][:1], [word for word in OURS[name]["command"] if word.startswith("--")]
    assert set(options) <= {option for parameter in command(words).params for option in parameter.opts}


def test_settings_are_the_programs() -> None:
    names = {name.removeprefix("OPENAUTOGLM_").lower() for service in OURS.values() for name in service["environment"]}
    assert names <= set(Settings.model_fields)
    assert {"kafka_servers", "mqtt_host", "neo4j_uri"} <= names


def test_every_engine_says_whether_it_is_well_and_is_waited_for() -> None:
    engines = SERVICES.keys() - OURS.keys()
    assert engines == {"kafka", "mosquitto", "neo4j"}
    assert all(SERVICES[name]["healthcheck"]["test"] for name in engines)
    waited = {
        name
        for service in OURS.values()
        for name, how in service["depends_on"].items()
        if how["condition"] == "service_healthy"
    }
    assert {"kafka", "mosquitto"} <= waited


def test_what_must_last_is_on_volumes() -> None:
    named = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert named == set(COMPOSE["volumes"])


def test_ports_are_open_to_this_machine_alone() -> None:
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))


def test_the_image_copies_what_is_there() -> None:
    copied = [line.split()[1:-1] for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    assert all((DEPLOY.parent / path).exists() for paths in copied for path in paths)
