"""Folders of policies: what is wrong is refused with its line, what is doubtful is said, and the demo's say what they must."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from agents import policytests
from agents.cedar import PolicyError, Source, statements
from agents.fakes import MemoryLedger
from agents.plantfile import PlantFile
from agents.policy import Decision
from agents.policyfolder import Policy
from agents.policylint import doubts
from agents.rulefile import RuleFileError, parse
from schemas.event import Severity
from tests.agents.plant import JUNCTION, PUMP, VALVE, action, plant, second
from tests.agents.test_policy import HEAD, PLANT, policy

DEPLOYED = Path(__file__).parents[2] / "deploy" / "policy"
NOW = second(0)


# --- Files ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n// a\npermit (principal action, resource);", "test.cedar:3: unexpected token"),
        ("permit (principal, action, resource);", "test.cedar:1: needs an annotation @id"),
        ('@id("a") @aproval("person")\npermit (principal, action, resource);', "test.cedar:1: unknown annotation @aproval"),
        ('@id("a") @approval("me") permit (principal, action, resource);', "test.cedar:1: @approval is"),
        ('@id("a") @approval("person") forbid (principal, action, resource);', "test.cedar:1: @approval is"),
        ('@id("a") permit (principal == ?principal, action, resource);', "test.cedar:1: templates"),
        ('@id("a") permit (principal, action, resource)', "test.cedar:1: unexpected end of input"),
        ('@id("a") permit (principal, action, resource) when { resource.tpye == "a" };', "test.cedar:1: "),
        ('@id("a") permit (principal, action == Action::"explode", resource);', "test.cedar:1: "),
        ('@id("a") permit (principal, action, resource) when { "; }', "test.cedar:1: "),
        (
            '@id("a")\npermit (principal, action, resource);\n\n@id("a")\nforbid (principal, action, resource);',
            "test.cedar:1: several",
        ),
        (
            f'@id("a") permit (principal, action, resource) when {{ {"(" * 200}true{")" * 200} }};',
            "test.cedar:1: more than 200",
        ),
        (f"// {'x' * 262_144}", "test.cedar: more than"),
    ],
)
def test_wrong_policies(text: str, says: str) -> None:
    with pytest.raises(PolicyError) as refused:
        Policy(parse(PLANT.encode(), PlantFile, name="plant.yaml"), [Source("test.cedar", text)], MemoryLedger())
    assert refused.value.faults[0].startswith(says)


@pytest.mark.parametrize("text", ["&& true" * 20_000, "|| true" * 20_000, "== 1 " * 3, "+ 1" * 20_000, "[" * 40 + "]" * 40])
def test_policies_that_would_take_a_parser_down_are_refused_or_read(text: str) -> None:
    with suppress(PolicyError):
        policy(f"{HEAD} when {{ true {text} }}")


def test_semicolons_in_texts_and_comments_end_nothing() -> None:
    every = "(principal, action, resource);"
    text = f'// a; "b\n@id("a;\\";") permit {every} // c;\n\n@id("b") forbid {every}//'
    assert [(file, line) for file, line, _ in statements(Source("f", text))] == [("f", 2), ("f", 4)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\ntimezone: Mars/Olympus\n", "plant.yaml:1: the file: no time zone Mars/Olympus"),
        ("version: 1\ntimezone: /etc/passwd\n", "plant.yaml:1: the file: no time zone /etc/passwd"),
        ("version: 1\nhazards:\n- {class: mild, verbs: [a]}\n", "plant.yaml:3: hazards[0].class: Invalid enum value"),
        ("version: 1\nhazards:\n- {class: minor, verbs: []}\n", "plant.yaml:3: hazards[0].verbs: Expected"),
        ("version: 1\nverbs: ['a\"]; permit']\n", "plant.yaml:2: verbs[0]: Expected `str` matching regex"),
        ("version: 1\nblast: {depth: 1}\n", "plant.yaml:2: blast: Object contains unknown field `depth`"),
    ],
)
def test_a_wrong_plant_file(text: str, says: str) -> None:
    with pytest.raises(RuleFileError) as refused:
        policy("", said=text)
    assert str(refused.value).startswith(says)


APPROVED = 'context has approver && context.approver.roles.contains(Role::"{}")'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('@id("a") permit (principal, action, resource);', "permits acknowledge and 15 other verbs without any condition"),
        ('@id("a") permit (principal, action == Action::"stop", resource);', "permits stop without any condition"),
        ('@id("a") permit (principal in Role::"boss", action == Action::"inspect", resource);', "names the role 'boss'"),
        (
            '@id("a") permit (principal, action == Action::"inspect", resource == Device::"pimp-1");',
            "names the device 'pimp-1'",
        ),
        ('@id("a") permit (principal, action, resource) when { resource in Zone::"north" };', "names the zone 'north'"),
        (
            f'@id("a") @approval("person") permit (principal, action, resource) when {{ {APPROVED.format("admin")} }};',
            "never waits: say who may in a forbid",
        ),
        (
            f'@id("a") forbid (principal, action, resource) when {{ {APPROVED.format("enginer")} }};',
            "names the role 'enginer'",
        ),
    ],
)
def test_doubts(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.cedar").write_text(f"\n{text}")
    (tmp_path / "plant.yaml").write_text(f"{PLANT}zones: {{west: ['pipe-*']}}\n")
    (doubt,) = doubts(tmp_path)
    assert doubt.startswith(f"{tmp_path}/a.cedar:2: 'a' ")
    assert says in doubt


def test_doubts_about_the_plant_file(tmp_path: Path) -> None:
    (tmp_path / "a.cedar").write_text("")
    (tmp_path / "plant.yaml").write_text("version: 1\nhazards: [{class: minor, verbs: [jump], types: [pipe]}]\n")
    assert [doubt.rpartition(": ")[2] for doubt in doubts(tmp_path)] == ["none is pipe, so no device is", "none is jump"]


@pytest.mark.parametrize(
    ("blast", "says"),
    [
        ("exempt: [inspect]", []),
        ("exempt: [inspect, reset]", ["blast.exempt: reset can be hazardous"]),
        ("exempt: ['*']", ["blast.exempt: acknowledge and 15 other verbs can be hazardous"]),
        ("exempt: [jump]", ["verbs: none is jump"]),
        ("verbs: [isolate, stop]", ["blast.verbs: is of before"]),
    ],
)
def test_doubts_about_what_takes_nothing_down(tmp_path: Path, blast: str, says: list[str]) -> None:
    (tmp_path / "a.cedar").write_text("")
    (tmp_path / "plant.yaml").write_text(f"version: 1\nhazards: [{{class: harmless, verbs: [inspect]}}]\nblast: {{{blast}}}\n")
    found = doubts(tmp_path)
    assert len(found) == len(says)
    assert all(doubt.startswith(f"{tmp_path}/plant.yaml: {one}") for doubt, one in zip(found, says, strict=True))


# --- The demo plant's policies ------------------------------------------------------------------------------------------------


def test_the_deployed_policies_are_without_doubt_and_say_what_they_must() -> None:
    assert doubts(DEPLOYED) == []
    assert [outcome.case.name for outcome in policytests.tested(DEPLOYED) if not outcome.passed] == []


def test_a_case_that_fails_is_said_to(tmp_path: Path) -> None:
    shutil.copytree(DEPLOYED, tmp_path, dirs_exist_ok=True)
    cases = (tmp_path / "tests.yaml").read_text()
    (tmp_path / "tests.yaml").write_text(cases.replace("expect: allow", "expect: refuse", 1))
    assert [outcome.passed for outcome in policytests.tested(tmp_path)].count(False) == 1


def test_the_demo_story() -> None:
    engine, topology = Policy.load(DEPLOYED, MemoryLedger()), plant()
    critical = msgspec.structs.replace(action().cause, severity=Severity.CRITICAL)
    asked = [action(), action(VALVE, "close", cause=critical), action(PUMP, "stop"), action(PUMP, "inspect"), action(PUMP)]
    found: Mapping[str, Decision] = {f"{one.verb} {one.device_id}": engine.decide(one, topology, NOW) for one in asked}
    assert [(name, one.approval) for name, one in found.items() if one.allowed] == [
        ("isolate pipe-1", False),
        ("close valve-1", True),
        ("inspect pump-1", False),
    ]
    assert found["stop pump-1"].policies == ("pumps are stopped by people",)
    protected = msgspec.structs.replace(engine.plant.said.protected, devices=(JUNCTION,))
    guarded = msgspec.structs.replace(engine.plant.said, protected=protected)
    sources = [Source(path.name, path.read_text()) for path in sorted(DEPLOYED.glob("*.cedar"))]
    refused = Policy(guarded, sources, MemoryLedger()).decide(action(), topology, NOW)
    assert (refused.allowed, refused.policies) == (False, ("protected devices",))
