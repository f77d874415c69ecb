"""Order in time, exactly, on a few events; and as laws."""

from __future__ import annotations

import itertools
import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.device import DeviceId
from schemas.event import Event, Log, Micros, Stamp
from streams.windows import Lateness, Reorder

LATENESS = Lateness(allowed=10, idle=100)


def event(at: int, source: str = "a", name: str | None = None) -> Event:
    return Event(Stamp(Micros(at), source, 0, 0, name or f"{source}{at}"), Log(DeviceId("d"), ""))


def times(events: list[Event]) -> list[int]:
    return [found.stamp.at for found in events]


def test_a_straggler_within_the_lateness_is_put_in_its_place() -> None:
    reorder = Reorder(LATENESS)
    assert times(reorder.push([event(100), event(95), event(120)]).ready) == [95, 100]
    assert reorder.watermark == 110


def test_what_comes_after_its_turn_is_late_and_not_lost() -> None:
    reorder = Reorder(LATENESS)
    reorder.push([event(100), event(120)])
    released = reorder.push([event(109), event(110)])
    assert (times(released.late), times(released.ready)) == ([109], [])


def test_a_repeat_is_counted_and_changes_nothing() -> None:
    reorder = Reorder(LATENESS)
    released = reorder.push([event(100), event(100), event(200)])
    assert (released.duplicates, times(released.ready)) == (1, [100])


def test_the_slowest_source_holds_the_watermark_until_it_is_idle() -> None:
    reorder = Reorder(LATENESS)
    reorder.push([event(100, "slow"), event(150, "fast")])
    assert reorder.watermark == 90
    reorder.push([event(201, "fast")])
    assert reorder.watermark == 191


def test_the_end_lets_everything_go() -> None:
    reorder = Reorder(LATENESS)
    reorder.push([event(100), event(99)])
    assert times(reorder.finish().ready) == [99, 100]


def test_too_many_waiting_are_let_go_early() -> None:
    reorder = Reorder(Lateness(allowed=1_000_000, waiting=10))
    released = reorder.push([event(at) for at in range(11)])
    assert len(released.ready) > 0


def test_ids_are_forgotten_only_after_as_many_newer_ones() -> None:
    reorder = Reorder(Lateness(allowed=0, remembered=10))
    reorder.push([event(at) for at in range(15)])
    assert reorder.push([event(5)]).duplicates == 1


def _released(events: list[Event], cuts: list[int]) -> tuple[list[str], int, int]:
    reorder = Reorder(Lateness(allowed=10, idle=50))
    ready: list[str] = []
    late = duplicates = 0
    bounds = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    for begin, end in itertools.pairwise(bounds):
        released = reorder.push(events[begin:end])
        ready += [found.stamp.id for found in released.ready]
        late += len(released.late)
        duplicates += released.duplicates
        again = Reorder(Lateness(allowed=10, idle=50))
        again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(reorder.state())))
        reorder = again
    ready += [found.stamp.id for found in reorder.finish().ready]
    return ready, late, duplicates


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from("abc")), max_size=60),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_batches_and_restarts_change_nothing(points: list[tuple[int, str]], cuts: list[int]) -> None:
    events = [event(at, source, f"{number}") for number, (at, source) in enumerate(points)]
    assert _released(events, []) == _released(events, cuts)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 500), max_size=60, unique=True), st.integers(0, 1000))
def test_arrival_order_within_the_lateness_changes_nothing(points: list[int], seed: int) -> None:
    rng = random.Random(seed)
    arrived = sorted(points, key=lambda at: at + rng.uniform(0, 9))
    ready, late, _ = _released([event(at) for at in arrived], [])
    assert (ready, late) == ([f"a{at}" for at in sorted(points)], 0)
