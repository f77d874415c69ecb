"""What docs/alarms-and-actions.md and docs/policy.md show is valid, and does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from agents import policylint, policytests
from agents.alarmrules import About, AlarmRule, AlarmRules, AlarmRulesFile, SuppressWhen
from agents.alarms import AlarmSettings
from agents.catalogue import plant_tools
from agents.cedar import Source
from agents.entry import Stage
from agents.fakes import MemoryLedger
from agents.plantfile import Blast, HazardClass, PlantFile, Protected
from agents.policyfolder import VERBS, Policy
from agents.policytests import Case, DeviceFacts, RatesFacts
from agents.rulefile import parse
from agents.ruletasks import Fact, RuleTask
from agents.runbook import Rule, Runbook, RunbookFile, Then, When
from agents.taskgraph import Condition
from schemas.action import Cause
from schemas.alarm import AlarmState, Limits
from schemas.device import DeviceId
from schemas.event import Connected
from tests.agents.plant import PIPE, PUMP, TANK, VALVE, action, alert, event, fault, plant, second

DOCS = Path(__file__).parents[2] / "docs"
TEXT, POLICY = (DOCS / "alarms-and-actions.md").read_text(encoding="utf-8"), (DOCS / "policy.md").read_text(encoding="utf-8")
SHOWN = {kind: block.encode() for kind, block in re.findall(r"```yaml (\w+)\n(.*?)```", TEXT + POLICY, re.DOTALL)}
CEDAR = re.findall(r"```cedar\n(.*?)```", POLICY, re.DOTALL)


def shown() -> Policy:
    """The policies of the page, all together."""
    return Policy(parse(SHOWN["plant"], PlantFile, name="plant.yaml"), [Source("policy.md", "".join(CEDAR))], MemoryLedger())


def test_the_examples_work_together() -> None:
    runbook, policy = Runbook("demo", parse(SHOWN["runbook"], RunbookFile, name="runbook").rules), shown()
    close, inspect = runbook.actions_for(alert(), fault(0, {PIPE: 0.7}), plant())
    assert (close.verb, close.device_id, close.arguments) == ("close", VALVE, {"speed": "slow"})
    assert (inspect.verb, inspect.device_id, inspect.via) == ("inspect", PIPE, "work-orders")
    assert [policy.decide(asked, plant(), second(0)).policies for asked in (close, inspect)] == [
        ("valves by day",),
        ("inspections",),
    ]
    assert not policy.decide(close, plant(), second(9 * 3600)).allowed
    assert not policy.decide(msgspec.structs.replace(close, arguments={}), plant(), second(0)).allowed


def test_the_main_valve_is_never_touched() -> None:
    main = DeviceId("valve-main")
    topology = plant().merge([event(Connected(main, "valve"))])
    runbook = Runbook("demo", parse(SHOWN["runbook"], RunbookFile, name="runbook").rules)
    close, _ = runbook.actions_for(alert(), fault(0, {PIPE: 0.7}), topology)
    assert shown().decide(close, topology, second(0)).allowed
    refused = shown().decide(msgspec.structs.replace(close, device_id=main), topology, second(0))
    assert refused.policies == ("never the main valve",)


def test_set_points_have_limits_and_need_two() -> None:
    by = Cause(instruction_id="in-1", task="t", principal="ann", role="operator")
    answers = [
        shown().decide(action(PUMP, "set-point", cause=by, arguments={"signal": "speed", "value": value}), plant(), second(0))
        for value in (40, 55.5, "40")
    ]
    assert [(answer.allowed, answer.second) for answer in answers] == [(True, True), (False, False), (False, False)]


def test_the_cases_shown_pass(tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_bytes(SHOWN["plant"])
    (tmp_path / "all.cedar").write_text("".join(CEDAR))
    (tmp_path / "tests.yaml").write_bytes(SHOWN["cases"])
    outcomes = policytests.tested(tmp_path)
    assert [outcome.passed for outcome in outcomes] == [True] * len(outcomes)
    assert policylint.doubts(tmp_path) == []


def test_everything_that_policies_may_speak_of_is_described() -> None:
    schema = (DOCS.parent / "agents" / "schema.cedarschema").read_text()
    names = set(re.findall(r"(\w+):", re.sub(r"//.*", "", schema)))
    assert sorted(name for name in names - {"principal", "resource", "context"} if f"`{name}`" not in POLICY) == []
    assert sorted(verb for verb in VERBS if f"`{verb}`" not in POLICY) == []


def test_the_tasks_shown_become_one_run() -> None:
    runbook = Runbook("demo", parse(SHOWN["tasks"], RunbookFile, name="tasks").rules)
    (order,) = runbook.plan(alert(), fault(0, {PIPE: 0.7}), plant()).orders
    assert order.graph.order() == [["trace"], ["report", "close", "order"], ["tell"]]
    assert order.graph.task("close").arguments == {"device": VALVE, "verb": "close"}
    assert order.graph.task("order").arguments["priority"] == "high"
    assert order.expires == 600


def test_every_tool_that_a_runbook_may_name_is_described() -> None:
    page = (DOCS / "instructions.md").read_text(encoding="utf-8")
    assert [tool.id for tool in plant_tools().tools if f"`{tool.id}`" not in page] == []
    assert [fact for fact in Fact if f"`{fact}`" not in TEXT and f"{{alarm: {fact}}}" not in TEXT] == []


def test_the_alarm_rules_are_about_what_they_say() -> None:
    rules = AlarmRules(parse(SHOWN["alarmrules"], AlarmRulesFile, name="alarmrules"))
    names = [rules.rule_for(device, kind, plant()).name for device, kind in ((PUMP, "control:dry"), (TANK, "anomaly"))]
    assert names == ["pumps at a standstill", "tanks in the west"]
    assert (rules.limits.operators, rules.limits.longest_shelf) == (2, 28_800)


def test_every_state_of_an_alarm_is_described() -> None:
    assert [state for state in AlarmState if f"`{state}`" not in TEXT] == []


@pytest.mark.parametrize("kind", [When, Then, Rule, RuleTask, Condition, AlarmRule, About, SuppressWhen, Limits])
def test_every_field_is_described(kind: type) -> None:
    fields: tuple[str, ...] = kind.__struct_encode_fields__  # type: ignore[attr-defined]
    assert [name for name in fields if f"`{name}`" not in TEXT] == []


@pytest.mark.parametrize("kind", [PlantFile, HazardClass, Protected, Blast, Case, DeviceFacts, RatesFacts])
def test_every_field_of_a_policy_folder_is_described(kind: type) -> None:
    fields: tuple[str, ...] = kind.__struct_encode_fields__  # type: ignore[attr-defined]
    assert [name for name in fields if f"`{name}`" not in POLICY] == []


def test_every_stage_is_described() -> None:
    assert [stage for stage in Stage if f"`{stage}`" not in TEXT and stage is not Stage.REQUESTED] == []


def test_the_defaults_are_those_described() -> None:
    settings = AlarmSettings()
    assert (settings.on_delay, settings.off_delay, settings.off_steps) == (10_000_000, 10_000_000, 3)
    assert (settings.strange, settings.spread) == ((1.5, 3.0, 10.0), (1, 3, 10))
