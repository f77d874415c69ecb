"""Routes for those who run the service: is it alive, does it make progress, and its figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from streams.answers import Health, Readiness
from streams.api.answering import answer
from streams.api.document import problem_replies, replies
from streams.api.gate import Viewer
from streams.metrics import MEDIA, Metrics

Ready = Callable[[], Readiness]


def routes(ready: Ready, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["operation"])
    health = replies("health")
    del health[401], health[403], health[422], health[503]

    @router.get("/health", responses=health)
    async def alive(request: Request) -> Response:
        """The process answers; no key is needed."""
        return answer(request, Health())

    readiness = replies("readiness")
    del readiness[401], readiness[403], readiness[422]
    readiness[503] = {"description": "It does not make progress", "content": readiness[200]["content"]}

    @router.get("/ready", responses=readiness)
    async def progress(request: Request) -> Response:
        """Whether every part makes progress, not only whether it is there; no key is needed."""
        found = ready()
        return answer(request, found, status=200 if found.ready else 503)

    plain = {"text/plain": {"schema": {"type": "string"}}}
    text: dict[int | str, dict[str, Any]] = {200: {"description": "In Prometheus' text format", "content": plain}}

    @router.get("/metrics", responses={**text, **problem_replies(401, 403, 503)})
    async def figures(_: Viewer) -> Response:
        """Counters, gauges and histograms of the service."""
        return Response(metrics.text(), media_type=MEDIA)

    return router
