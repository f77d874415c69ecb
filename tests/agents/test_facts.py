"""A decision by facts is the live graph's: what is asked of the policy is the same, and what is old or missing is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.authorization import Asker
from agents.facts import MOST, FactsPolicy, facts_of, plain, requested, topology_of
from agents.limits import unfit
from agents.plantfile import Blast, Plant, PlantFile, Protected
from agents.policy import NoHistory, Rates
from agents.policyfolder import Policy
from graph.live import downstream
from graph.topology import Topology
from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import Connected, Disconnected, Linked, Micros
from schemas.facts import Facts, Request
from tests.agents.plant import CHAIN, PUMP, TANK, action, event, plant, second
from tests.streams.phrasebook import permits

UNKNOWN = DeviceId("nobody")


def wide(count: int) -> Topology:
    """A pump that feeds many."""
    bodies: list[Any] = [Connected(PUMP, "pump", zone="west")]
    bodies += [Linked(PUMP, DeviceId(f"pipe-{number}"), Relation.FEEDS) for number in range(count)]
    return Topology().merge(event(body, name=f"e{number}") for number, body in enumerate(bodies))


def down(*, gone: Iterable[DeviceId] = ()) -> Topology:
    graph = plant()
    return graph.merge(event(Disconnected(device), -10.0) for device in gone)


@pytest.mark.parametrize("hops", [None, 1, 2, 9])
@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize("device", [*CHAIN, UNKNOWN])
def test_the_question_is_the_one_of_the_live_graph(hops: int | None, limit: int, device: DeviceId) -> None:
    said = PlantFile(
        version=1,
        types={"pump": ("pump-*",), "tank": ("tank-*",), "pipe": ("pipe-*",)},
        protected=Protected(devices=("junction-*",)),
        blast=Blast(verbs=("isolate",), hops=hops, devices=limit),
    )
    asker, graph = Asker(Plant(said)), down(gone=[TANK])
    wanted = action(device=device, verb="isolate")
    there = topology_of(device, facts_of(device, graph, second(0)))
    first, second_ = (asker.ask(wanted, one, second(0), rates=Rates(), approver=None) for one in (graph, there))
    assert second_ == first


def test_what_the_device_takes_of_the_signal_that_is_named_goes_along() -> None:
    names = ("speed", "level")
    signals = tuple(Signal(SignalName(name), SignalKind.NUMERIC, min=0, max=50) for name in names)
    graph = plant().merge([event(Connected(PUMP, "pump", signals=signals), -1)])
    for value, fits in ((50, True), (51, False)):
        request = requested(action(PUMP, "set", arguments={"signal": "speed", "value": value}), graph, second(0))
        assert request.facts.device is not None
        assert [signal.name for signal in request.facts.device.signals] == ["speed"]
        assert (unfit(plain(request), topology_of(PUMP, request.facts)) == "") is fits


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 3000])
def test_what_goes_down_is_all_of_it_or_said_to_be_cut(count: int) -> None:
    graph = wide(count)
    facts = facts_of(PUMP, graph, second(0))
    assert (len(facts.down), facts.complete) == (min(count, MOST), count < MOST)
    live, there = (downstream(one, PUMP, limit=1000) for one in (graph, topology_of(PUMP, facts)))
    assert (len(live[0]), live[1]) == (len(there[0]), there[1])


def test_facts_travel_beside_the_action() -> None:
    asked = requested(action(), plant(), second(0))
    raw = msgspec.json.encode(asked)
    assert msgspec.json.decode(raw, type=Request) == asked
    assert plain(asked) == action()
    assert type(plain(asked)) is type(action())
    assert msgspec.json.decode(raw, type=type(action())) == action()


class Held:
    def __init__(self, facts: Facts | None) -> None:
        self.facts = facts

    def __call__(self, _: object) -> Facts | None:
        return self.facts


def policy(folder: Path, plant_file: str = "version: 1\n") -> Policy:
    permits(folder)
    (folder / "plant.yaml").write_text(plant_file, encoding="utf-8")
    return Policy.load(folder, NoHistory())


def reason(engine: FactsPolicy, at: Micros) -> str:
    decision = engine.decide(action(), Topology(), at)
    return "" if decision.allowed else decision.reason


def test_what_is_old_or_was_never_said_is_refused(tmp_path: Path) -> None:
    held = Held(facts_of(PUMP, plant(), second(0)))
    engine = FactsPolicy(policy(tmp_path), held, oldest=60_000_000)
    assert reason(engine, second(60)) == ""
    assert reason(engine, second(61)).startswith("what is known of its device is 61 s old, more than 60 s")
    held.facts = None
    assert "no worker has said it" in reason(engine, second(0))


def test_a_policy_that_looks_further_than_the_facts_reach_refuses(tmp_path: Path) -> None:
    rules = policy(tmp_path, "version: 1\nblast: {verbs: ['*'], devices: 5000}\n")
    held = Held(facts_of(PUMP, wide(3000), second(0)))
    assert "looks at more than the 1001 devices" in reason(FactsPolicy(rules, held, oldest=1), second(0))
    held.facts = facts_of(PUMP, wide(3), second(0))
    assert reason(FactsPolicy(rules, held, oldest=1), second(0)) == ""
