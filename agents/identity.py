"""Ids that follow from causes (DESIGN 3): the same cause gives the same id, so a repeat is harmless."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

BYTES = 12


def derived(kind: str, *parts: str | int) -> str:
    """An id of this kind for these parts, in this order.

    >>> derived("alarm", "site", "pump-1")
    'alarm-d89f02277127e47073e017d1'
    """
    # JSON keeps ("a", "bc") and ("ab", "c") apart.
    return f"{kind}-{blake2b(msgspec.json.encode(parts), digest_size=BYTES).hexdigest()}"


def instructed(site: str, instruction_id: str, task: str, *, verb: str, device_id: str | None) -> str:
    """The id of the action by which a task of an instruction does something."""
    return derived("action", site, instruction_id, task, verb, device_id or "")
