"""The service dies at each point of a delivery, and comes back over the same files: nothing is lost, nothing made twice."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from streams.findings import FindingStore
from streams.webhooks.endpoint import Draft, WebhookId
from streams.webhooks.record import Record
from tests.streams.webhooks.receiver import Receiver, Request, in_turn, status
from tests.streams.webhooks.site import ORIGIN, VirtualClock, logged, site, told, transition, transitions
from tests.waiting import until


async def _hang(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _made(folder: Path, clock: VirtualClock, receiver: Receiver) -> WebhookId:
    async with site(folder, clock) as plant:
        return (await plant.webhooks.create(Draft(url=receiver.url))).webhook.id


async def test_before_it_is_taken_in(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    name = await _made(tmp_path, clock, receiver)
    with closing(FindingStore(tmp_path / "findings.db")) as store:
        await store.add(transitions(3))
    async with site(tmp_path, clock) as plant:
        await logged(plant, name, ["delivered"] * 3)
    assert sorted(receiver.ids) == [f"{name}-{number}" for number in (1, 2, 3)]


async def test_after_it_is_taken_in(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    name = await _made(tmp_path, clock, receiver)
    rows = await told(tmp_path, *transitions(3))
    with closing(Record(tmp_path / "webhooks.db")) as record:
        for bulk in (rows[:2], rows):
            assert await record.take_in(name, bulk, origin=ORIGIN, now=clock.now())
        assert await record.position(name) == 3
        assert len(await record.deliveries(name, 0, 10)) == 3, "none twice"
    async with site(tmp_path, clock) as plant:
        await logged(plant, name, ["delivered"] * 3)
    assert sorted(receiver.ids) == [f"{name}-{number}" for number in (1, 2, 3)]


async def test_after_it_is_sent_and_before_that_is_noted(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    name = await _made(tmp_path, clock, receiver)
    receiver.answer = _hang
    async with site(tmp_path, clock) as plant:
        await plant.add(transition())
        await until(lambda: len(receiver.requests) == 1)
    receiver.answer = status(204)
    async with site(tmp_path, clock) as plant:
        await logged(plant, name, ["delivered"])
    first, second = receiver.requests
    assert (first.id, first.body) == (second.id, second.body), "the receiver can tell that it is the same"


async def test_after_it_is_noted(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    name = await _made(tmp_path, clock, receiver)
    async with site(tmp_path, clock) as plant:
        await plant.add(transition(1))
        await logged(plant, name, ["delivered"])
    async with site(tmp_path, clock) as plant:
        await plant.add(transition(2))
        await logged(plant, name, ["delivered"] * 2)
    assert receiver.ids == [f"{name}-1", f"{name}-2"]


async def test_between_two_attempts(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    name = await _made(tmp_path, clock, receiver)
    receiver.answer = in_turn(status(500), status(204))
    async with site(tmp_path, clock) as plant:
        await plant.add(transition())
        await logged(plant, name, ["pending"], attempts=1)
    async with site(tmp_path, clock) as plant:
        await asyncio.sleep(0.05)
        assert len(receiver.requests) == 1, "the schedule goes on, it does not begin again"
        clock.advance(6)
        (line,) = await logged(plant, name, ["delivered"])
    assert line.attempts == 2


@pytest.mark.parametrize("step", [1, 7, 23])
async def test_again_and_again(tmp_path: Path, clock: VirtualClock, receiver: Receiver, step: int) -> None:
    name = await _made(tmp_path, clock, receiver)
    with closing(FindingStore(tmp_path / "findings.db")) as store:
        await store.add(transitions(60))
    for _ in range(5):
        enough = min(len(set(receiver.ids)) + step, 60)
        async with site(tmp_path, clock):
            await until(lambda enough=enough: len(set(receiver.ids)) >= enough)  # type: ignore[misc]
    async with site(tmp_path, clock) as plant:
        await logged(plant, name, ["delivered"] * 60)
    assert set(receiver.ids) == {f"{name}-{number}" for number in range(1, 61)}
    assert len(receiver.ids) <= 60 + 5 * 8, "only what was on its way is told again"


async def test_secrets_are_for_the_owner_alone(tmp_path: Path, clock: VirtualClock, receiver: Receiver) -> None:
    await _made(tmp_path, clock, receiver)
    (tmp_path / "webhooks.db").chmod(0o644)
    async with site(tmp_path, clock) as plant:
        await plant.webhooks.create(Draft(url=receiver.url))
        modes = _modes(tmp_path)
    assert modes["webhooks.db"] == modes["webhooks.db-wal"] == 0o600


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.glob("webhooks.db*")}
