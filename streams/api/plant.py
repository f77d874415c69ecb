"""Routes of the plant: devices, their signals, the graph around them, what they take down, and what has changed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from graph.questions import MOST
from schemas.device import Relation
from streams.api.answering import answer, opened, page, paged, sealed
from streams.api.document import replies
from streams.api.gate import Viewer
from streams.api.parameters import (
    At,
    Cursor,
    Device,
    DevicePath,
    Hops,
    Kind,
    Limit,
    MaybeDevice,
    MaybeHops,
    Most,
    Relations,
    Signal,
    Text,
    Zone,
    instant_of,
)
from streams.api.problems import ProblemError
from streams.controlroom import ControlRoom

FIRST = 500
"""Devices of an answer, if not told otherwise."""


def routes(room: ControlRoom) -> APIRouter:
    """All of them read."""
    router, plant = APIRouter(prefix="/v1", tags=["plant"]), room.plant

    @router.get("/overview", responses=replies("overview", 304))
    async def overview(request: Request, _: Viewer) -> Response:
        """The plant at a glance: its zones, how they are linked, and how many alarms ask for somebody in each."""
        return answer(request, await plant.overview())

    @router.get("/devices", responses=replies("devices", 304, 404))
    async def devices(
        request: Request,
        _: Viewer,
        zone: Zone = None,
        kind: Kind = None,
        text: Text = "",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Devices by id."""
        after = "" if cursor is None else opened(cursor)
        found = await plant.devices(zone=zone, kind=kind, text=text, after=after, limit=limit + 1)
        return page(request, found[:limit], sealed(found[limit - 1].device_id) if len(found) > limit else None)

    @router.get("/devices/{device_id:path}", responses=replies("device", 304, 404, 503))
    async def device(request: Request, _: Viewer, device_id: DevicePath, at: At = None) -> Response:
        """One device, now or as of a time."""
        return answer(request, await plant.device(device_id, at=at))

    @router.get("/signals", responses=replies("signals", 304, 404))
    async def signals(request: Request, _: Viewer, device: Device, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """A device's signals with their newest readings and, where the model watches them, what was expected."""
        found = await plant.signals(device)
        return paged(request, found, limit=limit, key=lambda signal: (signal.name,), cursor=cursor)

    @router.get("/trace", responses=replies("trace", 304, 404))
    async def trace(
        request: Request,
        _: Viewer,
        device: Device,
        signal: Signal,
        limit: Annotated[int, Query(ge=1, le=720, description="The newest so many steps.")] = 240,
    ) -> Response:
        """What a signal showed lately, beside the band in which it was expected and how surprising it was."""
        if signal not in {found.name for found in await plant.signals(device)}:
            raise ProblemError(404, f"device {device} has no signal {signal}")
        return answer(request, plant.trace(device, signal, limit=limit))

    _graph(router, room)
    _compared(router, room)
    return router


def _graph(router: APIRouter, room: ControlRoom) -> None:
    """The graph around a device."""
    plant = room.plant

    @router.get("/topology", responses=replies("topology", 304, 404, 503))
    async def topology(
        request: Request, _: Viewer, device: MaybeDevice = None, hops: Hops = 1, at: At = None, limit: Most = FIRST
    ) -> Response:
        """The graph around a device, or from the first device on; now or as of a time."""
        return answer(request, await plant.topology(around=device, hops=hops, at=at, limit=limit))

    @router.get("/neighbours", responses=replies("reach", 304, 404, 503))
    async def neighbours(
        request: Request,
        _: Viewer,
        device: Device,
        hops: Hops = 1,
        relation: Relations = None,
        at: At = None,
        limit: Most = FIRST,
    ) -> Response:
        """What is around a device, nearest first."""
        along = relation or list(Relation)
        return answer(request, await plant.neighbours(device, hops=hops, relations=along, at=at, limit=limit))

    @router.get("/impact", responses=replies("reach", 304, 404, 503))
    async def impact(
        request: Request, _: Viewer, device: Device, hops: MaybeHops = None, at: At = None, limit: Most = FIRST
    ) -> Response:
        """What a device takes down when it fails: where influence from it gets, nearest first."""
        return answer(request, await plant.impact(device, hops=hops, at=at, limit=limit))


def _compared(router: APIRouter, room: ControlRoom) -> None:
    """What is between two devices, and between two times."""

    @router.get("/route", responses=replies("route", 304, 404, 503))
    async def route(
        request: Request,
        _: Viewer,
        source: Device,
        target: Device,
        any_edge: Annotated[bool, Query(description="Along any edge, in either direction.")] = False,
        at: At = None,
    ) -> Response:
        """A shortest way from one device to another, as influence runs."""
        found = await room.plant.route(source, target, onward=not any_edge, at=at)
        if found is None:
            raise ProblemError(404, f"no way leads from {source} to {target}")
        return answer(request, found)

    @router.get("/changes", responses=replies("changed", 304, 404, 503))
    async def changes(
        request: Request,
        _: Viewer,
        after: Annotated[AwareDatetime, Query(description="From this time on.")],
        until: Annotated[AwareDatetime, Query(description="Up to this one.")],
        limit: Most = MOST,
    ) -> Response:
        """What appeared, went or is otherwise between two times."""
        found = await room.plant.changed(instant_of(after, "after"), instant_of(until, "until"), limit=limit)
        return answer(request, found)
