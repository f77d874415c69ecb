"""The life of alarms at one site: each opens, is updated sparsely, and clears; one fault has one parent alarm.

Fed by the pipeline with the detector's steps, the faults that each step told of, and the control system's own events in their
order; what it returns is published, and answered by the runbook. Computes only. The result depends on the steps and events,
not on how they were batched. At most one alarm is open for a device and a condition, since one owner opens and clears it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from agents.alarmrules import AlarmRule, AlarmRules
from agents.delays import Delays, Key, Waiting
from agents.identity import derived
from agents.severity import at_least, graded, worse
from agents.standing import ANOMALY, CONTROL, DISCONNECTED, FAULT, Standing, fault_explanation, likeliest, members
from graph.detection.evidence import Step
from graph.faultpath.state import FaultState
from graph.topology import Topology
from schemas.action import moment
from schemas.device import DeviceId
from schemas.event import Connected, ControlAlarm, Disconnected, Event, Micros, Severity, Stamp, rfc3339
from schemas.finding import Alert, AlertState, Explanation

LEAST = 1e-12
"""No threshold counts as less, so that a multiple of it is finite."""


class AlarmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Delays in micros of event time.

    An anomalous device of an open fault raises its alarm at once; any other must stay anomalous for `on_delay`. An alarm
    clears after `off_steps` quiet steps, not before `off_delay`. `strange` is in multiples of the device's threshold, `spread`
    in affected devices: where medium, high and critical begin. A severity only grows while its alarm stands. An alarm rule may
    have other delays, and then also some for what the control system says, which has none here.
    """

    on_delay: int = 10_000_000
    off_delay: int = 10_000_000
    off_steps: int = 3
    strange: tuple[float, float, float] = (1.5, 3.0, 10.0)
    spread: tuple[int, int, int] = (1, 3, 10)
    disconnected: Severity = Severity.MEDIUM


class _State(msgspec.Struct):
    """All that is remembered, as a snapshot holds it."""

    anomalies: dict[DeviceId, Standing] = {}
    parents: dict[str, Standing] = {}
    control: list[tuple[DeviceId, str, Standing]] = []
    newest: list[tuple[DeviceId, str, Stamp]] = []
    pending: dict[DeviceId, Micros] = {}
    faults: dict[str, FaultState] = {}
    waiting: list[tuple[DeviceId, str, Waiting]] = []


