"""The book of webhooks: what the API's routes call, and the workers that deliver. One for each site."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from schemas.event import Micros, rfc3339
from streams.feed import Feed
from streams.webhooks.body import Origin, test_body
from streams.webhooks.endpoint import Change, Draft, InvalidWebhookError, Secret, Webhook, WebhookId, check, new_secret
from streams.webhooks.guard import Allowed, GuardedNetwork, SystemResolver
from streams.webhooks.log import Delivery, Entry
from streams.webhooks.record import Record, valid
from streams.webhooks.schedule import Clock, WallClock, later
from streams.webhooks.sender import Sender
from streams.webhooks.worker import Worker

OVERLAP = 86_400.0
LONGEST_OVERLAP = 604_800.0
MOST_SECRETS = 4
MOST_AT_ONCE = 1_000


class Created(NamedTuple):
    """The only time that a secret is shown, besides rotation."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        return f"Created({self.webhook.id})"


class Serving(NamedTuple):
    worker: Worker
    task: asyncio.Task[None]


class Webhooks:
    """`run` must be running for anything to be delivered. Methods raise UnknownWebhookError for an id that is none."""

    def __init__(
        self, record: Record, *, feed: Feed, sender: Sender, allowed: Allowed, origin: Origin, clock: Clock | None = None
    ) -> None:
        self._record = record
        self._feed = feed
        self._sender = sender
        self._allowed = allowed
        self._origin = origin
        self._clock = clock or WallClock()
        self._serving: dict[WebhookId, Serving] = {}
        self._group: asyncio.TaskGroup | None = None
        self._removing = asyncio.Lock()

    @classmethod
    def of(cls, path: Path, *, feed: Feed, origin: Origin, private: Iterable[str] = ()) -> Self:
        """`private`: networks and hosts that may be reached besides the public internet."""
        allowed = Allowed(private)
        sender = Sender(GuardedNetwork(SystemResolver(), allowed))
        return cls(Record(path), feed=feed, sender=sender, allowed=allowed, origin=origin)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            async with self._removing:
                self._group = group
                for webhook in await self._record.webhooks():
                    self._serve(webhook.id)
            await asyncio.Event().wait()

    def _serve(self, name: WebhookId) -> None:
        if self._group is None or name in self._serving:
            return
        worker = Worker(name, record=self._record, feed=self._feed, sender=self._sender, clock=self._clock, origin=self._origin)
        self._serving[name] = Serving(worker, self._group.create_task(worker.run(), name=f"webhook-{name}"))

    def _wake(self, name: WebhookId) -> None:
        if serving := self._serving.get(name):
            serving.worker.wake()

    # --- Endpoints --------------------------------------------------------------------------------------------------------

    async def create(self, draft: Draft) -> Created:
        """It gets rows from now on. Raises InvalidWebhookError, TooManyWebhooksError."""
        check(draft, self._allowed)
        name = WebhookId(f"wh_{secrets.token_hex(8)}")
        webhook = Webhook(
            id=name,
            url=draft.url,
            description=draft.description,
            filter=draft.filter,
            format=draft.format,
            created_at=rfc3339(self._clock.now()),
        )
        secret = new_secret()
        await self._record.create(webhook, secret, self._feed.newest)
        self._serve(name)
        return Created(webhook, secret.value)

    async def all(self) -> list[Webhook]:
        """Oldest first."""
        return await self._record.webhooks()

    async def get(self, name: WebhookId) -> Webhook:
        return await self._record.webhook(name)

    async def update(self, name: WebhookId, change: Change) -> Webhook:
        """What waits goes to the new URL, in the format that it was made in. Raises InvalidWebhookError."""
        given = {field: value for field, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}

        def changed(webhook: Webhook) -> Webhook:
            replaced = msgspec.structs.replace(webhook, **given)
            check(replaced, self._allowed)
            return replaced

        webhook = await self._record.change(name, changed)
        self._wake(name)
        return webhook

    async def delete(self, name: WebhookId) -> None:
        """With its log; what waits is not delivered."""
        async with self._removing:
            if serving := self._serving.pop(name, None):
                serving.task.cancel()
                await asyncio.wait([serving.task])
            await self._record.remove(name)

    async def rotate(self, name: WebhookId, overlap: float = OVERLAP) -> str:
        """A new secret. For `overlap` seconds, deliveries are signed with the old ones too. Raises InvalidWebhookError."""
        if not 0 <= overlap <= LONGEST_OVERLAP:
            raise InvalidWebhookError("overlap", f"not between 0 and {LONGEST_OVERLAP:.0f} seconds")
        now = self._clock.now()
        fresh = new_secret()

        def rotated(held: list[Secret]) -> list[Secret]:
            old = [_ending(secret, later(now, overlap)) for secret in held]
            return [fresh, *(secret for secret in old if valid(secret, now))][:MOST_SECRETS]

        await self._record.change_secrets(name, rotated)
        return fresh.value

    async def enable(self, name: WebhookId) -> Webhook:
        """Go on where it was left, with what waits at once."""
        now = self._clock.now()
        enabled = await self._record.change(
            name, lambda webhook: msgspec.structs.replace(webhook, enabled=True, disabled_reason=None), hasten=now
        )
        self._wake(name)
        return enabled

    async def disable(self, name: WebhookId, reason: str) -> Webhook:
        """Nothing is delivered until it is enabled, and nothing is lost."""
        return await self._record.change(
            name, lambda webhook: msgspec.structs.replace(webhook, enabled=False, disabled_reason=reason)
        )

    # --- Deliveries -------------------------------------------------------------------------------------------------------

    async def deliveries(self, name: WebhookId, after: int = 0, limit: int = 100) -> list[Delivery]:
        """The log behind a delivery's number, oldest first."""
        return await self._record.deliveries(name, after, min(max(limit, 1), MOST_AT_ONCE))

    async def replay(self, delivery: str) -> Delivery:
        """Deliver once more under the same id, with all attempts. Raises UnknownDeliveryError."""
        waiting = await self._record.again(delivery, self._clock.now())
        self._wake(waiting.webhook_id)
        return waiting

    async def send_test(self, name: WebhookId) -> Delivery:
        """A delivery of type `test`, which is tried once; the log says what came of it."""
        now = self._clock.now()
        webhook = await self._record.webhook(name)
        entry = Entry(f"{name}-test-{secrets.token_hex(4)}", test_body(webhook, self._origin, rfc3339(now)))
        delivery = await self._record.add(name, entry, now)
        self._wake(name)
        return delivery

    def close(self) -> None:
        self._record.close()


def _ending(secret: Secret, end: Micros) -> Secret:
    return Secret(secret.value, end if secret.until is None else min(secret.until, end))
