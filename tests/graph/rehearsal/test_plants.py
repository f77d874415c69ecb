"""What the rehearsal relies on in every family: a run taken up again goes on as it would have."""

import numpy as np
import pytest

from graph.rehearsal.grid import PowerGrid
from graph.rehearsal.plant import Fault, Plant, UnsolvableError
from graph.rehearsal.process import Process
from graph.rehearsal.rehearse import FAMILIES
from graph.rehearsal.truth import limits
from graph.rehearsal.water import Water

STEP, ROWS, TAKEN_UP = 300, 60, 25
CLOCK = np.arange(ROWS) * STEP


def build(family: str, seed: int) -> Plant:
    rng = np.random.default_rng(seed)
    while True:
        try:
            return FAMILIES[family](rng, STEP)
        except UnsolvableError:
            continue


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("seed", [3, 4])
def test_a_run_that_is_taken_up_again_goes_on_as_it_would_have(family: str, seed: int) -> None:
    plant, rng = build(family, seed), np.random.default_rng(seed)
    inputs = plant.inputs(rng, CLOCK)
    whole = plant.simulate(inputs, CLOCK, plant.start(rng))
    rest = plant.simulate(inputs[TAKEN_UP:], CLOCK[TAKEN_UP:], whole.states[TAKEN_UP])
    assert (np.abs(rest.values - whole.values[TAKEN_UP:]).max(axis=0) < 0.01 * limits(plant.channels, whole.values)).all()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_fault_changes_nothing_before_it_begins(family: str) -> None:
    plant, rng = build(family, 5), np.random.default_rng(5)
    inputs = plant.inputs(rng, CLOCK)
    state = plant.start(rng)
    whole = plant.simulate(inputs, CLOCK, state)
    for kind in plant.kinds:
        device, size, _ = plant.draw(kind, rng)
        try:
            spoilt = plant.simulate(inputs, CLOCK, state, [Fault(kind, device, TAKEN_UP, ROWS, size)])
        except UnsolvableError:
            continue
        assert np.array_equal(spoilt.values[:TAKEN_UP], whole.values[:TAKEN_UP])


def test_a_shut_pipe_carries_nothing_and_a_tripped_pump_neither() -> None:
    plant, rng = build("water", 6), np.random.default_rng(6)
    assert isinstance(plant, Water)
    inputs, state = plant.inputs(rng, CLOCK), plant.start(rng)
    for kind in ("pipe_closed", "pump_trip"):
        if kind not in plant.kinds:
            continue
        device, size, _ = plant.draw(kind, rng)
        try:
            run = plant.simulate(inputs, CLOCK, state, [Fault(kind, device, TAKEN_UP, ROWS, size)])
        except UnsolvableError:
            continue
        flow = next(at for at, channel in enumerate(plant.channels) if channel.device == device and channel.signal == "flow")
        assert np.abs(run.values[TAKEN_UP:, flow]).max() < 0.01


def test_others_take_over_from_a_generator_that_trips() -> None:
    plant, rng = build("grid", 7), np.random.default_rng(7)
    assert isinstance(plant, PowerGrid)
    inputs = plant.inputs(rng, CLOCK)
    device, size, _ = plant.draw("generator_trip", rng)
    run = plant.simulate(inputs, CLOCK, plant.start(rng), [Fault("generator_trip", device, TAKEN_UP, ROWS, size)])
    power = {channel.device: at for at, channel in enumerate(plant.channels) if channel.kind == "generator"}
    fed = run.values[:, list(power.values())].sum(axis=1)
    assert np.abs(run.values[TAKEN_UP:, power[device]]).max() < 1e-2
    assert fed[TAKEN_UP] == pytest.approx(fed[TAKEN_UP - 1], rel=0.3)


def test_a_leak_is_felt_down_the_line_but_not_up() -> None:
    plant, rng = build("process", 8), np.random.default_rng(8)
    assert isinstance(plant, Process)
    inputs, state = plant.inputs(rng, CLOCK), plant.start(rng)
    whole = plant.simulate(inputs, CLOCK, state)
    sinks = {link.source for link in plant.links if link.relation == "FEEDS"}
    device = next(name for name, kind, _ in plant.devices if name not in sinks and kind != "actuator")
    run = plant.simulate(inputs, CLOCK, state, [Fault("unit_leak", device, TAKEN_UP, ROWS, 0.5)])
    moved = np.abs(run.values - whole.values).max(axis=0) > 1e-6
    near = {link.target for link in plant.links if link.source == device} | {device}
    assert {plant.channels[at].device for at in np.flatnonzero(moved)} <= near
