"""What training leaves, and its directory: `model.json` says what it is, `arrays.npz`, `network.safetensors` hold numbers.

Never pickle. Loading checks the format, the digests, the shapes and that all is finite, and says what is wrong.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from graph.detection.conditional import Linear, Scale
from graph.detection.discrete import Discrete
from graph.detection.layout import Layout
from graph.detection.numeric import Numeric
from graph.detection.wander import Wander
from graph.nn.predictor import Learnt

FORMAT = "openautoglm-detector-2"
MANIFEST, ARRAYS, NETWORK = "model.json", "arrays.npz", "network.safetensors"
NAME, NETWORK_NAME = "conditional-survival", "temporal-graph-network"

Array = NDArray[Any]
Part = TypeVar("Part", Scale, Linear, Wander, Numeric, Discrete)


class ModelError(Exception):
    """A model's directory cannot be read, or is not what its manifest says."""


class Figures(msgspec.Struct, frozen=True):
    """What the training saw: recordings, readings, days of history; seconds it took; how often devices left or fell silent."""

    recordings: int = 0
    readings: int = 0
    days: float = 0.0
    seconds: float = 0.0
    disconnects_per_day: float = 0.0
    silences_per_day: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
    """Of each device that fell silent; unset where none did, so that such models keep the digest that they had before."""


class Model(msgspec.Struct, frozen=True):
    """A trained detector. `settle_rows`: recordings differ so much that each is learnt anew from so many first rows."""

    layout: Layout
    numeric: Numeric | None = None
    discrete: Discrete | None = None
    predictor: Learnt | None = None
    settle_rows: int = 0
    seed: int = 0
    figures: Figures = Figures()

    @property
    def name(self) -> str:
        return NETWORK_NAME if self.predictor is not None else NAME

    @property
    def digest(self) -> str:
        """Names the model's content: equal for equal training."""
        content = pack_arrays(_arrays(self)) + _packed_network(self)
        return hashlib.sha256(msgspec.json.encode(_manifest(self), order="sorted") + content).hexdigest()


class _Manifest(msgspec.Struct, frozen=True):
    format: str
    arrays: str
    network: str
    layout: Layout
    settle_rows: int
    seed: int
    figures: Figures
    plain: dict[str, Any]


def save(model: Model, folder: Path) -> None:
    """Write the model; what the folder held of an earlier one is overwritten, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest, packed, network = encode(model)
    (folder / ARRAYS).write_bytes(packed)
    if network:
        (folder / NETWORK).write_bytes(network)
    else:
        (folder / NETWORK).unlink(missing_ok=True)
    (folder / MANIFEST).write_bytes(msgspec.json.format(manifest, indent=1))


def load(folder: Path) -> Model:
    """Read a model. Raises ModelError."""
    try:
        network = folder / NETWORK
        held = network.read_bytes() if network.exists() else b""
        return decode((folder / MANIFEST).read_bytes(), (folder / ARRAYS).read_bytes(), held)
    except (OSError, ModelError) as error:
        raise ModelError(f"{folder}: no model can be read here: {error}") from error


def encode(model: Model) -> tuple[bytes, bytes, bytes]:
    """Manifest (JSON), arrays (npz) and the weights of the network (safetensors, empty without one)."""
    packed, network = pack_arrays(_arrays(model)), _packed_network(model)
    return msgspec.json.encode(_manifest(model, packed, network)), packed, network


def decode(manifest: bytes, packed: bytes, network: bytes = b"") -> Model:
    """The inverse of `encode`. Raises ModelError."""
    try:
        held = msgspec.json.decode(manifest, type=_Manifest)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{MANIFEST}: {error}") from error
    if held.format != FORMAT:
        raise ModelError(f"{MANIFEST}: format {held.format!r}, this version reads {FORMAT!r}")
    if hashlib.sha256(packed).hexdigest() != held.arrays:
        raise ModelError(f"{ARRAYS}: its digest is not the one in {MANIFEST}")
    if _digest(network) != held.network:
        raise ModelError(f"{NETWORK}: its digest is not the one in {MANIFEST}")
    return _model(held, unpack_arrays(packed), _network(network))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""


def _packed_network(model: Model) -> bytes:
    if model.predictor is None:
        return b""
    return save_tensors(model.predictor.arrays(), metadata={"heads": str(model.predictor.weights.heads)})


def _network(packed: bytes) -> Learnt | None:
    if not packed:
        return None
    try:
        heads = int(msgspec.json.decode(packed[8 : 8 + int.from_bytes(packed[:8], "little")])["__metadata__"]["heads"])
        return Learnt.of(load_tensors(packed), heads)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{NETWORK}: {error}") from error


def pack_arrays(arrays: Mapping[str, Array]) -> bytes:
    """Arrays as the bytes of an npz file; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})
    return buffer.getvalue()


