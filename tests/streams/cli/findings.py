"""Findings by hand, and data folders in which a service might have left them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from agents.annunciator import Annunciator
from agents.lifecycle import point_id
from schemas.device import DeviceId, Relation
from schemas.event import Severity
from schemas.finding import Affected, Alert, AlertState, Explanation, Fault, Forecast, Origin, PathStep
from streams.findings import FindingStore
from streams.folder import Folder
from streams.journal import AlarmJournal
from tests.e2e.service import SITE

PUMP, PIPE, VALVE, TANK, METER = (DeviceId(name) for name in ("pump-1", "pipe-1", "valve-1", "tank-1", "meter-1"))
HOSTILE = "[red]x[/] [link=http://evil]y[/link]\x1b[2J\u202e"
HOSTILE_SHOWN = r"[red]x[/] [link=http://evil]y[/link]\x1b[2J\u202e"


def time(minute: int) -> str:
    return f"2026-01-05T08:{minute:02}:00Z"


def alert(
    device: str = PUMP,
    condition: str = "control:dry",
    *,
    minute: int = 0,
    severity: Severity = Severity.HIGH,
    state: AlertState = AlertState.RAISED,
    fault: Fault | None = None,
    under: str | None = None,
) -> Alert:
    return Alert(
        alert_id=f"alert-{device}-{condition}",
        time=time(minute),
        device_id=DeviceId(device),
        condition=condition,
        severity=severity,
        state=state,
        score=2.5,
        fault_id=None if fault is None else fault.fault_id,
        suppressed_by=under,
        explanation=Explanation(),
    )


def fault(*, minute: int = 0, path: Sequence[PathStep] = (), affected: Sequence[Affected] = (), closed: bool = False) -> Fault:
    return Fault(
        fault_id="fault-1",
        opened_at=time(0),
        updated_at=time(minute),
        closed_at=time(minute) if closed else None,
        origins=(Origin(PUMP, 0.72), Origin(METER, 0.2)),
        affected=tuple(affected),
        path=tuple(path),
        forecast=(Forecast(DeviceId("basin-1"), time(40), 0.4),) if not closed else (),
    )


def step(source: DeviceId, target: DeviceId, lag: float | None = 60.0, probability: float = 0.9) -> PathStep:
    return PathStep(source, target, Relation.FEEDS, lag, probability)


EARLY = fault(affected=[Affected(PUMP, time(0))])
LATE = fault(
    minute=5,
    path=[step(PUMP, PIPE), step(PIPE, VALVE, None), step(PIPE, TANK, 120.5, 0.55)],
    affected=[Affected(PUMP, time(0)), Affected(PIPE, time(1)), Affected(TANK, time(3)), Affected(DeviceId("fan-1"), time(4))],
)
PARENT = alert(PUMP, "fault", fault=LATE)
ALERTS = [
    PARENT,
    alert(PIPE, "anomaly", minute=1, fault=LATE, under=PARENT.alert_id),
    alert(TANK, "control:level", minute=2, severity=Severity.LOW),
    alert(TANK, "control:level", minute=3, severity=Severity.LOW, state=AlertState.CLEARED),
]


def alarm_id(found: Alert, site: str = SITE) -> str:
    return point_id(site, found)


async def leave(data: Path, alerts: Sequence[Alert], faults: Sequence[Fault] = ()) -> None:
    """In a data folder, as a service that has ended."""
    with closing(FindingStore(Folder(data).findings)) as store:
        journal = AlarmJournal(Annunciator(SITE), store)
        await journal.save(alerts, faults)


def left(data: Path, alerts: Sequence[Alert], faults: Sequence[Fault] = ()) -> Path:
    asyncio.run(leave(data, alerts, faults))
    return data


def replay(out: Path, alerts: Sequence[Alert], faults: Sequence[Fault]) -> Path:
    """What a replay would have written."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "alerts.ndjson").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in alerts))
    (out / "faults.ndjson").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in faults))
    return out
