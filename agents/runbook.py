"""The runbook: which actions and runs an alarm asks for. A YAML file, read into the types below; anything unknown is refused.

Fed by the pipeline with each transition of an alarm, the fault it belongs to and the live graph. It only asks: the policy
decides, the dispatcher acts, the scheduler runs what is of several tasks. Asking twice gives the same ids.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from agents.identity import derived
from agents.pattern import matches
from agents.rulefile import load
from agents.ruletasks import Asked, Happened, RuleTask, asked, first_wrong
from agents.run import Order
from agents.severity import at_least
from agents.standing import ANOMALY, FAULT
from agents.targets import Place, Target, find, subject
from graph.faultpath.state import FaultState
from graph.topology import Topology
from schemas.action import MQTT, RUNBOOK, Action, Cause, moment
from schemas.device import DeviceId
from schemas.event import Micros, Severity, rfc3339
from schemas.finding import Alert, AlertState

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Condition = Annotated[str, Meta(pattern=r"^(?:\*|fault|anomaly|disconnected|control:.{1,128})\Z")]
Seconds = Annotated[float, Meta(ge=0, le=604_800)]
Names = tuple[Name, ...]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """A part of a file in which every member is known."""


class On(StrEnum):
    """RAISED also holds for updates, as an alarm may grow into a rule; ids keep it from acting twice."""

    RAISED = "raised"
    CLEARED = "cleared"


class When(Strict, frozen=True):
    """What must hold of an alarm; all of it.

    Types and zones are those of its subject: for a fault's alarm the likeliest origin, else its device. `suppressed` says if
    alarms that hang under a fault count; unless told, those of the detector do not and all others do.
    """

    condition: Condition
    state: On = On.RAISED
    severity: Severity = Severity.LOW
    device_types: Names = ()
    except_types: Names = ()
    zones: Names = ()
    origin_probability: Annotated[float, Meta(ge=0, le=1)] = 0.0
    suppressed: bool | None = None


class Then(Strict, frozen=True):
    """One action. `via` is the device's MQTT command topic or the name of a webhook."""

    verb: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9._-]{0,63}\Z")]
    target: Target = Place.ORIGIN
    arguments: dict[str, Any] = {}
    via: Name = MQTT
    expires: Annotated[float, Meta(gt=0, le=604_800)] = 60.0
    cooldown: Seconds = 0.0


class Rule(Strict, frozen=True):
    """`then`: actions, each for itself; `tasks`: what becomes one run. `expires`: seconds for each action of its tasks."""

    name: Name
    when: When
    then: Annotated[tuple[Then, ...], Meta(min_length=1)] = ()
    tasks: Annotated[tuple[RuleTask, ...], Meta(min_length=1)] = ()
    expires: Annotated[float, Meta(gt=0, le=604_800)] | None = None

    def __post_init__(self) -> None:
        if not self.then and not self.tasks:
            raise ValueError("needs then or tasks")
        if self.expires is not None and not self.tasks:
            raise ValueError("expires is of tasks; each action under then has its own")


class RunbookFile(Strict, frozen=True):
    version: Literal[1]
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        counts = Counter(rule.name for rule in self.rules)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"several rules are named {twice[0]}")
        for place, rule in enumerate(self.rules):
            if (wrong := first_wrong(rule.tasks)) is not None:
                # In msgspec's own form, so that the reader finds the line.
                raise ValueError(f"{wrong.sentence} - at `$.rules[{place}].tasks{wrong.path}`")


