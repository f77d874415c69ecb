"""Which actions may happen. Nothing may, unless a rule of the policy file allows it; a rule that denies wins over all.

Asked by the dispatcher through `PolicyEngine`, behind which another engine can stand; `decided` turns its failures into
refusals. Each decision is a record that the dispatcher keeps before it acts.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from agents.pattern import any_matches
from agents.rulefile import load
from agents.severity import at_least
from graph.topology import DeviceState, Topology
from schemas.action import Action
from schemas.event import Micros, Severity, instant

HOUR = 3_600_000_000
Pattern = Annotated[str, Meta(min_length=1, max_length=128)]
Patterns = tuple[Pattern, ...]


class Decision(msgspec.Struct, frozen=True):
    """What was decided and why; `rule` is the one that decided, empty if none did. `approval`: if a person says so too."""

    action_id: str
    allowed: bool
    rule: str
    reason: str
    at: Micros
    approval: bool = False


class PolicyEngine(Protocol):
    """Whether an action may happen at a time."""

    def decide(self, action: Action, topology: Topology, now: Micros) -> Decision: ...


class History(Protocol):
    """What was allowed before, as the ledger knows it."""

    def allowed_since(self, rule: str, since: Micros, *, besides: str) -> int:
        """How many actions but this one the rule has allowed after a time."""


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Full hours of the day in the policy's time zone; over midnight if `from` is the greater."""

    from_: Annotated[int, Meta(ge=0, le=23)]
    until: Annotated[int, Meta(ge=1, le=24)]

    def hold(self, hour: int) -> bool:
        if self.from_ < self.until:
            return self.from_ <= hour < self.until
        return hour >= self.from_ or hour < self.until


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What a rule is about; all that is given must hold. In `verbs` and `devices` * stands for any text."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    verbs: Annotated[Patterns, Meta(min_length=1)]
    device_types: Patterns = ()
    devices: Patterns = ()
    zones: Patterns = ()
    severity: Severity = Severity.LOW
    hours: Hours | None = None


class Allow(Scope, frozen=True):
    """`approval`: only once a person has approved the action."""

    max_per_hour: Annotated[int, Meta(ge=1)] | None = None
    approval: bool = False


class Deny(Scope, frozen=True):
    pass


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`timezone` is an IANA name, for `hours`."""

    version: Literal[1]
    timezone: str = "UTC"
    allow: tuple[Allow, ...] = ()
    deny: tuple[Deny, ...] = ()

    def __post_init__(self) -> None:
        counts = Counter(rule.name for rule in (*self.allow, *self.deny))
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"several rules are named {twice[0]}")
        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"no time zone {self.timezone}") from None


class Policy:
    """The engine of the policy file."""

    def __init__(self, rules: PolicyFile, history: History) -> None:
        self._rules = rules
        self._history = history
        self._zone = ZoneInfo(rules.timezone)

    @classmethod
    def load(cls, path: Path, history: History) -> Policy:
        """Raises RuleFileError or OSError."""
        return cls(load(path, PolicyFile), history)

    def decide(self, action: Action, topology: Topology, now: Micros) -> Decision:
        facts = Facts.of(action, topology, hour=instant(now).astimezone(self._zone).hour)
        for denial in self._rules.deny:
            if facts.within(denial, unknown=True):
                return Decision(action.action_id, allowed=False, rule=denial.name, reason="denied by this rule", at=now)
        spent = ""
        for rule in self._rules.allow:
            if not facts.within(rule, unknown=False):
                continue
            if self._has_room(rule, action, now):
                reason = "allowed by this rule if approved" if rule.approval else "allowed by this rule"
                return Decision(action.action_id, allowed=True, rule=rule.name, reason=reason, at=now, approval=rule.approval)
            spent = spent or rule.name
        reason = "no more actions in this hour by this rule" if spent else "no rule allows it"
        return Decision(action.action_id, allowed=False, rule=spent, reason=reason, at=now)

    def _has_room(self, rule: Allow, action: Action, now: Micros) -> bool:
        if rule.max_per_hour is None:
            return True
        since = Micros(now - HOUR)
        return self._history.allowed_since(rule.name, since, besides=action.action_id) < rule.max_per_hour


class Facts(msgspec.Struct, frozen=True):
    """What rules ask about; None where the plant does not know."""

    action: Action
    hour: int
    type: str | None
    zone: str | None

    @classmethod
    def of(cls, action: Action, topology: Topology, *, hour: int) -> Facts:
        device = None if action.device_id is None else topology.device(action.device_id)
        if device is None or device.state is DeviceState.PLACEHOLDER:
            return cls(action, hour, None, None)
        return cls(action, hour, device.type, device.zone)

    def within(self, scope: Scope, *, unknown: bool) -> bool:
        """Whether a rule is about this action. `unknown` is the answer about a fact that is not known.

        It is True for denials and False for permissions, so that not knowing never allows anything.
        """
        return (
            any_matches(scope.verbs, self.action.verb)
            and (not scope.devices or any_matches(scope.devices, self.action.device_id or ""))
            and _is_one(self.type, scope.device_types, unknown=unknown)
            and _is_one(self.zone, scope.zones, unknown=unknown)
            and at_least(self.action.cause.severity or Severity.LOW, scope.severity)
            and (scope.hours is None or scope.hours.hold(self.hour))
        )


def _is_one(fact: str | None, patterns: Patterns, *, unknown: bool) -> bool:
    if not patterns:
        return True
    return unknown if fact is None else any_matches(patterns, fact)


def decided(engine: PolicyEngine, action: Action, *, topology: Topology, now: Micros) -> Decision:
    """The engine's decision; an engine that fails, or speaks of another action, has said no."""
    try:
        decision = engine.decide(action, topology, now)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with an engine, the answer is no
        reason = f"the policy failed: {type(error).__name__}: {error}"
        return Decision(action.action_id, allowed=False, rule="", reason=reason, at=now)
    if decision.action_id != action.action_id:
        return Decision(action.action_id, allowed=False, rule="", reason="the policy spoke of another action", at=now)
    return decision
