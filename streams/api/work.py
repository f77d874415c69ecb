"""Routes of what was found and is done: faults, floods, key figures, actions, and inputs that were refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from agents.dispatcher import Outcome
from agents.entry import Stage
from schemas.action import Progress, moment
from schemas.device import DeviceId
from schemas.event import Micros, micros
from schemas.finding import Fault
from streams.api.answering import Key, answer, paged
from streams.api.document import replies
from streams.api.gate import Engineer, Operator, Viewer
from streams.api.parameters import KEY, At, Cursor, Id, Limit, MaybeDevice, instant_of
from streams.api.problems import ProblemError
from streams.api.repeats import Repeats
from streams.controlroom import ControlRoom

DAY = 86_400_000_000
LONGEST = 31 * DAY
"""Of the stretch that key figures are of."""


class Reason(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")
    reason: Annotated[str, Field(min_length=1, max_length=1_000)]


class End(BaseModel):
    """What became of an action, and how that is known."""

    model_config = ConfigDict(extra="forbid")
    outcome: Outcome
    note: Annotated[str, Field(min_length=1, max_length=1_000)]


def faults(room: ControlRoom) -> APIRouter:
    router = APIRouter(prefix="/v1/faults", tags=["faults"])

    @router.get("", responses=replies("faults", 304, 404))
    async def listed(
        request: Request,
        _: Viewer,
        open_: Annotated[bool | None, Query(alias="open", description="Only open ones, or only closed ones.")] = None,
        device: MaybeDevice = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """The last state of each fault, newest first: origins, affected devices, path, what is next."""
        found = [
            fault
            for fault in await room.faults()
            if open_ in (None, fault.closed_at is None) and (device is None or device in _named(fault))
        ]
        found.sort(key=_age, reverse=True)
        return paged(request, found, limit=limit, key=_age, cursor=cursor, falling=True)

    @router.get("/{fault_id}", responses=replies("fault", 304, 404))
    async def one(request: Request, _: Viewer, fault_id: Id, at: At = None) -> Response:
        """What is known of a fault, or was known at a time."""
        found = await room.fault(fault_id, at=at)
        if found is None:
            raise ProblemError(404, f"no fault {fault_id}" if at is None else f"no fault {fault_id} at that time")
        return answer(request, found)

    @router.get("/{fault_id}/history", responses=replies("faults", 304, 404))
    async def history(request: Request, _: Viewer, fault_id: Id, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Every state of a fault, oldest first."""
        found = sorted(await room.fault_history(fault_id), key=_age)
        if not found:
            raise ProblemError(404, f"no fault {fault_id}")
        return paged(request, found, limit=limit, key=_age, cursor=cursor)

    return router


def _age(found: Fault | Progress) -> Key:
    """By when it became what it is; the newest is the highest."""
    if isinstance(found, Fault):
        return moment(found.updated_at), found.fault_id
    return moment(found.at), found.action.action_id


def _named(fault: Fault) -> set[DeviceId]:
    """Where it most probably began, and whom it affects."""
    return {origin.device_id for origin in fault.origins[:1]} | {part.device_id for part in fault.affected}


def figures(room: ControlRoom) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["figures"])

    @router.get("/flood", responses=replies("flood", 304))
    async def flood(request: Request, _: Viewer) -> Response:
        """The flood of alarms that is on, or null."""
        return answer(request, room.flood)

    @router.get("/kpis", responses=replies("kpis", 304))
    async def kpis(
        request: Request,
        _: Viewer,
        start: Annotated[
            AwareDatetime | None, Query(description="From this time on; a day before the end, at most 31.")
        ] = None,
        end: Annotated[AwareDatetime | None, Query(description="Until before this one; the plant's time.")] = None,
    ) -> Response:
        """How well alarms served those who watch them (ISA-18.2)."""
        last = room.plant.now or micros(datetime.now(UTC))
        until = Micros(last + 1) if end is None else instant_of(end, "end")
        since = Micros(max(until - DAY, 0)) if start is None else instant_of(start, "start")
        if since >= until:
            raise ProblemError(422, "start: must be before end")
        if until - since > LONGEST:
            raise ProblemError(422, f"start: at most {LONGEST // DAY} days before end")
        return answer(request, await room.kpis(since, until))

    return router


