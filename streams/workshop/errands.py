"""Ways by which actions stay in the house: verbs of alarms, and messages to whoever subscribes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.annunciator import UnknownAlarmError
from agents.dispatcher import Answered, NotSentError
from agents.verbs import RefusedError, Request, Seen
from schemas.action import Action
from schemas.alarm import Alarm, AlarmId, Verb
from schemas.event import ActionStatus, Severity
from streams.journal import AlarmJournal

VERBS: Mapping[str, Verb] = {"acknowledge": Verb.ACKNOWLEDGE, "shelve": Verb.SHELVE, "unshelve": Verb.UNSHELVE}


class AlarmErrands:
    """`agents.dispatcher.Outlet`: asks the alarms' journal, in the name of who asked for the action."""

    def __init__(self, journal: AlarmJournal) -> None:
        self._journal = journal

    async def send(self, action: Action) -> Answered:
        """Raises NotSentError."""
        verb, names = VERBS.get(action.verb), action.arguments.get("alarms")
        if verb is None or not isinstance(names, list) or not names:
            raise NotSentError(f"{action.verb} is nothing that can be asked of alarms")
        done, refused = [], []
        for place, name in enumerate(names):
            try:
                alarm = self._journal.annunciator.alarm(str(name))
                if alarm.device_id != action.device_id:
                    raise RefusedError(f"it is {alarm.device_id}'s")  # noqa: TRY301 - decided on was another device
                await self._journal.ask(_request(verb, alarm.alarm_id, _seen(action, place), action))
                done.append(f"{alarm.condition}")
            except (RefusedError, UnknownAlarmError) as error:
                refused.append(f"{name}: {error}")
        detail = "; ".join([*done, *refused])
        return Answered(ActionStatus.SUCCEEDED if done else ActionStatus.REFUSED, detail)


def seen(alarm: Alarm) -> str:
    """How an alarm is, in an action's arguments: its occurrence and severity, `3:high`."""
    return f"{alarm.occurrences}:{alarm.severity}"


def _seen(action: Action, place: int) -> Seen | None:
    """How the alarm at a place of an action's list was; None if the action says that of none. Raises RefusedError."""
    if (said := action.arguments.get("seen")) is None:
        return None
    try:
        occurrence, severity = said[place].split(":")
        return Seen(occurrence=int(occurrence), severity=Severity(severity), at=action.requested_at)
    except (TypeError, LookupError, AttributeError, ValueError):
        raise RefusedError("the action does not say how it was") from None


def _request(verb: Verb, alarm_id: AlarmId, as_seen: Seen | None, action: Action) -> Request:
    until, reason = (_text(action.arguments.get(name)) for name in ("until", "reason"))
    return Request(
        verb=verb,
        alarm_id=alarm_id,
        actor=action.cause.principal,
        reason=reason or action.action_id,
        until=until or None,
        seen=as_seen,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class Bulletin:
    """`agents.dispatcher.Outlet` for messages where no webhook is named for them.

    The action itself is the message: it is on record, and so goes to all who subscribe to actions.
    """

    async def send(self, action: Action) -> Answered:
        return Answered(ActionStatus.SUCCEEDED, f"told to whoever follows actions, as {action.arguments.get('to', 'all')}")
