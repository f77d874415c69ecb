"""The OpenAPI 3.1 document: what FastAPI knows of the requests, and our own types for the answers."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from agents.run import Step
from graph.questions import Changed
from schemas.action import Progress
from schemas.alarm import Flood, Kpis, Transition
from schemas.finding import Fault
from streams import answers, runview
from streams.answers import Page
from streams.api.problems import MEDIA, Problem
from streams.outbox import DeadLetter, Replayed
from streams.webhooks.endpoint import Change, Draft, Webhook
from streams.webhooks.log import Delivery

TEMPLATE = "#/components/schemas/{name}"
REPLIES: dict[str, Any] = {
    "overview": answers.Overview,
    "devices": Page[answers.DeviceNow],
    "device": answers.DeviceNow,
    "signals": Page[answers.SignalNow],
    "trace": answers.Trace,
    "topology": answers.TopologyNow,
    "changed": Changed,
    "reach": answers.ReachNow,
    "route": answers.Route,
    "alarms": Page[answers.AlarmDetail],
    "alarm": answers.AlarmDetail,
    "transitions": Page[Transition],
    "faults": Page[Fault],
    "fault": Fault,
    "flood": Flood | None,
    "kpis": Kpis,
    "actions": Page[Progress],
    "action": Progress,
    "deadletters": Page[DeadLetter],
    "replayed": Replayed,
    "readiness": answers.Readiness,
    "health": answers.Health,
    "webhooks": Page[Webhook],
    "webhook": Webhook,
    "webhook made": answers.WebhookMade,
    "secret": answers.Secret,
    "deliveries": Page[Delivery],
    "delivery": Delivery,
    "instructed": runview.Instructed,
    "runs": Page[runview.RunBrief],
    "run": runview.RunNow,
    "task": runview.TaskNow,
    "steps": Page[Step],
    "draft": Draft,
    "change": Change,
}
"""Every kind of answer, and of body, by its name in routes."""
_SCHEMAS, _COMPONENTS = msgspec.json.schema_components([*REPLIES.values(), Problem], ref_template=TEMPLATE)
_BY_NAME = dict(zip([*REPLIES, "problem"], _SCHEMAS, strict=True))
WHEN = {
    304: "Not changed since the tag that was sent",
    401: "No key or token, or one that does not count",
    403: "The role is not enough",
    404: "Not known here",
    409: "Not possible in this state",
    412: "Changed since the tag that was sent",
    413: "The body is too large",
    422: "Not valid; `errors` says where",
    503: "Not now: a part that is needed is away",
}


def replies(name: str, *problems: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its answer, and the problems it may have."""
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": "Done", "content": {"application/json": {"schema": _BY_NAME[name]}}}
    }
    return found | problem_replies(401, 403, 422, 503, *problems)


def request_body(name: str) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads one of our own types."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _BY_NAME[name]}}}}


def problem_replies(*problems: int) -> dict[int | str, dict[str, Any]]:
    held = {"content": {MEDIA: {"schema": _BY_NAME["problem"]}}}
    return {code: {"description": WHEN[code], **({} if code == 304 else held)} for code in problems}  # noqa: PLR2004


def install(app: FastAPI) -> None:
    """Let the application say what it answers."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
            )
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(_COMPONENTS)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = msgspec.json.decode(msgspec.json.encode(found))
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
