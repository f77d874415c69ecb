"""Deliveries to a real receiver: what it gets, and what becomes of those that it does not take."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from schemas.event import Severity, instant
from streams.feed import Filter
from streams.findings import Kind
from streams.webhooks.endpoint import Change, Draft, InvalidWebhookError, WebhookId
from streams.webhooks.log import Delivery
from streams.webhooks.record import TooManyWebhooksError, UnknownDeliveryError, UnknownWebhookError
from streams.webhooks.schedule import DELAYS
from tests.streams.webhooks.receiver import Receiver, Request, in_turn, receiving, status
from tests.streams.webhooks.site import Site, VirtualClock, alert, logged, transition, transitions
from tests.waiting import until


async def test_a_receiver_gets_a_row_and_can_verify_it(plant: Site, receiver: Receiver) -> None:
    webhook, secret = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(transition())
    await logged(plant, webhook.id, ["delivered"])
    (request,) = receiver.requests
    assert request.target == "/hook?key=hidden"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    event = Verifier(secret).verify(request.body, request.headers)
    assert (event["type"], event["site"], event["timestamp"]) == ("alarm.transition", "plant", "2026-01-05T00:00:00Z")
    assert event["data"]["alarm"]["deviceId"] == "pump-1"
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(request.body + b" ", request.headers)


async def test_only_rows_after_the_webhook_was_made_are_told(plant: Site, receiver: Receiver) -> None:
    await plant.add(transition(1))
    await until(lambda: plant.feed.newest == 1)
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(transition(2))
    await logged(plant, webhook.id, ["delivered"])
    assert [request.event["data"]["alarm"].get("version") for request in receiver.requests] == [2]


async def test_only_what_the_filter_wants_is_told(plant: Site, receiver: Receiver) -> None:
    wanted = Filter(kinds=(Kind.ALARMS,), severity=Severity.HIGH)
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url, filter=wanted))
    await plant.add(alert(), transition(1, severity=Severity.LOW), transition(2), transition(1, "pump-2"))
    await logged(plant, webhook.id, ["delivered"] * 2)
    assert sorted(receiver.ids) == [f"{webhook.id}-3", f"{webhook.id}-4"]
    await plant.webhooks.update(webhook.id, Change(filter=Filter(kinds=(Kind.ALERTS,))))
    await plant.add(transition(3), alert("pump-2"))
    await logged(plant, webhook.id, ["delivered"] * 3)
    assert receiver.requests[-1].event["type"] == "alert"


async def test_the_schedule_is_followed_to_its_end(plant: Site, receiver: Receiver, clock: VirtualClock) -> None:
    receiver.answer = status(500)
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(transition())
    for attempt, delay in enumerate(DELAYS[1:], 1):
        await logged(plant, webhook.id, ["pending"], attempts=attempt)
        clock.advance(delay * 0.89)
        await asyncio.sleep(0.02)
        assert len(receiver.requests) == attempt, "too early"
        clock.advance(delay * 0.22)
    (line,) = await logged(plant, webhook.id, ["failed"])
    assert (line.attempts, line.status, line.next_attempt_at) == (10, 500, None)
    assert set(receiver.ids) == {line.id}


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
async def test_a_busy_receiver_is_left_alone(
    plant: Site, receiver: Receiver, clock: VirtualClock, *, code: int, dated: bool
) -> None:
    date = format_datetime(instant(clock.now()) + timedelta(seconds=121), usegmt=True)
    receiver.answer = in_turn(status(code, retry_after=date if dated else "120"), status(204))
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await _tried(plant, webhook.id)
    await plant.add(transition(2))
    await logged(plant, webhook.id, ["pending"] * 2)
    clock.advance(110)
    await asyncio.sleep(0.02)
    assert len(receiver.requests) == 1, "neither the one nor the other"
    clock.advance(15)
    await logged(plant, webhook.id, ["delivered"] * 2)


async def test_nobody_holds_a_delivery_for_longer_than_an_hour(plant: Site, receiver: Receiver, clock: VirtualClock) -> None:
    receiver.answer = in_turn(status(429, retry_after="9" * 400), status(204))
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    line = await _tried(plant, webhook.id)
    clock.advance(3_601)
    await logged(plant, webhook.id, ["delivered"])
    assert line.status == 429


async def test_a_receiver_that_is_gone_is_disabled(plant: Site, receiver: Receiver) -> None:
    receiver.answer = in_turn(status(410), status(204))
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(transition(1))
    await logged(plant, webhook.id, ["failed"])
    disabled = await plant.webhooks.get(webhook.id)
    assert (disabled.enabled, disabled.disabled_reason) == (False, "the receiver answered 410 Gone")
    await plant.add(transition(2))
    await asyncio.sleep(0.05)
    assert len(receiver.requests) == 1
    assert (await plant.webhooks.enable(webhook.id)).disabled_reason is None
    await logged(plant, webhook.id, ["failed", "delivered"])


async def test_redirects_are_not_followed(plant: Site, receiver: Receiver) -> None:
    async with receiving() as inside:
        receiver.answer = status(307, location=inside.url)
        webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
        line = await _tried(plant, webhook.id)
        assert (line.state, line.status, inside.requests) == ("pending", 307, [])


async def test_a_huge_answer_is_not_read(plant: Site, receiver: Receiver) -> None:
    written = 0

    async def huge(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while written < 1_000_000_000:
            writer.write(bytes(65_536))
            await writer.drain()
            written += 65_536

    receiver.answer = huge
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(transition())
    await logged(plant, webhook.id, ["delivered"])
    await until(lambda: receiver.open == 0)
    assert written < 100_000_000


async def test_order_and_at_most_eight_at_a_time(plant: Site, receiver: Receiver) -> None:
    go = asyncio.Event()

    async def later(request: Request, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await status(204)(request, writer)

    receiver.answer = later
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(*transitions(40))
    await until(lambda: len(receiver.ids) >= 6)
    numbers = {int(name.rpartition("-")[2]) for name in receiver.ids}
    assert numbers == set(range(1, len(numbers) + 1)), "the first ones are on their way first"
    go.set()
    await logged(plant, webhook.id, ["delivered"] * 40)
    assert receiver.most_open <= 8
    assert len(set(receiver.ids)) == len(receiver.ids) == 40


async def test_one_that_fails_does_not_hold_up_the_others(plant: Site, receiver: Receiver) -> None:
    async def picky(request: Request, writer: asyncio.StreamWriter) -> None:
        await status(500 if request.id.endswith("-1") else 204)(request, writer)

    receiver.answer = picky
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(*transitions(20))
    await logged(plant, webhook.id, ["pending"] + ["delivered"] * 19)


async def test_replay_sends_the_same_again(plant: Site, receiver: Receiver) -> None:
    webhook, secret = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.add(transition())
    (line,) = await logged(plant, webhook.id, ["delivered"])
    await plant.webhooks.replay(line.id)
    await until(lambda: len(receiver.requests) == 2)
    (line,) = await logged(plant, webhook.id, ["delivered"])
    first, second = receiver.requests
    assert (first.id, first.body) == (second.id, second.body)
    assert Verifier(secret).verify(second.body, second.headers)
    with pytest.raises(UnknownDeliveryError):
        await plant.webhooks.replay("none")


async def test_both_secrets_sign_until_the_old_one_ends(plant: Site, receiver: Receiver, clock: VirtualClock) -> None:
    webhook, old = await plant.webhooks.create(Draft(url=receiver.url))
    new = await plant.webhooks.rotate(webhook.id, 60)
    await plant.add(transition(1))
    await logged(plant, webhook.id, ["delivered"])
    for secret in (old, new):
        assert Verifier(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)
    clock.advance(61)
    await plant.add(transition(2))
    await logged(plant, webhook.id, ["delivered"] * 2)
    last = receiver.requests[-1]
    assert Verifier(new).verify(last.body, last.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(last.body, last.headers)
    with pytest.raises(InvalidWebhookError, match="overlap"):
        await plant.webhooks.rotate(webhook.id, -1)


async def test_a_test_is_tried_once(plant: Site, receiver: Receiver) -> None:
    receiver.answer = in_turn(status(204), status(500))
    webhook, secret = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.webhooks.send_test(webhook.id)
    await logged(plant, webhook.id, ["delivered"])
    assert Verifier(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)["type"] == "test"
    await plant.webhooks.send_test(webhook.id)
    await logged(plant, webhook.id, ["delivered", "failed"])


async def test_a_disabled_webhook_goes_on_where_it_was(plant: Site, receiver: Receiver, clock: VirtualClock) -> None:
    receiver.answer = in_turn(status(500), status(204))
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await _tried(plant, webhook.id)
    await plant.webhooks.disable(webhook.id, "under repair")
    clock.advance(1_000)
    await plant.add(transition(2))
    await asyncio.sleep(0.05)
    assert len(receiver.requests) == 1
    await plant.webhooks.enable(webhook.id)
    await logged(plant, webhook.id, ["delivered"] * 2)


async def test_a_deleted_webhook_is_told_nothing_and_forgotten(plant: Site, receiver: Receiver) -> None:
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    other, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await plant.webhooks.delete(webhook.id)
    await plant.add(transition())
    await logged(plant, other.id, ["delivered"])
    assert receiver.ids == [f"{other.id}-1"]
    assert await plant.webhooks.all() == [other]
    assert not any(webhook.id in task.get_name() for task in asyncio.all_tasks())
    for call in (plant.webhooks.get, plant.webhooks.delete, plant.webhooks.deliveries, plant.webhooks.send_test):
        with pytest.raises(UnknownWebhookError):
            await call(webhook.id)


async def test_what_waits_goes_to_the_new_url(plant: Site, receiver: Receiver, clock: VirtualClock) -> None:
    receiver.answer = status(500)
    webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
    await _tried(plant, webhook.id)
    async with receiving() as other:
        await plant.webhooks.update(webhook.id, Change(url=other.url))
        clock.advance(6)
        await logged(plant, webhook.id, ["delivered"])
        assert other.ids == receiver.ids
    with pytest.raises(InvalidWebhookError, match="url"):
        await plant.webhooks.update(webhook.id, Change(url="http://example.com"))


async def test_there_are_at_most_a_hundred(plant: Site, receiver: Receiver) -> None:
    for _ in range(100):
        await plant.webhooks.create(Draft(url=receiver.url))
    with pytest.raises(TooManyWebhooksError):
        await plant.webhooks.create(Draft(url=receiver.url))


async def _tried(plant: Site, webhook: WebhookId) -> Delivery:
    """Add a row; its delivery after the first attempt, which fails."""
    await plant.add(transition())
    (line,) = await logged(plant, webhook, ["pending"], attempts=1)
    return line
