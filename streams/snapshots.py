"""What a pipeline's snapshot holds, for who wants a part of it and no pipeline: a command, an upkeep."""

from __future__ import annotations

from typing import Any

import msgspec

from graph.topology import Topology
from schemas.frame import unpack

FORMAT = 2


class SnapshotError(Exception):
    """A snapshot is of another version, site or model."""


def topology_of(snapshot: bytes) -> Topology:
    """The graph alone from a pipeline's snapshot, whatever its model."""
    return graph_in(msgspec.msgpack.decode(snapshot))


def pending_of(snapshot: bytes) -> tuple[int, bool]:
    """From a pipeline's snapshot: how many rows a database did not have yet, and whether it had none."""
    held = msgspec.msgpack.decode(snapshot).get("pending")
    if held is None:
        return 0, True
    return sum(len(held[name]) for name in ("devices", "edges", "alarms", "faults")), held["everything"]


def graph_in(held: dict[str, Any]) -> Topology:
    topology = Topology().merge(unpack(held["topology"]))
    topology.forgotten = held["forgotten"]
    return topology
