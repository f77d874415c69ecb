"""What a rehearsal promises, for each family."""

from functools import cache

import numpy as np
import pytest

from graph.rehearsal import FAMILIES, Rehearsal, rehearse, topology
from graph.rehearsal.sensing import SENSOR_FAULTS
from graph.rehearsal.truth import onward

SEEDS = (1, 2)
CASES = [(family, seed) for family in sorted(FAMILIES) for seed in SEEDS]


@cache
def made(family: str, seed: int) -> Rehearsal:
    return rehearse(seed, family=family, trials=20, history_days=2.0)


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_the_seed_decides_all(family: str, seed: int) -> None:
    one, other = made(family, seed), rehearse(seed, family=family, trials=20, history_days=2.0)
    assert (one.devices, one.links, one.sensors) == (other.devices, other.links, other.sensors)
    assert all(np.array_equal(first, second) for first, second in zip(one.history, other.history, strict=True))
    for first, second in zip(one.trials, other.trials, strict=True):
        assert np.array_equal(first.readings, second.readings)
        assert (first.kind, first.affected, first.path) == (second.kind, second.affected, second.path)


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_shapes_and_times_fit(family: str, seed: int) -> None:
    plant = made(family, seed)
    assert len(plant.history) == len(plant.history_start)
    assert {run.shape[1] for run in plant.history} == {len(plant.sensors)}
    assert sum(len(run) for run in plant.history) * plant.step == pytest.approx(2 * 86_400_000_000, rel=0.02)
    assert len(plant.trials) == 20
    for trial in plant.trials:
        assert trial.readings.shape[1] == len(plant.sensors)
        assert np.isfinite(trial.readings).all()
        assert trial.start % plant.step == 0
        assert 0 <= trial.begins <= trial.ends <= len(trial.readings)


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_the_truth_of_a_fault_holds_together(family: str, seed: int) -> None:
    plant = made(family, seed)
    near = onward(plant.links)
    for trial in plant.trials:
        assert set(trial.origins) <= trial.affected.keys()
        assert set(trial.origins) <= trial.carriers
        assert trial.affected.keys() <= {device for device, _, _ in plant.devices}
        assert all(trial.begins <= onset < trial.ends for onset in trial.affected.values())
        assert all(other in near[here] and other in trial.carriers for here, other in trial.path)
        heads = {here for here, _ in trial.path}
        assert {other for _, other in trial.path} - heads <= trial.affected.keys()


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_kinds_are_mixed_and_a_wrong_sensor_affects_itself_alone(family: str, seed: int) -> None:
    trials = made(family, seed).trials
    assert sum(trial.kind == "normal" for trial in trials) == 2
    for trial in trials:
        assert trial.sensor_fault == (trial.kind != "normal" and set(trial.kind.split("+")) <= set(SENSOR_FAULTS))
        if trial.sensor_fault:
            assert trial.affected == dict.fromkeys(trial.origins, trial.begins)
            assert trial.path == ()
    assert len({trial.kind for trial in trials}) >= 5


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_live_graph_knows_the_plant(family: str) -> None:
    plant = made(family, SEEDS[0])
    graph = topology(plant)
    devices = {device.device_id: device for device in graph.devices()}
    assert devices.keys() == {device for device, _, _ in plant.devices}
    assert sum(len(device.signals) for device in devices.values()) == len(plant.sensors)
    assert len(list(graph.edges())) == len({(link.source, link.target, link.relation) for link in plant.links})
