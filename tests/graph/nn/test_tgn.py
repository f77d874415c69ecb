"""The temporal graph against plain numpy, and its promises: batches, snapshots, reading, coming and going."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.nn.intake import LARGEST, BadRowError
from graph.nn.tgn import Listeners, TemporalGraph
from graph.nn.weights import Weights
from tests.graph.nn.plain import PlainGraph
from tests.graph.nn.streams import (
    NEIGHBOURS,
    START,
    WEIGHTS,
    Stream,
    audience,
    everything,
    fresh,
    listeners,
    statics,
    stream,
)

laws = settings(derandomize=True, database=None, max_examples=40, deadline=None)
seeds = st.integers(0, 1000)
ALL = np.arange(6)
LATER = START + 10_000_000_000


def plain(nodes: int = 6) -> PlainGraph:
    graph = PlainGraph(WEIGHTS, NEIGHBOURS)
    graph.join(range(nodes))
    return graph


def interact(graph: TemporalGraph, events: Stream) -> np.ndarray:
    return graph.interact(*events)


@pytest.mark.parametrize("weights", [WEIGHTS, Weights.random(3, memory=32, message=3, time=16, heads=1)])
def test_agrees_with_plain_numpy(weights: Weights) -> None:
    events, graph, meant = stream(1, 120, message=weights.message), fresh(weights=weights), PlainGraph(weights, NEIGHBOURS)
    meant.join(range(6))
    np.testing.assert_allclose(interact(graph, events), meant.interact(*events), atol=1e-5)
    np.testing.assert_allclose(graph.memory(ALL), [meant.nodes[slot].memory for slot in range(6)], atol=1e-5)


def test_agrees_with_plain_numpy_on_telemetry_and_static_vectors() -> None:
    events, heard, lists = stream(2, 60), stream(3, 60), audience(3, 60)
    graph, meant = TemporalGraph(WEIGHTS, NEIGHBOURS), PlainGraph(WEIGHTS, NEIGHBOURS)
    meant.join(graph.join(6, statics(1)), statics(1))
    for first in range(0, 60, 20):
        some, said = events.part(first, first + 20), heard.part(first, first + 20)
        np.testing.assert_allclose(interact(graph, some), meant.interact(*some), atol=1e-5)
        found = graph.hear(said.source, said.at, said.message, listeners(lists[first : first + 20]))
        np.testing.assert_allclose(found, meant.hear(said.source, said.at, said.message, lists[first : first + 20]), atol=1e-5)
    expected = [meant.embedding(meant.nodes[slot], LATER) for slot in range(6)]
    np.testing.assert_allclose(graph.embed(ALL, LATER), expected, atol=1e-5)


@laws
@given(seeds, st.sets(st.integers(1, 79), max_size=6))
def test_batches_do_not_matter(seed: int, cuts: set[int]) -> None:
    events, whole, parts = stream(seed, 80), fresh(), fresh()
    found = [interact(parts, events.part(*ends)) for ends in pairwise([0, *sorted(cuts), 80])]
    assert np.concatenate(found).tobytes() == interact(whole, events).tobytes()
    assert everything(parts, ALL, LATER) == everything(whole, ALL, LATER)


@laws
@given(seeds, st.sets(st.integers(1, 79), max_size=6))
def test_batches_of_telemetry_do_not_matter(seed: int, cuts: set[int]) -> None:
    events, lists, whole, parts = stream(seed, 80), audience(seed, 80), fresh(), fresh()
    found = [
        parts.hear(events.source[a:b], events.at[a:b], events.message[a:b], listeners(lists[a:b]))
        for a, b in pairwise([0, *sorted(cuts), 80])
    ]
    assert np.concatenate(found).tobytes() == whole.hear(events.source, events.at, events.message, listeners(lists)).tobytes()
    assert everything(parts, ALL, LATER) == everything(whole, ALL, LATER)


def test_batches_do_not_matter_at_full_width() -> None:
    weights = Weights.random(5, memory=100, message=33, time=100)
    events = stream(4, 700, nodes=90, message=33)
    whole, parts = fresh(90, weights, 10), fresh(90, weights, 10)
    found = [interact(parts, events.part(first, first + 1)) for first in range(700)]
    assert np.concatenate(found).tobytes() == interact(whole, events).tobytes()


@laws
@given(seeds, st.integers(0, 40))
def test_goes_on_from_a_snapshot_as_if_never_stopped(seed: int, stop: int) -> None:
    events, graph, other = stream(seed, 40), fresh(), TemporalGraph(WEIGHTS, NEIGHBOURS)
    graph.leave([2])
    graph.join(1, statics(seed, 1))
    interact(graph, events.part(0, stop))
    saved = graph.snapshot()
    other.restore(saved)
    assert other.snapshot() == saved
    rest = events.part(stop, 40)
    assert interact(other, rest).tobytes() == interact(graph, rest).tobytes()
    assert other.join(3).tolist() == graph.join(3).tolist()
    assert other.snapshot() == graph.snapshot()


@laws
@given(seeds)
def test_reading_changes_nothing(seed: int) -> None:
    events, read, unread = stream(seed, 40), fresh(), fresh()
    for first in range(0, 40, 8):
        before = read.snapshot()
        read.embed(ALL, int(events.at[first]))
        assert read.snapshot() == before
        interact(read, events.part(first, first + 8))
        assert unread.interact(*events.part(first, first + 8), read=False).shape == (0, 2, WEIGHTS.embedding)
    assert read.snapshot() == unread.snapshot()


def test_an_interaction_answers_what_embedding_right_before_it_would() -> None:
    events, graph = stream(5, 30), fresh()
    for event in range(30):
        some = events.part(event, event + 1)
        ends = np.concatenate([some.source, some.target])
        before = graph.embed(ends, int(some.at[0]))
        assert interact(graph, some).tobytes() == before.tobytes()


@laws
@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "events"]), seeds), max_size=12))
def test_nodes_come_and_go(steps: list[tuple[str, int]]) -> None:
    """As plain numpy has it, where a new node is a new object."""
    graph, meant = fresh(3), plain(3)
    for step, seed in steps:
        living = np.array(sorted(meant.nodes))
        if step == "join":
            meant.join(graph.join(1 + seed % 40))
        elif step == "leave" and len(living) > 1:
            gone = living[seed % len(living) :][:2]
            graph.leave(gone)
            meant.leave(gone)
        elif len(living):
            events = stream(seed, 12, nodes=len(living))
            events = events._replace(source=living[events.source], target=living[events.target])
            np.testing.assert_allclose(interact(graph, events), meant.interact(*events), atol=1e-5)
        assert len(graph) == len(meant.nodes)
    living = np.array(sorted(meant.nodes), dtype=np.int64)
    expected = np.array([meant.embedding(meant.nodes[slot], LATER) for slot in living]).reshape(len(living), -1)
    np.testing.assert_allclose(graph.embed(living, LATER), expected, atol=1e-5)


def test_a_slot_used_again_knows_nothing() -> None:
    graph = fresh()
    interact(graph, stream(6, 50))
    blank = everything(fresh(), [0], LATER)
    graph.leave([3, 4])
    assert sorted(graph.join(2)) == [3, 4]
    assert everything(graph, [3], LATER) == blank == everything(graph, [4], LATER)


def test_who_left_is_not_seen_in_others_rings() -> None:
    graph, alone = fresh(), fresh()
    said = np.ones((1, WEIGHTS.message))
    graph.hear([1], [START], said, Listeners(np.array([0, 1]), np.array([0])))
    assert everything(graph, [0], LATER) != everything(alone, [0], LATER)
    graph.leave([1])
    assert everything(graph, [0], LATER) == everything(alone, [0], LATER)
    graph.join(1)
    assert everything(graph, [0], LATER) == everything(alone, [0], LATER)


def test_rooms_grow_without_a_trace() -> None:
    events, small, large = stream(7, 60), fresh(), fresh(5000)
    interact(small, events.part(0, 30))
    small.join(4994)
    interact(large, events.part(0, 30))
    assert interact(small, events.part(30, 60)).tobytes() == interact(large, events.part(30, 60)).tobytes()
    assert small.snapshot() == large.snapshot()


def test_a_static_vector_shows_at_once_and_stays_out_of_the_memory() -> None:
    graph, meant = fresh(), plain()
    events = stream(8, 30)
    interact(graph, events)
    meant.interact(*events)
    memory = graph.memory(ALL).tobytes()
    graph.describe(ALL, statics(3))
    for slot in range(6):
        meant.nodes[slot].static = statics(3)[slot].astype(np.float64)
    assert graph.memory(ALL).tobytes() == memory
    np.testing.assert_allclose(
        graph.embed(ALL, LATER), [meant.embedding(meant.nodes[slot], LATER) for slot in range(6)], atol=1e-5
    )


@pytest.mark.parametrize("jump", [2**61, -(2**61)])
def test_clocks_that_jump_give_numbers(jump: int) -> None:
    graph, events = fresh(), stream(9, 40)
    at = events.at.copy()
    at[10:20] = jump
    found = interact(graph, events._replace(at=at))
    assert np.isfinite(found).all()
    assert np.isfinite(graph.embed(ALL, START)).all()


def test_a_neighbour_from_the_future_counts_as_one_of_now() -> None:
    graph = fresh()
    interact(graph, stream(10, 20))
    latest = int(stream(10, 20).at.max())
    assert graph.embed(ALL, START - 10**15).tobytes() != graph.embed(ALL, latest + 10**9).tobytes()
    one = fresh()
    one.interact([0], [1], [START], np.ones((1, WEIGHTS.message)))
    assert one.embed([0], START - 10**12).tobytes() == one.embed([0], START).tobytes()


def test_huge_numbers_are_held_to_the_largest() -> None:
    huge, large = fresh(), fresh()
    events = stream(11, 20)
    said = events.message.astype(np.float64)
    said[3], said[7, 2], said[9, 1] = 1e300, -np.inf, np.inf
    found = huge.interact(events.source, events.target, events.at, said)
    assert np.isfinite(found).all()
    assert (
        found.tobytes() == large.interact(events.source, events.target, events.at, np.clip(said, -LARGEST, LARGEST)).tobytes()
    )


def test_a_bad_row_is_named_and_nothing_is_taken() -> None:
    graph, events = fresh(), stream(12, 300)
    before = graph.snapshot()
    said = events.message.copy()
    said[280, 3] = np.nan
    with pytest.raises(BadRowError, match="row 280: message 3 is not a number"):
        interact(graph, events._replace(message=said))
    with pytest.raises(BadRowError, match="row 1: slot 6 holds no node"):
        graph.interact([0, 6], [1, 1], [START, START], np.zeros((2, WEIGHTS.message)))
    with pytest.raises(BadRowError, match="row 0: slot -1 holds no node"):
        graph.embed([-1], START)
    with pytest.raises(BadRowError, match="row 0: time 4611686018427387904 is out of range"):
        graph.embed([0], 2**62)
    with pytest.raises(ValueError, match="at: float64"):
        graph.interact([0], [1], [1.5], np.zeros((1, WEIGHTS.message)))
    with pytest.raises(ValueError, match="message: shape"):
        graph.interact([0], [1], [START], np.zeros((1, 3)))
    with pytest.raises(ValueError, match="offsets"):
        graph.hear([0], [START], np.zeros((1, WEIGHTS.message)), Listeners(np.array([0, 2]), np.array([1])))
    with pytest.raises(ValueError, match="named twice"):
        graph.leave([1, 1])
    assert graph.snapshot() == before


def test_nothing_is_no_event() -> None:
    graph = TemporalGraph(WEIGHTS, NEIGHBOURS)
    assert graph.interact([], [], [], np.zeros((0, WEIGHTS.message))).shape == (0, 2, WEIGHTS.embedding)
    assert graph.embed([], START).shape == (0, WEIGHTS.embedding)
    assert len(graph.join(0)) == len(graph) == 0
    graph.restore(graph.snapshot())


def test_a_snapshot_is_refused_under_other_weights_rings_or_when_it_is_none() -> None:
    saved = fresh().snapshot()
    with pytest.raises(ValueError, match="other weights"):
        TemporalGraph(Weights.random(8, memory=20, message=5, time=11), NEIGHBOURS).restore(saved)
    with pytest.raises(ValueError, match="rings of another size"):
        TemporalGraph(WEIGHTS, 5).restore(saved)
    for bad in (b"", b"nonsense", saved[:-9]):
        with pytest.raises(ValueError, match="no snapshot"):
            fresh().restore(bad)


def test_going_on_equals_starting_over_from_the_log() -> None:
    """Incremental against one pass of plain numpy over all events."""
    events, graph, meant = stream(13, 2000), fresh(), plain()
    for first in range(0, 2000, 37):
        interact(graph, events.part(first, first + 37))
    meant.interact(*events)
    np.testing.assert_allclose(graph.memory(ALL), [meant.nodes[slot].memory for slot in range(6)], atol=1e-5)
    expected = [meant.embedding(meant.nodes[slot], LATER) for slot in range(6)]
    np.testing.assert_allclose(graph.embed(ALL, LATER), expected, atol=1e-5)