def unpack_arrays(packed: bytes) -> dict[str, Array]:
    """The inverse of `pack_arrays`. Raises ModelError."""
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (ValueError, OSError, KeyError) as error:
        raise ModelError(f"arrays cannot be read: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fib" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
            raise ModelError(f"array {name!r} holds something that is no finite number")
    return arrays


def numeric_parts(numeric: Numeric) -> tuple[dict[str, Array], dict[str, Any]]:
    """A numeric model as arrays and plain values, for files and snapshots."""
    parts = {"scale.": numeric.scale, "linear.": numeric.linear, "wander.": numeric.wander, "numeric.": numeric}
    arrays: dict[str, Array] = {}
    plain: dict[str, Any] = {}
    for prefix, part in parts.items():
        _take_apart(part, prefix, arrays, plain)
    return arrays, plain


def numeric_of(arrays: Mapping[str, Array], plain: Mapping[str, Any]) -> Numeric:
    """The inverse of `numeric_parts`. Raises ModelError."""
    scale = _put_together(Scale, "scale.", arrays, plain)
    linear = _put_together(Linear, "linear.", arrays, plain)
    wander = _put_together(Wander, "wander.", arrays, plain)
    whole = {"numeric.scale": scale, "numeric.linear": linear, "numeric.wander": wander}
    numeric = _put_together(Numeric, "numeric.", arrays, {**plain, **whole})
    columns = len(scale.mean)
    if linear.weights.shape[:2] != (3, columns) or numeric.start.shape not in ((3, columns), (6, columns)):
        raise ModelError(f"numeric arrays do not fit each other: {linear.weights.shape} for {columns} columns")
    return numeric


def _take_apart(part: msgspec.Struct, prefix: str, arrays: dict[str, Array], plain: dict[str, Any]) -> None:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, np.ndarray):
            arrays[prefix + name] = value
        elif not isinstance(value, msgspec.Struct):
            plain[prefix + name] = value


def _put_together(kind: type[Part], prefix: str, arrays: Mapping[str, Array], plain: Mapping[str, Any]) -> Part:
    held = {**arrays, **plain}
    values = {name: held.get(prefix + name) for name in get_type_hints(kind) if name in kind.__struct_fields__}
    if missing := [name for name, value in values.items() if value is None and name != "index"]:
        raise ModelError(f"{prefix}{missing[0]} is missing")
    make: Callable[..., Part] = kind
    return make(**values)


def _arrays(model: Model) -> dict[str, Array]:
    arrays = numeric_parts(model.numeric)[0] if model.numeric else {}
    if model.discrete:
        _take_apart(model.discrete, "discrete.", arrays, {})
    return arrays


def _manifest(model: Model, arrays: bytes = b"", network: bytes = b"") -> _Manifest:
    plain = numeric_parts(model.numeric)[1] if model.numeric else {}
    if model.discrete:
        _take_apart(model.discrete, "discrete.", {}, plain)
    figures = model.figures if arrays else Figures()  # how long training took is no part of what was learnt
    return _Manifest(FORMAT, _digest(arrays), _digest(network), model.layout, model.settle_rows, model.seed, figures, plain)


def _model(manifest: _Manifest, arrays: Mapping[str, Array], predictor: Learnt | None) -> Model:
    plain = manifest.plain
    numeric = numeric_of(arrays, plain) if "numeric.step" in plain else None
    discrete = None
    if "discrete.devices" in plain:
        discrete = _put_together(Discrete, "discrete.", arrays, {**plain, "discrete.devices": tuple(plain["discrete.devices"])})
    if numeric and numeric.columns != len(manifest.layout.sampled):
        raise ModelError(f"{numeric.columns} numeric columns for {len(manifest.layout.sampled)} sampled signals")
    if discrete and len(discrete.devices) != len(manifest.layout.states):
        raise ModelError(f"{len(discrete.devices)} discrete columns for {len(manifest.layout.states)} signals of states")
    if predictor is not None and (numeric is None or len(predictor.voices) != numeric.columns):
        raise ModelError(f"{NETWORK}: {len(predictor.voices)} signals, not those of the numeric part")
    return Model(manifest.layout, numeric, discrete, predictor, manifest.settle_rows, manifest.seed, manifest.figures)
