"""What was learnt for one tool set: networks, vocabulary and the examples themselves; a folder that is read with numpy alone.

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
from scipy.special import log_softmax

from graph.nn.toolgraph.chains import Chain, ChainNetwork, Likely, Member, Read, Text, blended
from graph.nn.toolgraph.grams import Floats, Ints, Vocabulary
from graph.nn.toolgraph.neighbours import Neighbours

FORMAT = "openautoglm-plan-2"
ARRAYS, EXAMPLES, MANIFEST = "model.safetensors", "examples.json", "manifest.json"
LARGEST = 512_000_000


class PlanModelError(Exception):
    """A folder holds no model that can be read, or one for other tools; the message names the file."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """How a model was made. `tools` is the digest of the tool set; `figures` are on examples that a member has never seen."""

    format: str = FORMAT
    seed: int
    tools: str
    encoder: str
    examples: int
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


class PlanModel:
    """Says which chains of tools an instruction may ask for."""

    def __init__(self, learnt: Learnt, linked: Floats) -> None:
        self.manifest, self.instructions = learnt.manifest, learnt.kept.instructions
        arrays = learnt.arrays
        self.vocabulary = Vocabulary(learnt.kept.grams, arrays["grams"].astype(np.float32))
        rows = [self.vocabulary.row(text) for text in learnt.kept.instructions]
        chains: list[Chain] = [tuple(chain) for chain in learnt.kept.chains]
        vectors = arrays["vectors"].astype(np.float32)
        self.network = ChainNetwork({name: part for name, part in arrays.items() if name[0].isdigit()}, linked)
        self.neighbours = Neighbours(rows, vectors, chains, width=len(self.vocabulary))

    def text(self, words: str, vector: Floats, states: Floats) -> Text:
        """An instruction with what its encoder made of it."""
        return Text(self.vocabulary.row(words), vector, states)

    def likely(self, text: Text) -> Likely:
        """Chains that the networks write, and those of similar examples."""
        share = self.manifest.neighbours
        own, others = self.network.chains(self.network.read(text)), self.neighbours.likely(text.row, text.vector)
        return blended([(1 - share, own), (share, others)])

    def similar(self, text: Text) -> Ints:
        """Places of the examples that resemble it, nearest first."""
        return self.neighbours.nearest(text.row, text.vector)

    def asks(self, text: Text, parts: Sequence[str], chain: Chain) -> Floats:
        """(tasks, parts): how much less likely the first member holds each task when the words of a part are not read."""
        member = self.network.members[0]
        read = member.read(text)
        whole = _told(member, read, chain)
        without = []
        for part in parts:
            kept = ~np.isin(text.row[0], self.vocabulary.row(part)[0])
            less = replace(text, row=(text.row[0][kept], text.row[1][kept]))
            without.append(_told(member, replace(read, whole=member.whole(less)), chain))
        found: Floats = whole[:, None] - np.array(without, np.float32).T
        return found


def _told(member: Member, read: Read, chain: Chain) -> Floats:
    logs = log_softmax(member.step(read, [chain[:at] for at in range(len(chain))]), axis=1)
    found: Floats = logs[np.arange(len(chain)), list(chain)]
    return found


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
        raise PlanModelError(f"{folder / MANIFEST}: format {manifest.format!r}, this version reads {FORMAT!r}")
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
