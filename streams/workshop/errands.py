"""Ways by which actions stay in the house: verbs of alarms, and messages to whoever subscribes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.annunciator import RefusedError, Request, UnknownAlarmError
from agents.dispatcher import Answered, NotSentError
from agents.severity import ASCENDING, at_least
from schemas.action import Action
from schemas.alarm import Alarm, Verb
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
                _check(alarm, place, action)
                await self._journal.ask(_request(verb, alarm, action))
                done.append(f"{alarm.condition}")
            except (RefusedError, UnknownAlarmError) as error:
                refused.append(f"{name}: {error}")
        detail = "; ".join([*done, *refused])
        return Answered(ActionStatus.SUCCEEDED if done else ActionStatus.REFUSED, detail)


def _check(alarm: Alarm, place: int, action: Action) -> None:
    """Decided on was an alarm of that device, as it was when it was asked for. Raises RefusedError."""
    if alarm.device_id != action.device_id:
        raise RefusedError(f"it is {alarm.device_id}'s")
    if _seen(action, "occurrences", place) not in (None, alarm.occurrences):
        raise RefusedError("it was raised again since this was asked for")
    severity = _seen(action, "severities", place)
    if severity in ASCENDING and not at_least(Severity(severity), alarm.severity):
        raise RefusedError(f"it has got worse since this was asked for: {severity} then, {alarm.severity} now")


def _seen(action: Action, what: str, place: int) -> Any:
    """What an action says of the alarm at a place of its list; None where it says nothing."""
    said = action.arguments.get(what)
    return said[place] if isinstance(said, list) and place < len(said) else None


def _request(verb: Verb, alarm: Alarm, action: Action) -> Request:
    """Of the alarm as it was looked at."""
    until, reason = (_text(action.arguments.get(name)) for name in ("until", "reason"))
    asker = action.cause.principal
    return Request(
        verb=verb,
        alarm_id=alarm.alarm_id,
        actor=asker,
        reason=reason or action.action_id,
        until=until or None,
        version=alarm.version,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class Bulletin:
    """`agents.dispatcher.Outlet` for messages where no webhook is named for them.

    The action itself is the message: it is on record, and so goes to all who subscribe to actions.
    """

    async def send(self, action: Action) -> Answered:
        return Answered(ActionStatus.SUCCEEDED, f"told to whoever follows actions, as {action.arguments.get('to', 'all')}")
