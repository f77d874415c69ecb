"""Models of the sentence-transformers and BERT families, from a folder or the hub's cache; the network is never asked.

Needs the extra `nlp`. The MiniLM that comes as a package has a driver of its own, `minilm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

CONFIGURATION = "config.json"
LONGEST = 2_000
"""Letters that are read: the time grows with them."""


class SentenceEncoder:
    """A model in a folder, on the CPU. One that was never trained for sentences gives the mean of its tokens."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises OSError or ValueError where the folder holds no model that can be read."""
        self.name = name
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=False)
        self.dimensions = self.encode(["a"]).shape[1]

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Of each text the vectors of its tokens (m, d), as the last layer leaves them."""
        clean = [text[:LONGEST].encode("utf-8", "replace").decode() for text in texts]
        if not clean:
            return []
        found: Any = self._model.encode(clean, output_value="token_embeddings", show_progress_bar=False)
        return [np.asarray(states, np.float32) for states in found]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d), each row of length 1. What is no valid Unicode is read as a replacement mark."""
        clean = [text[:LONGEST].encode("utf-8", "replace").decode() for text in texts]
        if not clean:
            return np.zeros((0, self.dimensions), np.float32)
        found = self._model.encode(clean, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(found, np.float32)


def cached(name: str) -> Path | None:
    """The folder in the hub's cache on this machine that holds a model of this name."""
    try:
        found = try_to_load_from_cache(name, CONFIGURATION)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None
