"""What is known of a fault at one time, in the core's units."""

from __future__ import annotations

import hashlib

import msgspec

from schemas.device import DeviceId, Relation
from schemas.event import Micros, rfc3339
from schemas.finding import Affected, Fault, Forecast, Origin, PathStep


class Way(msgspec.Struct, frozen=True):
    """An edge that the fault took; `lag` in micros, None where an end shows no onset."""

    source: DeviceId
    target: DeviceId
    relation: Relation
    lag: int | None
    probability: float


class Ahead(msgspec.Struct, frozen=True):
    """A device that the fault will likely affect, and when."""

    device: DeviceId
    expected: Micros
    probability: float


class FaultState(msgspec.Struct, frozen=True):
    """One state of one fault; `origins` most probable first."""

    fault_id: str
    opened_at: Micros
    updated_at: Micros
    closed_at: Micros | None
    origins: tuple[tuple[DeviceId, float], ...]
    affected: tuple[tuple[DeviceId, Micros], ...]
    path: tuple[Way, ...]
    forecast: tuple[Ahead, ...] = ()

    def finding(self) -> Fault:
        """As CONTRACT 3 writes it."""
        return Fault(
            fault_id=self.fault_id,
            opened_at=rfc3339(self.opened_at),
            updated_at=rfc3339(self.updated_at),
            closed_at=None if self.closed_at is None else rfc3339(self.closed_at),
            origins=tuple(Origin(device, probability) for device, probability in self.origins),
            affected=tuple(Affected(device, rfc3339(onset)) for device, onset in self.affected),
            path=tuple(
                PathStep(way.source, way.target, way.relation, None if way.lag is None else way.lag / 1e6, way.probability)
                for way in self.path
            ),
            forecast=tuple(Forecast(ahead.device, rfc3339(ahead.expected), ahead.probability) for ahead in self.forecast),
        )


def fault_id(opened_at: Micros, first: DeviceId) -> str:
    """The same for the same cause: the step that opened the fault and the device that was strangest then.

    >>> fault_id(Micros(0), DeviceId("pump-1"))
    'fault-19700101T000000-f0831b7b'
    """
    digest = hashlib.sha256(f"{opened_at}/{first}".encode()).hexdigest()[:8]
    return f"fault-{rfc3339(opened_at)[:19].replace('-', '').replace(':', '')}-{digest}"
