"""The origin network: numpy says what torch says, and files that do not fit are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from graph.faultpath.features import NAMES
from graph.faultpath.influence import Influence
from graph.nn.finder import GraphFinder
from graph.nn.origins import FORMAT, SHIPPED, Neighbourhood, OriginNetwork, WeightsError, load, shipped
from graph.nn.pretraining import Ensemble, Module, write
from schemas.device import DeviceId
from tests.graph.faultpath.plants import graph, restless, shown

PAIRS = np.array([[0, 1, 1, 2, 4], [1, 0, 2, 3, 1]])
COUNT = 7
"""Of seven devices, 5 and 6 have no edge."""


def module(seed: int) -> Module:
    """Random weights."""
    torch.manual_seed(seed)
    made = Module(torch.randn(len(NAMES)), torch.rand(len(NAMES)) + 0.1).eval()
    with torch.no_grad():
        for part in made.norm.parameters():
            part.add_(0.3 * torch.randn(part.shape))
    return made


def together(*seeds: int) -> Ensemble:
    return Ensemble([module(seed) for seed in seeds])


def parts(made: Ensemble) -> dict[str, NDArray[np.float32]]:
    return {name: part.numpy().copy() for name, part in made.state_dict().items()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[:, :1], PAIRS[:, :0]], ids=["some", "one", "none"])
@torch.no_grad()
def test_numpy_says_what_torch_says(seed: int, pairs: NDArray[np.int64]) -> None:
    made, around = together(seed, seed + 10), Neighbourhood(COUNT, pairs)
    table = np.random.default_rng(seed).normal(0, 3, (COUNT, len(NAMES))).astype(np.float32)
    ends = np.concatenate([pairs, pairs[::-1]], axis=1)
    source, target = np.unique(ends, axis=1) if ends.size else ends
    expected = made(torch.tensor(table)[None], torch.tensor(source), torch.tensor(target))[0].numpy()
    found = OriginNetwork(parts(made), {})(table, around)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_neighbours_are_heard_both_ways_and_each_once() -> None:
    around = Neighbourhood(COUNT, PAIRS)
    values = np.array([[1.0], [-2.0], [5.0], [-7.0], [3.0], [9.0], [9.0]], dtype=np.float32)
    assert (around.mean @ values)[:, 0].tolist() == pytest.approx([-2, 3, -4.5, 5, -2, 0, 0])
    assert around.largest(values)[:, 0].tolist() == [-2, 5, -2, 5, -2, 0, 0]


def test_a_written_file_is_read_again(tmp_path: Path) -> None:
    made = together(1, 3)
    write(made, tmp_path / "deep" / "one.safetensors", {"seed": 1, "heldOut": {"water": {"mrr": 0.5}}})
    found = load(tmp_path / "deep" / "one.safetensors")
    assert found.figures == {"seed": 1, "heldOut": {"water": {"mrr": 0.5}}}
    assert found.digest == OriginNetwork(parts(made), {}).digest != OriginNetwork(parts(together(1, 2)), {}).digest


# --- Files that do not fit ----------------------------------------------------------------------------------------------------

HEADER = {"format": FORMAT, "features": json.dumps(NAMES), "figures": "{}"}


def refused(path: Path, header: dict[str, str], weights: dict[str, NDArray[np.float32]] | None = None) -> str:
    save_file(parts(together(0)) if weights is None else weights, path, metadata=header)
    with pytest.raises(WeightsError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_files_of_other_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    assert "format 'other-9'" in refused(path, HEADER | {"format": "other-9"})
    assert "format None" in refused(path, {})
    assert "other features" in refused(path, HEADER | {"features": json.dumps(NAMES[::-1])})
    assert "no JSON" in refused(path, HEADER | {"features": "sensor, departure"})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float) -> None:
    weights = parts(together(0))
    weights["0.mix.1.weight"][3, 4] = value
    assert "0.mix.1.weight holds something that is no finite number" in refused(tmp_path / "nan.safetensors", HEADER, weights)


@pytest.mark.parametrize("name", ["0.mean", "1.read.bias", "0.mix.1.weight", "1.norm.2.weight", "0.write.bias"])
def test_parts_that_are_missing_or_do_not_fit_are_refused(tmp_path: Path, name: str) -> None:
    weights = parts(together(0, 1))
    cut = weights | {name: weights[name][:-1].copy()}
    less = {other: part for other, part in weights.items() if other != name}
    for wrong in (cut, less):
        assert "missing or do not fit" in refused(tmp_path / "less.safetensors", HEADER, wrong)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not weights", encoding="utf-8")
    for name in ("text", "none", "."):
        with pytest.raises(WeightsError, match="no weights can be read"):
            load(tmp_path / name)


# --- On a plant ---------------------------------------------------------------------------------------------------------------


def test_the_shipped_weights_fit_this_version_and_have_figures_for_each_family() -> None:
    assert shipped() is shipped()
    assert shipped().digest == load(SHIPPED).digest
    assert shipped().figures["heldOut"].keys() == {"grid", "process", "water"}


def test_probabilities_sum_to_one_over_devices_that_are_there() -> None:
    influence = Influence(graph("abcd", [("a", "b"), ("b", "c")]), tuple(map(DeviceId, ("a", "c", "ghost"))))
    sensing = restless(("a", "value"), ("c", "value"), ("ghost", "value"))
    clues, _ = shown(sensing, {"a": 8.0, "ghost": 20.0})
    for network in (shipped(), OriginNetwork(parts(together(3)), {})):
        verdict = GraphFinder(network).judge(influence, clues, sensing)
        assert verdict is not None
        assert verdict.origin.sum() == pytest.approx(1)
        assert verdict.origin[influence.place[DeviceId("ghost")]] == 0.0
        for part in (verdict.origin, verdict.already, verdict.affected, verdict.carrying):
            assert part.shape == (5,)
            assert ((part >= 0) & (part <= 1)).all()


def test_too_few_signals_or_no_rows_give_no_verdict() -> None:
    influence = Influence(graph("abc", [("a", "b"), ("b", "c")]))
    finder = GraphFinder(shipped())
    one = restless(("a", "value"))
    assert finder.judge(influence, shown(one, {"a": 8.0})[0], one) is None
    two = restless(("a", "value"), ("c", "value"))
    clues, _ = shown(two, {"a": 8.0})
    assert finder.judge(influence, clues, two) is not None
    assert finder.judge(influence, clues, restless(*two.columns, ("b", "value"))) is None
    clues.rows = clues.rows[:0]
    assert finder.judge(influence, clues, two) is None


def test_what_is_kept_of_a_plant_is_made_anew_when_it_changes() -> None:
    sensing = restless(*((name, "value") for name in "abcd"))
    clues, _ = shown(sensing, {"b": 8.0, "c": 4.0})
    finder = GraphFinder(shipped())
    chain, star = [("a", "b"), ("b", "c"), ("c", "d")], [("a", "b"), ("a", "c"), ("a", "d")]
    for links in (chain, star, chain):
        influence = Influence(graph("abcd", links))
        found, fresh = (one.judge(influence, clues, sensing) for one in (finder, GraphFinder(shipped())))
        assert found is not None
        assert fresh is not None
        assert np.array_equal(found.origin, fresh.origin)


def test_the_part_of_the_plant_that_is_strange_is_the_likelier_one() -> None:
    influence = Influence(graph("abcd", [("a", "b"), ("c", "d")]))
    sensing = restless(*((name, "value") for name in "abcd"))
    clues, _ = shown(sensing, {"a": 9.0, "b": 9.0})
    verdict = GraphFinder(shipped()).judge(influence, clues, sensing)
    assert verdict is not None
    assert verdict.origin[:2].sum() > verdict.origin[2:].sum()
