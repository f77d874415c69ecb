"""JSON Schemas of what the service publishes, made from the types in `schemas.finding`.

Readers of findings should pass over members that they do not know: unlike events, findings may gain members.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import finding
from schemas.action import RUNBOOK, Action, Cause, Progress
from schemas.alarm import Alarm, AlarmId, AlarmState, Flood, Transition, Verb
from schemas.definitions import DIALECT, HOME, Schema
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import Severity
from schemas.instruction import RunProgress

AT = "2026-01-05T08:30:00.250Z"
PUMP = DeviceId("pump-07")
TANK = DeviceId("tank-03")
VALVE = DeviceId("valve-11")

ALERT = finding.Alert(
    alert_id="al-1",
    time=AT,
    device_id=PUMP,
    condition="anomaly",
    severity=Severity.HIGH,
    state=finding.AlertState.RAISED,
    score=7.5,
    explanation=finding.Explanation(signals=(finding.SignalShare(SignalName("flow"), 1.0),)),
)
ACTION = Action(
    action_id="action-1",
    site="homberg",
    verb="inspect",
    device_id=PUMP,
    cause=Cause(
        alert_id="al-1", condition="fault", severity=Severity.HIGH, fault_id="f-1", principal="runbook:inspect", role=RUNBOOK
    ),
    requested_at=AT,
    expires_at="2026-01-05T09:30:00Z",
)

EXAMPLES: dict[str, msgspec.Struct] = {
    "score": finding.DeviceScore(time=AT, device_id=PUMP, score=7.5, threshold=5.0, anomalous=True),
    "alert": ALERT,
    "fault": finding.Fault(
        fault_id="f-1",
        opened_at=AT,
        updated_at=AT,
        origins=(finding.Origin(PUMP, 0.8),),
        affected=(finding.Affected(TANK, AT),),
        path=(finding.PathStep(PUMP, TANK, Relation.FEEDS, 12.0, 0.9),),
        forecast=(finding.Forecast(VALVE, "2026-01-05T08:31:00Z", 0.7),),
    ),
    "invalid": finding.Invalid(offset=3, reason="time is missing", pointer="", raw="{}"),
    "watermark": finding.Mark("/plants/homberg/gateways/gw-01", 3, 42),
    "transition": Transition(
        alarm=Alarm(
            alarm_id=AlarmId("alarm-point-1"),
            device_id=PUMP,
            condition="anomaly",
            severity=Severity.HIGH,
            state=AlarmState.ACKNOWLEDGED,
            active=True,
            acknowledged=True,
            acknowledged_by="ada",
            alert=ALERT,
            raised_at=AT,
            version=2,
        ),
        verb=Verb.ACKNOWLEDGE,
        before=AlarmState.UNACKNOWLEDGED,
        annunciated_before=True,
        time="2026-01-05T08:31:00Z",
        recorded_at="2026-01-05T08:31:00Z",
        actor="ada",
        reason="on the way",
    ),
    "flood": Flood(flood_id="flood-1", opened_at=AT, updated_at=AT, alarms=11, peak=11),
    "progress": Progress(action=ACTION, stage="sent", at=AT, allowed=True, rule="inspections"),
    "run": RunProgress(run_id="run-1", site="homberg", at=AT, state="succeeded", task="trace", tool="trace_fault", attempt=1),
    "command": ACTION,
}
_TYPES: dict[str, Any] = {
    "score": finding.DeviceScore | finding.PlantScore,
    "alert": finding.Alert,
    "fault": finding.Fault,
    "invalid": finding.Invalid,
    "watermark": finding.Mark,
    "transition": Transition,
    "flood": Flood,
    "progress": Progress,
    "run": RunProgress,
    "command": Action,
}


def schema_of(name: str) -> Schema:
    return {
        "$schema": DIALECT,
        "$id": f"{HOME}{name}.json",
        **msgspec.json.schema(_TYPES[name]),
        "examples": [msgspec.json.decode(msgspec.json.encode(EXAMPLES[name]))],
    }


FINDINGS = {name: schema_of(name) for name in _TYPES}
