"""The runbook: which actions an alarm asks for. A YAML file, read into the types below; anything unknown in it is refused.

Fed by the pipeline with each transition of an alarm, the fault it belongs to and the live graph. It only asks: the policy
decides, the dispatcher acts. Asking twice gives the same ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.identity import derived
from agents.pattern import matches
from agents.rulefile import load
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
    name: Name
    when: When
    then: Annotated[tuple[Then, ...], Meta(min_length=1)]


class RunbookFile(Strict, frozen=True):
    version: Literal[1]
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        counts = Counter(rule.name for rule in self.rules)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"several rules are named {twice[0]}")


class Unresolved(msgspec.Struct, frozen=True):
    """An action that a rule asked for, of a device that the plant does not have."""

    rule: str
    verb: str


class Plan(msgspec.Struct, frozen=True):
    actions: tuple[Action, ...]
    unresolved: tuple[Unresolved, ...]


class Runbook:
    """The rules of one site."""

    def __init__(self, site: str, rules: tuple[Rule, ...]) -> None:
        self.site = site
        self.rules = rules

    @classmethod
    def load(cls, path: Path, *, site: str) -> Runbook:
        """Raises RuleFileError or OSError."""
        return cls(site, load(path, RunbookFile).rules)

    def actions_for(self, alert: Alert, fault: FaultState | None, topology: Topology) -> list[Action]:
        """What the rules ask for, in their order, each id once."""
        return list(self.plan(alert, fault, topology).actions)

    def plan(self, alert: Alert, fault: FaultState | None, topology: Topology) -> Plan:
        """The same, with what could not be asked for because no device fits."""
        actions: dict[str, Action] = {}
        unresolved: list[Unresolved] = []
        for rule, then in self._asked(alert, fault, topology):
            device = find(then.target, alert, fault=fault, topology=topology)
            if device is None:
                unresolved.append(Unresolved(rule.name, then.verb))
                continue
            action = self._action(rule, then, device, alert)
            actions.setdefault(action.action_id, action)
        return Plan(tuple(actions.values()), tuple(unresolved))

    def _asked(self, alert: Alert, fault: FaultState | None, topology: Topology) -> Iterator[tuple[Rule, Then]]:
        for rule in self.rules:
            if applies(rule.when, alert, fault=fault, topology=topology):
                for then in rule.then:
                    yield rule, then

    def _action(self, rule: Rule, then: Then, device: DeviceId, alert: Alert) -> Action:
        # An anomaly may join a fault later, so only the fault's own alarm goes by the fault.
        cause = alert.fault_id if alert.condition == FAULT and alert.fault_id else alert.alert_id
        after = ("cleared",) if alert.state is AlertState.CLEARED else ()
        return Action(
            action_id=derived("action", self.site, cause, then.verb, device, *after),
            site=self.site,
            verb=then.verb,
            device_id=device,
            via=then.via,
            arguments=then.arguments,
            cause=Cause(
                alert_id=alert.alert_id,
                condition=alert.condition,
                severity=alert.severity,
                fault_id=alert.fault_id,
                principal=f"{RUNBOOK}:{rule.name}",
                role=RUNBOOK,
            ),
            requested_at=alert.time,
            expires_at=rfc3339(Micros(moment(alert.time) + round(then.expires * 1e6))),
            cooldown_seconds=then.cooldown,
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
