"""Many events in one record: what outbox, log and snapshots hold.

The cost of a stream in Python is per record and per turn of the event loop, so events travel in frames. A frame is private to
the service; what leaves it is CloudEvents.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.event import Event

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Event])


def pack(events: Iterable[Event]) -> bytes:
    """One record of these events."""
    return _ENCODER.encode(list(events))


def unpack(frame: bytes) -> list[Event]:
    """The events of a record that `pack` made."""
    return _DECODER.decode(frame)
