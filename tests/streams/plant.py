"""A plant of four devices in a row, for tests: pump -> pipe -> junction -> tank, and its normal and broken days."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import msgspec

from schemas.device import DeviceId, Relation, Signal, SignalKind, SignalName
from schemas.event import Body, Connected, ControlAlarm, Event, Linked, Micros, Stamp, Telemetry, rfc3339

START = 1_767_571_200_000_000
STEP = 60_000_000
SOURCE = "/plants/test/gateways/gw-1"
DEVICES = ("pump-1", "pipe-1", "junction-1", "tank-1")
LEVEL = SignalName("level")


def stamp(number: int, at: int, source: str = SOURCE) -> Stamp:
    return Stamp(Micros(at), source, 1, number, f"e{number}")


def births() -> Iterator[Body]:
    for name in DEVICES:
        kind = name.partition("-")[0]
        yield Connected(DeviceId(name), kind, zone="north", signals=(Signal(LEVEL, SignalKind.NUMERIC),))
    for source, target in itertools.pairwise(DEVICES):
        yield Linked(DeviceId(source), DeviceId(target), Relation.FEEDS)


def recording(steps: int, *, seed: int = 1, broken_from: int | None = None, start: int = START) -> list[Event]:
    """Readings that follow the pump's; from `broken_from` on the pipe and what is behind it drop."""
    rng = random.Random(seed)
    events: list[Event] = [Event(stamp(number, start), body) for number, body in enumerate(births(), 1)]
    for step in range(1, steps + 1):
        base = 10 + 3 * math.sin(step / 20) + rng.gauss(0, 0.3)
        for place, name in enumerate(DEVICES):
            value = base * (1 - 0.1 * place) + rng.gauss(0, 0.05)
            if broken_from is not None and step >= broken_from and place >= 1:
                value -= 4
            body = Telemetry(DeviceId(name), {LEVEL: round(value, 4)})
            events.append(Event(stamp(len(events) + 1, start + step * STEP), body))
    return events


def alarm(number: int, at: int, *, active: bool) -> Event:
    return Event(stamp(number, at), ControlAlarm(DeviceId("pump-1"), "overload", active))


NAMES = {
    "Connected": "device.connected",
    "Telemetry": "device.telemetry",
    "Linked": "device.linked",
    "ControlAlarm": "device.alarm",
}


def wire(event: Event) -> dict[str, object]:
    """The CloudEvent that decodes to this event."""
    body = event.body
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    data = {_camel(name): value for name, value in fields.items() if value not in (None, {}, ())}
    at = event.stamp
    return {
        "specversion": "1.0",
        "id": at.id,
        "source": at.source,
        "type": NAMES[type(body).__name__],
        "time": rfc3339(at.at),
        "epoch": str(at.epoch),
        "sequence": f"{at.sequence:020d}",
        "data": msgspec.to_builtins(data),
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def line(event: Event) -> bytes:
    return msgspec.json.encode(wire(event))
