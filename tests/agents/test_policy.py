"""Nothing is allowed unless a policy permits it; not knowing never allows anything, and an engine that fails has said no."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import policytests
from agents.authorization import Asker
from agents.cedar import PolicyError, Source, statements
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, MemoryLedger
from agents.pattern import matches
from agents.plantfile import Hazard, Plant, PlantFile
from agents.policy import Decision, NoPolicy, Rates, decided
from agents.policyfolder import Policy
from agents.policylint import doubts
from agents.rulefile import RuleFileError, parse
from graph.topology import Topology
from schemas.action import Action, Cause
from schemas.device import DeviceId, Relation
from schemas.event import Connected, Disconnected, Linked, Micros, Severity
from tests.agents.plant import JUNCTION, PIPE, PUMP, VALVE, action, event, plant, second

DEPLOYED = Path(__file__).parents[2] / "deploy" / "policy"
NOW = second(0)
PLANT = """
version: 1
types: {tank: ["tank-*"], pump: ["pump-*"], valve: ["valve-*"], pipe: ["pipe-*"], junction: ["junction-*"], gateway: ["gw-*"]}
hazards:
  - {class: harmless, verbs: [inspect]}
  - {class: minor, verbs: [isolate], types: [pipe]}
protected: {devices: [junction-1]}
blast: {verbs: [isolate, stop]}
"""
HEAD = "permit (principal, action, resource is Device)"


def policy(text: str, ledger: MemoryLedger | None = None, said: str = PLANT) -> Policy:
    numbered = "".join(f'@id("p{number}") {one};' for number, one in enumerate(text.split(";")) if one.strip())
    return Policy(
        parse(said.encode(), PlantFile, name="plant.yaml"), [Source("test.cedar", numbered)], ledger or MemoryLedger()
    )


def allows(text: str, asked: Action, topology: Topology | None = None, now: Micros = NOW, *, said: str = PLANT) -> bool:
    return policy(text, said=said).decide(asked, topology or plant(), now).allowed


def by(principal: str = "ann", role: str = "operator") -> Cause:
    return Cause(instruction_id="in-1", task="t", principal=principal, role=role)


def test_nothing_is_allowed_by_default() -> None:
    decision = policy("").decide(action(), plant(), NOW)
    assert decision == Decision("action-isolate-pipe-1", allowed=False, rule="", reason="nothing permits it", at=NOW)
    assert not NoPolicy().decide(action(), plant(), NOW).allowed


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('resource.type == "pipe" && resource.zone == "east" && resource.id == "pipe-1"', True),
        ('resource in Zone::"east"', True),
        ('resource in Zone::"west"', False),
        ('resource == Device::"pipe-1"', True),
        ("resource.known && resource.connected && !resource.protected", True),
        ("resource.hazard == 1", True),
        ("context.severity == 3", True),
        ("context.severity >= 4", False),
        ("context.hour == 12 && context.weekday == 1", True),
        ('context.cause == "alarm" && context.via == "mqtt" && !context.approved', True),
        ("context.rates.verb == 0 && context.rates.device == 0 && context.rates.principal == 0", True),
        ("context.blast.devices == 1 && context.blast.protected == 1 && context.blast.complete", True),
        ("context.blast.zones == 2", True),
        ('principal == Runbook::"test"', True),
        ('principal in Role::"viewer"', False),
        ('context.texts.hasTag("a")', False),
    ],
)
def test_a_condition_permits_and_the_same_one_forbids(condition: str, *, expected: bool) -> None:
    assert allows(f"{HEAD} when {{ {condition} }}", action()) is expected
    forbidding = f"{HEAD}; {HEAD.replace('permit', 'forbid')} when {{ {condition} }}"
    assert allows(forbidding, action()) is not expected


def test_who_has_a_role_has_those_below() -> None:
    held = {
        role: [least for least in ("viewer", "operator", "engineer", "admin") if _may(role, least)]
        for role in ("viewer", "operator", "engineer", "admin", "runbook", "", "Operator", "root")
    }
    assert held["engineer"] == ["viewer", "operator", "engineer"]
    assert held["admin"] == ["viewer", "operator", "engineer", "admin"]
    assert [held[role] for role in ("runbook", "", "Operator", "root")] == [[], [], [], []]


def _may(role: str, least: str) -> bool:
    return allows(f'permit (principal in Role::"{least}", action, resource)', action(cause=by(role=role)))


def test_hours_are_those_of_the_time_zone() -> None:
    there = f"timezone: Asia/Tokyo{PLANT}"
    assert allows(f"{HEAD} when {{ context.hour == 21 }}", action(), said=there)
    late = policy(f"{HEAD} when {{ context.hour == 2 && context.weekday == 2 }}", said=there)
    assert late.decide(action(), plant(), second(5 * 3600)).allowed


@pytest.mark.parametrize(
    ("given", "condition", "expected"),
    [
        ({"speed": "slow"}, 'context.texts.hasTag("speed") && context.texts.getTag("speed") == "slow"', True),
        (
            {"valve": {"turns": [1, 2.5]}},
            'context.numbers.hasTag("valve.turns.1") && context.numbers.getTag("valve.turns.1") == decimal("2.5")',
            True,
        ),
        ({"force": True}, 'context.texts.hasTag("force") && context.texts.getTag("force") == "true"', True),
        (
            {"none": None, "list": [], "object": {}},
            'context.texts.hasTag("list") && context.texts.getTag("list") == "[]"',
            True,
        ),
        ({"to": 5}, 'context.numbers.hasTag("to") && context.numbers.getTag("to").lessThanOrEqual(decimal("5.0"))', True),
        ({"to": 5.0001}, 'context.numbers.hasTag("to") && context.numbers.getTag("to").lessThanOrEqual(decimal("5.0"))', False),
        ({"to": "4"}, 'context.numbers.hasTag("to")', False),
    ],
)
def test_arguments_are_judged_as_they_would_be_sent(given: dict[str, Any], condition: str, *, expected: bool) -> None:
    assert allows(f"{HEAD} when {{ {condition} }}", action(arguments=given)) is expected


@pytest.mark.parametrize(
    "given",
    [
        {"to": 5.00004},
        {"to": 1e300},
        {"to": 10**5000},
        {"to": float("nan")},
        {"to": float("inf")},
        {"a": {"b": 1}, "a.b": 2},
        {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}},
        {"many": list(range(65))},
        {"long": "x" * 20_000},
        {"long" * 5_000: 1},
        {"bytes": b"x"},
    ],
)
def test_arguments_that_cannot_be_judged_are_refused(given: dict[str, Any]) -> None:
    assert not allows("permit (principal, action, resource)", action(arguments=given))


# --- What is not known, and what a device says of itself ----------------------------------------------------------------------


def test_what_is_of_no_class_is_of_the_worst_and_the_worst_class_counts() -> None:
    said = Plant(parse(PLANT.encode() + b"timezone: UTC", PlantFile, name="test"))
    found = [said.hazard(*asked) for asked in (("isolate", PIPE), ("isolate", PUMP), ("stop", PUMP), ("inspect", None))]
    assert found == [Hazard.MINOR, Hazard.SEVERE, Hazard.SEVERE, Hazard.HARMLESS]
    worse = PLANT.replace("protected", "  - {class: serious, verbs: ['*'], devices: ['pipe-1']}\nprotected")
    assert Plant(parse(worse.encode(), PlantFile, name="test")).hazard("isolate", PIPE) is Hazard.SERIOUS


@pytest.mark.parametrize("announced", ["pump", "pipe ", "PIPE", "", "anything"])
def test_what_a_device_announces_never_lowers_its_hazard(announced: str) -> None:
    topology = plant().merge([event(Connected(PUMP, "pipe", zone="east", properties={"hazard": 0, "protected": False}), 0)])
    severe = policy(f"{HEAD} when {{ resource.hazard < 3 || resource.known }}")
    assert not severe.decide(action(PUMP), topology, NOW).allowed
    topology = plant().merge([event(Connected(PIPE, announced, zone="east"), 0)])
    assert not policy(f"{HEAD} when {{ resource.known }}").decide(action(), topology, NOW).allowed


def test_a_device_that_nobody_knows_is_known_as_that() -> None:
    stranger = action(DeviceId("pipe-77"))
    assert allows(f'{HEAD} when {{ !resource.known && !resource.connected && resource.zone == "" }}', stranger)
    assert not allows(f"{HEAD} when {{ context.blast.complete }}", stranger)
    named = plant().merge([event(Linked(PIPE, DeviceId("pipe-77"), Relation.FEEDS), 0)])
    assert not allows(f"{HEAD} when {{ resource.known }}", stranger, named)


def test_a_zone_is_what_the_plant_says_where_it_says_any() -> None:
    said = f"{PLANT}zones: {{west: ['pipe-*']}}"
    assert not allows(f"{HEAD} when {{ resource.known }}", action(), said=said)
    assert allows(f'{HEAD} when {{ resource.zone == "west" }}', action(), said=said)


def test_what_goes_down_is_bounded_and_said_to_be() -> None:
    long = Topology().merge(
        [event(Connected(DeviceId(f"pipe-{number}"), "pipe"), name=f"d{number}") for number in range(30)]
        + [event(Linked(DeviceId(f"pipe-{n}"), DeviceId(f"pipe-{n + 1}"), Relation.FEEDS), name=f"l{n}") for n in range(29)]
    )
    asker = Asker(Plant(parse(PLANT.replace("stop]", "stop], devices: 20").encode(), PlantFile, name="test")))
    blasts = [
        asker.ask(action(DeviceId(f"pipe-{number}")), long, NOW, rates=Rates(), approved=False).context["blast"]
        for number in (0, 9, 28)
    ]
    assert [(blast["devices"], blast["complete"]) for blast in blasts] == [(20, False), (20, True), (1, True)]
    long.merge([event(Linked(DeviceId("pipe-28"), DeviceId("pipe-0"), Relation.FEEDS), 0)])
    again = asker.ask(action(DeviceId("pipe-28")), long, NOW, rates=Rates(), approved=False)
    assert again.context["blast"]["devices"] == 20


def test_a_disconnected_device_is_said_to_be() -> None:
    gone = plant().merge([event(Disconnected(PIPE), 0)])
    assert not allows(f"{HEAD} when {{ resource.connected }}", action(), gone)


# --- Rates, approval --------------------------------------------------------------------------------------------------------


def test_so_many_an_hour() -> None:
    ledger = MemoryLedger()
    engine = policy(f"{HEAD} when {{ context.rates.verb < 2 }}", ledger)
    for number in range(2):
        asked = action(action_id=f"a{number}")
        decision = engine.decide(asked, plant(), second(number))
        ledger.record(Entry(action=asked, stage=Stage.ALLOWED, at=second(number), decision=decision))
    assert not engine.decide(action(), plant(), second(2)).allowed
    assert engine.decide(action(action_id="a1"), plant(), second(2)).allowed
    assert engine.decide(action(), plant(), second(3601)).allowed


def test_the_permit_that_asks_most_of_people_counts() -> None:
    both = policy(f'@approval("person") {HEAD}; @approval("second-person") {HEAD}; {HEAD}').decide(action(), plant(), NOW)
    assert (both.allowed, both.approval, both.second, both.policies) == (True, True, True, ("p0", "p1", "p2"))
    one = policy(f'@approval("person") {HEAD}').decide(action(), plant(), NOW)
    assert (one.allowed, one.approval, one.second, one.rule) == (True, True, False, "p0")
    approving = policy(f"{HEAD} when {{ context.approved }}")
    assert [approving.decide(action(), plant(), NOW, approved=approved).allowed for approved in (True, False)] == [True, False]


# --- Engines that fail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_a_policy_that_cannot_be_evaluated_has_said_no(effect: str) -> None:
    huge = f"{effect} (principal, action, resource) when {{ context.severity * 9223372036854775807 == 1 }}"
    decision = policy(f"{HEAD}; {huge}").decide(action(), plant(), NOW)
    assert not decision.allowed
    assert decision.reason.startswith("the policy failed: ")
    assert "p1" in decision.reason


def test_an_engine_that_fails_has_said_no() -> None:
    failing = FakeEngine(allowed=True, error=RuntimeError("broken"))
    decision = decided(failing, action(), topology=plant(), now=NOW)
    assert (decision.allowed, decision.reason) == (False, "the policy failed: RuntimeError: broken")


def test_an_engine_that_takes_too_long_has_said_no() -> None:
    times = iter([0.0, 2.0])
    slow = decided(FakeEngine(allowed=True), action(), topology=plant(), now=NOW, clock=lambda: next(times))
    assert (slow.allowed, slow.reason) == (False, "the policy took more than 1 s")


def test_an_engine_that_speaks_of_another_action_has_said_no() -> None:
    class Confused:
        def decide(self, asked: Action, topology: Topology, now: Micros, *, approved: bool = False) -> Decision:
            del approved
            return FakeEngine(allowed=True).decide(msgspec.structs.replace(asked, action_id="other"), topology, now)

    assert not decided(Confused(), action(), topology=plant(), now=NOW).allowed


def test_a_verb_that_nobody_has_named_is_refused() -> None:
    anything = "permit (principal, action, resource)"
    assert not allows(anything, action(verb="explode"))
    assert allows(anything, action(verb="explode"), said=f"{PLANT}verbs: [explode]")
    assert allows(
        'permit (principal, action == Action::"explode", resource)', action(verb="explode"), said=f"{PLANT}verbs: [explode]"
    )


def test_the_plant_as_a_whole() -> None:
    told = msgspec.structs.replace(action(verb="inspect"), device_id=None)
    assert allows('permit (principal, action, resource == Site::"demo") when { resource.hazard == 0 }', told)
    assert not allows(HEAD, told)


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


def plainly(pattern: str, text: str) -> bool:
    """The definition, as a table over both lengths."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(plainly(pattern[1:], text[cut:]) for cut in range(len(text) + 1))
    return bool(text) and pattern[0] == text[0] and plainly(pattern[1:], text[1:])


@settings(derandomize=True, database=None, max_examples=300, deadline=None)
@given(st.text("ab*", max_size=7), st.text("ab", max_size=8))
def test_patterns_mean_what_they_say(pattern: str, text: str) -> None:
    assert matches(pattern, text) is plainly(pattern, text)


def test_a_hostile_pattern_costs_nothing() -> None:
    assert not matches("*a" * 60 + "*b", "a" * 100_000)
