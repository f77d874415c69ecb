"""A runbook on a recording: which of its rules apply, what they ask for, what the policy says to it. Nothing is sent or kept.

The recording goes through the pipeline of the live service. Actions are decided on as they would be, by the folder's policies
over the graph as it is at the alarm, with cooldowns and rates; the ledger is in memory. Runs are carried out dry by the real
scheduler and tools over a folder that is gone afterwards: what reads reads, what acts says what would be decided. No device
answers, and what waits for a person is not approved. Used by `openautoglm runbook test`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.alarmrules import AlarmRules
from agents.annunciator import Annunciator
from agents.arguments import ArgumentError, resolved
from agents.catalogue import plant_tools
from agents.dispatcher import Answered, Dispatcher
from agents.entry import Stage
from agents.fakes import MemoryLedger
from agents.policy import NoPolicy, PolicyEngine
from agents.policyfolder import Policy
from agents.run import Order, Run
from agents.runbook import Plan, Runbook
from agents.taskgraph import Task
from graph.detection.model import Model
from graph.faultpath.state import FaultState
from graph.topology import Topology
from schemas.action import MQTT, Action
from schemas.event import Micros
from schemas.finding import Alert, Invalid
from streams.drybench import DryBench, opened
from streams.pipeline import Pipeline
from streams.recordings import Advance, merged
from streams.replay import PATIENT
from streams.rulecases import Act, Firing
from streams.workshop.wishes import ALARMS, NOTIFY, TRAINING, WORK_ORDERS

UTC = ZoneInfo("UTC")
WAYS = (MQTT, ALARMS, NOTIFY, WORK_ORDERS, TRAINING)
SAYS = {Stage.CLAIMED: "allow", Stage.WAITING: "wait", Stage.REFUSED: "refuse", Stage.EXPIRED: "expire"}
WOULD = {"be done": "allow", "wait for approval": "wait", "be refused": "refuse"}


class Nowhere:
    """`agents.dispatcher.Outlet` by which nothing goes; the dispatcher is only asked to begin."""

    async def send(self, action: Action) -> Answered | None:
        raise AssertionError(f"{action.verb} of {action.target} is not to be sent")


class Watched(Runbook):
    """A runbook of whose every answer somebody is told, while the graph is as it was asked."""

    noticed: Callable[[Alert, Plan, Topology], None]

    def plan(self, alert: Alert, fault: FaultState | None, topology: Topology) -> Plan:
        found = super().plan(alert, fault, topology)
        if found.fired:
            self.noticed(alert, found, topology)
        return found


class DryRun:
    """One recording. `firings`: what came of it, in the order of the alarms; `began`: the time of its first event."""

    def __init__(self, runbook: Watched, pipeline: Pipeline, engine: PolicyEngine, ledger: MemoryLedger) -> None:
        self.firings: list[Firing] = []
        self.began: Micros | None = None
        self.events = self.refused = 0
        self.orders: list[tuple[Order, Firing]] = []
        self.pipeline = pipeline
        ways = {*WAYS, *(then.via for rule in runbook.rules for then in rule.then)}
        self.dispatcher = Dispatcher(engine=engine, ledger=ledger, outlets=dict.fromkeys(ways, Nowhere()))
        self._known: set[str] = set()
        self._last: dict[tuple[str, str], Firing] = {}
        runbook.noticed = self._noticed

    def refuse(self, _: Invalid) -> None:
        self.refused += 1

    def _noticed(self, alert: Alert, plan: Plan, topology: Topology) -> None:
        acts = [(_rule(action.cause.principal), act) for action in plan.actions if (act := self._decided(action, topology))]
        for rule in plan.fired:
            order = next((order for order in plan.orders if order.text == rule and order.run_id not in self._known), None)
            unresolved = [f"{one.task}: {one.verb}" if one.task else one.verb for one in plan.unresolved if one.rule == rule]
            found = [act for of, act in acts if of == rule]
            last = self._last.get((rule, alert.alert_id))
            if last is not None and not found and order is None and set(unresolved) <= set(last.unresolved):
                last.again += 1
                continue
            self._keep(_firing(rule, alert, found, unresolved), order)

    def _keep(self, firing: Firing, order: Order | None) -> None:
        self.firings.append(firing)
        self._last[firing.rule, firing.alert_id] = firing
        if order is not None:
            self._known.add(order.run_id)
            firing.run_id = order.run_id
            self.orders.append((order, firing))

    def _decided(self, action: Action, topology: Topology) -> Act | None:
        """None if it was decided on before and is not decided anew."""
        held = self.dispatcher.begin(action, topology=topology, now=self.pipeline.now).entry
        if held.action is not action:
            return None
        return Act(
            verb=action.verb,
            device=action.device_id,
            via=action.via,
            arguments=action.arguments,
            decision=SAYS[held.stage],
            reason=held.detail,
        )


def _rule(principal: str) -> str:
    return principal.partition(":")[2]


def _firing(rule: str, alert: Alert, acts: list[Act], unresolved: list[str]) -> Firing:
    return Firing(
        rule=rule,
        at=alert.time,
        alert_id=alert.alert_id,
        condition=alert.condition,
        severity=alert.severity,
        device=alert.device_id,
        fault_id=alert.fault_id,
        acts=acts,
        unresolved=unresolved,
    )


async def dry_run(
    runbook: Runbook,
    paths: Sequence[Path],
    *,
    model: Model | None = None,
    policy: Path | None = None,
    alarm_rules: AlarmRules | None = None,
    advance: Advance | None = None,
) -> DryRun:
    """Raises UnreadableError, PolicyError, RuleFileError, OSError."""
    ledger = MemoryLedger()
    rules = Policy.load(policy, ledger) if policy else None
    watched = Watched(runbook.site, runbook.rules)
    pipeline = Pipeline(runbook.site, model=model, lateness=PATIENT, runbook=watched, alarm_rules=alarm_rules)
    run = DryRun(watched, pipeline, rules or NoPolicy(), ledger)
    zone = rules.plant.zone if rules else UTC
    annunciator = Annunciator(runbook.site, alarm_rules)
    async with opened(pipeline, dispatcher=run.dispatcher, annunciator=annunciator, zone=zone) as bench:
        for batch in merged(paths, run.refuse, advance=advance):
            run.events += len(batch)
            if run.began is None and batch:
                run.began = min(event.stamp.at for event in batch)
            await bench.take(pipeline(batch), batch)
            await _carried_out(run, bench)
        await bench.take(pipeline.finish(), ())
        await _carried_out(run, bench)
    return run


async def _carried_out(run: DryRun, bench: DryBench) -> None:
    for order, firing in run.orders:
        done = await bench.carry_out(order)
        firing.acts += [_act(done, task) for task in done.order.graph.tasks]
    run.orders.clear()


def _act(run: Run, task: Task) -> Act:
    step = run.steps[task.key]
    try:
        arguments = resolved(plant_tools()[task.tool], task, {key: other.outputs for key, other in run.steps.items()})
    except ArgumentError:
        arguments = {name: value for name, value in task.arguments.items() if isinstance(value, str | int | float)}
    facts = step.outputs.get("action") or {}
    return Act(
        task=task.key,
        tool=task.tool,
        state=step.state,
        verb=facts.get("verb", ""),
        device=facts.get("device") or arguments.get("device"),
        via=facts.get("via", ""),
        arguments=facts.get("arguments", arguments),
        outputs={name: value for name, value in step.outputs.items() if isinstance(value, str | int | float)},
        decision=WOULD.get(facts.get("would", ""), ""),
        reason=facts.get("reason") or step.detail,
    )
