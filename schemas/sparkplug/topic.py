"""Topics of the Sparkplug namespace: `spBv1.0/{group}/{type}/{edge node}[/{device}]` and `spBv1.0/STATE/{host}`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from schemas.sparkplug.model import SparkplugError

NAMESPACE = "spBv1.0"
RESERVED = frozenset("+#/")


class MessageType(StrEnum):
    """As the topic spells it: case counts."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"
    STATE = "STATE"


TYPES = {one.value: one for one in MessageType}
OF_DEVICES = frozenset({MessageType.DBIRTH, MessageType.DDEATH, MessageType.DDATA, MessageType.DCMD})


class EdgeNode(msgspec.Struct, frozen=True, order=True):
    """The descriptor of an edge node, unique in the infrastructure."""

    group: str
    edge: str

    def topic(self, kind: MessageType, device: str | None = None) -> str:
        """Where a message of this node, or for it, goes. Raises SparkplugError.

        >>> EdgeNode("plant", "line 1").topic(MessageType.NCMD)
        'spBv1.0/plant/NCMD/line 1'
        """
        if (device is not None) is not (kind in OF_DEVICES):
            raise SparkplugError(f"{kind} is {'' if kind in OF_DEVICES else 'not '}a message of devices")
        parts = [self.group, kind.value, self.edge] + ([] if device is None else [device])
        for part in parts:
            checked(part)
        return "/".join([NAMESPACE, *parts])


class Topic(msgspec.Struct, frozen=True):
    """A topic, taken apart. `host` is there for STATE alone, `node` for all others."""

    kind: MessageType
    node: EdgeNode | None = None
    device: str | None = None
    host: str | None = None


def checked(part: str) -> str:
    """An id that may stand in a topic. Raises SparkplugError."""
    if not part or not RESERVED.isdisjoint(part):
        raise SparkplugError(f"{part[:64]!r} is no id: it is empty, or holds one of + # /")
    return part


def parse(topic: str) -> Topic:
    """What a topic says. Raises SparkplugError.

    >>> parse("spBv1.0/plant/DDATA/line 1/pump").device
    'pump'
    """
    namespace, *parts = topic.split("/")
    if namespace != NAMESPACE:
        raise SparkplugError(f"the topic is not in the namespace {NAMESPACE}")
    if len(parts) == 2 and parts[0] == MessageType.STATE:  # noqa: PLR2004 - STATE and the host's id
        return Topic(MessageType.STATE, host=checked(parts[1]))
    if not 3 <= len(parts) <= 4:  # noqa: PLR2004 - with a device or without
        raise SparkplugError("the topic has too few levels, or too many")
    group, name, edge, *device = parts
    kind = TYPES.get(name)
    if kind is None or kind is MessageType.STATE:
        raise SparkplugError(f"the topic names an unknown type of message {name[:64]!r}")
    if bool(device) is not (kind in OF_DEVICES):
        raise SparkplugError(f"a topic of {kind} {'needs a' if kind in OF_DEVICES else 'has no'} device id")
    node = EdgeNode(checked(group), checked(edge))
    return Topic(kind, node, checked(device[0]) if device else None)


def state_topic(host: str) -> str:
    """Where a host tells whether it is there."""
    return f"{NAMESPACE}/{MessageType.STATE}/{checked(host)}"


def filters(groups: Sequence[str], host: str) -> list[str]:
    """What a host subscribes to: its own STATE, and everything of these groups, or of all."""
    wanted = [f"{NAMESPACE}/{checked(group)}/#" for group in dict.fromkeys(groups)] or [f"{NAMESPACE}/#"]
    # Where the wildcard takes everything in, a second filter would bring the host's own STATE twice.
    return wanted if not groups else [state_topic(host), *wanted]