class Unresolved(msgspec.Struct, frozen=True):
    """An action that a rule asked for, of a device that the plant does not have; or a task, with its key and tool."""

    rule: str
    verb: str
    task: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What an alarm asks for. `fired`: the names of the rules that apply."""

    actions: tuple[Action, ...]
    unresolved: tuple[Unresolved, ...]
    orders: tuple[Order, ...] = ()
    fired: tuple[str, ...] = ()


class Runbook:
    """The rules of one site."""

    def __init__(self, site: str, rules: tuple[Rule, ...]) -> None:
        self.site = site
        self.rules = rules

    @classmethod
    def load(cls, path: Path, *, site: str) -> Self:
        """Raises RuleFileError or OSError."""
        return cls(site, load(path, RunbookFile).rules)

    def actions_for(self, alert: Alert, fault: FaultState | None, topology: Topology) -> list[Action]:
        """What the rules ask for under `then`, in their order, each id once."""
        return list(self.plan(alert, fault, topology).actions)

    def plan(self, alert: Alert, fault: FaultState | None, topology: Topology) -> Plan:
        """All that the rules ask for, with what could not be asked for because no device fits."""
        happened = Happened(alert, fault, topology)
        fired = [rule for rule in self.rules if applies(rule.when, alert, fault=fault, topology=topology)]
        actions: dict[str, Action] = {}
        unresolved: list[Unresolved] = []
        orders: list[Order] = []
        for rule in fired:
            for then in rule.then:
                device = find(then.target, alert, fault=fault, topology=topology)
                if device is None:
                    unresolved.append(Unresolved(rule.name, then.verb))
                    continue
                action = self._action(rule, then, device, alert)
                actions.setdefault(action.action_id, action)
            if rule.tasks:
                found = self._asked(rule, happened)
                orders.append(found.order)
                unresolved += [Unresolved(rule.name, task.tool, task.key) for task in found.unresolved]
        return Plan(tuple(actions.values()), tuple(unresolved), tuple(orders), tuple(rule.name for rule in fired))

    def _asked(self, rule: Rule, happened: Happened) -> Asked:
        """One run for each fault or alarm: one that grows, or whose origin moves, keeps the run that it has."""
        return asked(
            rule.tasks,
            happened,
            run_id=derived("run", self.site, rule.name, *_reason(happened.alert)),
            site=self.site,
            rule=rule.name,
            cause=_cause(rule, happened.alert),
            expires=rule.expires,
        )

    def _action(self, rule: Rule, then: Then, device: DeviceId, alert: Alert) -> Action:
        reason, *after = _reason(alert)
        return Action(
            action_id=derived("action", self.site, reason, then.verb, device, *after),
            site=self.site,
            verb=then.verb,
            device_id=device,
            via=then.via,
            arguments=then.arguments,
            cause=_cause(rule, alert),
            requested_at=alert.time,
            expires_at=rfc3339(Micros(moment(alert.time) + round(then.expires * 1e6))),
            cooldown_seconds=then.cooldown,
        )


def _reason(alert: Alert) -> tuple[str, ...]:
    """What ids follow from: an anomaly may join a fault later, so only the fault's own alarm goes by the fault."""
    reason = alert.fault_id if alert.condition == FAULT and alert.fault_id else alert.alert_id
    return (reason, "cleared") if alert.state is AlertState.CLEARED else (reason,)


def _cause(rule: Rule, alert: Alert) -> Cause:
    return Cause(
        alert_id=alert.alert_id,
        condition=alert.condition,
        severity=alert.severity,
        fault_id=alert.fault_id,
        principal=f"{RUNBOOK}:{rule.name}",
        role=RUNBOOK,
    )


def applies(when: When, alert: Alert, *, fault: FaultState | None, topology: Topology) -> bool:
    """Whether all that a rule demands holds."""
    return (
        matches(when.condition, alert.condition)
        and (alert.state is AlertState.CLEARED) is (when.state is On.CLEARED)
        and at_least(alert.severity, when.severity)
        and _is_open_to(when, alert)
        and _is_likely(when, fault)
        and _is_about(when, alert, fault=fault, topology=topology)
    )


def _is_open_to(when: When, alert: Alert) -> bool:
    if alert.suppressed_by is None:
        return True
    return alert.condition != ANOMALY if when.suppressed is None else when.suppressed


def _is_likely(when: When, fault: FaultState | None) -> bool:
    if when.origin_probability == 0:
        return True
    return fault is not None and bool(fault.origins) and fault.origins[0][1] >= when.origin_probability


def _is_about(when: When, alert: Alert, *, fault: FaultState | None, topology: Topology) -> bool:
    device = topology.device(subject(alert, fault))
    kind, zone = ("unknown", None) if device is None else (device.type, device.zone)
    return (
        (not when.device_types or kind in when.device_types)
        and kind not in when.except_types
        and (not when.zones or zone in when.zones)
    )
