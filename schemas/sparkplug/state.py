"""STATE: a host's own birth and death certificates, as JSON."""

from __future__ import annotations

import msgspec

from schemas.sparkplug.model import SparkplugError


class State(msgspec.Struct, frozen=True):
    """`timestamp`: milliseconds since 1970, UTC; in a birth the one of the will that went with the connection."""

    online: bool
    timestamp: int


def encode_state(state: State) -> bytes:
    r"""The message.

    >>> encode_state(State(online=True, timestamp=1767571200000))
    b'{"online":true,"timestamp":1767571200000}'
    """
    return msgspec.json.encode(state)


def decode_state(raw: bytes) -> State:
    """Raises SparkplugError."""
    try:
        return msgspec.json.decode(raw, type=State)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise SparkplugError("a STATE message needs `online` and `timestamp`, in JSON") from None


def reply(raw: bytes, own: State) -> State | None:
    """What a host must answer to a message on its own STATE topic: its birth, if somebody says that it is gone."""
    try:
        told = decode_state(raw)
    except SparkplugError:
        return own
    return None if told.online else own
