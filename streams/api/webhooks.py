"""Routes of webhooks: who subscribes, and what became of each delivery. For admins, since addresses may tell secrets."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from schemas.action import moment
from streams.answers import Secret, WebhookMade
from streams.api.answering import Key, answer, opened, page, paged, sealed
from streams.api.document import problem_replies, replies, request_body
from streams.api.gate import Admin
from streams.api.parameters import KEY, Cursor, Id, Limit
from streams.api.problems import InvalidError, ProblemError
from streams.api.repeats import Repeats
from streams.webhooks.book import LONGEST_OVERLAP, OVERLAP, Webhooks
from streams.webhooks.endpoint import Change, Draft, Webhook, WebhookId

Body = TypeVar("Body", Draft, Change)
Overlap = Annotated[float, Query(ge=0, le=LONGEST_OVERLAP, description="Seconds in which the old secret signs too.")]


def routes(book: Webhooks, repeats: Repeats) -> APIRouter:
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    _endpoints(router, book, repeats)
    _verbs(router, book, repeats)
    _deliveries(router, book, repeats)
    return router


def _endpoints(router: APIRouter, book: Webhooks, repeats: Repeats) -> None:
    @router.get("", responses=replies("webhooks", 304, 404))
    async def listed(request: Request, _: Admin, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """All webhooks, oldest first, without their secrets."""
        found = sorted(await book.all(), key=_age)
        return paged(request, found, limit=limit, key=_age, cursor=cursor)

    made = replies("webhook made", 409, 413, status=201)

    @router.post("", status_code=201, responses=made, openapi_extra=request_body("draft"))
    async def create(request: Request, who: Admin, _: KEY = None) -> Response:
        """Subscribe an address; the answer shows the secret, once."""
        draft = await read(request, Draft)

        async def work() -> Response:
            made = await book.create(draft)
            where = {"location": f"{request.url.path}/{made.webhook.id}"}
            return answer(request, WebhookMade(webhook=made.webhook, secret=made.secret), status=201, headers=where)

        return await repeats.once(request, who, work, secret=True)

    @router.get("/{webhook_id}", responses=replies("webhook", 304, 404))
    async def one(request: Request, _: Admin, webhook_id: Id) -> Response:
        """One webhook."""
        return answer(request, await book.get(WebhookId(webhook_id)))

    @router.patch("/{webhook_id}", responses=replies("webhook", 404, 413), openapi_extra=request_body("change"))
    async def update(request: Request, _: Admin, webhook_id: Id) -> Response:
        """Change what is given; what waits goes to the new address."""
        return answer(request, await book.update(WebhookId(webhook_id), await read(request, Change)))

    @router.delete("/{webhook_id}", status_code=204, responses=problem_replies(401, 403, 404, 422))
    async def delete(_: Admin, webhook_id: Id) -> Response:
        """With its log; what waits is not delivered."""
        await book.delete(WebhookId(webhook_id))
        return Response(status_code=204)


def _verbs(router: APIRouter, book: Webhooks, repeats: Repeats) -> None:
    @router.post("/{webhook_id}/rotate", responses=replies("secret", 404, 409, 413))
    async def rotate(
        request: Request,
        who: Admin,
        webhook_id: Id,
        overlap: Overlap = OVERLAP,
        _: KEY = None,
    ) -> Response:
        """A new secret, shown once."""

        async def work() -> Response:
            return answer(request, Secret(secret=await book.rotate(WebhookId(webhook_id), overlap)))

        return await repeats.once(request, who, work, secret=True)

    @router.post("/{webhook_id}/enable", responses=replies("webhook", 404, 413))
    async def enable(request: Request, _: Admin, webhook_id: Id) -> Response:
        """Go on where it was left, with what waits at once."""
        return answer(request, await book.enable(WebhookId(webhook_id)))

    @router.post("/{webhook_id}/disable", responses=replies("webhook", 404, 413))
    async def disable(request: Request, who: Admin, webhook_id: Id) -> Response:
        """Nothing is delivered until it is enabled, and nothing is lost."""
        return answer(request, await book.disable(WebhookId(webhook_id), f"by {who.name}"))


def _deliveries(router: APIRouter, book: Webhooks, repeats: Repeats) -> None:
    @router.get("/{webhook_id}/deliveries", responses=replies("deliveries", 304, 404))
    async def deliveries(request: Request, _: Admin, webhook_id: Id, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """The log, oldest first: what was sent, how often, and what came of it."""
        text = "0" if cursor is None else opened(cursor)
        if not text.isdigit() or len(text) > 19:  # noqa: PLR2004 - digits of an int64
            raise ProblemError(404, "cursor: not one that this service gave out")
        found = await book.deliveries(WebhookId(webhook_id), after=int(text), limit=limit)
        return page(request, found, sealed(str(found[-1].number)) if len(found) == limit else None)

    @router.post("/{webhook_id}/test", status_code=202, responses=replies("delivery", 404, 413, status=202))
    async def test(request: Request, _: Admin, webhook_id: Id) -> Response:
        """Send a delivery of type `test`, which is tried once; the log says what came of it."""
        return answer(request, await book.send_test(WebhookId(webhook_id)), status=202)

    @router.post("/deliveries/{delivery_id}/replay", status_code=202, responses=replies("delivery", 404, 413, status=202))
    async def replay(request: Request, who: Admin, delivery_id: Id, _: KEY = None) -> Response:
        """Deliver once more under the same id."""

        async def work() -> Response:
            return answer(request, await book.replay(delivery_id), status=202)

        return await repeats.once(request, who, work)


def _age(webhook: Webhook) -> Key:
    return moment(webhook.created_at), webhook.id


async def read(request: Request, kind: type[Body]) -> Body:
    """The body of a request. Raises InvalidError."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError("body", str(error)) from error
