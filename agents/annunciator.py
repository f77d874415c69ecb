"""The alarms of one site as operators handle them (ISA-18.2, OPC UA Part 9), event sourced: it decides, then it applies.

Told of the pipeline's alerts, of people's verbs and of the time by `streams`, which keeps what is decided before it applies it.
Deciding changes nothing and applying decides nothing, so a crash between the two leaves the same to be decided again, and the
state is what the transitions say, folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from agents import verbs
from agents.alarmrules import AlarmRule, AlarmRules
from agents.flooding import FloodWatch, by_plant
from agents.lifecycle import (
    CLOCK,
    PLANT,
    RULE,
    cleared,
    is_by_rule,
    meaning,
    point_id,
    raised,
    recently,
    settled,
    state_of,
    updated,
    with_its_parent,
)
from agents.roster import Roster, UnknownAlarmError
from agents.standing import FAULT
from agents.verbs import ChangedError, RefusedError, Request
from graph.topology import Topology
from schemas.action import moment
from schemas.alarm import HIDDEN, Alarm, AlarmId, AlarmState, Flood, Limits, Transition, Verb
from schemas.device import DeviceId
from schemas.event import Micros, rfc3339
from schemas.finding import Alert

__all__ = ["Annunciator", "ChangedError", "RefusedError", "Request", "UnknownAlarmError"]


class Annunciator:
    """One per site; not for use by several threads at once."""

    def __init__(self, site: str, rules: AlarmRules | None = None) -> None:
        self.site = site
        self.rules = rules or AlarmRules()
        self._roster = Roster()
        self._floods = FloodWatch(site, self.limits)

    # --- Read -------------------------------------------------------------------------------------------------------------

    def alarms(self) -> Iterator[Alarm]:
        """Every alarm that ever was, save the oldest of faults that are over."""
        return iter(self._roster)

    def alarm(self, name: str) -> Alarm:
        """By its id, or by that of its newest occurrence. Raises UnknownAlarmError."""
        return self._roster.named(name)

    @property
    def limits(self) -> Limits:
        return self.rules.limits

    @property
    def flood(self) -> Flood | None:
        """The one that is on."""
        return self._floods.open

    # --- Decide -----------------------------------------------------------------------------------------------------------

    def told(self, alerts: Sequence[Alert], *, recorded_at: Micros, topology: Topology | None) -> list[Transition | Flood]:
        """What alerts make of the alarms. One that was taken already, or is about an occurrence that is over, makes nothing."""
        draft = Draft(self._roster, self._floods, recorded_at)
        for alert in alerts:
            self._take(alert, draft, topology)
        return draft.finished()

    def asked(self, request: Request, *, recorded_at: Micros, topology: Topology | None = None) -> list[Transition | Flood]:
        """What a verb makes of an alarm, and of what hangs under it. Raises RefusedError (ChangedError), UnknownAlarmError.

        Only with the graph do rules about types and zones say how long a shelf may last.
        """
        alarm, draft = self._roster.named(request.alarm_id), Draft(self._roster, self._floods, recorded_at)
        verbs.recognise(alarm, request)
        under = self._unacknowledged_under(alarm, request)
        if not (under and alarm.acknowledged):
            rule = self.rules.rule_for(alarm.device_id, alarm.condition, topology)
            longest = rule.longest_shelf or self.limits.longest_shelf
            after = verbs.asked(alarm, request, now=recorded_at, longest=longest)
            draft.note(after, request.verb, actor=request.actor, reason=request.reason)
        for child in under:
            draft.seen_with_its_parent(child, request.actor)
        return draft.finished()

    def _unacknowledged_under(self, alarm: Alarm, request: Request) -> list[Alarm]:
        """What goes with a parent: even with one that is acknowledged, as more may have come to hang under it since."""
        if request.verb is not Verb.ACKNOWLEDGE or alarm.condition != FAULT:
            return []
        verbs.check(request)
        found, seen = self._roster.unacknowledged_under(alarm), request.seen
        return found if seen is None else [child for child in found if moment(child.alert.time) <= moment(seen.at)]

    def passed(self, *, recorded_at: Micros, plant: Micros, topology: Topology | None) -> list[Transition | Flood]:
        """What time has made of the alarms: shelves end by the wall's clock; rules, chattering and floods go by the plant's.

        As long as that is not known (0 or before), nothing chatters less, no flood ends, and rules go by the wall's.
        """
        known = plant > 0
        draft = Draft(self._roster, self._floods, recorded_at)
        for alarm in self._roster.shelves_over(recorded_at):
            draft.note(settled(alarm, shelf=None), Verb.EXPIRE, actor=CLOCK)
        if topology is not None:
            for alarm_id in self._roster.ruled(standing=self.rules.suppresses):
                self._design(draft.known(alarm_id), draft, plant if known else recorded_at, topology)
        if known:
            for alarm_id in self._roster.chattering():
                self._quieten(draft.known(alarm_id), draft, plant)
            draft.calm(plant)
        return draft.finished()

    def _take(self, alert: Alert, draft: Draft, topology: Topology | None) -> None:
        alarm_id = point_id(self.site, alert)
        held, at = draft.get(alarm_id), moment(alert.time)
        match meaning(held, alert):
            case Verb.RAISE:
                self._raise(alarm_id, alert, draft, topology)
            case Verb.UPDATE if held is not None:
                draft.note(updated(held, alert), Verb.UPDATE, actor=PLANT, at=at)
            case Verb.CLEAR if held is not None:
                self._clear(cleared(held, alert), draft, at)

    def _clear(self, alarm: Alarm, draft: Draft, at: Micros) -> None:
        """What has come and gone under a parent that somebody has acknowledged needs nobody any more."""
        draft.note(alarm, Verb.CLEAR, actor=PLANT, at=at)
        is_parent = alarm.condition == FAULT
        parent = alarm if is_parent else draft.parent_of(alarm)
        ended = [child for child in draft.unacknowledged_under(alarm) if not child.active] if is_parent else [alarm]
        if parent is not None and parent.acknowledged:
            for child in (child for child in ended if not child.acknowledged):
                draft.seen_with_its_parent(child, parent.acknowledged_by or PLANT, at=at)

    def _raise(self, alarm_id: AlarmId, alert: Alert, draft: Draft, topology: Topology | None) -> None:
        """An alarm that a rule hides comes hidden, so that it never asks for anybody, not even for a moment."""
        at, held = moment(alert.time), draft.get(alarm_id)
        rule = self.rules.rule_for(alert.device_id, alert.condition, topology)
        suppressed = None if held is None else held.suppressed
        if not suppressed or is_by_rule(suppressed):
            suppressed = _hidden_by(rule, alert.device_id, topology, otherwise=suppressed)
        if held is not None and held.suppressed is not None and suppressed is None:
            held = self._show(held, draft, at)
        after = raised(held, alert, alarm_id=alarm_id, latch=rule.latch, limits=self.limits)
        if suppressed == after.suppressed:
            draft.note(after, Verb.RAISE, actor=PLANT, at=at)
        else:
            after = msgspec.structs.replace(after, suppressed=suppressed)
            hidden = msgspec.structs.replace(after, state=state_of(after))
            draft.note(hidden, Verb.RAISE, actor=PLANT, at=at, reason=f"suppressed by {suppressed}")

    def _design(self, alarm: Alarm, draft: Draft, at: Micros, topology: Topology) -> None:
        """Hide an alarm, or show it again, as the rule about it says now."""
        if alarm.suppressed is not None and not is_by_rule(alarm.suppressed):
            return
        rule = self.rules.rule_for(alarm.device_id, alarm.condition, topology)
        suppressed = _hidden_by(rule, alarm.device_id, topology, otherwise=None)
        if suppressed == alarm.suppressed:
            return
        if alarm.suppressed is not None:
            alarm = self._show(alarm, draft, at)
        if suppressed is not None:
            hidden = settled(alarm, suppressed=suppressed)
            draft.note(hidden, Verb.SUPPRESS, actor=suppressed, at=at, reason="its condition holds")

    def _show(self, alarm: Alarm, draft: Draft, at: Micros) -> Alarm:
        assert alarm.suppressed is not None
        shown = settled(alarm, suppressed=None)
        draft.note(shown, Verb.UNSUPPRESS, actor=alarm.suppressed, at=at, reason="its condition holds no longer")
        return shown

    def _quieten(self, alarm: Alarm, draft: Draft, at: Micros) -> None:
        limits = self.limits
        recent = recently(alarm.recent, at, limits)
        if len(recent) < limits.chatter_count:
            quiet = settled(alarm, recent=recent, chattering=False)
            draft.note(quiet, Verb.UPDATE, actor=CLOCK, at=at, reason="no longer chattering")

    # --- Apply ------------------------------------------------------------------------------------------------------------

    def apply(self, records: Iterable[Transition | Flood]) -> None:
        """What was decided holds from now on. What is known as well or better already changes nothing."""
        for record in records:
            if isinstance(record, Flood):
                self._floods.follow(record)
            elif self._roster.put(record.alarm) and record.asks:
                self._floods.hear(record)

    def restore(self, alarms: Iterable[Alarm], flood: Flood | None = None) -> None:
        """Go on with the newest that is known of each alarm, without its transitions.

        How many asked for an operator of late is taken from when each was last raised: once for each, beyond the stretch that
        chattering looks back to, and not for what is hidden now.
        """
        self._roster, self._floods = Roster(), FloodWatch(self.site, self.limits)
        self._floods.open = flood
        held = sorted(alarms, key=lambda alarm: moment(alarm.raised_at))
        for alarm in held:
            self._roster.put(alarm)
            if alarm.state in SHOWN and alarm.alert.suppressed_by is None:
                for time in alarm.recent or (alarm.raised_at,):
                    self._floods.take(moment(time), alarm.alarm_id)


SHOWN = tuple(state for state in AlarmState if state is AlarmState.NORMAL or state not in HIDDEN)
"""States of alarms that nothing hides now, and that have asked for an operator when they were raised."""


def _hidden_by(rule: AlarmRule, device: DeviceId, topology: Topology | None, *, otherwise: str | None) -> str | None:
    """The rule as an actor, if what it waits for holds; what was is `otherwise`, where that cannot be known."""
    if topology is None:
        return otherwise
    when = rule.suppress_when
    return f"{RULE}{rule.name}" if when is not None and when.holds(device, topology) else None


class Draft:
    """What was decided so far in one call, over what holds: later decisions see earlier ones, nobody else does."""

    def __init__(self, roster: Roster, floods: FloodWatch, recorded_at: Micros) -> None:
        self._roster = roster
        self._floods = floods.copy()
        self._recorded_at = recorded_at
        self._changed: dict[AlarmId, Alarm] = {}
        self._transitions: list[Transition] = []
        self._told: dict[str, Flood] = {}

    def get(self, alarm_id: AlarmId) -> Alarm | None:
        return self._changed.get(alarm_id) or self._roster.get(alarm_id)

    def known(self, alarm_id: AlarmId) -> Alarm:
        return self._changed.get(alarm_id) or self._roster.named(alarm_id)

    def parent_of(self, alarm: Alarm) -> Alarm | None:
        """The one that stands for it, if that is known."""
        alarm_id = self._roster.id_of(alarm.alert.suppressed_by)
        return None if alarm_id is None else self.get(alarm_id)

    def unacknowledged_under(self, alarm: Alarm) -> list[Alarm]:
        """In the order of ids."""
        known = {child.alarm_id for child in self._roster.unacknowledged_under(alarm)}
        found = [self.known(alarm_id) for alarm_id in sorted(known | set(self._changed))]
        return [child for child in found if not child.acknowledged and child.alert.suppressed_by == alarm.alert.alert_id]

    def seen_with_its_parent(self, child: Alarm, actor: str, *, at: Micros | None = None) -> None:
        self.note(with_its_parent(child, actor), Verb.ACKNOWLEDGE, actor=actor, reason="with its parent", at=at)

    def note(self, after: Alarm, verb: Verb, *, actor: str, reason: str = "", at: Micros | None = None) -> None:
        """A transition; `at` is the plant's time if that moved the alarm."""
        held = self.get(after.alarm_id)
        transition = Transition(
            alarm=after,
            verb=verb,
            before=AlarmState.NORMAL if held is None else held.state,
            annunciated_before=held is not None and held.annunciated,
            time=rfc3339(self._recorded_at if at is None else at),
            recorded_at=rfc3339(self._recorded_at),
            actor=actor,
            reason=reason,
        )
        self._changed[after.alarm_id] = after
        self._transitions.append(transition)
        if transition.asks:
            self._count(transition)

    def _count(self, transition: Transition) -> None:
        if by_plant(transition):
            self.calm(moment(transition.time))
        at = self._floods.hear(transition)
        if at is not None:
            self._follow(self._floods.grows(at, transition.alarm))

    def calm(self, at: Micros) -> None:
        """The flood ends if it is over by then."""
        self._follow(self._floods.ends(at))

    def _follow(self, flood: Flood | None) -> None:
        if flood is not None:
            self._floods.follow(flood)
            self._told[flood.flood_id] = flood

    def finished(self) -> list[Transition | Flood]:
        """All that was decided; of several states of one flood, the newest alone."""
        return [*self._transitions, *self._told.values()]
