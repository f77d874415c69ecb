"""The pipeline's laws: batches, restarts and arrival order change nothing; an oracle knows the graph."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from graph.detection.model import Model
from graph.detection.training import train
from graph.topology import Topology
from schemas.device import DeviceId, Relation
from schemas.event import ActionResult, ActionStatus, Event, Linked, Unlinked
from streams.pipeline import Pipeline, Reaction
from streams.snapshots import SnapshotError
from streams.windows import Lateness
from tests.streams.plant import START, STEP, alarm, recording, stamp

LATENESS = Lateness(allowed=5 * STEP)


@pytest.fixture(scope="module")
def model() -> Model:
    return train([recording(600, seed=seed) for seed in range(3)], seed=0)


@pytest.fixture(scope="module")
def broken() -> list[Event]:
    events = recording(300, seed=9, broken_from=200)
    return [*events, alarm(len(events) + 1, events[-1].stamp.at, active=True)]


def gist(reactions: list[Reaction]) -> dict[str, Any]:
    """All that was found, comparable."""
    return {
        "scores": [(step.at, step.plant, step.score.tolist()) for reaction in reactions for step in reaction.steps],
        "faults": [fault for reaction in reactions for fault in reaction.faults],
        "alerts": [alert for reaction in reactions for alert in reaction.alerts],
    }


def run(pipeline: Pipeline, events: list[Event], size: int) -> dict[str, Any]:
    reactions = [pipeline(events[begin : begin + size]) for begin in range(0, len(events), size)]
    return gist([*reactions, pipeline.finish()])


def test_the_fault_is_found_behind_the_pump(model: Model, broken: list[Event]) -> None:
    found = run(Pipeline("test", model=model, lateness=LATENESS), broken, 100)
    assert found["faults"]
    devices = {origin for origin, _ in found["faults"][-1].origins[:3]}
    assert "pipe-1" in devices
    assert {alert.condition for alert in found["alerts"]} >= {"fault", "control:overload"}


def test_a_device_that_answers_late_has_answered() -> None:
    """Its clock may be behind, and whoever waits for the answer has nothing else to go by."""
    pipeline, body = Pipeline("test", lateness=Lateness()), ActionResult("action-1", DeviceId("pump-1"), ActionStatus.SUCCEEDED)
    pipeline(recording(5))
    late = pipeline([Event(stamp(900, START + STEP, "/plants/test/gateways/gw-2"), body)])
    assert (late.counts.late, [event.body for event in late.results]) == (1, [body])
    assert pipeline([Event(stamp(900, START + STEP, "/plants/test/gateways/gw-2"), body)]).results == []


def test_batches_change_nothing(model: Model, broken: list[Event]) -> None:
    whole = run(Pipeline("test", model=model, lateness=LATENESS), broken, len(broken))
    for size in (1, 7, 100):
        assert run(Pipeline("test", model=model, lateness=LATENESS), broken, size) == whole


def test_late_links_change_nothing_between_batches(model: Model, broken: list[Event]) -> None:
    """A link that goes when its turn has passed changes what is found from there on, and from there only."""
    rng = random.Random(5)
    late = [
        Event(stamp(10_000 + number, event.stamp.at - 10 * STEP, source="/late"), body)
        for number, event in enumerate(rng.sample(broken[400:], 30))
        for body in [rng.choice([Unlinked, Linked])(DeviceId("pump-1"), DeviceId("pipe-1"), Relation.FEEDS)]
    ]
    arrived = list(broken)
    for event in late:
        arrived.insert(next(at for at, held in enumerate(broken) if held.stamp.at > event.stamp.at + 10 * STEP), event)
    whole = Pipeline("test", model=model, lateness=LATENESS)
    found = run(whole, arrived, 1)
    assert whole.counts.late > 0
    for size in (7, 100, len(arrived)):
        assert run(Pipeline("test", model=model, lateness=LATENESS), arrived, size) == found


def test_arrival_order_and_repeats_within_the_lateness_change_nothing(model: Model, broken: list[Event]) -> None:
    rng = random.Random(3)
    arrived = sorted(broken + broken[::5], key=lambda event: event.stamp.at + rng.uniform(0, 4 * STEP))
    pipeline, plain = Pipeline("test", model=model, lateness=LATENESS), Pipeline("test", model=model, lateness=LATENESS)
    assert run(pipeline, arrived, 13) == run(plain, broken, 100)
    assert pipeline.topology.digest() == plain.topology.digest()
    assert (pipeline.counts.accepted, pipeline.counts.duplicate) == (len(broken), len(broken[::5]))


@pytest.mark.parametrize("trained", [True, False])
def test_a_restored_pipeline_goes_on_as_if_it_had_never_stopped(model: Model, broken: list[Event], *, trained: bool) -> None:
    def fresh() -> Pipeline:
        return Pipeline("test", model=model if trained else None, lateness=LATENESS)

    straight = fresh()
    whole = gist([straight(broken[begin : begin + 50]) for begin in range(0, len(broken), 50)])
    reactions, pipeline = [], fresh()
    for begin in range(0, len(broken), 50):
        reactions.append(pipeline(broken[begin : begin + 50]))
        again = fresh()
        again.restore(pipeline.snapshot())
        pipeline = again
    assert gist(reactions) == whole
    assert pipeline.topology.digest() == straight.topology.digest()


def test_late_events_reach_the_graph_and_are_counted(model: Model, broken: list[Event]) -> None:
    pipeline = Pipeline("test", model=model, lateness=Lateness(allowed=0))
    shuffled = random.Random(1).sample(broken, len(broken))
    pipeline(shuffled)
    assert pipeline.counts.late > 0
    assert pipeline.counts.accepted == len(broken)
    pipeline.finish()
    assert pipeline.topology.digest() == Topology().merge(broken).digest()


def test_a_snapshot_of_another_site_or_model_is_refused(model: Model) -> None:
    snapshot = Pipeline("one", model=model).snapshot()
    with pytest.raises(SnapshotError, match="site"):
        Pipeline("two", model=model).restore(snapshot)
    with pytest.raises(SnapshotError, match="model"):
        Pipeline("one").restore(snapshot)


def test_snapshots_are_plain_data(model: Model) -> None:
    assert msgspec.msgpack.decode(Pipeline("one", model=model).snapshot())["site"] == "one"
