"""How answers go out: as JSON, with a tag by which a client can ask whether they have changed, a page at a time."""

from __future__ import annotations

import base64
import binascii
import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from fastapi.responses import Response

from streams.answers import Page
from streams.api.problems import ProblemError

Item = TypeVar("Item")
JSON = "application/json"
LONGEST_CURSOR = 1_024
Key = tuple[int | str, ...]
"""Where an item stands in the order of its list."""


def answer(request: Request, body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """What was found; 304 if the client has it already."""
    raw = msgspec.json.encode(body)
    tag = f'"{hashlib.blake2b(raw, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache", **(headers or {})}
    if request.method in {"GET", "HEAD"} and _has(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(raw, status, media_type=JSON, headers=headers)


def _has(tags: str, tag: str) -> bool:
    return tags.strip() == "*" or tag in {held.strip().removeprefix("W/") for held in tags.split(",")}


def paged(
    request: Request,
    items: Sequence[Item],
    *,
    limit: int,
    key: Callable[[Item], Key],
    cursor: str | None,
    falling: bool = False,
    shown: Callable[[Item], object] = lambda item: item,
) -> Response:
    """A page of a list that is at hand as a whole and in the order of its keys, rising or `falling`.

    The cursor holds the last item's key, so the next page goes on behind where that item stood, even if it is gone meanwhile.
    """
    begin = 0 if cursor is None else _behind(items, key, _key(cursor), falling=falling)
    part = items[begin : begin + limit]
    more = begin + limit < len(items)
    following = sealed(msgspec.json.encode(key(part[-1])).decode()) if more and part else None
    return page(request, [shown(item) for item in part], following)


def _behind(items: Sequence[Item], key: Callable[[Item], Key], last: Key, *, falling: bool) -> int:
    try:
        return bisect_left(items, True, key=lambda item: key(item) < last if falling else key(item) > last)
    except TypeError as error:
        raise ProblemError(404, "cursor: of another list") from error


def _key(cursor: str) -> Key:
    try:
        return msgspec.json.decode(opened(cursor), type=Key)
    except msgspec.MsgspecError as error:
        raise ProblemError(404, "cursor: not one that this service gave out") from error


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
