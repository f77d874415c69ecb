"""Tools about the plant's topology: which devices there are, what is around them, what they take down, what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agents.workshop import Call, ToolError
from schemas.device import DeviceId
from streams.answers import DeviceNow, ReachNow
from streams.plantview import Census, PlantView
from streams.workshop.asking import asked
from streams.workshop.periods import Calendar

MOST = 500
"""Items of a list; its `count` is of all."""
MOST_COUNTED = 10_000
NAMED = 20


class Surveying:
    """`find_devices`, `show_neighbours`, `assess_impact`, `show_changes`."""

    def __init__(self, plant: PlantView, calendar: Calendar) -> None:
        self._plant = plant
        self._calendar = calendar

    async def devices(self, call: Call) -> Mapping[str, Any]:
        zone, kind, text = (call.arguments.get(name) for name in ("zone", "type", "text"))
        with asked():
            census = await self._plant.census()
            _known_zone(census, zone)
            found = await self._plant.devices(zone=zone, kind=kind, text=text or "", limit=MOST)
        among = census.devices if zone is None else census.by_zone.get(zone, [])
        needle = (text or "").casefold()
        count = sum(kind in (None, device.type) and needle in device.device_id.casefold() for device in among)
        return {"devices": [_shown(device) for device in found], "count": max(count, len(found))}

    async def neighbours(self, call: Call) -> Mapping[str, Any]:
        device, hops = DeviceId(call.arguments["device"]), call.arguments["hops"]
        with asked():
            return _reached(await self._plant.neighbours(device, hops=hops, limit=MOST_COUNTED))

    async def impact(self, call: Call) -> Mapping[str, Any]:
        with asked():
            return _reached(await self._plant.impact(DeviceId(call.arguments["device"]), limit=MOST_COUNTED))

    async def changes(self, call: Call) -> Mapping[str, Any]:
        within = self._calendar.span(call.arguments["period"])
        with asked():
            found = await self._plant.changed(within.start, within.end, limit=MOST_COUNTED)
        devices = [
            {"kind": change.kind, "device": device.device_id}
            for change in found.devices
            if (device := change.after or change.before) is not None
        ]
        edges = [
            {"kind": change.kind, "source": edge.source, "relation": edge.relation, "target": edge.target}
            for change in found.edges
            if (edge := change.after or change.before) is not None
        ]
        count = len(devices) + len(edges)
        kept = {"devices": devices[:MOST], "links": edges[:MOST], "cutShort": found.cut_short or count > MOST}
        return {"changes": msgspec.to_builtins(kept), "count": count}


def _known_zone(census: Census, zone: str | None) -> None:
    if zone is not None and zone not in census.by_zone:
        raise ToolError(f"no zone {zone}: {named(sorted(filter(None, census.by_zone)))}")


def named(choices: Sequence[str]) -> str:
    """The first of them."""
    return ", ".join(choices[:NAMED]) + (f" and {len(choices) - NAMED} more" if len(choices) > NAMED else "")


def _shown(device: DeviceNow) -> dict[str, Any]:
    facts = {"device": device.device_id, "type": device.type, "zone": device.zone, "state": device.state}
    return facts | {"alarms": device.condition.alarms, "severity": device.condition.severity}


def _reached(found: ReachNow) -> dict[str, Any]:
    """Nearest first."""
    shown = [
        {"device": near.device_id, "hops": near.hops, "source": near.source, "relation": near.relation, "target": near.target}
        for near in found.near[:MOST]
    ]
    return {"devices": msgspec.to_builtins(shown), "count": len(found.near)}
