"""A model survives its directory, and a broken directory says what is wrong."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from graph.detection.model import Model, ModelError, load, save
from graph.detection.training import NothingToLearnError, train
from graph.nn.training import fit
from tests.graph.detection.plants import machine, sampled, steps


@pytest.mark.parametrize("name", ["numeric", "network", "discrete"])
def test_saved_and_loaded_scores_the_same(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model: Model = request.getfixturevalue(f"{name}_model")
    save(model, tmp_path)
    again = load(tmp_path)
    assert again.digest == model.digest
    assert again.figures == model.figures
    events = machine(9, 2) if name == "discrete" else sampled(9, 50)
    assert [step.plant for step in steps(again, events)] == [step.plant for step in steps(model, events)]


def test_a_network_needs_history(network_model: Model) -> None:
    assert network_model.name == "temporal-graph-network"
    short = train([sampled(1, 150)], network=partial(fit, steps=2))
    assert short.predictor is None
    assert short.name == "conditional-survival"


def test_equal_training_gives_equal_digests() -> None:
    assert train([sampled(1, 150)], seed=3).digest == train([sampled(1, 150)], seed=3).digest
    assert train([sampled(1, 150)]).digest != train([sampled(2, 150)]).digest


def test_broken_directories_say_what_is_wrong(numeric_model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model can be read"):
        load(tmp_path)
    save(numeric_model, tmp_path)
    manifest = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(manifest | {"format": "other-1"}))
    with pytest.raises(ModelError, match="format 'other-1'"):
        load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(manifest | {"arrays": "0"}))
    with pytest.raises(ModelError, match="digest"):
        load(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match=r"model\.json"):
        load(tmp_path)


def test_training_tells_how_far_it_is_and_honours_a_budget() -> None:
    told: list[float] = []
    model = train([sampled(1, 150)], budget=0.001, progress=lambda share, _text: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert model.numeric is not None
    with pytest.raises(NothingToLearnError):
        train([[]])


def test_the_bar_never_goes_back_while_networks_are_fitted() -> None:
    told: list[float] = []
    parts = [sampled(seed, 420) for seed in range(5)]
    model = train(parts, network=partial(fit, steps=2), progress=lambda share, _text: told.append(share))
    assert model.predictor is not None
    assert told == sorted(told)
    assert sum(0.75 < share < 1 for share in told) >= 3
