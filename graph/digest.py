"""An order-free fingerprint of a collection: the sum of its members' hashes.

A sum, not an exclusive or: a member that is there twice does not cancel itself. 256 bits of blake2b, so that sets made to
collide cost more than they are worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

BYTES = 32
MODULUS = 1 << (8 * BYTES)
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def digest(members: Iterable[object]) -> str:
    """Hexadecimal fingerprint of what msgspec can encode.

    >>> digest(["a", "b"]) == digest(["b", "a"]) != digest(["a"])
    True
    """
    encode, total = _ENCODER.encode, 0
    for member in members:
        total += int.from_bytes(blake2b(encode(member), digest_size=BYTES).digest(), "little")
    return (total % MODULUS).to_bytes(BYTES, "little").hex()
