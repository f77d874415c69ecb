"""The predictor: what torch trained is what runs; a signal never hears itself; the topology may change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graph.detection.conditional import Rows, Scale
from graph.detection.conditional import fit as fit_linear
from graph.nn.hearing import Hearing
from graph.nn.predictor import SETTLING, Learnt, Predictor
from graph.nn.training import Module, Passage, Progress, fit, loss

STEP = 300_000_000
COUNT, ROWS = 4, 60
HEARING = Hearing(near=((1, 2), (0, 2), (1, 3), (2,)), causes=((), (0,), (), (2,)))
DAYS = 0


def rows(seed: int, count: int = ROWS) -> Rows:
    """A wave that each signal follows a step after the one before it."""
    rng = np.random.default_rng(seed)
    wave = np.convolve(rng.normal(size=count + 20), np.ones(6) / 2, mode="same")
    values = np.stack([wave[10 - place : 10 - place + count] for place in range(COUNT)], axis=1)
    return Rows(STEP * np.arange(count, dtype=np.int64), values + 0.1 * rng.normal(size=values.shape))


def module(seed: int = 3) -> Module:
    torch.manual_seed(seed)
    return Module(HEARING, STEP / 1e6, DAYS)


def run(learnt: Learnt, values: np.ndarray, hearing: Hearing = HEARING) -> np.ndarray:
    predictor = Predictor(learnt, hearing)
    known, blank = np.ones(COUNT, dtype=bool), np.zeros((2, COUNT))
    return np.array([predictor.follow(STEP * at, row, known, np.zeros(DAYS), blank) for at, row in enumerate(values)])


def test_runs_as_it_was_trained() -> None:
    trained, values = module(), rows(1).values
    tensors = (torch.tensor(values, dtype=torch.float32)[None], torch.zeros(1, ROWS, DAYS), torch.zeros(2, 1, ROWS, COUNT))
    with torch.no_grad():
        mean, spread = trained(*tensors).unbind(-1)
    expected = ((tensors[0] - mean) * torch.exp(-spread))[:, 0].numpy().transpose(1, 0, 2)
    ran = run(trained.learnt(), values)
    assert (ran[:SETTLING] == 0).all()
    np.testing.assert_allclose(ran[8:], expected[8:], atol=1e-4)  # the first rings are not full yet


def test_a_signal_does_not_hear_itself() -> None:
    """What is predicted does not move when the signal alone shows something else; its residual moves by just that."""
    learnt, values = module().learnt(), rows(1).values
    moved = values.copy()
    moved[30, 3] += 1.0
    near, other = run(learnt, values), run(learnt, moved)
    torch_spread = (other[30, :, 3] - near[30, :, 3]) / 1.0
    assert (torch_spread > 0).all()
    assert other[30, 0, 2] != near[30, 0, 2], "its neighbour hears it"
    np.testing.assert_array_equal(other[30, :, :2], near[30, :, :2])


def test_ears_that_hear_others_begin_anew() -> None:
    learnt, values = module().learnt(), rows(1).values
    predictor = Predictor(learnt, HEARING)
    known, blank = np.ones(COUNT, dtype=bool), np.zeros((2, COUNT))
    for at, row in enumerate(values[:30]):
        predictor.follow(STEP * at, row, known, np.zeros(DAYS), blank)
    predictor.listen(Hearing(near=((), (0, 2), (1, 3), (2,)), causes=HEARING.causes))
    deaf = predictor.follow(STEP * 30, values[30], known, np.zeros(DAYS), blank)
    alone = run(learnt, values[:31], Hearing(near=((), (0, 2), (1, 3), (2,)), causes=HEARING.causes))[30]
    np.testing.assert_array_equal(deaf, alone)


def test_missing_signals_say_nothing() -> None:
    learnt, values = module().learnt(), rows(1).values
    predictor = Predictor(learnt, HEARING)
    known, blank = np.array([True, True, True, False]), np.zeros((2, COUNT))
    for at, row in enumerate(values[:10]):
        found = predictor.follow(STEP * at, np.where(known, row, 1e9), known, np.zeros(DAYS), blank)
        assert (found[:, 3] == 0).all()
        assert np.isfinite(found).all()


def test_training_lowers_the_cost_and_is_reproducible() -> None:
    parts = [rows(seed, 200) for seed in range(4)]
    scale = Scale.learn(parts)
    linear = fit_linear(parts, scale)
    told: list[float] = []
    one, other = (fit(parts, scale, linear, HEARING, step=STEP, seed=5, steps=80, progress=_costs(told)) for _ in range(2))
    assert one is not None
    assert other is not None
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name], err_msg=name)
    unseen = Passage.of(rows(9, 200), scale, linear)
    with torch.no_grad():
        fresh = loss(Module(HEARING, STEP / 1e6, unseen.day.shape[1]), [unseen]).item()
    assert told[-1] < told[0] < fresh
    assert told[:2] == told[2:]


def _costs(told: list[float]) -> Progress:
    """Takes down what is told of the cost on held-out history."""
    return lambda _share, text: told.append(float(text.split(": ")[1].split()[0]))


def test_too_short_for_a_window_is_none() -> None:
    parts = [rows(1, 10)]
    scale = Scale.learn(parts)
    assert fit(parts, scale, fit_linear(parts, scale), HEARING, step=STEP, seed=0) is None


def test_arrays_come_back_whole_or_are_refused() -> None:
    learnt = module().learnt()
    again = Learnt.of(learnt.arrays(), learnt.weights.heads)
    np.testing.assert_array_equal(run(again, rows(1).values), run(learnt, rows(1).values))
    arrays = learnt.arrays()
    with pytest.raises(KeyError, match="voices"):
        Learnt.of({name: part for name, part in arrays.items() if name != "voices"}, 2)
    with pytest.raises(ValueError, match="do not fit"):
        Learnt.of(arrays | {"voices": arrays["voices"][:2]}, 2)
