"""The state of a temporal graph as bytes: arrays in the safetensors format, which holds no code.

Keys and values are left out: they follow from the rest. So is what only lives while a batch is at work.
"""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from graph.nn.nodes import Nodes


def written(nodes: Nodes, digest: str) -> bytes:
    """With the digest of the weights that the state belongs to."""
    free = np.array(nodes.free, dtype=np.int64)
    return save({"weights": np.frombuffer(digest.encode(), dtype=np.uint8), "free": free, **nodes.parts()})


def read(snapshot: bytes, nodes: Nodes, digest: str) -> None:
    """Into empty nodes. ValueError where the bytes are no snapshot of the same weights and of rings of the same size."""
    try:
        arrays = load(snapshot)
        weights, free = arrays.pop("weights"), arrays.pop("free")
        nodes.reach(len(arrays["heard"]))
        parts = nodes.parts()
        if weights.tobytes() != digest.encode():
            raise ValueError("the snapshot belongs to other weights")
        for name, array in parts.items():
            source = arrays[name]
            if (source.shape, source.dtype) != (array.shape, array.dtype):
                raise ValueError(
                    f"{name}: {source.dtype} {source.shape}, not {array.dtype} {array.shape}: rings of another size?"
                )
            array[...] = source
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"no snapshot of a temporal graph: {error}") from error
    nodes.free = free.tolist()
    _check(nodes)


def _check(nodes: Nodes) -> None:
    """Numbers that would lead a kernel out of its arrays."""
    parts = nodes.parts()
    free = np.flatnonzero(parts["generation"] % 2 == 0)
    inside = ((parts["node"] >= 0) & (parts["node"] < nodes.used)).all()
    if not inside or (parts["taken"] < 0).any() or not np.array_equal(np.sort(nodes.free), free):
        raise ValueError("the snapshot contradicts itself")
