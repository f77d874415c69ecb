"""Every refusal is a problem document (RFC 9457): what is wrong in words, and where."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from agents.annunciator import ChangedError, RefusedError, UnknownAlarmError
from agents.dispatcher import NotParkedError, NotWaitingError, WrongPersonError
from agents.scheduler import BusyError, NoSuchRunError
from agents.undo import NotUndoableError
from graph.store import StoreAwayError, StoreError
from graph.topology import TooLongAgoError
from streams.instructions import ChangedPlanError, NotYoursError
from streams.outbox import UnknownInputError
from streams.plantview import NotHereError, UnknownDeviceError
from streams.webhooks.endpoint import InvalidWebhookError
from streams.webhooks.record import TooManyWebhooksError, UnknownDeliveryError, UnknownWebhookError

logger = logging.getLogger(__name__)
MEDIA = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Not possible now",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Not valid",
    500: "Failed",
    503: "Not ready",
}


class Fault(msgspec.Struct, frozen=True):
    """One thing that is not valid: where in the request, and why."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`type` is always `about:blank`: the status says what kind of problem it is."""

    title: str
    status: int
    detail: str = ""
    instance: str = ""
    errors: tuple[Fault, ...] = ()


class ProblemError(Exception):
    """To be answered with a problem document."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class InvalidError(Exception):
    """A part of a request is not valid."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(f"/{pointer}", detail)


def answered(
    status: int, detail: str = "", *, instance: str = "", errors: tuple[Fault, ...] = (), headers: dict[str, str] | None = None
) -> Response:
    """A problem as a response."""
    problem = Problem(title=TITLES.get(status, "Error"), status=status, detail=detail, instance=instance, errors=errors)
    return Response(msgspec.json.encode(problem), status, media_type=MEDIA, headers=headers)


# The first that fits counts, so a kind stands before what it is a kind of.
STATUS: dict[type[Exception], int] = {
    UnknownDeviceError: 404,
    UnknownAlarmError: 404,
    UnknownInputError: 404,
    UnknownWebhookError: 404,
    UnknownDeliveryError: 404,
    TooManyWebhooksError: 409,
    NotHereError: 404,
    TooLongAgoError: 404,
    ChangedError: 412,
    RefusedError: 409,
    WrongPersonError: 403,
    NotWaitingError: 409,
    NotParkedError: 409,
    NotUndoableError: 409,
    NoSuchRunError: 404,
    NotYoursError: 403,
    ChangedPlanError: 409,
    BusyError: 503,
    StoreAwayError: 503,
    StoreError: 503,
}


def install(app: FastAPI) -> None:
    """Answer every error of the application so."""
    for kind in STATUS:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(ProblemError, _asked)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(InvalidError, _part)
    app.add_exception_handler(InvalidWebhookError, _part)
    app.add_exception_handler(Exception, _failed)


async def _known(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    return answered(status, str(error.args[0]) if error.args else "", instance=request.url.path)


async def _asked(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return answered(error.status, error.detail, instance=request.url.path, headers=error.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return answered(error.status_code, str(error.detail), instance=request.url.path, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = tuple(Fault(_pointer(found), str(found.get("msg", ""))) for found in error.errors()[:20])
    return answered(422, "the request is not valid", instance=request.url.path, errors=errors)


async def _part(request: Request, error: Exception) -> Response:
    fault = error.fault if isinstance(error, InvalidError) else Fault(f"/body/{getattr(error, 'field', '')}", str(error))
    return answered(422, "the request is not valid", instance=request.url.path, errors=(fault,))


async def _failed(request: Request, error: Exception) -> Response:
    """What went wrong inside is in the log and not in the answer."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answered(500, "an error in the service; its log says more", instance=request.url.path)


def _pointer(found: dict[str, Any]) -> str:
    """As `/query/limit` or `/body/reason`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in found.get("loc", ()))
