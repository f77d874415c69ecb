"""What is learnt with torch and applied with numpy says the same in both: layers of an encoder, and the network over tools."""

from __future__ import annotations

import numpy as np
import pytest

from graph.nn.encoders.layers import HEAD, Floats, Layer, fused
from graph.nn.toolgraph.chains import ChainNetwork, Text
from graph.nn.toolgraph.model import went_on

torch = pytest.importorskip("torch", reason="the extra nn is not installed")

from graph.nn.toolgraph.learning import Batch, Lessons, Module  # noqa: E402 - needs torch
from graph.nn.toolgraph.taught import TaughtLayer  # noqa: E402 - needs torch

WIDTH, TOOLS, GRAMS = 2 * HEAD, 5, 9
CHAINS = [(0, 1), (2, 0, 4), (3,)]


def weights(rng: np.random.Generator) -> dict[str, Floats]:
    shapes = {"ask": (3, 1), "hear": (1, 1), "wide": (4, 1), "narrow": (1, 4)}
    found = {f"{name}.weight": rng.normal(0, 0.2, (a * WIDTH, b * WIDTH)) for name, (a, b) in shapes.items()}
    found |= {f"{name}.bias": rng.normal(0, 0.2, a * WIDTH) for name, (a, _) in shapes.items()}
    found |= {f"{name}.{end}": rng.normal(1, 0.2, WIDTH) for name in ("hear_norm", "out_norm") for end in ("weight", "bias")}
    return {name: part.astype(np.float32) for name, part in found.items()}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def lessons(rng: np.random.Generator) -> Lessons:
    texts = [
        Text(
            (np.sort(rng.choice(GRAMS, 4, replace=False)), np.full(4, 0.5, np.float32)),
            rng.normal(size=WIDTH).astype(np.float32),
            rng.normal(size=(size, WIDTH)).astype(np.float32),
        )
        for size in (3, 7, 5)
    ]
    linked = (rng.random((TOOLS + 1, TOOLS + 1)) < 0.5).astype(np.float32)
    tools = rng.normal(size=(TOOLS, WIDTH)).astype(np.float32)
    return Lessons(texts, CHAINS, tools, linked, GRAMS, [weights(rng), weights(rng)])


def test_a_layer_says_the_same_with_and_without_torch(rng: np.random.Generator) -> None:
    part = weights(rng)
    states = rng.normal(size=(6, WIDTH)).astype(np.float32)
    with torch.no_grad():
        theirs = TaughtLayer(part).eval()(torch.tensor(states)[None], torch.ones(1, 6, dtype=torch.bool))[0].numpy()
    np.testing.assert_allclose(Layer(part)(states), theirs, atol=1e-4)


@pytest.mark.parametrize("name", ["ask.weight", "narrow.weight", "out_norm.bias"])
def test_a_layer_whose_parts_do_not_fit_is_refused(rng: np.random.Generator, name: str) -> None:
    part = weights(rng)
    with pytest.raises(ValueError, match="fit"):
        Layer(part | {name: part[name][:-1]})
    del part[name]
    with pytest.raises(KeyError):
        Layer(part)


def test_the_root_of_a_heads_width_is_in_the_questions(rng: np.random.Generator) -> None:
    names = [f"attention.self.{name}" for name in ("query", "key", "value")]
    names += ["attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"]
    bert = {f"a.{name}.{end}": rng.normal(size=3).astype(np.float32) for name in names for end in ("weight", "bias")}
    found = fused(bert, "a")
    np.testing.assert_allclose(found["ask.bias"][:3] * HEAD**0.5, bert["a.attention.self.query.bias"], rtol=1e-5)
    np.testing.assert_array_equal(found["ask.bias"][3:6], bert["a.attention.self.key.bias"])


def test_the_network_says_the_same_with_and_without_torch(lessons: Lessons) -> None:
    torch.manual_seed(1)
    module = Module(lessons).eval()
    taught = module.taught()
    network = ChainNetwork({f"0.{name}": part for name, part in taught.member.items()}, lessons.linked)
    with torch.no_grad():
        theirs = module(Batch.of(lessons, np.arange(len(CHAINS)))).log_softmax(-1).numpy()
    for text, chain, row in zip(went_on(lessons.texts, taught.layers), CHAINS, theirs, strict=True):
        begun = [chain[:at] for at in range(len(chain) + 1)]
        np.testing.assert_allclose(network.next_tool(network.read(text), begun), row[: len(begun)], atol=1e-3)


def test_members_are_averaged(lessons: Lessons) -> None:
    members = [Module(lessons).eval().taught().member for _ in range(2)]
    both = ChainNetwork(
        {f"{at}.{name}": part for at, member in enumerate(members) for name, part in member.items()}, lessons.linked
    )
    alone = [ChainNetwork({f"0.{name}": part for name, part in member.items()}, lessons.linked) for member in members]
    text, chains = lessons.texts[0], [(), (1,), (1, 2)]
    shares = [np.exp(network.next_tool(network.read(text), chains)) for network in alone]
    np.testing.assert_allclose(np.exp(both.next_tool(both.read(text), chains)), np.mean(shares, axis=0), atol=1e-5)
