"""Nothing is allowed unless a policy permits it; not knowing never allows anything, and an engine that fails has said no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.authorization import ROLES, Asker
from agents.cedar import Source
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, MemoryLedger
from agents.pattern import Matcher, matches
from agents.plantfile import Hazard, Plant, PlantFile
from agents.policy import Approver, Decision, NoPolicy, Rates, decided
from agents.policyfolder import Policy
from agents.rulefile import parse
from graph.topology import Topology
from schemas.action import LOCAL, Action, Cause
from schemas.device import DeviceId, Relation
from schemas.event import Connected, Disconnected, Linked, Micros
from tests.agents.plant import PIPE, PUMP, action, event, plant, second

DEPLOYED = Path(__file__).parents[2] / "deploy" / "policy"
NOW = second(0)
PLANT = """
version: 1
types: {tank: ["tank-*"], pump: ["pump-*"], valve: ["valve-*"], pipe: ["pipe-*"], junction: ["junction-*"], gateway: ["gw-*"]}
hazards:
  - {class: harmless, verbs: [inspect]}
  - {class: minor, verbs: [isolate], types: [pipe]}
protected: {devices: [junction-1]}
blast: {hops: 64}
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
    asker = Asker(Plant(parse(PLANT.replace("hops: 64", "devices: 20").encode(), PlantFile, name="test")))
    blasts = [
        asker.ask(action(DeviceId(f"pipe-{number}")), long, NOW, rates=Rates(), approver=None).context["blast"]
        for number in (0, 9, 28)
    ]
    assert [(blast["devices"], blast["complete"]) for blast in blasts] == [(20, False), (20, True), (1, True)]
    long.merge([event(Linked(DeviceId("pipe-28"), DeviceId("pipe-0"), Relation.FEEDS), 0)])
    again = asker.ask(action(DeviceId("pipe-28")), long, NOW, rates=Rates(), approver=None)
    assert again.context["blast"]["devices"] == 20


@pytest.mark.parametrize("verb", ["isolate", "stop", "set", "restart", "reset", "open", "start", "reconnect", "jump"])
def test_every_verb_may_take_its_device_down(verb: str) -> None:
    text = "permit (principal, action, resource) when { context.blast.devices == 0 && context.blast.complete }"
    asked = action(PIPE, verb, cause=by())
    assert not allows(text, asked, said=f"{PLANT}verbs: [jump]")
    exempt = f"{PLANT}verbs: [jump]".replace("hops: 64", "exempt: ['*']")
    assert allows(text, asked, said=exempt)
    assert not allows(text, asked, said=exempt.replace("exempt:", f"verbs: [{verb}], exempt:"))


@pytest.mark.parametrize("verb", ["acknowledge", "inspect", "notify", "retrain", "shelve", "unshelve", "work-order"])
def test_but_those_that_move_nothing(verb: str) -> None:
    text = "permit (principal, action, resource) when { context.blast.devices == 0 && context.blast.complete }"
    assert allows(text, action(PIPE, verb, cause=by()))
    assert not allows(text, action(PIPE, verb, cause=by()), said=PLANT.replace("hops: 64", "exempt: [nothing]"))


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
    ada = Approver("ada", "engineer")
    approving = policy(f"{HEAD} when {{ context.approved }}")
    assert [approving.decide(action(), plant(), NOW, approver=approver).allowed for approver in (ada, None)] == [True, False]


def test_policies_hear_who_approves() -> None:
    engineers = policy(f'{HEAD} when {{ context has approver && context.approver.roles.contains(Role::"engineer") }}')
    roles = [Approver("ada", role) for role in (*ROLES, "root", "")]
    taken = [who.role for who in roles if engineers.decide(action(), plant(), NOW, approver=who).allowed]
    assert taken == ["engineer", "admin"]
    keyless = [Approver(name, "admin") for name in (LOCAL, " Local")]
    assert not any(engineers.decide(action(), plant(), NOW, approver=who).allowed for who in keyless)
    not_eve = policy(f'{HEAD} unless {{ context has approver && context.approver.name == "eve" }}')
    names = [Approver(name, "admin") for name in ("eve", "ann", "", "a" * 257)]
    assert [who.name for who in names if not_eve.decide(action(), plant(), NOW, approver=who).allowed] == ["ann"]


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
        def decide(self, asked: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision:
            del approver
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
    assert Matcher([pattern])(text) is plainly(pattern, text)


def test_a_hostile_pattern_costs_nothing() -> None:
    assert not matches("*a" * 60 + "*b", "a" * 100_000)
