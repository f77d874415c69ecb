"""The main loop ends in the middle of a batch: nothing of it is lost, and nothing is told twice."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from schemas.event import Event
from schemas.finding import AlertState
from schemas.frame import pack
from streams import checkpoint
from streams.crashpoints import CrashPoints
from streams.folder import Folder
from streams.service import Parts
from tests.e2e.service import SITE, running
from tests.streams.plant import START, alarm, births, stamp
from tests.waiting import HUNG, until

SECOND = 1_000_000


async def publish(parts: Parts) -> None:
    """A plant whose pump raises an alarm, straight into the log, and later news, so that the alarm is due."""
    born = [Event(stamp(number, START), body) for number, body in enumerate(births(), 1)]
    later = [Event(stamp(200, START + 60 * SECOND), body) for body in births()][:1]
    await parts.analysis.log.append(SITE, [pack([*born, alarm(100, START + SECOND, active=True), *later])])


def raised(parts: Parts) -> list[str]:
    alarms = parts.journal.annunciator.alarms()
    return [alarm.condition for alarm in alarms if alarm.alert.state is AlertState.RAISED and alarm.condition != "anomaly"]


async def test_a_batch_that_is_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    async with running(tmp_path) as (parts, _):
        await parts.journal._lock.acquire()
        await publish(parts)
        await until(lambda: parts.analysis.busy)
        asyncio.get_running_loop().call_later(0.5, parts.journal._lock.release)
    async with running(tmp_path) as (parts, _):
        assert raised(parts) == ["control:overload"]
        assert parts.analysis.offset == 1


async def test_it_has_work_from_the_moment_it_begins(tmp_path: Path) -> None:
    """Where the pipeline itself stands still, the service must not seem idle."""
    going = threading.Event()

    def stand_still(_: object) -> None:
        going.wait()

    async with running(tmp_path) as (parts, _):
        parts.analysis.takers.append(stand_still)
        await publish(parts)
        await until(lambda: parts.analysis.pipeline.counts.accepted)
        assert parts.analysis.busy
        going.set()
        await until(lambda: not parts.analysis.busy)
        assert parts.analysis.offset == 1


async def test_the_plant_s_time_goes_on_while_the_service_is_down(tmp_path: Path) -> None:
    async with running(tmp_path, checkpoint_every=HUNG) as (parts, _):  # the one at the end is the only one
        await publish(parts)
        await until(lambda: parts.clock.now)
        before = parts.clock.now
    held = checkpoint.load(Folder(tmp_path).checkpoint)
    assert held is not None
    assert held.plant >= before
    away = msgspec.structs.replace(held, wall=held.wall - 3 * 3600)
    checkpoint.save(away, Folder(tmp_path).checkpoint, CrashPoints())
    async with running(tmp_path) as (parts, _):
        assert parts.clock.now >= held.plant + 3 * 3600 * 1_000_000


async def failing(tmp_path: Path) -> None:
    """A service whose disk lets it down."""
    async with running(tmp_path) as (parts, _):
        await parts.journal._lock.acquire()
        await publish(parts)
        await until(lambda: parts.analysis.busy)
        parts.store.close()
        parts.journal._lock.release()
        await asyncio.sleep(HUNG)


async def test_what_could_not_be_kept_is_found_again(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await failing(tmp_path)
    async with running(tmp_path) as (parts, _):
        await until(lambda: raised(parts) == ["control:overload"])
