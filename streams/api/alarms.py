"""Routes of alarms: the list as an operator sees it, an alarm's life, and the verbs."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from agents.annunciator import Request as Asked
from agents.severity import at_least
from schemas.alarm import Alarm, AlarmState, Verb
from schemas.event import Severity, rfc3339
from streams.access import Principal
from streams.answers import AlarmDetail
from streams.api.answering import answer, paged
from streams.api.document import replies
from streams.api.gate import Viewer, needs
from streams.api.parameters import KEY, Cursor, Id, Limit, MaybeDevice, instant_of
from streams.api.problems import ProblemError
from streams.api.repeats import Repeats
from streams.controlroom import ControlRoom, rank
from streams.roles import Role

MATCH = Annotated[str | None, Header(alias="if-match", description="Only if the alarm's version is still this one.")]
OPERATORS = {
    "acknowledge": Verb.ACKNOWLEDGE,
    "reset": Verb.RESET,
    "shelve": Verb.SHELVE,
    "unshelve": Verb.UNSHELVE,
}
ENGINEERS = {
    "suppress": Verb.SUPPRESS,
    "unsuppress": Verb.UNSUPPRESS,
    "take-out-of-service": Verb.TAKE_OUT,
    "return-to-service": Verb.RETURN,
}


class Why(BaseModel):
    """What goes with a verb. `until`: for shelving alone, up to when; without it until the condition returns to normal."""

    model_config = ConfigDict(extra="forbid")
    reason: Annotated[str, Field(max_length=1_000)] = ""
    until: AwareDatetime | None = None


def routes(room: ControlRoom, repeats: Repeats) -> APIRouter:
    """Reading for viewers, verbs for operators and engineers."""
    router = APIRouter(prefix="/v1/alarms", tags=["alarms"])

    @router.get("", responses=replies("alarms", 304, 404))
    async def alarms(
        request: Request,
        _: Viewer,
        device: MaybeDevice = None,
        state: Annotated[list[AlarmState] | None, Query(description="Only in these states.")] = None,
        severity: Annotated[Severity | None, Query(description="At least this.")] = None,
        annunciated: Annotated[bool | None, Query(description="Only those that ask for an operator, or only others.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Alarms that are not normal or are put aside: what asks for an operator first, then the worst, then the newest."""
        found = [
            alarm
            for alarm in room.alarms()
            if device in (None, alarm.device_id)
            and (not state or alarm.state in state)
            and (severity is None or at_least(alarm.severity, severity))
            and annunciated in (None, alarm.annunciated)
        ]
        shown = partial(detailed, room)
        return paged(request, found, limit=limit, key=rank, cursor=cursor, falling=True, shown=shown)

    @router.get("/{alarm_id}", responses=replies("alarm", 304, 404))
    async def alarm(request: Request, _: Viewer, alarm_id: Id) -> Response:
        """One alarm by its id, or by the `alertId` of its newest occurrence."""
        found = room.alarm(alarm_id)
        return answer(request, detailed(room, found), headers={"etag": tag_of(found)})

    @router.get("/{alarm_id}/transitions", responses=replies("transitions", 304, 404))
    async def transitions(request: Request, _: Viewer, alarm_id: Id, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """All that the plant, the clock and people have done with an alarm, oldest first."""
        found = await room.transitions(alarm_id)
        return paged(request, found, limit=limit, key=lambda step: (step.alarm.version,), cursor=cursor)

    for role, verbs in ((Role.OPERATOR, OPERATORS), (Role.ENGINEER, ENGINEERS)):
        for path, verb in verbs.items():
            _verb(router, room, repeats, path=path, verb=verb, role=role)
    return router


def _verb(router: APIRouter, room: ControlRoom, repeats: Repeats, *, path: str, verb: Verb, role: Role) -> None:
    described, let_in = replies("alarm", 404, 409, 412, 413), [Depends(needs(role))]

    @router.post(f"/{{alarm_id}}/{path}", responses=described, name=path, dependencies=let_in)
    async def act(
        request: Request,
        alarm_id: Id,
        why: Annotated[Why, Body(default_factory=Why)],
        _: KEY = None,
        if_match: MATCH = None,
    ) -> Response:
        who: Principal = request.state.principal
        return await _done(room, repeats, request, who, verb=verb, alarm_id=alarm_id, why=why, if_match=if_match)


async def _done(
    room: ControlRoom,
    repeats: Repeats,
    request: Request,
    who: Principal,
    *,
    verb: Verb,
    alarm_id: str,
    why: Why,
    if_match: str | None,
) -> Response:
    async def work() -> Response:
        found = room.alarm(alarm_id)
        if if_match not in (None, "*", tag_of(found)):
            raise ProblemError(412, f"the alarm is at version {found.version} now")
        until = None if why.until is None else rfc3339(instant_of(why.until, "until"))
        if until is not None and verb is not Verb.SHELVE:
            raise ProblemError(422, "until: for shelving alone")
        # Who is faster may be before us still: whoever decides looks at the version again.
        seen = None if if_match in (None, "*") else found.version
        asked = Asked(verb=verb, alarm_id=found.alarm_id, actor=who.name, reason=why.reason, until=until, version=seen)
        done = await room.act(asked)
        return answer(request, detailed(room, done), headers={"etag": tag_of(done)})

    return await repeats.once(request, who, work)


def detailed(room: ControlRoom, alarm: Alarm) -> AlarmDetail:
    return AlarmDetail(alarm=alarm, verbs=[verb.value for verb in room.verbs(alarm)])


def tag_of(alarm: Alarm) -> str:
    return f'"{alarm.version}"'
