"""All alarms of a site that are known, and the few of them that somebody or something is waiting for.

Filled by `agents.annunciator` alone, one alarm at a time and always with the newest that is known of it; so the roster is a
function of the transitions, and what it is asked costs as much as the answer is long.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.lifecycle import beneath, is_by_rule
from agents.standing import FAULT
from schemas.action import moment
from schemas.alarm import Alarm, AlarmId, AlarmState
from schemas.event import Micros

MOST_FAULTS = 1_000
"""Alarms of faults that are over; unlike a device's condition, none of them ever comes again."""


class UnknownAlarmError(LookupError):
    """No alarm has this id."""


class Roster:
    def __init__(self) -> None:
        self._alarms: dict[AlarmId, Alarm] = {}
        self._by_alert: dict[str, AlarmId] = {}
        self._unacknowledged: dict[str, set[AlarmId]] = {}
        self._shelf_ends: dict[AlarmId, Micros] = {}
        self._over: dict[AlarmId, None] = {}
        self._standing: set[AlarmId] = set()
        self._by_rule: set[AlarmId] = set()
        self._chattering: set[AlarmId] = set()

    def __iter__(self) -> Iterator[Alarm]:
        return iter(self._alarms.values())

    def get(self, alarm_id: AlarmId) -> Alarm | None:
        return self._alarms.get(alarm_id)

    def named(self, name: str) -> Alarm:
        """By its id or by that of its newest occurrence. Raises UnknownAlarmError."""
        alarm = self._alarms.get(AlarmId(name)) or self._alarms.get(self._by_alert.get(name, AlarmId("")))
        if alarm is None:
            raise UnknownAlarmError(f"no alarm {name}")
        return alarm

    def id_of(self, alert_id: str | None) -> AlarmId | None:
        """Of the alarm whose newest occurrence this is."""
        return None if alert_id is None else self._by_alert.get(alert_id)

    def unacknowledged_under(self, alarm: Alarm) -> list[Alarm]:
        """What hangs under a fault's alarm and waits for somebody, in the order of ids."""
        return [self._alarms[alarm_id] for alarm_id in sorted(self._unacknowledged.get(alarm.alert.alert_id, ()))]

    def shelves_over(self, now: Micros) -> list[Alarm]:
        """Alarms whose time on a shelf is over, in the order of its end."""
        over = sorted((end, alarm_id) for alarm_id, end in self._shelf_ends.items() if end <= now)
        return [self._alarms[alarm_id] for _, alarm_id in over]

    def ruled(self, *, standing: bool) -> list[AlarmId]:
        """Alarms that a rule might show: those that a rule hides. With `standing`, also those that it might hide."""
        return sorted(self._standing | self._by_rule if standing else self._by_rule)

    def chattering(self) -> list[AlarmId]:
        return sorted(self._chattering)

    # --- Write --------------------------------------------------------------------------------------------------------

    def put(self, alarm: Alarm) -> bool:
        """The newest of an alarm; False if what is known is as new already."""
        held = self._alarms.get(alarm.alarm_id)
        if held is not None:
            if held.version >= alarm.version:
                return False
            self._forget(held)
        self._alarms[alarm.alarm_id] = alarm
        self._remember(alarm)
        if len(self._over) > MOST_FAULTS:
            oldest = self._alarms.pop(next(iter(self._over)))
            self._forget(oldest)
        return True

    def _remember(self, alarm: Alarm) -> None:
        alarm_id, parent = alarm.alarm_id, alarm.alert.suppressed_by
        self._by_alert[alarm.alert.alert_id] = alarm_id
        if parent is not None and not alarm.acknowledged:
            self._unacknowledged.setdefault(parent, set()).add(alarm_id)
        if alarm.shelf is not None and alarm.shelf.until is not None:
            self._shelf_ends[alarm_id] = moment(alarm.shelf.until)
        if beneath(alarm) is not AlarmState.NORMAL:
            self._standing.add(alarm_id)
        elif alarm.condition == FAULT and alarm.state is AlarmState.NORMAL:
            self._over[alarm_id] = None
        if is_by_rule(alarm.suppressed):
            self._by_rule.add(alarm_id)
        if alarm.chattering:
            self._chattering.add(alarm_id)

    def _forget(self, alarm: Alarm) -> None:
        alarm_id, parent = alarm.alarm_id, alarm.alert.suppressed_by
        if self._by_alert.get(alarm.alert.alert_id) == alarm_id:
            del self._by_alert[alarm.alert.alert_id]
        if parent is not None and not alarm.acknowledged:
            self._unacknowledged[parent].remove(alarm_id)
            if not self._unacknowledged[parent]:
                del self._unacknowledged[parent]
        self._shelf_ends.pop(alarm_id, None)
        self._over.pop(alarm_id, None)
        for index in (self._standing, self._by_rule, self._chattering):
            index.discard(alarm_id)
