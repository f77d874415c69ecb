"""Whether an action may happen: the port to the engine that says so, and what its failures mean.

Asked by the dispatcher; `agents.policyfolder` has the product's engine. Each decision is a record that the dispatcher keeps
before it acts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol
from unicodedata import normalize

import msgspec

from graph.topology import Topology
from schemas.action import Action
from schemas.event import Micros

HOUR = 3_600_000_000
COUNTLESS = 1_000_000_000
"""A rate that was not counted to its end."""
PATIENCE = 1.0
"""Seconds that a decision may take; one that took longer is a refusal."""


class Decision(msgspec.Struct, frozen=True):
    """What was decided and why. `policies` decided; `rule` is the same as text, empty if none did.

    `approval`: only if a person says so too; `second`: only if that person is not the one who asked.
    """

    action_id: str
    allowed: bool
    rule: str
    reason: str
    at: Micros
    approval: bool = False
    second: bool = False
    policies: tuple[str, ...] = ()


class Approver(NamedTuple):
    """A person who says yes to an action, and what they may do."""

    name: str
    role: str


def is_same(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written.

    >>> is_same("Ann ", "ann"), is_same("ann", "bob")
    (True, False)
    """
    first, second = (normalize("NFKC", name).casefold().strip() for name in (one, other))
    return first == second


class PolicyEngine(Protocol):
    """Whether an action may happen at a time. `approver`: who has said yes to it."""

    def decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision: ...


class Rates(NamedTuple):
    """How many other actions were allowed: of this verb, of this device, for this principal."""

    verb: int = 0
    device: int = 0
    principal: int = 0


class History(Protocol):
    """What was allowed before, as the ledger knows it."""

    def rates(self, action: Action, since: Micros) -> Rates:
        """Of all actions but this one, after a time."""


class NoHistory:
    """Nothing was allowed before."""

    def rates(self, action: Action, since: Micros) -> Rates:
        del action, since
        return Rates()


class NoPolicy:
    """The engine where no policy is set."""

    def decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision:
        del topology, approver
        return refusal(action, "there is no policy, so nothing is allowed", now)


def refusal(action: Action, reason: str, now: Micros) -> Decision:
    """One that no policy of the plant's has decided."""
    return Decision(action.action_id, allowed=False, rule="", reason=reason, at=now)


def decided(
    engine: PolicyEngine,
    action: Action,
    *,
    topology: Topology,
    now: Micros,
    approver: Approver | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Decision:
    """The engine's decision; an engine that fails, takes too long, or speaks of another action has said no."""
    began = clock()
    try:
        decision = engine.decide(action, topology, now, approver=approver)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with an engine, the answer is no
        return refusal(action, f"the policy failed: {type(error).__name__}: {error}", now)
    if decision.action_id != action.action_id:
        return refusal(action, "the policy spoke of another action", now)
    if clock() - began > PATIENCE:
        return refusal(action, f"the policy took more than {PATIENCE:g} s", now)
    return decision
