"""The application: routes, the gate before them, problems for whatever goes wrong, and the document of it all."""

from __future__ import annotations

import time
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.api import alarms, document, events, instructions, operation, plant, problems, webhooks, work
from streams.api.gate import FrontDoor, Gate
from streams.api.repeats import Repeats
from streams.front import Front
from streams.metrics import Metrics

MOST_BODY = 64 * 1024
"""Bytes of a request: verbs with their reasons, and webhooks with their filters."""


def application(front: Front, *, gate: Gate, repeats: Repeats) -> FastAPI:
    """Nothing of it is loaded from elsewhere, so there are no pages for the document: it is at /openapi.json."""
    room = front.room
    app = FastAPI(
        title="Open-AutoGLM",
        version=version("openautoglm"),
        description=f"The plant {room.site}: its live graph, its alarms, and what is done about them.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_named,
    )
    app.state.gate = gate
    for router in (
        operation.routes(front.ready, front.metrics),
        plant.routes(room),
        alarms.routes(room, repeats),
        work.faults(room),
        work.figures(room),
        work.actions(room, repeats),
        work.deadletters(room, repeats),
        instructions.routes(room, repeats),
        events.routes(front.feed),
        webhooks.routes(front.webhooks, repeats),
    ):
        app.include_router(router)
    problems.install(app)
    document.install(app)
    app.add_middleware(FrontDoor, gate=gate, most=MOST_BODY)
    app.add_middleware(Clock, metrics=front.metrics)
    return app


def _named(route: APIRoute) -> str:
    """A stable name for generated clients."""
    return f"{'_'.join(map(str, route.tags))}_{route.name}".replace("-", "_")


class Clock:
    """Measures requests by their route, so that ids in paths do not make a series each."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = scope.get("route")
            name = route.path if isinstance(route, APIRoute) else "other"
            self._metrics.requests.labels(scope["method"], name, status).observe(time.perf_counter() - began)
