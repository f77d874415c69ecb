"""What people may ask of an alarm, and why it may be refused.

Made by the API and the command line; `agents.annunciator` finds the alarm and asks here what becomes of it.
"""

from __future__ import annotations

import msgspec

from agents.lifecycle import CLOCK, PLANT, RULE, beneath, is_by_rule, settled
from agents.severity import at_least
from schemas.action import moment
from schemas.alarm import Alarm, AlarmId, AlarmState, Shelf, Verb
from schemas.event import Micros, Severity, rfc3339

PLANTS_AND_CLOCKS = frozenset({Verb.RAISE, Verb.UPDATE, Verb.CLEAR, Verb.EXPIRE})
NEED_REASON = frozenset({Verb.SHELVE, Verb.SUPPRESS, Verb.TAKE_OUT})


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm as it was when something was asked of it; `at` says when that was, in the plant's time, RFC 3339."""

    occurrence: int
    severity: Severity
    at: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a person (or a program) asks. `until`, RFC 3339, makes a timed shelf; without it a shelf is one-shot.

    `version`: the alarm's as the asker has seen it; with it nothing is asked of an alarm that has changed since. `seen` is for
    what is asked now and done later: with it nothing is asked of an alarm that was raised again or has got worse, and what
    hangs under it and has changed since is left as it is.
    """

    verb: Verb
    alarm_id: AlarmId
    actor: str
    reason: str = ""
    until: str | None = None
    version: int | None = None
    seen: Seen | None = None


class RefusedError(Exception):
    """The verb is not possible in this state; the message says why, in words for the one who asked."""


class ChangedError(RefusedError):
    """The alarm is no longer as the one who asked has seen it."""


def check(request: Request) -> None:
    """Raises RefusedError if nobody may ask this of any alarm."""
    if request.verb in PLANTS_AND_CLOCKS:
        raise RefusedError(f"{request.verb} is not for people to say")
    actor = request.actor.strip()
    if not actor:
        raise RefusedError("it must be said who asks")
    if actor in {PLANT, CLOCK} or f"{actor}:".startswith(RULE):
        raise RefusedError(f"{actor} is no name of a person")
    if request.verb in NEED_REASON and not request.reason.strip():
        raise RefusedError(f"{request.verb} needs a reason")


def recognise(alarm: Alarm, request: Request) -> None:
    """Raises ChangedError if the alarm is no longer the one that was asked about."""
    seen = request.seen
    if request.version not in {None, alarm.version}:
        raise ChangedError(f"the alarm is at version {alarm.version} now")
    if seen is not None and seen.occurrence != alarm.occurrences:
        raise ChangedError("it was raised again since this was asked for")
    if seen is not None and not at_least(seen.severity, alarm.severity):
        raise ChangedError(f"it has got worse since this was asked for: {seen.severity} then, {alarm.severity} now")


def asked(alarm: Alarm, request: Request, *, now: Micros, longest: float) -> Alarm:
    """What a verb makes of an alarm; a shelf lasts `longest` seconds at most. Raises RefusedError."""
    check(request)
    why = f"{request.actor}: {request.reason}"
    match request.verb:
        case Verb.ACKNOWLEDGE:
            after = _acknowledged(alarm, request.actor)
        case Verb.RESET:
            after = _reset(alarm)
        case Verb.SHELVE:
            after = _shelved(alarm, request, now=now, longest=longest)
        case Verb.UNSHELVE:
            after = _unshelved(alarm)
        case Verb.SUPPRESS:
            after = _suppressed(alarm, why)
        case Verb.UNSUPPRESS:
            after = _unsuppressed(alarm)
        case Verb.TAKE_OUT:
            after = _taken_out(alarm, why)
        case Verb.RETURN:
            after = _returned(alarm)
        case _:
            raise AssertionError(request.verb)
    return after


def _acknowledged(alarm: Alarm, actor: str) -> Alarm:
    if beneath(alarm) is AlarmState.NORMAL:
        raise RefusedError("nothing to acknowledge: it is normal")
    if alarm.acknowledged:
        raise RefusedError(f"already acknowledged by {alarm.acknowledged_by or 'somebody'}")
    return settled(alarm, acknowledged=True, acknowledged_by=actor)


def _reset(alarm: Alarm) -> Alarm:
    if not alarm.latched:
        raise RefusedError("nothing to reset: it is not latched")
    if alarm.active:
        raise RefusedError("its condition has not returned to normal yet")
    if not alarm.acknowledged:
        raise RefusedError("not acknowledged yet")
    return settled(alarm, latched=False)


def _shelved(alarm: Alarm, request: Request, *, now: Micros, longest: float) -> Alarm:
    if alarm.shelf is not None:
        raise RefusedError(f"already shelved by {alarm.shelf.actor}")
    if request.until is None and not alarm.active:
        raise RefusedError("not active: a shelf until it returns to normal would have no end; say until when")
    until = None if request.until is None else rfc3339(_end(request.until, now=now, longest=longest))
    return settled(alarm, shelf=Shelf(actor=request.actor, since=rfc3339(now), until=until))


def _end(until: str, *, now: Micros, longest: float) -> Micros:
    try:
        end = moment(until)
        rfc3339(end)
    except (ValueError, TypeError, OverflowError):
        raise RefusedError(f"{until} is no time with a zone, as in 2026-01-05T12:00:00Z") from None
    if end <= now:
        raise RefusedError("the end of a shelf must be in the future")
    if end - now > longest * 1e6:
        raise RefusedError(f"nothing may be shelved for longer than {longest:g} s here")
    return end


def _unshelved(alarm: Alarm) -> Alarm:
    if alarm.shelf is None:
        raise RefusedError("it is not shelved")
    return settled(alarm, shelf=None)


def _suppressed(alarm: Alarm, why: str) -> Alarm:
    if alarm.suppressed is not None:
        raise RefusedError(f"already suppressed ({alarm.suppressed})")
    return settled(alarm, suppressed=why)


def _unsuppressed(alarm: Alarm) -> Alarm:
    if alarm.suppressed is None:
        raise RefusedError("it is not suppressed")
    if is_by_rule(alarm.suppressed):
        raise RefusedError(f"suppressed by {alarm.suppressed} for as long as its condition holds")
    return settled(alarm, suppressed=None)


def _taken_out(alarm: Alarm, why: str) -> Alarm:
    if alarm.out_of_service is not None:
        raise RefusedError(f"already out of service ({alarm.out_of_service})")
    return settled(alarm, out_of_service=why)


def _returned(alarm: Alarm) -> Alarm:
    if alarm.out_of_service is None:
        raise RefusedError("it is not out of service")
    return settled(alarm, out_of_service=None)
