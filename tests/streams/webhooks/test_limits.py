"""Receivers that are dead or slow cost little, and nothing for ever."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from streams.feed import AT_ONCE
from streams.webhooks.endpoint import Draft
from tests.streams.webhooks.receiver import Answer, Receiver, Request, status
from tests.streams.webhooks.site import VirtualClock, logged, site, transitions


async def _drip(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _drip_headers(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-more: of it\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("answer", [_drip, _drip_headers])
async def test_a_receiver_that_drips_is_cut_off(
    tmp_path: Path, clock: VirtualClock, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = answer
    async with site(tmp_path, clock, patience=0.3) as plant:
        webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
        await plant.add(*transitions(1))
        (line,) = await logged(plant, webhook.id, ["pending"], attempts=1)
    assert (line.status, line.error) == (None, "TimeoutError")


async def test_what_is_no_http_is_a_failure(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    async def nonsense(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    receiver.answer = nonsense
    async with site(tmp_path, clock) as plant:
        webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
        await plant.add(*transitions(1))
        (line,) = await logged(plant, webhook.id, ["pending"], attempts=1)
    assert line.error is not None
    assert line.error.startswith("RemoteProtocolError")


async def test_a_thousand_rows_for_a_dead_receiver(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    receiver.answer = status(500)
    async with site(tmp_path, clock, kept=100) as plant:
        webhook, _ = await plant.webhooks.create(Draft(url=receiver.url))
        await plant.add(*transitions(1_000))
        waiting = await plant.webhooks.deliveries(webhook.id, limit=1_000)
        while not waiting or any(line.attempts == 0 for line in waiting):
            await asyncio.sleep(0.01)
            waiting = await plant.webhooks.deliveries(webhook.id, limit=1_000)
        assert len(waiting) <= 100 + AT_ONCE, "the others wait in the feed"
        assert len(asyncio.all_tasks()) < 30
        assert _size(tmp_path) < 8_000_000

        receiver.answer = status(204)
        receiver.requests.clear()
        told: set[str] = set()
        while len(told) < 1_000:
            await plant.webhooks.enable(webhook.id)
            await asyncio.sleep(0.02)
            told = set(receiver.ids)
        assert len(await plant.webhooks.deliveries(webhook.id, limit=1_000)) <= 100 + AT_ONCE
        assert told == {f"{webhook.id}-{number}" for number in range(1, 1_001)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("webhooks.db*"))


async def test_neither_secrets_nor_urls_are_in_the_log_of_the_service(
    tmp_path: Path, clock: VirtualClock, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = status(500)
    with caplog.at_level(logging.DEBUG):
        async with site(tmp_path, clock) as plant:
            webhook, secret = await plant.webhooks.create(Draft(url=receiver.url))
            await plant.add(*transitions(2))
            await logged(plant, webhook.id, ["pending"] * 2, attempts=1)
            message = await plant.record.message(webhook.id, 1, clock.now())
    assert "500" in caplog.text
    for hidden in (secret, secret.removeprefix("whsec_"), "key=hidden"):
        assert hidden not in caplog.text
        assert hidden not in repr(message)