def actions(room: ControlRoom, repeats: Repeats) -> APIRouter:
    router = APIRouter(prefix="/v1/actions", tags=["actions"])

    @router.get("", responses=replies("actions", 304, 404))
    async def listed(
        request: Request,
        _: Viewer,
        stage: Annotated[list[Stage] | None, Query(description="Only at these stages; `waiting`: for approval.")] = None,
        device: MaybeDevice = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """How far each action has come, newest first."""
        found = [
            progress
            for progress in await room.actions()
            if (not stage or progress.stage in stage) and device in (None, progress.action.device_id)
        ]
        found.sort(key=_age, reverse=True)
        return paged(request, found, limit=limit, key=_age, cursor=cursor, falling=True)

    @router.get("/{action_id}", responses=replies("actions", 304, 404))
    async def history(request: Request, _: Viewer, action_id: Id, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Every stage of an action, oldest first."""
        found = await room.action_history(action_id)
        if not found:
            raise ProblemError(404, f"no action {action_id}")
        steps = list(enumerate(found))  # several may be of one time, and none ever goes
        return paged(request, steps, limit=limit, key=lambda step: step[:1], cursor=cursor, shown=lambda step: step[1])

    @router.post("/{action_id}/approve", responses=replies("action", 404, 409, 413))
    async def approve(request: Request, who: Operator, action_id: Id, _: KEY = None) -> Response:
        """Say yes to an action that waits for it; the policy is asked once more, then it is done."""

        async def work() -> Response:
            return answer(request, await room.approve(action_id, who.name, who.role))

        return await repeats.once(request, who, work)

    @router.post("/{action_id}/reject", responses=replies("action", 404, 409, 413))
    async def reject(request: Request, who: Operator, action_id: Id, why: Annotated[Reason, Body()], _: KEY = None) -> Response:
        """Say no to an action that waits, for good."""

        async def work() -> Response:
            return answer(request, await room.reject(action_id, who.name, why.reason))

        return await repeats.once(request, who, work)

    ends(router, room, repeats)
    return router


def ends(router: APIRouter, room: ControlRoom, repeats: Repeats) -> None:
    """What people do about actions that were sent."""

    @router.post("/{action_id}/resolve", responses=replies("action", 404, 409, 413))
    async def resolve(request: Request, who: Operator, action_id: Id, said: Annotated[End, Body()], _: KEY = None) -> Response:
        """Say what became of an action of which nobody knows. It is never sent again."""

        async def work() -> Response:
            return answer(request, await room.resolve(action_id, who.name, said.outcome, said.note))

        return await repeats.once(request, who, work)

    @router.post("/{action_id}/undo", responses=replies("action", 404, 409, 413))
    async def undo(request: Request, who: Operator, action_id: Id, _: KEY = None) -> Response:
        """Take back what was sent, by an action of its own; the policy is asked. The answer is that action."""

        async def work() -> Response:
            return answer(request, await room.undo(action_id, who.name, who.role))

        return await repeats.once(request, who, work)


def deadletters(room: ControlRoom, repeats: Repeats) -> APIRouter:
    router = APIRouter(prefix="/v1/deadletters", tags=["inputs"])

    @router.get("", responses=replies("deadletters", 304, 404))
    async def listed(request: Request, _: Viewer, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Inputs that were refused, why, and where in them the fault is; newest first."""
        found = list(reversed(await room.deadletters()))
        return paged(request, found, limit=limit, key=lambda letter: (letter.number,), cursor=cursor, falling=True)

    @router.post("/{number}/replay", responses=replies("replayed", 404, 413))
    async def replay(request: Request, who: Engineer, number: Annotated[int, Path(ge=1, le=2**62)], _: KEY = None) -> Response:
        """Try a refused input again: what is valid now goes to the log."""

        async def work() -> Response:
            return answer(request, await room.retry(number))

        return await repeats.once(request, who, work)

    return router
