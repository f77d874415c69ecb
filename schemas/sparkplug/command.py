"""What a host writes to metrics, and how it learns that it was done: Sparkplug has no answers, so a report of the value is one.

A session keeps what it has written until the metric is reported with that value, or the action's time is over.
"""

from __future__ import annotations

import math
import struct

import msgspec

from schemas.device import DeviceId
from schemas.event import ActionResult, ActionStatus, Micros
from schemas.sparkplug.codec import encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.mapping import MILLISECOND
from schemas.sparkplug.model import Metric, Payload, SparkplugError
from schemas.sparkplug.values import BITS, Value, metric, metric_value

MOST_WRITTEN = 1_000
"""Of one edge node, whose report is waited for; the oldest are let go of, and expire."""
TEXTS = frozenset({Datatype.STRING, Datatype.TEXT, Datatype.UUID})
REALS = {Datatype.FLOAT: "<f", Datatype.DOUBLE: "<d"}

Written = bool | int | float | str


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One action: the metric that it writes, of a device or of the edge node itself, and how long a report counts."""

    action_id: str
    device_id: DeviceId
    device: str | None
    metric: str
    value: Written
    until: Micros


class Writes:
    """What one edge node's session has written and has no report of, by device and metric: a later value takes over."""

    def __init__(self) -> None:
        self._open: dict[tuple[str | None, str], tuple[Write, Datatype]] = {}

    def add(self, write: Write, kind: Datatype, alias: int | None, now: Micros) -> bytes:
        """The command's payload; where there is an alias, by that alone. Raises SparkplugError: then nothing is to be sent."""
        value = fitting(kind, write.value)
        at = now // MILLISECOND
        sent = metric(kind, value, name=write.metric if alias is None else None, alias=alias, timestamp=at)
        raw = encode(Payload(timestamp=at, metrics=(sent,)))
        self._open.pop((write.device, write.metric), None)
        self._open[write.device, write.metric] = (msgspec.structs.replace(write, value=value), kind)
        if len(self._open) > MOST_WRITTEN:
            del self._open[next(iter(self._open))]
        return raw

    def reported(self, device: str | None, name: str, report: Metric, at: Micros) -> ActionResult | None:
        """The answer that a report of a metric is, if it is one. History is none."""
        found = self._open.get((device, name))
        if found is None or report.is_historical:
            return None
        write, kind = found
        if at > write.until:
            del self._open[device, name]
            return None
        try:
            value = metric_value(report, kind)
        except SparkplugError:
            return None
        if not same(kind, write.value, value):
            return None
        del self._open[device, name]
        detail = f"{name[:128]} is reported as {str(value)[:128]}"
        return ActionResult(write.action_id, write.device_id, ActionStatus.SUCCEEDED, detail)

    def __bool__(self) -> bool:
        return bool(self._open)


def fitting(kind: Datatype, value: Written) -> Written:
    """The value as the type holds it. Raises SparkplugError where it is of another type, or has no place in this one.

    >>> fitting(Datatype.INT8, 3.0), fitting(Datatype.DOUBLE, 3)
    (3, 3.0)
    """
    fits: Written | None = None
    if kind is Datatype.BOOLEAN:
        fits = value if isinstance(value, bool) else None
    elif kind in TEXTS:
        fits = value if isinstance(value, str) else None
    elif isinstance(value, bool | str):
        fits = None
    elif kind in REALS:
        fits = _real(kind, value)
    elif kind in BITS:
        fits = int(value) if math.isfinite(value) and value == int(value) else None
    if fits is None:
        raise SparkplugError(f"{value!r} is no value of data type {kind.name}")
    return fits


def _real(kind: Datatype, value: float) -> float | None:
    try:
        struct.pack(REALS[kind], value)
    except (OverflowError, struct.error):
        return None
    return float(value) if math.isfinite(value) else None


def same(kind: Datatype, written: Written, reported: Value | None) -> bool:
    """Whether a report is of the value that was written, to the precision of its type.

    >>> same(Datatype.FLOAT, 0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0])
    True
    """
    if kind in REALS and isinstance(written, int | float) and isinstance(reported, int | float):
        try:
            return struct.pack(REALS[kind], written) == struct.pack(REALS[kind], reported)
        except OverflowError:
            return False
    return type(written) is type(reported) and written == reported
