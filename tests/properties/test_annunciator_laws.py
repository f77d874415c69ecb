"""Laws of the annunciator, for any alerts, verbs and times, against a model of ISA-18.2 that is written down separately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import event as note
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from agents.alarmrules import About, AlarmRule, AlarmRules, AlarmRulesFile, SuppressWhen
from agents.annunciator import Annunciator, RefusedError, Request
from graph.topology import Topology
from schemas.alarm import HIDDEN, AlarmState, Flood, Limits, Transition, Verb
from schemas.device import DeviceId, SignalName
from schemas.event import Connected, Micros, Severity, Telemetry, rfc3339
from schemas.finding import Alert, AlertState, Explanation
from tests.agents.plant import event, second

PLAIN, LATCHED, DESIGNED = DEVICES = (DeviceId("plain"), DeviceId("latched"), DeviceId("designed"))
PARENTS = ("", "parent-1", "parent-2")
STOPPED = SignalName("stopped")
LIMITS = Limits(flood_opens=2, flood_closes=1, flood_window=60.0, chatter_count=2)
"""So low that the stories below flood and chatter."""
RULES = AlarmRules(
    AlarmRulesFile(
        version=1,
        limits=LIMITS,
        rules=(
            AlarmRule(name="latch", when=About(devices=(LATCHED,)), latch=True),
            AlarmRule(name="stop", when=About(devices=(DESIGNED,)), suppress_when=SuppressWhen(signal=STOPPED, is_=True)),
        ),
    )
)
ASCENDING = list(Severity)
TOLD: Counter[str] = Counter()
"""How many of the stories were about what."""


@dataclass
class Point:
    """What is remembered of one alarm by the book; `shelf` is infinite for a one-shot."""

    occurrence: int = 0
    severity: Severity = Severity.LOW
    parent: str = ""
    active: bool = False
    waiting: bool = False
    latched: bool = False
    shelf: float | None = None
    suppressed: str = ""
    out: bool = False
    raises: list[int] = field(default_factory=list)
    chattering: bool = False

    def chatters(self, now: int) -> bool:
        return sum(at > now - LIMITS.chatter_window for at in self.raises) >= LIMITS.chatter_count

    def state(self) -> str:
        if self.out:
            return "out-of-service"
        if self.suppressed:
            return "suppressed-by-design"
        if self.shelf is not None:
            return "shelved"
        word = "unacknowledged" if self.waiting else "acknowledged"
        if self.active:
            return word
        if self.latched:
            return f"latched-{word}"
        return "returned-unacknowledged" if self.waiting else "normal"


class Operators(RuleBasedStateMachine):
    """The annunciator and the model side by side; time goes on by a second with each alert."""

    def __init__(self) -> None:
        super().__init__()
        self.annunciator = Annunciator("demo", RULES)
        self.points = {device: Point() for device in DEVICES}
        self.topology = Topology().merge(event(Connected(device, "pump"), name=device) for device in DEVICES)
        self.records: list[Transition | Flood] = []
        self.alerts: list[Alert] = []
        self.stopped = False
        self.restarted = 0
        self.now = 0

    # --- Around the annunciator ---------------------------------------------------------------------------------------

    def keep(self, records: list[Transition | Flood]) -> None:
        for record in records:
            if isinstance(record, Transition):
                held = [alarm for alarm in self.annunciator.alarms() if alarm.alarm_id == record.alarm.alarm_id]
                assert record.alarm.version == (held[0].version if held else 0) + 1
                assert record.before is (held[0].state if held else AlarmState.NORMAL)
            self.annunciator.apply([record])
        self.records += records

    def tell(self, device: DeviceId, state: AlertState) -> None:
        point = self.points[device]
        made = Alert(
            alert_id=f"{device}-{point.occurrence}",
            time=rfc3339(second(self.now)),
            device_id=device,
            condition="anomaly",
            severity=point.severity,
            state=state,
            score=1.0,
            suppressed_by=point.parent or None,
            explanation=Explanation(),
        )
        self.alerts.append(made)
        before = self.seen()
        found = self.decided(lambda one: one.told([made], recorded_at=second(self.now), topology=self.topology))
        assert self.seen() == before
        assert found == self.annunciator.told([made, made], recorded_at=second(self.now), topology=self.topology)
        self.keep(found)

    def seen(self) -> tuple[object, ...]:
        return seen(self.annunciator)

    def decided(self, decide: Callable[[Annunciator], list[Transition | Flood]]) -> list[Transition | Flood]:
        """What the annunciator decides; one that was restored just now makes the same of the alarms."""
        found, again = decide(self.annunciator), decide(self.restored())
        assert [each for each in again if isinstance(each, Transition)] == [
            each for each in found if isinstance(each, Transition)
        ]
        return found

    def restored(self) -> Annunciator:
        """One that knows the newest transition of each alarm, and the flood that is on."""
        newest = {record.alarm.alarm_id: record.alarm for record in self.records if isinstance(record, Transition)}
        again = Annunciator("demo", RULES)
        again.restore(newest.values(), self.annunciator.flood)
        return again

    @rule()
    def restarts(self) -> None:
        before, self.annunciator = self.seen(), self.restored()
        assert self.seen() == before
        self.restarted += 1

    # --- The plant ----------------------------------------------------------------------------------------------------

    @rule(device=st.sampled_from(DEVICES), severity=st.sampled_from(Severity), parent=st.sampled_from(PARENTS))
    def comes(self, device: DeviceId, severity: Severity, parent: str) -> None:
        self.now += 1
        point = self.points[device]
        worse = ASCENDING.index(severity) > ASCENDING.index(point.severity)
        if point.active:
            point.waiting |= worse
            point.severity, point.parent = severity, parent
            self.tell(device, AlertState.UPDATED)
            return
        point.occurrence += 1
        point.severity, point.parent, point.active, point.waiting = severity, parent, True, True
        point.latched = device == LATCHED
        point.raises.append(self.now)
        point.chattering = point.chatters(self.now)
        self.design(point, device, raised=True)
        self.tell(device, AlertState.RAISED)

    @rule(device=st.sampled_from(DEVICES))
    def goes(self, device: DeviceId) -> None:
        self.now += 1
        point = self.points[device]
        if point.active:
            point.active = False
            point.shelf = None if point.shelf == float("inf") else point.shelf
            self.tell(device, AlertState.CLEARED)

    @rule(stopped=st.booleans())
    def stops(self, stopped: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        self.now += 1
        self.stopped = stopped
        self.topology.merge([event(Telemetry(DESIGNED, {STOPPED: stopped}), self.now)])

    def design(self, point: Point, device: DeviceId, *, raised: bool) -> None:
        if device != DESIGNED or point.suppressed == "people" or not point.occurrence:
            return
        beneath = point.active or point.waiting or point.latched
        if raised or beneath or point.suppressed:
            point.suppressed = "rule" if self.stopped else ""

    @precondition(lambda self: self.alerts)
    @rule(data=st.data())
    def repeats(self, data: st.DataObject) -> None:
        """Anything that was told already makes nothing, alone or with all that followed."""
        start = data.draw(st.integers(0, len(self.alerts) - 1))
        assert self.annunciator.told(self.alerts[start:], recorded_at=second(self.now), topology=self.topology) == []

    # --- The clock ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.integers(0, 100))
    def passes(self, seconds: int) -> None:
        self.now += seconds
        for device, point in self.points.items():
            if point.shelf is not None and point.shelf <= self.now:
                point.shelf = None
            self.design(point, device, raised=False)
            point.chattering &= point.chatters(self.now)
        before, now = self.seen(), second(self.now)
        found = self.decided(lambda one: one.passed(recorded_at=now, plant=now, topology=self.topology))
        assert self.seen() == before
        self.keep(found)
        assert self.annunciator.passed(recorded_at=now, plant=now, topology=self.topology) == []

    # --- People -------------------------------------------------------------------------------------------------------

    @rule(device=st.sampled_from(DEVICES), data=st.data())
    def asks_what_the_book_allows(self, device: DeviceId, data: st.DataObject) -> None:
        seconds = data.draw(st.none() | st.integers(1, 200))
        possible = [verb for verb in Verb if self.model(replace(self.points[device]), verb, seconds, "because")]
        if possible:
            self.ask(device, data.draw(st.sampled_from(possible)), seconds, "because")

    @rule(
        device=st.sampled_from(DEVICES),
        verb=st.sampled_from(Verb),
        seconds=st.none() | st.integers(-1, 90_000),
        reason=st.sampled_from(["", "because"]),
    )
    def asks_anything(self, device: DeviceId, verb: Verb, seconds: int | None, reason: str) -> None:
        self.ask(device, verb, seconds, reason)

    def ask(self, device: DeviceId, verb: Verb, seconds: int | None, reason: str) -> None:
        point = self.points[device]
        alarm = self.annunciator.alarm(f"{device}-{point.occurrence}")
        until = None if seconds is None else rfc3339(second(self.now + seconds))
        request = Request(verb=verb, alarm_id=alarm.alarm_id, actor="ann", reason=reason, until=until)
        allowed, before = self.model(point, verb, seconds, reason), self.seen()
        if not allowed:
            with pytest.raises(RefusedError):
                self.annunciator.asked(request, recorded_at=second(self.now))
            assert self.seen() == before
            return
        found = self.decided(lambda one: one.asked(request, recorded_at=second(self.now)))
        assert self.seen() == before
        self.keep(found)

    def model(self, point: Point, verb: Verb, seconds: int | None, reason: str) -> bool:
        """Do it by the book; False if the book forbids it."""
        match verb:
            case Verb.ACKNOWLEDGE if point.waiting:
                point.waiting = False
            case Verb.RESET if point.latched and not point.active and not point.waiting:
                point.latched = False
            case Verb.SHELVE if reason and point.shelf is None:
                return self.shelve(point, seconds)
            case Verb.UNSHELVE if point.shelf is not None:
                point.shelf = None
            case Verb.SUPPRESS if reason and not point.suppressed:
                point.suppressed = "people"
            case Verb.UNSUPPRESS if point.suppressed == "people":
                point.suppressed = ""
            case Verb.TAKE_OUT if reason and not point.out:
                point.out = True
            case Verb.RETURN if point.out:
                point.out = False
            case _:
                return False
        return True

    def shelve(self, point: Point, seconds: int | None) -> bool:
        if (seconds is None and not point.active) or (seconds is not None and not 0 < seconds <= 86_400):
            return False
        point.shelf = float("inf") if seconds is None else self.now + seconds
        return True

    # --- Laws ---------------------------------------------------------------------------------------------------------

    @invariant()
    def each_alarm_is_in_the_state_of_the_book(self) -> None:
        found = {alarm.device_id: alarm for alarm in self.annunciator.alarms()}
        assert sorted(found) == sorted(device for device, point in self.points.items() if point.occurrence)
        for device, alarm in found.items():
            point = self.points[device]
            assert (device, alarm.state.value, alarm.active) == (device, point.state(), point.active)
            assert (alarm.occurrences, alarm.severity) == (point.occurrence, point.severity)
            assert alarm.chattering is point.chattering
            hidden = alarm.state in HIDDEN or bool(point.parent)
            assert alarm.annunciated is not hidden

    @invariant()
    def the_transitions_tell_all(self) -> None:
        again = Annunciator("demo", RULES)
        again.apply(self.records)
        assert seen(again) == self.seen()
        newest = {record.alarm.alarm_id: record.alarm for record in self.records if isinstance(record, Transition)}
        assert list(newest.values()) == [*again.alarms()]

    @invariant()
    def a_flood_opens_and_ends_once(self) -> None:
        states: dict[str, list[Flood]] = {}
        for record in self.records:
            if isinstance(record, Flood):
                states.setdefault(record.flood_id, []).append(record)
        for floods in states.values():
            assert len({flood.opened_at for flood in floods}) == 1
            assert [flood.closed_at for flood in floods[:-1]] == [None] * (len(floods) - 1)
            assert all(one.alarms < other.alarms for one, other in pairwise(floods[:-1]))
        still = [floods[-1] for floods in states.values() if floods[-1].closed_at is None]
        assert still == ([] if self.annunciator.flood is None else [self.annunciator.flood])

    @initialize(severity=st.sampled_from(Severity), parent=st.sampled_from(PARENTS))
    def all_come(self, severity: Severity, parent: str) -> None:
        assert self.seen() == ({}, None)
        for device in DEVICES:
            self.comes(device, severity, parent)

    def kinds(self) -> set[str]:
        """What the story was about."""
        floods = {f"flood {'open' if each.closed_at is None else 'closed'}" for each in self.records if isinstance(each, Flood)}
        chattering = any(each.alarm.chattering for each in self.records if isinstance(each, Transition))
        return floods | ({"chattering"} if chattering else set()) | ({"restart"} if self.restarted else set())

    def teardown(self) -> None:
        """What was kept can be read again, and a restored annunciator decides as this one does."""
        for kind in self.kinds():
            note(kind)
            TOLD[kind] += 1
        for record in self.records:
            assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record
        again, late = Annunciator("demo", RULES), Micros(second(self.now + 200_000))
        again.restore(self.annunciator.alarms(), self.annunciator.flood)
        for one in (again, self.annunciator):
            one.apply(one.passed(recorded_at=late, plant=late, topology=self.topology))
        assert {alarm.alarm_id: alarm for alarm in again.alarms()} == {
            alarm.alarm_id: alarm for alarm in self.annunciator.alarms()
        }
        assert again.flood is self.annunciator.flood is None


def seen(annunciator: Annunciator) -> tuple[object, ...]:
    return ({alarm.alarm_id: alarm for alarm in annunciator.alarms()}, annunciator.flood)


def test_operators_and_the_book_agree() -> None:
    TOLD.clear()
    laws = settings(derandomize=True, database=None, deadline=None, max_examples=150, stateful_step_count=40)
    run_state_machine_as_test(Operators, settings=laws)
    kinds = ("flood open", "flood closed", "chattering", "restart")
    assert min(TOLD[kind] for kind in kinds) >= 1, TOLD
