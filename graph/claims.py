"""The CONTAINS edges that a device's description claims by its `parent` and its `children`."""

from __future__ import annotations

from schemas.device import DeviceId, Relation
from schemas.event import Connected

EdgeKey = tuple[DeviceId, DeviceId, Relation]
"""Source, target, relation: a plain tuple, since a million of them are made a second."""


def claims(body: Connected) -> set[EdgeKey]:
    """Each edge once, even if the description names a child twice."""
    keys = {(body.device_id, child, Relation.CONTAINS) for child in body.children}
    if body.parent is not None:
        keys.add((body.parent, body.device_id, Relation.CONTAINS))
    return keys
