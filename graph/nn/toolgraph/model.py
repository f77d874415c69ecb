"""What was learnt for one tool set: networks, taught layers of the encoder, vocabulary and the examples; read with numpy alone.

`model.safetensors` holds arrays, `examples.json` sentences and grams; `manifest.json` says how it was made and how good it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from graph.nn.encoders.layers import Layer
from graph.nn.toolgraph.chains import MOST_STATES, Chain, ChainNetwork, Likely, Read, Text, best, blended
from graph.nn.toolgraph.grams import Floats, Ints, Vocabulary
from graph.nn.toolgraph.neighbours import Neighbours

FORMAT = "openautoglm-plan-3"
ARRAYS, EXAMPLES, MANIFEST = "model.safetensors", "examples.json", "manifest.json"
LARGEST = 512_000_000


class PlanModelError(Exception):
    """A folder holds no model that can be read, or one for other tools; the message names the file."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """How a model was made. `tools` is the digest of the tool set; `figures` are on examples that no weight was learnt from, by

    which the round and the neighbours' share were chosen: on others they are a little lower.

    `layers`: how many of the encoder's were taught, which go on from what its first `below` leave; none: the encoder as it is.
    """

    format: str = FORMAT
    seed: int
    tools: str
    encoder: str
    examples: int
    below: int = 0
    layers: int = 0
    neighbours: float
    figures: dict[str, float]


class Kept(msgspec.Struct, frozen=True):
    """Sentences and chains as they are kept."""

    instructions: list[str]
    chains: list[list[int]]
    grams: list[str]


@dataclass(frozen=True)
class Learnt:
    """A model as arrays: weights of all members, rows of the examples' grams, their vectors."""

    manifest: Manifest
    kept: Kept
    arrays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Weighed:
    """A chain, all that were considered, the examples nearest to the instruction, and what each part of it asks for."""

    chain: Chain
    likely: Likely
    near: Ints
    asks: Floats


class PlanModel:
    """Says which chains of tools an instruction may ask for."""

    def __init__(self, learnt: Learnt, linked: Floats) -> None:
        self.manifest, self.instructions = learnt.manifest, learnt.kept.instructions
        arrays = learnt.arrays
        self.vocabulary = Vocabulary(learnt.kept.grams, arrays["grams"].astype(np.float32))
        rows = [self.vocabulary.row(text) for text in learnt.kept.instructions]
        chains: list[Chain] = [tuple(chain) for chain in learnt.kept.chains]
        vectors = arrays["vectors"].astype(np.float32)
        self._layers = [Layer(_named(arrays, f"layer.{number}.")) for number in range(learnt.manifest.layers)]
        self.network = ChainNetwork({name: part for name, part in arrays.items() if name[0].isdigit()}, linked)
        self.neighbours = Neighbours(rows, vectors, chains, width=len(self.vocabulary))
        width = self._layers[0].width if self._layers else arrays["0.state.weight"].shape[1]
        blank = self.text("", np.zeros(vectors.shape[1], np.float32), np.zeros((1, width), np.float32))
        self.network.next_tool(self.network.read(blank), [()])  # so that what does not fit is found now

    def text(self, words: str, vector: Floats, states: Floats) -> Text:
        """An instruction with what its encoder, or as much of it as was not taught, made of it."""
        return _went_on(Text(self.vocabulary.row(words), vector, states), self._layers)

    def weigh(self, text: Text, parts: Sequence[str]) -> Weighed:
        """What to plan for an instruction and why; `parts`: its clauses."""
        share, read = self.manifest.neighbours, self.network.read(text)
        near = self.neighbours.near(text.row, text.vector)
        likely = blended([(1 - share, self.network.chains(read)), (share, near.likely)])
        chain = best(likely, tools=self.network.end)
        return Weighed(chain, likely, near.places, self._asks(text, read, parts, chain))

    def _asks(self, text: Text, read: Read, parts: Sequence[str], chain: Chain) -> Floats:
        """(tasks, parts): how much less likely each task is held when the words of a part are not read."""
        wholes = [read.whole]
        for part in parts:
            kept = ~np.isin(text.row[0], self.vocabulary.row(part)[0])
            wholes.append(self.network.whole(replace(text, row=(text.row[0][kept], text.row[1][kept]))))
        told = self.network.told(read, np.concatenate(wholes, axis=1), chain)
        found: Floats = (told[:1] - told[1:]).T
        return found


def went_on(texts: Sequence[Text], layers: Sequence[Mapping[str, Floats]]) -> list[Text]:
    """Texts with the states that taught layers make of theirs, and the mean of those as their vector."""
    applied = [Layer(weights) for weights in layers]
    return [_went_on(text, applied) for text in texts]


def _went_on(text: Text, layers: Sequence[Layer]) -> Text:
    if not layers:
        return text
    states = text.states[:MOST_STATES].astype(np.float32)
    for layer in layers:
        states = layer(states)
    vector = states.mean(axis=0)
    return Text(text.row, vector / max(float(np.linalg.norm(vector)), 1e-6), states)


def _named(arrays: Mapping[str, NDArray[Any]], begin: str) -> dict[str, Floats]:
    return {name.removeprefix(begin): part for name, part in arrays.items() if name.startswith(begin)}


def save(learnt: Learnt, folder: Path) -> None:
    """Write a folder; the manifest last, so that half a model is none. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    save_file({name: np.ascontiguousarray(part) for name, part in learnt.arrays.items()}, folder / ARRAYS)
    (folder / EXAMPLES).write_bytes(msgspec.json.encode(learnt.kept))
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(learnt.manifest), indent=1) + b"\n")


def load(folder: Path, *, tools: str, linked: Floats) -> PlanModel:
    """Raises PlanModelError where there is no model, or one for a tool set with another digest than `tools`."""
    manifest = _read(folder / MANIFEST, Manifest)
    if manifest.format != FORMAT:
        raise PlanModelError(
            f"{folder / MANIFEST}: format {manifest.format!r}, this version reads {FORMAT!r}: learn it anew with plan-train"
        )
    if manifest.tools != tools:
        raise PlanModelError(f"{folder / MANIFEST}: learnt for other tools than these")
    kept = _read(folder / EXAMPLES, Kept)
    try:
        with safe_open(folder / ARRAYS, framework="numpy") as held:
            arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise PlanModelError(f"{folder / ARRAYS}: no weights can be read here: {error}") from error
    _check(folder, kept, arrays, tools=len(linked) - 1)
    try:
        return PlanModel(Learnt(manifest, kept, arrays), linked)
    except (KeyError, ValueError, IndexError) as error:
        raise PlanModelError(f"{folder / ARRAYS}: parts are missing or do not fit each other: {error}") from error


def _check(folder: Path, kept: Kept, arrays: Mapping[str, Floats], *, tools: int) -> None:
    if not {"grams", "vectors"} <= arrays.keys() or not any(name.startswith("0.") for name in arrays):
        raise PlanModelError(f"{folder / ARRAYS}: parts are missing")
    if strange := [name for name, part in arrays.items() if not np.isfinite(part).all()]:
        raise PlanModelError(f"{folder / ARRAYS}: {strange[0]} holds something that is no finite number")
    whole = len(kept.instructions) == len(kept.chains) == len(arrays["vectors"]) and len(kept.grams) == len(arrays["grams"])
    if not whole or any(not 0 <= tool < tools for chain in kept.chains for tool in chain):
        raise PlanModelError(f"{folder / EXAMPLES}: does not fit {ARRAYS}")


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise PlanModelError(f"{path}: more than {LARGEST} bytes")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise PlanModelError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise PlanModelError(f"{path}: {error}") from error
