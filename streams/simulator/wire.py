"""Events as a gateway of the demo plant writes them: each with an id, the gateway's boot number and its place since then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from schemas.device import DeviceId, Edge, Signal, SignalName
from schemas.event import Micros, SignalValue, rfc3339
from schemas.wire import (
    WRITER,
    ConnectedData,
    ConnectedEvent,
    LinkedData,
    LinkedEvent,
    ResultData,
    ResultEvent,
    SignalData,
    TelemetryData,
    TelemetryEvent,
    WireEvent,
)
from streams.simulator.hands import Answer


@dataclass(frozen=True)
class Batch:
    """What one gateway sends of one step: `sequence` is the last event's."""

    gateway: DeviceId
    step: int
    epoch: int
    sequence: int
    events: Sequence[WireEvent]

    def payload(self) -> bytes:
        return WRITER.encode(self.events)


class Envelopes:
    """Writes one gateway's events; `at` is when things happened, event time."""

    def __init__(self, source: str, epoch: int) -> None:
        self.source = source
        self.epoch = epoch
        self.sequence = 0

    def boot(self) -> None:
        """The gateway starts again."""
        self.epoch += 1
        self.sequence = 0

    def connected(self, at: Micros, data: ConnectedData) -> WireEvent:
        return ConnectedEvent(data=data, **self._stamp(at, data.device_id))

    def linked(self, at: Micros, edge: Edge) -> WireEvent:
        data = LinkedData(edge.source, edge.target, edge.relation, directed=edge.directed)
        return LinkedEvent(data=data, **self._stamp(at, None))

    def telemetry(self, at: Micros, device: DeviceId, values: Mapping[SignalName, SignalValue]) -> WireEvent:
        return TelemetryEvent(data=TelemetryData(device, dict(values)), **self._stamp(at, device))

    def result(self, at: Micros, answer: Answer) -> WireEvent:
        data = ResultData(answer.action_id, answer.device, answer.status, answer.detail)
        return ResultEvent(data=data, **self._stamp(at, answer.device))

    def _stamp(self, at: Micros, device: DeviceId | None) -> dict[str, Any]:
        """The envelope's members; one number more is used up."""
        self.sequence += 1
        return {
            "specversion": "1.0",
            "id": f"{self.epoch}-{self.sequence}",
            "source": self.source,
            "time": rfc3339(at),
            "subject": device,
            "sequence": f"{self.sequence:020}",
            "epoch": str(self.epoch),
        }


def signal_data(signal: Signal) -> SignalData:
    return SignalData(signal.name, signal.kind, UNSET if signal.unit is None else signal.unit)
