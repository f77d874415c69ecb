"""Routes of instructions: a sentence becomes a plan to look at, and what was looked at runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from agents.scheduler import NoSuchRunError
from streams.access import Principal
from streams.api.answering import Key, answer, paged
from streams.api.document import problem_replies, replies
from streams.api.gate import Viewer
from streams.api.parameters import KEY, Cursor, Id, Limit
from streams.api.problems import ProblemError
from streams.api.repeats import HEADER, Repeats
from streams.controlroom import ControlRoom
from streams.instructions import LONGEST, Instructions
from streams.roles import Role
from streams.runview import RunBrief, brief, instructed, task_of, whole
from streams.workshop.runfiles import MEDIA

NEWEST = 200
"""Runs that the list goes back."""
FileName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\.(svg|md)$", description="As the task put it out.")]
TaskKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
"""A picture may hold what others have written; nothing in it may load or run anything."""


class Asked(BaseModel):
    """An instruction. `dry`: nothing changes, what would act tells what it would do; `run`: begin at once."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    dry: bool = False
    run: bool = False


class Shown(BaseModel):
    """The digest of the plan that was looked at."""

    model_config = ConfigDict(extra="forbid")
    digest: Annotated[str, Field(min_length=1, max_length=128)]


def routes(room: ControlRoom, repeats: Repeats) -> APIRouter:
    """Everybody may plan, look, and try dry; running takes an operator."""
    router = APIRouter(prefix="/v1/instructions", tags=["instructions"])
    _asking(router, room, repeats)
    _looking(router, room)
    _files(router, room)
    return router


def _asking(router: APIRouter, room: ControlRoom, repeats: Repeats) -> None:
    described = {**replies("instructed", 404, 409, 413, status=201), **replies("instructed")}

    @router.post("", status_code=201, responses=described)
    async def ask(request: Request, who: Viewer, asked: Annotated[Asked, Body()], _: KEY = None) -> Response:
        """Plan an instruction, and run it if that is asked for and nothing is unclear. 200 and no run: not understood."""

        async def work() -> Response:
            return await _asked(request, room.instructions, who, asked)

        return await repeats.once(request, who, work)

    @router.post("/{run_id}/start", responses=replies("run", 404, 409, 413))
    async def start(request: Request, who: Viewer, run_id: Id, shown: Annotated[Shown, Body()], _: KEY = None) -> Response:
        """Run a plan of one's own that was looked at, once; 409 if it is another by now, or older than 30 minutes."""

        async def work() -> Response:
            return answer(request, whole(await room.instructions.start(run_id, shown.digest, who)))

        return await repeats.once(request, who, work)

    @router.post("/{run_id}/cancel", responses=replies("run", 404, 409, 413))
    async def cancel(request: Request, who: Viewer, run_id: Id, _: KEY = None) -> Response:
        """Begin nothing more; what waits for approval is withdrawn, what is under way to a device ends by itself."""

        async def work() -> Response:
            return answer(request, whole(await room.instructions.cancel(run_id, who)))

        return await repeats.once(request, who, work)


async def _asked(request: Request, instructions: Instructions, who: Principal, asked: Asked) -> Response:
    if asked.run and not asked.dry and not who.role.may(Role.OPERATOR):
        raise ProblemError(403, f"to run it needs the role {Role.OPERATOR}; {who.name} is {who.role}, and may try it dry")
    try:
        planned = await instructions.plan(asked.text, who, dry=asked.dry, key=request.headers.get(HEADER))
    except TimeoutError as error:
        raise ProblemError(503, "understanding it takes too long; try again later") from error
    if planned.run is None:
        return answer(request, instructed(planned))
    order = planned.run.order
    if asked.run and not planned.questions:
        planned = planned._replace(run=await instructions.start(order.run_id, order.graph.digest, who))
    return answer(request, instructed(planned), status=201, headers={"location": f"{request.url.path}/{order.run_id}"})


def _looking(router: APIRouter, room: ControlRoom) -> None:
    @router.get("", responses=replies("runs", 304, 404))
    async def listed(request: Request, _: Viewer, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """The newest 200 runs, without what their tasks put out; newest first."""
        found = sorted(map(brief, await room.instructions.newest(NEWEST)), key=_age, reverse=True)
        return paged(request, found, limit=limit, key=_age, cursor=cursor, falling=True)

    @router.get("/{run_id}", responses=replies("run", 304, 404))
    async def one(request: Request, _: Viewer, run_id: Id) -> Response:
        """A run with its tasks; what one of them put out is left out where it is large."""
        return answer(request, whole(await room.instructions.run(run_id)))

    @router.get("/{run_id}/tasks/{key}", responses=replies("task", 304, 404))
    async def task(request: Request, _: Viewer, run_id: Id, key: TaskKey) -> Response:
        """A task of a run, with all that it put out."""
        run = await room.instructions.run(run_id)
        try:
            found = run.order.graph.task(key)
        except KeyError as error:
            raise ProblemError(404, f"no task {key} in run {run_id}") from error
        return answer(request, task_of(found, run.steps.get(key), largest=None))

    @router.get("/{run_id}/trace", responses=replies("steps", 304, 404))
    async def trace(
        request: Request,
        _: Viewer,
        run_id: Id,
        limit: Annotated[int, Query(ge=1, le=100, description="Items of one page.")] = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Every step of every task, oldest first."""
        steps = list(enumerate(await room.instructions.trace(run_id)))
        return paged(request, steps, limit=limit, key=lambda step: step[:1], cursor=cursor, shown=lambda step: step[1])


def _age(run: RunBrief) -> Key:
    return run.asked_at, run.run_id


def _files(router: APIRouter, room: ControlRoom) -> None:
    kinds: dict[str, Any] = {media.partition(";")[0]: {} for media in MEDIA.values()}
    described: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": kinds}}

    @router.get("/{run_id}/files/{name}", responses={**described, **problem_replies(401, 403, 404, 422, 503)})
    async def file(_: Viewer, run_id: Id, name: FileName) -> Response:
        """What a run has drawn or written."""
        path = await room.instructions.file(run_id, name)
        content = None if path is None else await asyncio.to_thread(path.read_bytes)
        if path is None or content is None:
            raise NoSuchRunError(f"no file {name} of run {run_id}; those of old runs are not kept")
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "content-security-policy": SANDBOX,
            "cache-control": "private, no-cache",
        }
        return Response(content, media_type=MEDIA[path.suffix], headers=headers)
