"""What docs/alarms-and-actions.md shows is valid, and does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from agents.alarmrules import About, AlarmRule, AlarmRules, AlarmRulesFile, SuppressWhen
from agents.alarms import AlarmSettings
from agents.entry import Stage
from agents.fakes import MemoryLedger
from agents.policy import Allow, Deny, Policy, PolicyFile, Scope
from agents.rulefile import parse
from agents.runbook import Runbook, RunbookFile, Then, When
from schemas.alarm import AlarmState, Limits
from schemas.device import DeviceId
from schemas.event import Connected
from tests.agents.plant import PIPE, PUMP, TANK, VALVE, alert, event, fault, plant, second

TEXT = (Path(__file__).parents[2] / "docs" / "alarms-and-actions.md").read_text(encoding="utf-8")
SHOWN = {kind: block.encode() for kind, block in re.findall(r"```yaml (\w+)\n(.*?)```", TEXT, re.DOTALL)}


def test_the_examples_work_together() -> None:
    runbook = Runbook("demo", parse(SHOWN["runbook"], RunbookFile, name="runbook").rules)
    policy = Policy(parse(SHOWN["policy"], PolicyFile, name="policy"), MemoryLedger())
    close, inspect = runbook.actions_for(alert(), fault(0, {PIPE: 0.7}), plant())
    assert (close.verb, close.device_id, close.arguments) == ("close", VALVE, {"speed": "slow"})
    assert (inspect.verb, inspect.device_id, inspect.via) == ("inspect", PIPE, "work-orders")
    assert [policy.decide(asked, plant(), second(0)).rule for asked in (close, inspect)] == ["valves by day", "inspections"]
    assert not policy.decide(close, plant(), second(9 * 3600)).allowed


def test_the_main_valve_is_never_touched() -> None:
    policy = Policy(parse(SHOWN["policy"], PolicyFile, name="policy"), MemoryLedger())
    main = DeviceId("valve-main-1")
    topology = plant().merge([event(Connected(main, "valve"))])
    runbook = Runbook("demo", parse(SHOWN["runbook"], RunbookFile, name="runbook").rules)
    close, _ = runbook.actions_for(alert(), fault(0, {PIPE: 0.7}), topology)
    assert policy.decide(close, topology, second(0)).allowed
    assert not policy.decide(msgspec.structs.replace(close, device_id=main), topology, second(0)).allowed


def test_the_alarm_rules_are_about_what_they_say() -> None:
    rules = AlarmRules(parse(SHOWN["alarmrules"], AlarmRulesFile, name="alarmrules"))
    names = [rules.rule_for(device, kind, plant()).name for device, kind in ((PUMP, "control:dry"), (TANK, "anomaly"))]
    assert names == ["pumps at a standstill", "tanks in the west"]
    assert (rules.limits.operators, rules.limits.longest_shelf) == (2, 28_800)


def test_every_state_of_an_alarm_is_described() -> None:
    assert [state for state in AlarmState if f"`{state}`" not in TEXT] == []


@pytest.mark.parametrize("kind", [When, Then, Scope, Allow, Deny, AlarmRule, About, SuppressWhen, Limits])
def test_every_field_is_described(kind: type) -> None:
    fields: tuple[str, ...] = kind.__struct_encode_fields__  # type: ignore[attr-defined]
    assert [name for name in fields if f"`{name}`" not in TEXT] == []


def test_every_stage_is_described() -> None:
    assert [stage for stage in Stage if f"`{stage}`" not in TEXT and stage is not Stage.REQUESTED] == []


def test_the_defaults_are_those_described() -> None:
    settings = AlarmSettings()
    assert (settings.on_delay, settings.off_delay, settings.off_steps) == (10_000_000, 10_000_000, 3)
    assert (settings.strange, settings.spread) == ((1.5, 3.0, 10.0), (1, 3, 10))
