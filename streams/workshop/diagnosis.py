"""Tools about faults and alarms: where it began, whom it affects, why a device is strange, what stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agents.severity import at_least
from agents.workshop import Call, ToolError
from schemas.alarm import Alarm
from schemas.device import DeviceId
from schemas.event import Severity
from schemas.finding import Fault
from streams.answers import SignalNow
from streams.controlroom import ControlRoom
from streams.plantview import NotHereError
from streams.workshop.asking import asked
from streams.workshop.surveying import MOST, named


class Diagnosis:
    """`trace_fault`, `list_faults`, `explain_device`, `list_alarms`."""

    def __init__(self, room: ControlRoom) -> None:
        self._room = room

    async def fault(self, call: Call) -> Mapping[str, Any]:
        device = call.arguments.get("device")
        found = next((fault for fault in await self._open() if device is None or device in _concerned(fault)), None)
        if found is None:
            raise ToolError("no fault is open" if device is None else f"no open fault concerns {device}")
        devices = [part.device_id for part in found.affected]
        path = msgspec.to_builtins(found.path[:MOST])
        fault = _brief(found) | {"path": path, "affected": msgspec.to_builtins(found.affected[:MOST])}
        outputs = {"fault": fault, "path": path, "devices": devices[:MOST], "count": len(devices)}
        return outputs | {"origin": found.origins[0].device_id if found.origins else None}

    async def faults(self, call: Call) -> Mapping[str, Any]:
        del call
        found = await self._open()
        return {"faults": [_brief(fault) for fault in found[:MOST]], "count": len(found)}

    async def _open(self) -> list[Fault]:
        """Newest first."""
        found = [fault for fault in await self._room.faults() if fault.closed_at is None]
        return sorted(found, key=lambda fault: (fault.opened_at, fault.fault_id), reverse=True)

    async def explain(self, call: Call) -> Mapping[str, Any]:
        device = DeviceId(call.arguments["device"])
        with asked():
            now = await self._room.plant.device(device)
        alarms = self._room.alarms_of(device)
        outside = await self._outside(device)
        explanation = {
            "device": device,
            "state": now.state,
            "alarms": [_alarm(alarm) | _shares(alarm) for alarm in alarms[:MOST]],
            "signals": outside[:MOST],
        }
        return {"explanation": explanation, "strange": bool(outside or any(alarm.active for alarm in alarms))}

    async def _outside(self, device: DeviceId) -> list[dict[str, Any]]:
        """The signals that are not in the band in which they were expected."""
        try:
            with asked():
                every = await self._room.plant.signals(device)
        except ToolError as error:
            if isinstance(error.__cause__, NotHereError):
                return []
            raise
        return [_beside(signal) for signal in every if _is_outside(signal)]

    async def alarms(self, call: Call) -> Mapping[str, Any]:
        device, zone, severity = (call.arguments.get(name) for name in ("device", "zone", "severity"))
        inside = None if zone is None else await self._inside(zone)
        found = [
            alarm
            for alarm in self._room.alarms()
            # Of a device also what hangs under a fault's alarm, or is put aside.
            if (alarm.annunciated if device is None else alarm.device_id == device)
            and (inside is None or alarm.device_id in inside)
            and (severity is None or at_least(alarm.severity, Severity(severity)))
        ]
        return {"alarms": [_alarm(alarm) for alarm in found[:MOST]], "count": len(found)}

    async def _inside(self, zone: str) -> set[DeviceId]:
        with asked():
            census = await self._room.plant.census()
        if zone not in census.by_zone:
            raise ToolError(f"no zone {zone}: {named(sorted(filter(None, census.by_zone)))}")
        return {device.device_id for device in census.by_zone[zone]}


def _concerned(fault: Fault) -> set[DeviceId]:
    return {part.device_id for part in fault.affected} | {origin.device_id for origin in fault.origins[:1]}


def _brief(fault: Fault) -> dict[str, Any]:
    return {
        "faultId": fault.fault_id,
        "openedAt": fault.opened_at,
        "updatedAt": fault.updated_at,
        "origins": msgspec.to_builtins(fault.origins[:10]),
        "affectedCount": len(fault.affected),
        "forecast": msgspec.to_builtins(fault.forecast[:10]),
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "alarmId": alarm.alarm_id,
        "device": alarm.device_id,
        "condition": alarm.condition,
        "severity": alarm.severity.value,
        "state": alarm.state.value,
        "raisedAt": alarm.raised_at,
        "annunciated": alarm.annunciated,
        "faultId": alarm.alert.fault_id,
    }


def _shares(alarm: Alarm) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(alarm.alert.explanation)
    return {"signalShares": found["signals"][:MOST], "neighbourShares": found["neighbours"][:MOST]}


def _is_outside(signal: SignalNow) -> bool:
    point = signal.expected
    if point is None or point.value is None or point.low is None or point.high is None:
        return False
    return not point.low <= point.value <= point.high


def _beside(signal: SignalNow) -> dict[str, Any]:
    point = signal.expected
    assert point is not None
    figures = {"value": point.value, "expected": point.expected, "low": point.low, "high": point.high}
    return {"signal": signal.name, "unit": signal.unit, **figures}
