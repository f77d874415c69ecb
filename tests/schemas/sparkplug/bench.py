"""An edge node that says what it is told to, and a host with a graph behind it, in a time that goes on when it is told to."""

from __future__ import annotations

from typing import Any

from graph.topology import DeviceState, Reading, Topology
from schemas.device import DeviceId, SignalName
from schemas.event import Connected, Disconnected, Event, Micros, SignalValue, Telemetry
from schemas.sparkplug.codec import encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.host import Host
from schemas.sparkplug.model import Metric, Payload
from schemas.sparkplug.outcome import Outcome
from schemas.sparkplug.session import Rules
from schemas.sparkplug.topic import EdgeNode, MessageType
from schemas.sparkplug.values import metric

START = 1_767_571_200_000
"""Milliseconds: 2026-01-05."""
NODE = DeviceId("plant/line")
PUMP = DeviceId("plant/line/pump")
Said = tuple[str, bytes]


def number(name: str | None, value: float | None, **rest: Any) -> Metric:
    """A metric of type Double."""
    return metric(Datatype.DOUBLE, value, name=name, **rest)


def bare(alias: int, kind: Datatype, value: Any, **rest: Any) -> Metric:
    """As DATA has it: by alias, without name and type."""
    held = metric(kind, value)
    return Metric(alias=alias, held=held.held, value=held.value, is_null=held.is_null, **rest)


class Edge:
    """One edge node. `at` is its clock in milliseconds; each message takes the next number."""

    def __init__(self, group: str = "plant", edge: str = "line", *, bd_seq: int = 0) -> None:
        self.node = EdgeNode(group, edge)
        self.bd_seq = bd_seq
        self.seq = 0
        self.at = START

    def nbirth(self, *metrics: Metric, seq: int = 0, plain: bool = False) -> Said:
        """With bdSeq and the rebirth command, unless `plain`."""
        own = () if plain else (self._bd(), metric(Datatype.BOOLEAN, False, name="Node Control/Rebirth", timestamp=self.at))
        self.seq = seq
        return self.say(MessageType.NBIRTH, *own, *metrics)

    def ndeath(self, *metrics: Metric) -> Said:
        payload = Payload(timestamp=self.at, metrics=metrics or (self._bd(),))
        return self.node.topic(MessageType.NDEATH), encode(payload)

    def ndata(self, *metrics: Metric) -> Said:
        return self.say(MessageType.NDATA, *metrics)

    def dbirth(self, *metrics: Metric, device: str = "pump") -> Said:
        return self.say(MessageType.DBIRTH, *metrics, device=device)

    def ddata(self, *metrics: Metric, device: str = "pump") -> Said:
        return self.say(MessageType.DDATA, *metrics, device=device)

    def ddeath(self, device: str = "pump") -> Said:
        return self.say(MessageType.DDEATH, device=device)

    def say(self, kind: MessageType, *metrics: Metric, device: str | None = None, **rest: Any) -> Said:
        """Any message under the next number."""
        said = {"timestamp": self.at, "seq": self.seq, **rest}
        self.seq = (self.seq + 1) % 256
        return self.node.topic(kind, device), encode(Payload(metrics=metrics, **said))

    def _bd(self) -> Metric:
        return metric(Datatype.INT64, self.bd_seq, name="bdSeq", timestamp=self.at)


class Bench:
    """The host under test."""

    def __init__(self, **rules: Any) -> None:
        self.host = Host(Rules(**rules))
        self.now = Micros(START * 1000)
        self.graph = Topology()
        self.events: list[Event] = []
        self.rebirths: list[tuple[Micros, EdgeNode]] = []
        self.refused: list[str] = []

    def hear(self, *messages: Said, retained: bool = False) -> list[Event]:
        """The events that these messages gave rise to, a millisecond after each other."""
        before = len(self.events)
        for topic, raw in messages:
            self.now = Micros(self.now + 1000)
            self.keep(self.host.take(topic, raw, self.now, retained=retained))
        return self.events[before:]

    def wait(self, seconds: float) -> list[Event]:
        """Time goes on, and the host is called whenever it wanted to be."""
        before, until = len(self.events), Micros(self.now + int(seconds * 1_000_000))
        while (due := self.host.due) is not None and due <= until:
            self.now = max(self.now, due)
            self.keep(self.host.tick(self.now))
        self.now = until
        return self.events[before:]

    def keep(self, out: Outcome) -> None:
        self.events += out.events
        self.graph.merge(out.events)
        self.rebirths += [(self.now, node) for node in out.rebirths]
        self.refused += [invalid.reason for _, invalid in out.refused]

    def state(self, device: DeviceId) -> DeviceState | None:
        known = self.graph.device(device)
        return None if known is None else known.state

    def reading(self, device: DeviceId, signal: str) -> Reading:
        return self.graph.readings(device)[SignalName(signal)]

    def value(self, device: DeviceId, signal: str) -> SignalValue:
        return self.reading(device, signal).value


def values(events: list[Event]) -> list[dict[SignalName, SignalValue]]:
    """What the telemetry among these events says."""
    return [event.body.values for event in events if isinstance(event.body, Telemetry)]


def came(events: list[Event]) -> list[str]:
    return [event.body.device_id for event in events if isinstance(event.body, Connected)]


def went(events: list[Event]) -> list[str]:
    return [event.body.device_id for event in events if isinstance(event.body, Disconnected)]
