"""Readings by time: whatever the order in which they come, within a budget, and again after a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.device import DeviceId, SignalName
from schemas.event import Event, Log, Micros, Quality, SignalValue, Telemetry
from schemas.frame import pack
from streams.broker import SqliteLog
from streams.history import History, refill
from tests.streams.plant import START, recording, stamp

PUMP, LEVEL = DeviceId("pump-1"), SignalName("level")
ALL = (Micros(0), Micros(1 << 62))


def reading(number: int, value: SignalValue, *, at: int | None = None, device: DeviceId = PUMP) -> Event:
    return Event(stamp(number, START + number if at is None else at), Telemetry(device, {LEVEL: value}))


def test_a_stretch_in_the_order_of_time() -> None:
    history = History()
    history.observe([reading(3, 3.0), reading(1, 1.0), reading(2, 2.0)])
    found = history.read(PUMP, LEVEL, Micros(START + 1), Micros(START + 3))
    assert (list(found.at), list(found.value), found.since) == ([START + 1, START + 2], [1.0, 2.0], START + 1)
    assert not len(history.read(PUMP, SignalName("other"), *ALL).at)


def test_repeats_and_corrections_count_once() -> None:
    history = History()
    history.observe([reading(1, 1.0), reading(2, 2.0), reading(1, 1.0), reading(9, 5.0, at=START + 2)])
    assert list(history.read(PUMP, LEVEL, *ALL).value) == [1.0, 5.0]


def test_what_is_no_number_or_bad_is_passed_over() -> None:
    history = History()
    bad = Event(stamp(3, START + 3), Telemetry(PUMP, {LEVEL: 7.0}, Quality.BAD))
    history.observe([reading(1, "open"), reading(2, True), bad, Event(stamp(4, START), Log(PUMP, "hello"))])
    assert list(history.read(PUMP, LEVEL, *ALL).value) == [1.0]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 300)), max_size=30), st.integers(64, 3000))
def test_no_more_than_the_budget_and_the_newest_of_each(bulks: list[tuple[int, int]], budget: int) -> None:
    history, number, expected = History(budget), 0, dict[int, list[float]]()
    for device, count in bulks:
        events = []
        for _ in range(count):
            number += 1
            expected.setdefault(device, []).append(float(number))
            events.append(reading(number, float(number), device=DeviceId(f"d-{device}")))
        history.observe(events)
        assert history.held <= budget
    for device, values in expected.items():
        found = list(history.read(DeviceId(f"d-{device}"), LEVEL, *ALL).value)
        assert found == values[len(values) - len(found) :]


@given(st.lists(st.lists(st.integers(0, 5), max_size=120), max_size=8), st.integers(0, 200), st.integers(64, 2000))
def test_older_ones_go_before_what_is_there(blocks: list[list[int]], later: int, budget: int) -> None:
    """As a restart gives them: the stream's first, then the log's, newest block first."""
    numbered, number = [], 0
    for block in blocks:
        events = []
        for device in block:
            number += 1
            events.append(reading(number, float(number), device=DeviceId(f"d-{device}")))
        numbered.append(events)
    now = [reading(number + place, float(number + place), device=DeviceId("d-0")) for place in range(1, later + 1)]
    history = History(budget)
    history.observe(now)
    for events in reversed(numbered):
        history.observe_older(events)
        assert history.held <= budget
    every = [event for events in [*numbered, now] for event in events]
    for device in range(6):
        values = [event.body.values[LEVEL] for event in every if event.body.device_id == f"d-{device}"]  # type: ignore[union-attr]
        found = list(history.read(DeviceId(f"d-{device}"), LEVEL, *ALL).value)
        assert found == values[len(values) - len(found) :]


async def test_filled_again_from_the_log(tmp_path: Path) -> None:
    events = recording(400)
    log = SqliteLog(tmp_path / "log.db")
    frames = [pack(events[at : at + 4]) for at in range(0, len(events), 4)]
    await log.append("s", frames)
    whole, again, some = History(), History(), History()
    whole.observe(events)
    assert await refill(again, log, "s", before=len(frames)) == len(frames)
    for device in ("pump-1", "tank-1"):
        one, other = (history.read(DeviceId(device), LEVEL, *ALL) for history in (whole, again))
        assert np.array_equal(one.at, other.at)
        assert np.array_equal(one.value, other.value)
    assert await refill(some, log, "s", before=len(frames), records=250) == 250
    found, held = some.read(PUMP, LEVEL, *ALL), whole.read(PUMP, LEVEL, *ALL)
    assert 0 < len(found.at) < len(held.at)
    assert np.array_equal(found.at, held.at[-len(found.at) :])
    assert await refill(History(), log, "nothing", before=0) == 0
    log.close()
