"""How answers go out: as JSON, with a tag by which a client can ask whether they have changed, a page at a time."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from fastapi.responses import Response

from streams.answers import Page
from streams.api.problems import ProblemError

Item = TypeVar("Item")
JSON = "application/json"
LONGEST_CURSOR = 512


def answer(request: Request, body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """What was found; 304 if the client has it already."""
    raw = msgspec.json.encode(body)
    tag = f'"{hashlib.blake2b(raw, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache", **(headers or {})}
    if request.method in {"GET", "HEAD"} and _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(raw, status, media_type=JSON, headers=headers)


def _has(tags: str, tag: str) -> bool:
    return tags.strip() == "*" or tag in {held.strip().removeprefix("W/") for held in tags.split(",")}


def paged(request: Request, items: Sequence[Item], *, limit: int, key: Callable[[Item], str], cursor: str | None) -> Response:
    """A page of a list that is at hand as a whole, behind the item that the cursor names."""
    begin = 0
    if cursor is not None:
        last = opened(cursor)
        begin = next((place + 1 for place, item in enumerate(items) if key(item) == last), len(items))
    part = list(items[begin : begin + limit])
    more = begin + limit < len(items)
    return page(request, part, sealed(key(part[-1])) if more and part else None)


def page(request: Request, items: list[Any], following: str | None) -> Response:
    """With a link to what comes next (RFC 8288)."""
    headers = {}
    if following is not None:
        url = request.url.include_query_params(cursor=following)
        headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
    return answer(request, Page(items=items, next=following), headers=headers)


def sealed(key: str) -> str:
    """A cursor: opaque, so that nobody builds one."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def opened(cursor: str) -> str:
    """The inverse. Raises ProblemError."""
    text = cursor[:LONGEST_CURSOR]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise ProblemError(404, "cursor: not one that this service gave out") from error
