"""Server-sent events: every row of the feed under its number, resumable by `Last-Event-ID`.

A subscriber that is slow costs nothing: it is a number, and is served from disk once it lags behind what is in memory. One
whose connection takes nothing for `STUCK` seconds is let go, and comes back with the number that it got last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from schemas.device import DeviceId
from schemas.event import Severity
from streams.api.document import problem_replies
from streams.api.gate import Viewer
from streams.api.problems import ProblemError
from streams.feed import Feed, Filter
from streams.findings import Kind

STUCK = 60.0
QUIET = 15.0
"""Seconds after which a comment says that the connection is alive, and who listens is looked at again."""
RETRY = 1_000
"""Milliseconds after which a client is to come back."""
MOST = 20_000
"""Subscribers at a time."""
EXAMPLE = "id: 42\nevent: alarms\ndata: {}\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


def routes(feed: Feed) -> APIRouter:
    router = APIRouter(prefix="/v1/events", tags=["events"])
    stream = {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}
    described: dict[int | str, dict[str, Any]] = {200: {"description": "Events without end", "content": stream}}

    @router.get("", responses={**described, **problem_replies(401, 403, 422, 503)})
    async def events(
        request: Request,
        _: Viewer,
        kind: Annotated[list[Kind] | None, Query(description="Only these kinds.")] = None,
        device: Annotated[list[DeviceId] | None, Query(description="Only what is about these devices.", max_length=100)] = None,
        zone: Annotated[list[str] | None, Query(description="Only what is about these zones.", max_length=100)] = None,
        fault: Annotated[str | None, Query(description="Only what belongs to this fault.", max_length=128)] = None,
        severity: Annotated[Severity | None, Query(description="At least this.")] = None,
        annunciated: Annotated[bool | None, Query(description="Of alarms only those that ask for an operator.")] = None,
        since: Annotated[int | None, Query(ge=0, le=2**62, description="Begin behind this number; without it, now.")] = None,
        last_event_id: Annotated[str | None, Header(alias="last-event-id", description="The number that was got last.")] = None,
    ) -> Response:
        """Findings, alarms, floods, actions and runs as they come. Kinds are `alerts faults alarms floods actions runs`."""
        if EventStream.open_now >= MOST:
            raise ProblemError(503, "too many subscribers")
        wanted = Filter(
            kinds=tuple(kind or ()),
            devices=tuple(device or ()),
            zones=tuple(zone or ()),
            fault_id=fault,
            severity=severity,
            annunciated=annunciated,
        )
        begin = _begin(feed, last_event_id, since)
        return EventStream(feed, wanted, begin, admitted=partial(request.app.state.gate.admits, request))

    return router


def _begin(feed: Feed, last: str | None, since: int | None) -> int:
    """The number behind which to begin. Raises ProblemError."""
    if last:
        if not (last.isascii() and last.isdigit() and len(last) < 20):  # noqa: PLR2004 - digits of an int64
            raise ProblemError(422, "last-event-id: not a number that this service gave out")
        return int(last)
    return feed.newest if since is None else since


class EventStream(Response):
    """One subscriber's connection, as long as it is `admitted`; `open_now` counts those of the process."""

    open_now = 0

    def __init__(self, feed: Feed, wanted: Filter, after: int, *, admitted: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(None, 200)
        self._feed = feed
        self._wanted = wanted
        self._after = after
        self._admitted = admitted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the client goes, or takes nothing for too long."""
        del scope
        EventStream.open_now += 1
        tasks = [asyncio.ensure_future(part) for part in (_gone(receive), self._tell(send))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            EventStream.open_now -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        feed, after = self._feed, self._after
        begun = f"retry: {RETRY}\nid: {after}\n\n"
        if feed.is_beyond(after):
            # Another data folder, or one from an old copy: what the client knows is not ours, so it is to begin anew.
            after = feed.newest
            begun += f"event: reset\nid: {after}\ndata: {{}}\n\n"
        await _sent(send, begun.encode())
        look = time.monotonic() + QUIET
        while not feed.ended:
            rows = await feed.behind(after, patience=max(look - time.monotonic(), 0))
            if time.monotonic() >= look:
                if not await self._admitted():
                    break
                look = time.monotonic() + QUIET
            after = rows[-1].number if rows else after
            frames = b"".join(told.frame for told in rows if self._wanted.wants(told))
            if frames or not (rows or feed.ended):
                # An id without data moves the number from which the client resumes, and tells it nothing.
                await _sent(send, frames or b": alive\nid: %d\n\n" % after)
        await send({"type": "http.response.body", "body": b""})


async def _sent(send: Send, body: bytes) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(STUCK):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