class Alarms:
    """One per site; not for use by several threads at once."""

    def __init__(self, site: str, settings: AlarmSettings | None = None, rules: AlarmRules | None = None) -> None:
        self.site = site
        self.settings = settings or AlarmSettings()
        self.rules = rules or AlarmRules()
        self._anomalies: dict[DeviceId, Standing] = {}
        self._parents: dict[str, Standing] = {}
        self._control: dict[Key, Standing] = {}
        self._newest: dict[Key, Stamp] = {}
        self._pending: dict[DeviceId, Micros] = {}
        self._delays = Delays()
        self._faults: dict[str, FaultState] = {}
        self._closed: dict[str, FaultState] = {}
        self._fault_of: dict[DeviceId, str] = {}
        self._place_of: tuple[tuple[DeviceId, ...], dict[DeviceId, int]] = ((), {})

    # --- Read -------------------------------------------------------------------------------------------------------------

    def standing(self) -> Iterator[Alert]:
        """The newest transition of each alarm that stands: faults first."""
        for standing in (*self._parents.values(), *self._anomalies.values(), *self._control.values()):
            yield standing.alert

    def fault(self, fault_id: str | None) -> FaultState | None:
        """What is known of a fault that is open, or that closed in the last step."""
        return None if fault_id is None else self._faults.get(fault_id) or self._closed.get(fault_id)

    # --- Findings of the detector -----------------------------------------------------------------------------------------

    def update(self, step: Step, faults: Sequence[FaultState], topology: Topology) -> list[Alert]:
        """The transitions of one step: those of parents, then of what hangs under them, then of devices.

        Delays that have ended meanwhile come first, but what opens then is hung under its fault at once.
        """
        self._closed = {}
        over = self._delays.over(step.at)
        told = [self._close_control(key, waited.due) for key, waited in over if not waited.opens]
        told += [alert for fault in faults if (alert := self._follow_fault(fault, step, topology)) is not None]
        if faults:
            self._fault_of = _owners(self._faults.values())
            told += self._assign(step, topology)
        told += [self._open_control(key, waited) for key, waited in over if waited.opens]
        told += self._follow_devices(step, topology)
        return told

    def _follow_fault(self, fault: FaultState, step: Step, topology: Topology) -> Alert | None:
        parent = self._parents.get(fault.fault_id)
        if fault.closed_at is not None:
            self._closed[fault.fault_id] = fault
            self._faults.pop(fault.fault_id, None)
            return None if parent is None else self._close_parent(fault, step, topology)
        if likeliest(fault) is None:
            return None
        self._faults[fault.fault_id] = fault
        return self._open_parent(fault, step, topology) if parent is None else self._grow(parent, fault, step, topology)

    def _open_parent(self, fault: FaultState, step: Step, topology: Topology) -> Alert:
        device = likeliest(fault)
        assert device is not None
        alert = Alert(
            alert_id=self._parent_id(fault.fault_id),
            time=rfc3339(step.at),
            device_id=device,
            condition=FAULT,
            severity=self._severity(fault, step),
            state=AlertState.RAISED,
            score=self._strangest(fault, step),
            fault_id=fault.fault_id,
            explanation=fault_explanation(fault, step, device, topology),
        )
        self._parents[fault.fault_id] = Standing(alert, told_origin=device)
        return alert

    def _grow(self, parent: Standing, fault: FaultState, step: Step, topology: Topology) -> Alert | None:
        """An update if the likeliest origin is another now, or the severity has grown."""
        severity, origin = worse(parent.severity, self._severity(fault, step)), likeliest(fault)
        if severity == parent.severity and origin == parent.told_origin:
            return None
        parent.told_origin = origin
        why = fault_explanation(fault, step, parent.alert.device_id, topology)
        return parent.change(step.at, severity=severity, score=self._strangest(fault, step), explanation=why)

    def _close_parent(self, fault: FaultState, step: Step, topology: Topology) -> Alert:
        parent = self._parents.pop(fault.fault_id)
        why = fault_explanation(fault, step, parent.alert.device_id, topology)
        return parent.clear(step.at, score=self._strangest(fault, step), explanation=why)

    def _severity(self, fault: FaultState, step: Step) -> Severity:
        """Of how strange its strangest device is, and of how far it has spread."""
        return worse(
            graded(self._strangest(fault, step), self.settings.strange), graded(len(fault.affected), self.settings.spread)
        )

    def _strangest(self, fault: FaultState, step: Step) -> float:
        """The score of the fault's strangest device in multiples of its threshold."""
        place_of = self._places(step)
        places = [place_of[device] for device in members(fault) if device in place_of]
        return float(np.max(step.score[places] / np.maximum(step.threshold[places], LEAST))) if places else 0.0

    def _places(self, step: Step) -> dict[DeviceId, int]:
        """Kept from step to step: a large plant has 100,000 devices, and they seldom change."""
        if step.devices != self._place_of[0]:
            self._place_of = (step.devices, {device: place for place, device in enumerate(step.devices)})
        return self._place_of[1]

    def _parent_id(self, fault_id: str) -> str:
        return derived("alarm", self.site, FAULT, fault_id)

    def _assign(self, step: Step, topology: Topology) -> Iterator[Alert]:
        """Hang what stands under the fault that it belongs to, and let it out when that fault has closed."""
        for device, standing in self._anomalies.items():
            yield from self._hang(standing, self._owner(device, step, topology), step.at)
        for (device, _), standing in self._control.items():
            yield from self._hang(standing, self._fault_of.get(device), step.at)

    def _hang(self, standing: Standing, owner: str | None, at: Micros) -> Iterator[Alert]:
        if standing.alert.suppressed_by is not None and standing.alert.fault_id in self._faults:
            return
        if owner is not None:
            yield standing.change(at, fault_id=owner, suppressed_by=self._parent_id(owner))
        elif standing.alert.suppressed_by is not None:
            yield standing.change(at, suppressed_by=None)

    def _owner(self, device: DeviceId, step: Step, topology: Topology) -> str | None:
        """The fault of an anomalous device: one that names it, or a device next to it, or the one that it disagrees with most.

        A fault names only what it is sure of; but that its neighbours look strange is its doing too.
        """
        if not self._faults or device in self._fault_of:
            return self._fault_of.get(device)
        beside = [edge.target if edge.source == device else edge.source for edge in topology.edges_of(device)]
        blamed = [part.device_id for part in step.explain(device).neighbours[:1]]
        owners = {self._fault_of[other] for other in (*beside, *blamed) if other in self._fault_of}
        return min(owners, key=lambda fault_id: (self._faults[fault_id].opened_at, fault_id), default=None)

    # --- Anomalous devices ------------------------------------------------------------------------------------------------

    def _follow_devices(self, step: Step, topology: Topology) -> Iterator[Alert]:
        hot = {step.devices[place]: int(place) for place in np.flatnonzero(step.score > step.threshold)}
        self._pending = {device: self._pending.get(device, step.at) for device in hot if device not in self._anomalies}
        for device, place in hot.items():
            alert = self._hot(device, step, place=place, topology=topology)
            if alert is not None:
                yield alert
        for device in [device for device in self._anomalies if device not in hot]:
            if self._is_over(device, step, topology):
                held = self._places(step).get(device)
                score = 0.0 if held is None else float(step.score[held])
                yield self._anomalies.pop(device).clear(step.at, score=score, explanation=step.explain(device))

    def _hot(self, device: DeviceId, step: Step, *, place: int, topology: Topology) -> Alert | None:
        score = float(step.score[place])
        severity = graded(score / max(float(step.threshold[place]), LEAST), self.settings.strange)
        standing = self._anomalies.get(device)
        if standing is None:
            owner = self._owner(device, step, topology)
            delay = _micros(self.rules.rule_for(device, ANOMALY, topology).on_delay, self.settings.on_delay)
            if owner is None and step.at - self._pending[device] < delay:
                return None  # A blip outside of any fault opens nothing.
            return self._open_anomaly(device, step, score=score, severity=severity, owner=owner)
        standing.quiet_since, standing.quiet_steps = None, 0
        if at_least(standing.severity, severity):
            return None
        return standing.change(step.at, severity=severity, score=score, explanation=step.explain(device))

    def _open_anomaly(self, device: DeviceId, step: Step, *, score: float, severity: Severity, owner: str | None) -> Alert:
        del self._pending[device]
        alert = Alert(
            alert_id=derived("alarm", self.site, device, ANOMALY, step.at),
            time=rfc3339(step.at),
            device_id=device,
            condition=ANOMALY,
            severity=severity,
            state=AlertState.RAISED,
            score=score,
            fault_id=owner,
            suppressed_by=None if owner is None else self._parent_id(owner),
            explanation=step.explain(device),
        )
        self._anomalies[device] = Standing(alert)
        return alert

    def _is_over(self, device: DeviceId, step: Step, topology: Topology) -> bool:
        """Count a quiet step; a device that the step does not name is quiet too, so that no alarm stays for ever."""
        rule, standing = self.rules.rule_for(device, ANOMALY, topology), self._anomalies[device]
        place = self._places(step).get(device)
        if place is not None and step.score[place] > step.threshold[place] * (1.0 - rule.deadband):
            standing.quiet_since, standing.quiet_steps = None, 0
            return False
        if standing.quiet_since is None:
            standing.quiet_since = step.at
        standing.quiet_steps += 1
        delay = _micros(rule.off_delay, self.settings.off_delay)
        return standing.quiet_steps >= self.settings.off_steps and step.at - standing.quiet_since >= delay

    # --- The control system's own alarms ----------------------------------------------------------------------------------

    def control(self, event: Event, topology: Topology | None = None) -> list[Alert]:
        """The transitions that an event makes: of delays that have ended by then, and its own unless it is late or repeated.

        Only with the graph do rules about types and zones hold.
        """
        match event.body:
            case ControlAlarm(device_id=device, alarm=name, active=active, severity=severity):
                key = (device, CONTROL + name)
            case Disconnected(device_id=device) | Connected(device_id=device):
                key, severity = (device, DISCONNECTED), self.settings.disconnected
                active = isinstance(event.body, Disconnected)
            case _:
                return []
        told = self._elapse(event.stamp.at)
        held = self._newest.get(key)
        if held is None or event.stamp > held:
            self._newest[key] = event.stamp
            rule = self.rules.rule_for(*key, topology)
            told += self._come(key, event.stamp, severity, rule) if active else self._go(key, event.stamp, rule)
        return told

    def _elapse(self, at: Micros) -> list[Alert]:
        """What the delays that are over by now have let open or clear, as of when they were over."""
        return [
            self._open_control(key, waited) if waited.opens else self._close_control(key, waited.due)
            for key, waited in self._delays.over(at)
        ]

    def _come(self, key: Key, stamp: Stamp, severity: Severity, rule: AlarmRule) -> list[Alert]:
        """Back within its off-delay it has never been away. At one time the severity only grows, so that it is said once."""
        waited, standing = self._delays.stop(key), self._control.get(key)
        if standing is not None:
            falls = at_least(standing.severity, severity) and moment(standing.alert.time) >= stamp.at
            return [] if falls or standing.severity == severity else [standing.change(stamp.at, severity=severity)]
        if waited is None:
            waited = Waiting(Micros(stamp.at + _micros(rule.on_delay, 0)), stamp, severity, opens=True)
        waited = msgspec.structs.replace(waited, severity=severity)
        if waited.due <= stamp.at:
            return [self._open_control(key, waited)]
        self._delays.begin(key, waited)
        return []

    def _go(self, key: Key, stamp: Stamp, rule: AlarmRule) -> list[Alert]:
        """Gone within its on-delay it has never come."""
        waited, standing = self._delays.stop(key), self._control.get(key)
        if standing is None:
            return []
        if waited is None:
            waited = Waiting(Micros(stamp.at + _micros(rule.off_delay, 0)), stamp, standing.severity, opens=False)
        if waited.due <= stamp.at:
            return [self._close_control(key, waited.due)]
        self._delays.begin(key, waited)
        return []

    def _open_control(self, key: Key, waited: Waiting) -> Alert:
        (device, condition), stamp = key, waited.stamp
        owner = self._fault_of.get(device)
        alert = Alert(
            alert_id=derived("alarm", self.site, device, condition, stamp.source, stamp.id),
            time=rfc3339(waited.due),
            device_id=device,
            condition=condition,
            severity=waited.severity,
            state=AlertState.RAISED,
            score=0.0,
            fault_id=owner,
            suppressed_by=None if owner is None else self._parent_id(owner),
            explanation=Explanation(),
        )
        self._control[key] = Standing(alert)
        return alert

    def _close_control(self, key: Key, at: Micros) -> Alert:
        return self._control.pop(key).clear(at, score=0.0, explanation=Explanation())

    # --- State ------------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All that is remembered, bit-exact."""
        control = [(*key, standing) for key, standing in self._control.items()]
        newest = [(*key, stamp) for key, stamp in self._newest.items()]
        state = _State(
            self._anomalies, self._parents, control, newest, self._pending, self._faults, waiting=self._delays.state()
        )
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Go on where a snapshot was taken, with the settings it was taken with."""
        held = msgspec.msgpack.decode(state, type=_State)
        self._anomalies, self._parents, self._pending = held.anomalies, held.parents, held.pending
        self._control = {(device, condition): standing for device, condition, standing in held.control}
        self._newest = {(device, condition): stamp for device, condition, stamp in held.newest}
        self._delays = Delays(held.waiting)
        self._faults, self._closed = held.faults, {}
        self._fault_of = _owners(self._faults.values())


def _owners(faults: Iterable[FaultState]) -> dict[DeviceId, str]:
    """The fault of each device; of several, the one that opened first."""
    owner: dict[DeviceId, str] = {}
    for fault in sorted(faults, key=lambda fault: (fault.opened_at, fault.fault_id)):
        owner |= {device: fault.fault_id for device in members(fault) if device not in owner}
    return owner


def _micros(seconds: float | None, otherwise: int) -> int:
    return otherwise if seconds is None else round(seconds * 1e6)
