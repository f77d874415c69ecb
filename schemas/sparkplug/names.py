"""How Sparkplug's names become those of the contract, and back.

Sparkplug allows any UTF-8 text but `+ # /` in ids, and anything at all in names of metrics; the contract has an alphabet for a
deviceId and no control characters in a signal's name. So what does not fit is escaped, byte by byte. No two names meet:

- ids: a byte outside of `A-Za-z0-9_.-` becomes `:` and two hexadecimal digits. A deviceId that would not begin with a letter or
  digit gets `0::` in front.
- names of metrics: `%` and control characters become `%` and two hexadecimal digits. The last `[` of a name that looks like an
  element of an array (`speed[2]`) is escaped too.
- what is too long then is cut, and ends with `::` or `%~` and a digest of the whole; that alone cannot be turned back.
"""

from __future__ import annotations

import hashlib
import re

from schemas import bounds
from schemas.device import DeviceId, SignalName
from schemas.sparkplug.topic import EdgeNode

_UNSAFE_ID = re.compile(rb"[^A-Za-z0-9_.-]")
_ESCAPED_ID = re.compile(rb":([0-9A-F]{2})")
_UNSAFE_NAME = re.compile(r"[%\x00-\x1f\x7f-\x9f]|\[(?=[0-9]+\]\Z)")
_ESCAPED_NAME = re.compile(r"%([0-9A-F]{2})")
FIRST = "0::"
CUT = 34
"""Characters of a mark and a digest."""


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _id(text: str) -> str:
    return _UNSAFE_ID.sub(lambda found: f":{found[0][0]:02X}".encode(), text.encode()).decode()


def device_id(node: EdgeNode, device: str | None = None) -> DeviceId:
    """`group/edge` or `group/edge/device`, escaped.

    >>> device_id(EdgeNode("plant", "line 1"), "pump")
    'plant/line:201/pump'
    """
    parts = [node.group, node.edge] + ([] if device is None else [device])
    text = "/".join(map(_id, parts))
    if not text[0].isalnum():
        text = FIRST + text
    if len(text) > bounds.ID:
        text = f"{text[: bounds.ID - CUT]}::{_digest('/'.join(parts))}"
    return DeviceId(text)


def ids(device: DeviceId) -> tuple[EdgeNode, str | None] | None:
    """The inverse of `device_id`; None for one that was cut.

    >>> ids(DeviceId("plant/line:201/pump"))
    (EdgeNode(group='plant', edge='line 1'), 'pump')
    """
    text = device.removeprefix(FIRST)
    if "::" in text:
        return None
    group, edge, *rest = (_ESCAPED_ID.sub(lambda found: bytes([int(found[1], 16)]), part.encode()) for part in text.split("/"))
    return EdgeNode(group.decode(), edge.decode()), rest[0].decode() if rest else None


def signal_name(name: str) -> SignalName:
    """A metric's name, escaped. The empty name becomes `%~` alone.

    >>> signal_name("Motor 1/speed"), signal_name("load%"), signal_name("t[0]")
    ('Motor 1/speed', 'load%25', 't%5B0]')
    """
    text = _UNSAFE_NAME.sub(lambda found: f"%{ord(found[0]):02X}", name)
    if len(text) > bounds.NAME:
        text = f"{text[: bounds.NAME - CUT]}%~{_digest(name)}"
    return SignalName(text or "%~")


def element_name(signal: SignalName, at: int) -> SignalName:
    """The signal of one element of an array."""
    text = f"{signal}[{at}]"
    if len(text) > bounds.NAME:
        text = f"{text[: bounds.NAME - CUT]}%~{_digest(text)}"
    return SignalName(text)


def metric_name(signal: SignalName) -> str | None:
    """The inverse of `signal_name`; None for one that was cut."""
    if "%~" in signal:
        return "" if signal == "%~" else None
    return _ESCAPED_NAME.sub(lambda found: chr(int(found[1], 16)), signal)
