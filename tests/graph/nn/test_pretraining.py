"""Examples from rehearsed plants, and a few steps of learning from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from graph.faultpath.features import NAMES
from graph.nn.cases import LOOKED_AT, Example, example, keep, kept
from graph.nn.origins import Neighbourhood, OriginNetwork, load
from graph.nn.pretraining import (
    Batch,
    Ensemble,
    Module,
    calibration_error,
    drawn,
    figures,
    loss,
    rehearsed,
    split,
    train,
    write,
)
from graph.rehearsal import FAMILIES, rehearse

SEEDS = {"water": (0, 2), "grid": (0, 2), "process": (0, 2)}
STEPS = 40


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def made(family: str, seed: int) -> Example:
    found = example(rehearse(seed, family=family, trials=6, history_days=2.0), np.random.default_rng(seed))
    assert found is not None
    return found


def learnt(seed: int) -> Module:
    return train([Batch.of(made(family, 0)) for family in SEEDS], held(), steps=STEPS, seed=seed)


def held() -> list[Batch]:
    return [Batch.of(made(family, 2)) for family in SEEDS]


# --- Examples -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(SEEDS))
def test_an_example_holds_together(family: str) -> None:
    found = made(family, 0)
    assert found.family == family
    assert len(found.cases) > found.missed
    assert found.pairs.min() >= 0
    assert found.pairs.max() < found.count == len(found.sensed)
    for case in found.cases:
        assert case.table.shape == (found.count, len(NAMES))
        assert np.isfinite(case.table).all()
        assert case.origin.any()
        assert (case.affected >= case.already).all()
        assert (case.carrying >= case.origin).all()
        assert case.steps >= 0


def test_each_fault_is_looked_at_when_it_ends_and_soon_after_its_alarm() -> None:
    for family in SEEDS:
        cases = made(family, 0).cases
        ends = [number for number, case in enumerate(cases) if case.final]
        begins = [0, *(number + 1 for number in ends[:-1])]
        for begin, end in zip(begins, ends, strict=True):
            looks = [case.steps for case in cases[begin : end + 1]]
            assert looks == sorted(looks)
            assert min(LOOKED_AT, looks[-1]) in looks
            assert (cases[end].already == cases[end].affected).all()


def test_the_seed_decides_an_example() -> None:
    again = example(rehearse(0, family="process", trials=6, history_days=2.0), np.random.default_rng(0))
    assert again is not None
    for one, other in zip(made("process", 0).cases, again.cases, strict=True):
        assert np.array_equal(one.table, other.table)
        assert (one.kind, one.steps, one.final) == (other.kind, other.steps, other.final)


def test_a_plant_with_few_sensors_is_no_example() -> None:
    plant = rehearse(0, family="process", trials=2, history_days=1.0)
    few = replace(plant, sensors=plant.sensors[:4])
    assert example(few, np.random.default_rng(0)) is None


@pytest.mark.parametrize("family", sorted(SEEDS))
def test_what_is_kept_is_read_again(tmp_path: Path, family: str) -> None:
    found, path = made(family, 0), tmp_path / "one.npz"
    keep(found, path)
    other = kept(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.npz"]
    assert (other.family, other.count, other.missed) == (found.family, found.count, found.missed)
    assert np.array_equal(other.pairs, found.pairs)
    assert np.array_equal(other.sensed, found.sensed)
    for one, two in zip(found.cases, other.cases, strict=True):
        assert (one.kind, one.steps, one.final) == (two.kind, two.steps, two.final)
        assert np.array_equal(one.table.astype(np.float16), two.table)
        for name in ("origin", "already", "affected", "carrying"):
            assert np.array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.slow
def test_examples_are_the_same_whether_made_or_read(tmp_path: Path) -> None:
    names = [("process", 1), ("process", 5)]
    first, second = (list(rehearsed(names, tmp_path, 1)) for _ in range(2))
    assert [one.family for one in first] == ["process", "process"]
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a.table, b.table) for a, b in zip(one.cases, other.cases, strict=True))


def test_families_take_turns() -> None:
    listed = drawn(12)
    assert {family for family, _ in listed} == set(FAMILIES)
    assert [seed for _, seed in listed] == list(range(12))
    assert listed[:6] == drawn(6)


def test_whole_plants_are_held_out_from_each_family() -> None:
    one = {family: made(family, 0) for family in SEEDS}
    learn, stop, last = split(one[family] for _ in range(7) for family in SEEDS)
    for part, count in ((learn, 5), (stop, 1), (last, 1)):
        assert [batch.family for batch in part].count("water") == count
        assert len(part) == 3 * count


# --- Learning -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_equal_seeds_give_equal_weights() -> None:
    one, same, other = learnt(3), learnt(3), learnt(4)
    for name, part in one.state_dict().items():
        assert torch.equal(part, same.state_dict()[name])
    assert not torch.equal(one.state_dict()["read.weight"], other.state_dict()["read.weight"])


@pytest.mark.slow
def test_a_few_steps_teach_something_and_are_written_with_their_figures(tmp_path: Path) -> None:
    module = learnt(0)
    blank = train([Batch.of(made(family, 0)) for family in SEEDS], held(), steps=5, seed=0)
    batch = Batch.of(made("process", 0))
    with torch.no_grad():
        value, before = (loss(one.eval()(batch.tables, batch.source, batch.target), batch.marks) for one in (module, blank))
    assert value < before
    known = figures(module, held())
    assert known.keys() == SEEDS.keys()
    for family in known.values():
        assert family.keys() == {"faults", "mrr", "hit1", "affectedF1", "calibrationError"}
        assert family["faults"] > 0
        assert all(0 <= family[name] <= 1 for name in ("mrr", "hit1", "affectedF1", "calibrationError"))
        assert family["mrr"] >= family["hit1"]
    write(Ensemble([module]), tmp_path / "new.safetensors", {"heldOut": known})
    assert load(tmp_path / "new.safetensors").figures == json.loads(json.dumps({"heldOut": known}))


@torch.no_grad()
def test_the_network_in_service_reads_real_tables_as_the_one_that_learnt() -> None:
    torch.manual_seed(0)
    for family in SEEDS:
        found = made(family, 0)
        batch = Batch.of(found)
        tables = batch.tables.reshape(-1, len(NAMES))
        module = Ensemble([Module(tables.mean(0), tables.std(0) + 1e-3)]).eval()
        network = OriginNetwork({name: part.numpy() for name, part in module.state_dict().items()}, {})
        around = Neighbourhood(found.count, found.pairs)
        expected = module(batch.tables, batch.source, batch.target).numpy()
        for case, logits in zip(found.cases, expected, strict=True):
            assert network(case.table, around) == pytest.approx(logits, abs=1e-5)


def test_the_loss_of_several_origins_is_that_of_their_shares_together() -> None:
    logits = torch.zeros(1, 4, 4)
    marks = torch.zeros(1, 4, 4, dtype=torch.bool)
    marks[0, :2, 0] = True
    labels = (0.5 + 0.25 + 0.5) * np.log(2)
    assert loss(logits, marks).item() == pytest.approx(np.log(2) + labels)
    marks[0, 1, 0] = False
    assert loss(logits, marks).item() == pytest.approx(np.log(4) + labels)


def test_calibration_is_the_gap_between_how_sure_and_how_right() -> None:
    assert calibration_error([(0.75, True), (0.75, True), (0.75, True), (0.75, False)]) == pytest.approx(0)
    assert calibration_error([(1.0, False), (0.55, True)]) == pytest.approx((1.0 + 0.45) / 2)
