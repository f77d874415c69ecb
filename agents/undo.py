"""Which verb takes another one back, so that what was done can be undone by an action of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agents.entry import Entry, Ledger, Stage
from agents.identity import derived
from schemas.action import Action, Cause, moment
from schemas.event import Micros, rfc3339

PAIRS = (("isolate", "reconnect"), ("close", "open"), ("stop", "start"), ("disable", "enable"), ("lock", "unlock"))
MADE = (Stage.SENT, Stage.SUCCEEDED, Stage.EXPIRED)
"""Stages in which an action may have had its effect; expired only if it was sent."""
MOST = 100
"""Attempts to undo one action."""


class NotUndoableError(Exception):
    """The action cannot be undone; the message says why."""


class Inverse(NamedTuple):
    """The verb that takes one back, and which of its arguments name what it was done to."""

    verb: str
    keeps: frozenset[str] = frozenset()


_ALARM = frozenset({"alarm", "alarmId", "alarms", "condition"})
INVERSES: Mapping[str, Inverse] = {
    **{verb: Inverse(back) for pair in PAIRS for verb, back in (pair, pair[::-1])},
    "shelve": Inverse("unshelve", _ALARM),
    "suppress": Inverse("unsuppress", _ALARM),
    "take-out-of-service": Inverse("return-to-service", _ALARM),
}


def undoing(entry: Entry, ledger: Ledger, *, principal: str, role: str, now: Micros) -> Action:
    """The action that undoes another. Its id follows from that one, so there is one; if nothing came of it, another attempt.

    Raises NotUndoableError.
    """
    done = entry.action
    inverse = INVERSES.get(done.verb)
    if inverse is None:
        raise NotUndoableError(f"nothing undoes {done.verb}")
    if entry.stage not in MADE or entry.claimed_at is None:
        raise NotUndoableError(f"action {done.action_id} is {entry.stage}: only what was sent can be undone")
    name = _free(done, ledger)
    lasts = done.expiry - moment(done.requested_at)
    return Action(
        action_id=name,
        site=done.site,
        verb=inverse.verb,
        device_id=done.device_id,
        via=done.via,
        arguments=_kept(done.arguments, inverse.keeps),
        cause=Cause(undoes=done.action_id, principal=principal, role=role),
        requested_at=rfc3339(now),
        expires_at=rfc3339(Micros(now + max(lasts, 1_000_000))),
    )


def _kept(arguments: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in names}


def _free(done: Action, ledger: Ledger) -> str:
    """The id of the next attempt, if nothing came of those before. Raises NotUndoableError."""
    for attempt in range(MOST):
        name = derived("action", done.site, "undo", done.action_id, attempt)
        held = ledger.entry(name)
        if held is None:
            return name
        unsent = held.claimed_at is None and held.stage in (Stage.REFUSED, Stage.EXPIRED)
        if not unsent and held.stage is not Stage.FAILED:
            raise NotUndoableError(f"action {done.action_id} is undone by {name}, which is {held.stage}")
    raise NotUndoableError(f"action {done.action_id} was to be undone {MOST} times, and never might be")
