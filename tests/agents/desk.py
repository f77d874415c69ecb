"""An operator's desk for tests: what an annunciator decides is applied at once; conditions made by hand."""

from __future__ import annotations

import msgspec

from agents.alarmrules import AlarmRules, AlarmRulesFile
from agents.annunciator import Annunciator, Request
from agents.rulefile import parse
from graph.topology import Topology
from schemas.alarm import Alarm, AlarmId, AlarmState, Flood, Transition, Verb
from schemas.device import DeviceId
from schemas.event import Micros, Severity, rfc3339
from schemas.finding import Alert, AlertState
from tests.agents.plant import PIPE, PUMP, alert, second

RAISED, UPDATED, CLEARED = AlertState
MINUTE, HOUR = 60.0, 3600.0
MORNING = Micros(second(0) + 86_400_000_000)
"""What the wall's clock says while the plant's says noon of the day before."""


def wall(seconds: float) -> Micros:
    return Micros(MORNING + round(seconds * 1e6))


def rules(text: str) -> AlarmRules:
    return AlarmRules(parse(f"version: 1\n{text}".encode(), AlarmRulesFile, name="rules.yaml"))


class Desk:
    """An annunciator whose decisions are applied at once, and what they were. `said` is of the last call."""

    def __init__(self, text: str = "", topology: Topology | None = None) -> None:
        self.annunciator = Annunciator("demo", rules(text))
        self.topology = topology
        self.records: list[Transition | Flood] = []
        self.last: list[Transition | Flood] = []

    def keep(self, records: list[Transition | Flood]) -> Desk:
        self.annunciator.apply(records)
        self.records += records
        self.last = records
        return self

    def tell(self, *alerts: Alert) -> Desk:
        return self.keep(self.annunciator.told(alerts, recorded_at=wall(0), topology=self.topology))

    def ask(self, verb: Verb, *, now: float = 0, **given: str | None) -> Desk:
        name = AlarmId(str(given.pop("alarm_id", self.alarm.alarm_id)))
        words = {"actor": "ann", "reason": "tests", **given}
        return self.keep(self.annunciator.asked(Request(verb=verb, alarm_id=name, **words), recorded_at=wall(now)))  # type: ignore[arg-type]

    def wait(self, now: float = 0, plant: float = 0) -> Desk:
        return self.keep(self.annunciator.passed(recorded_at=wall(now), plant=second(plant), topology=self.topology))

    @property
    def alarm(self) -> Alarm:
        """The first."""
        return next(self.annunciator.alarms())

    @property
    def state(self) -> AlarmState:
        return self.alarm.state

    @property
    def said(self) -> list[tuple[Verb, str]]:
        return [(record.verb, record.actor) for record in self.last if isinstance(record, Transition)]


def condition(
    seconds: float = 0,
    state: AlertState = RAISED,
    severity: Severity = Severity.HIGH,
    *,
    occurrence: int = 1,
    device: DeviceId = PUMP,
    under: Alert | None = None,
) -> Alert:
    made = alert(device, "anomaly", severity)
    changed = {"alert_id": f"alarm-{device}-{occurrence}", "time": rfc3339(second(seconds)), "state": state}
    return msgspec.structs.replace(made, **changed, suppressed_by=None if under is None else under.alert_id)


PARENT = alert(PIPE)
LATCHING = "rules: [{name: latch, latch: true}]"


def children(count: int = 3) -> list[Alert]:
    return [condition(device=DeviceId(f"pump-{number}"), under=PARENT) for number in range(count)]
