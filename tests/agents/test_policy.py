"""Nothing is allowed unless a rule allows it; not knowing never allows anything."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, MemoryLedger
from agents.pattern import matches
from agents.policy import Decision, Policy, PolicyFile, decided
from agents.rulefile import RuleFileError, parse
from graph.topology import Topology
from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros, Severity
from tests.agents.plant import PIPE, PUMP, VALVE, action, plant, second

DEPLOYED = Path(__file__).parents[2] / "deploy" / "policy.yaml"
NOW = second(0)


def policy(text: str, ledger: MemoryLedger | None = None) -> Policy:
    return Policy(parse(f"version: 1\n{text}".encode(), PolicyFile, name="test"), ledger or MemoryLedger())


def allows(text: str, asked: Action, topology: Topology | None = None, now: Micros = NOW) -> bool:
    return policy(text).decide(asked, topology or plant(), now).allowed


def test_nothing_is_allowed_by_default() -> None:
    decision = policy("").decide(action(), plant(), NOW)
    assert decision == Decision("action-isolate-pipe-1", allowed=False, rule="", reason="no rule allows it", at=NOW)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("verbs: [isolate]", True),
        ("verbs: ['*']", True),
        ("verbs: ['iso*']", True),
        ("verbs: [stop]", False),
        ("verbs: [isolate], deviceTypes: [pipe]", True),
        ("verbs: [isolate], deviceTypes: [pump]", False),
        ("verbs: [isolate], devices: ['pipe-*']", True),
        ("verbs: [isolate], devices: ['pipe-2', 'pump-*']", False),
        ("verbs: [isolate], zones: [east]", True),
        ("verbs: [isolate], zones: [west]", False),
        ("verbs: [isolate], severity: high", True),
        ("verbs: [isolate], severity: critical", False),
        ("verbs: [isolate], hours: {from: 12, until: 13}", True),
        ("verbs: [isolate], hours: {from: 13, until: 24}", False),
        ("verbs: [isolate], hours: {from: 22, until: 13}", True),
        ("verbs: [isolate], hours: {from: 22, until: 12}", False),
    ],
)
def test_a_rule_allows_and_the_same_rule_denies(rule: str, *, expected: bool) -> None:
    assert allows(f"allow: [{{name: a, {rule}}}]", action()) is expected
    denied = f"allow: [{{name: a, verbs: ['*']}}]\ndeny: [{{name: d, {rule}}}]"
    assert allows(denied, action()) is not expected


def test_hours_are_those_of_the_time_zone() -> None:
    rule = "timezone: Europe/Berlin\nallow: [{name: a, verbs: ['*'], hours: {from: 13, until: 14}}]"
    assert allows(rule, action())


def test_what_the_plant_does_not_know_is_never_allowed_and_always_denied() -> None:
    stranger = action(DeviceId("pipe-77"))
    assert not allows("allow: [{name: a, verbs: ['*'], deviceTypes: ['*']}]", stranger)
    assert allows("allow: [{name: a, verbs: ['*']}]", stranger)
    assert not allows("allow: [{name: a, verbs: ['*']}]\ndeny: [{name: d, verbs: ['*'], deviceTypes: [pump]}]", stranger)
    assert not allows("allow: [{name: a, verbs: ['*']}]\ndeny: [{name: d, verbs: ['*'], zones: [north]}]", stranger)


def test_a_rule_has_so_many_actions_an_hour() -> None:
    ledger = MemoryLedger()
    engine = policy("allow: [{name: a, verbs: ['*'], maxPerHour: 2}]", ledger)
    for number in range(2):
        asked = action(action_id=f"a{number}")
        decision = engine.decide(asked, plant(), second(number))
        ledger.record(Entry(action=asked, stage=Stage.ALLOWED, at=second(number), decision=decision))
    spent = engine.decide(action(), plant(), second(2))
    assert (spent.allowed, spent.rule, spent.reason) == (False, "a", "no more actions in this hour by this rule")
    assert engine.decide(action(action_id="a1"), plant(), second(2)).allowed
    assert engine.decide(action(), plant(), second(3601)).allowed


def test_where_one_rule_is_spent_another_may_allow() -> None:
    ledger = MemoryLedger()
    engine = policy("allow: [{name: a, verbs: ['*'], maxPerHour: 1}, {name: b, verbs: [isolate]}]", ledger)
    first = action(action_id="first")
    ledger.record(Entry(action=first, stage=Stage.ALLOWED, at=NOW, decision=engine.decide(first, plant(), NOW)))
    assert engine.decide(action(), plant(), NOW).rule == "b"


def test_an_engine_that_fails_has_said_no() -> None:
    failing = FakeEngine(allowed=True, error=RuntimeError("broken"))
    decision = decided(failing, action(), topology=plant(), now=NOW)
    assert (decision.allowed, decision.reason) == (False, "the policy failed: RuntimeError: broken")


def test_an_engine_that_speaks_of_another_action_has_said_no() -> None:
    class Confused:
        def decide(self, asked: Action, topology: Topology, now: Micros) -> Decision:
            return FakeEngine(allowed=True).decide(msgspec.structs.replace(asked, action_id="other"), topology, now)

    assert not decided(Confused(), action(), topology=plant(), now=NOW).allowed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("allow:\n- {name: a}\n", "test:3: allow[0]: Object missing required field `verbs`"),
        ("allow:\n- {name: a, verbs: []}\n", "test:3: allow[0].verbs: Expected `array` of length >= 1"),
        ("deny:\n- {name: a, verbs: ['*'], maxPerHour: 1}\n", "test:3: deny[0]: Object contains unknown field `maxPerHour`"),
        ("allow:\n- {name: a, verbs: ['*'], hours: {from: 24, until: 3}}\n", "test:3: allow[0].hours.from: "),
        ("timezone: Mars/Olympus\n", "test:1: the file: no time zone Mars/Olympus"),
        ("timezone: /etc/passwd\n", "test:1: the file: no time zone /etc/passwd"),
        ("allow: [{name: a, verbs: [a]}]\ndeny: [{name: a, verbs: [b]}]\n", "test:1: the file: several rules are named a"),
    ],
)
def test_a_wrong_file(text: str, says: str) -> None:
    with pytest.raises(RuleFileError) as refused:
        policy(text)
    assert str(refused.value).startswith(says)


def test_the_deployed_policy() -> None:
    engine, topology = Policy.load(DEPLOYED, MemoryLedger()), plant()
    verdicts = {
        (asked.verb, asked.device_id): engine.decide(asked, topology, NOW).allowed
        for asked in (action(), action(PUMP, "stop"), action(PUMP, "inspect"), action(PUMP, "isolate"), action(VALVE, "close"))
    }
    assert [verb for verb, allowed in verdicts.items() if allowed] == [("isolate", PIPE), ("inspect", PUMP)]
    assert engine.decide(action(PUMP, "stop"), topology, NOW).rule == "pumps are stopped by people"
    cause = msgspec.structs.replace(action().cause, severity=Severity.CRITICAL)
    assert engine.decide(action(VALVE, "close", cause=cause), topology, NOW).allowed


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
