"""The states of one alarm, as ISA-18.2 draws them, and what the plant's alerts make of it (for people's verbs, `agents.verbs`).

Pure functions of an alarm, used by `agents.annunciator`. The state always follows from the other members (`state_of`), so no
alarm is in two states and none in a wrong one.
"""

from __future__ import annotations

import msgspec

from agents.identity import derived
from agents.severity import at_least
from agents.standing import FAULT
from schemas.action import moment
from schemas.alarm import Alarm, AlarmId, AlarmState, Limits, Shelf, Verb
from schemas.event import Micros
from schemas.finding import Alert, AlertState

PLANT = "plant"
CLOCK = "clock"
RULE = "rule:"
"""What the name of a rule is put behind where it is an actor."""

MOST_RECENT = 32
"""An alarm that comes a thousand times a minute is no more chattering than one that comes this often."""


def point_id(site: str, alert: Alert) -> AlarmId:
    """A device and a condition; a fault is its own, as two may begin at the same device."""
    fault = (alert.fault_id or alert.alert_id,) if alert.condition == FAULT else ()
    return AlarmId(derived("alarm-point", site, alert.device_id, alert.condition, *fault))


# --- States -------------------------------------------------------------------------------------------------------------------


def state_of(alarm: Alarm) -> AlarmState:
    if alarm.out_of_service is not None:
        return AlarmState.OUT_OF_SERVICE
    if alarm.suppressed is not None:
        return AlarmState.SUPPRESSED
    return AlarmState.SHELVED if alarm.shelf is not None else beneath(alarm)


def beneath(alarm: Alarm) -> AlarmState:
    """The state under whatever hides it."""
    if alarm.active:
        return AlarmState.ACKNOWLEDGED if alarm.acknowledged else AlarmState.UNACKNOWLEDGED
    if alarm.latched:
        return AlarmState.LATCHED_ACKNOWLEDGED if alarm.acknowledged else AlarmState.LATCHED_UNACKNOWLEDGED
    return AlarmState.NORMAL if alarm.acknowledged else AlarmState.RETURNED


def settled(alarm: Alarm, **changed: object) -> Alarm:
    """The alarm after a change, in the state that follows from it."""
    after = msgspec.structs.replace(alarm, version=alarm.version + 1, **changed)
    return msgspec.structs.replace(after, state=state_of(after))


# --- The plant ----------------------------------------------------------------------------------------------------------------


def meaning(held: Alarm | None, alert: Alert) -> Verb | None:
    """What an alert is to an alarm; None if it was taken already or tells of an occurrence that is over."""
    if held is None:
        return None if alert.state is AlertState.CLEARED else Verb.RAISE
    if held.alert.alert_id != alert.alert_id:
        over = alert.state is AlertState.CLEARED or moment(alert.time) < moment(held.raised_at)
        return None if over else Verb.RAISE
    if not held.active or alert.state is AlertState.RAISED:
        return None
    if alert.state is AlertState.CLEARED:
        return Verb.CLEAR
    return Verb.UPDATE if _is_news(held.alert, alert) else None


def _is_news(held: Alert, alert: Alert) -> bool:
    """Whether an update is newer. Several may have one time; then the severity only grows."""
    at, newest = moment(alert.time), moment(held.time)
    return alert != held and (at > newest or (at == newest and at_least(alert.severity, held.severity)))


def raised(held: Alarm | None, alert: Alert, *, alarm_id: AlarmId, latch: bool, limits: Limits) -> Alarm:
    """A new occurrence asks for an operator again, whatever was done about the last one; what hides it stays.

    A one-shot shelf does not outlive its occurrence, even if nobody has told of the end of that.
    """
    recent = recently((*(held.recent if held is not None else ()), alert.time), moment(alert.time), limits)
    alarm = Alarm(
        alarm_id=alarm_id,
        device_id=alert.device_id,
        condition=alert.condition,
        severity=alert.severity,
        state=AlarmState.UNACKNOWLEDGED,
        active=True,
        acknowledged=False,
        latched=latch,
        alert=alert,
        raised_at=alert.time,
        recent=recent,
        chattering=len(recent) >= limits.chatter_count,
    )
    if held is None:
        return alarm
    return settled(
        msgspec.structs.replace(alarm, version=held.version),
        occurrences=held.occurrences + 1,
        shelf=timed(held.shelf),
        suppressed=held.suppressed,
        out_of_service=held.out_of_service,
    )


def recently(times: tuple[str, ...], at: Micros, limits: Limits) -> tuple[str, ...]:
    """Those of the times, oldest first, that chattering looks back to."""
    since = at - round(limits.chatter_window * 1e6)
    return tuple(time for time in times if moment(time) > since)[-max(MOST_RECENT, limits.chatter_count) :]


def timed(shelf: Shelf | None) -> Shelf | None:
    """What of a shelf stays when the condition returns to normal."""
    return None if shelf is None or shelf.until is None else shelf


def updated(alarm: Alarm, alert: Alert) -> Alarm:
    """One that has got worse asks for an operator again, and so does one that leaves the parent it was seen with."""
    grown = not at_least(alarm.severity, alert.severity)
    left = alarm.with_parent and alarm.alert.suppressed_by != alert.suppressed_by
    again: dict[str, object] = {"acknowledged": False, "acknowledged_by": None, "with_parent": False} if grown or left else {}
    return settled(alarm, alert=alert, severity=alert.severity, **again)


def with_its_parent(alarm: Alarm, actor: str | None) -> Alarm:
    """Acknowledged by who acknowledged the parent."""
    return settled(alarm, acknowledged=True, acknowledged_by=actor, with_parent=True)


def cleared(alarm: Alarm, alert: Alert) -> Alarm:
    return settled(alarm, alert=alert, active=False, severity=alert.severity, shelf=timed(alarm.shelf))


# --- Rules --------------------------------------------------------------------------------------------------------------------


def is_by_rule(suppressed: str | None) -> bool:
    return suppressed is not None and suppressed.startswith(RULE)
