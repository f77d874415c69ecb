"""The demo plant as a whole, without any network but the water's: `step` after `step`, each gateway's events.

Everything follows from the seed, the faults and the actions. Used by recordings (`streams.simulator.recording`) and by the live
simulator (`streams.simulator.live`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import numpy as np

from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros
from schemas.wire import ConnectedData, WireEvent
from streams.simulator.drawing import draw
from streams.simulator.equipment import Equipment
from streams.simulator.faults import Fault, FaultKind
from streams.simulator.hands import Answer, Hands
from streams.simulator.instruments import Instruments, Readings
from streams.simulator.network import STEP, Hydraulics
from streams.simulator.process import DAY_HOURS, HOUR, Process, next_step
from streams.simulator.wire import Batch, Envelopes, signal_data

SITE = "water"
START = Micros(1_767_571_200_000_000)
"""2026-01-05T00:00:00Z, a Monday: where the live plant begins, and normal history ends."""
WARM_UP = DAY_HOURS * HOUR
HOSTS: Mapping[FaultKind, Container[str]] = {
    FaultKind.LEAK: {"pipe", "junction"},
    FaultKind.PUMP_TRIP: {"pump"},
    FaultKind.PIPE_CLOSED: {"pipe", "valve"},
    FaultKind.GATEWAY_DARK: {"gateway"},
}
"""Types of device that a fault can be at; those of sensors are where sensors are."""


class Plant:
    """One plant. `time` is the event time of the next step; `epoch` the boot number of its gateways."""

    def __init__(self, site: str = SITE, *, seed: int = 0, start: Micros = START, epoch: int = 1) -> None:
        self.site = site
        self.time = start
        self.steps = 0
        self.faults: list[Fault] = []
        self._hydraulics = Hydraulics()
        self.equipment = Equipment(self._hydraulics.network)
        self._process = Process(self._hydraulics, np.random.default_rng([seed, 1]))
        self._instruments = Instruments(self.equipment, np.random.default_rng([seed, 2]))
        self._hands = Hands(self._process, self.equipment)
        self._envelopes = {name: Envelopes(f"/plants/{site}/gateways/{name}", epoch - 1) for name in self.equipment.gateways}
        self._born: set[DeviceId] = set()
        for back in range(WARM_UP, 0, -STEP * 1_000_000):
            self._process.advance(Micros(start - back), ())

    def inject(self, fault: Fault) -> None:
        """Break something from the fault's start on. Raises ValueError where the device cannot have it."""
        self._check(fault)
        self.faults.append(fault)

    def act(self, action: Action) -> None:
        """Take a command; it is done in the next step, whose events tell how it went. A repeated id changes nothing.

        Raises ValueError for a device that the plant does not have.
        """
        device = action.device_id
        if device is None or device not in self.equipment:
            raise ValueError(f"no device {device!r} in this plant")
        self._hands.take(device, action)

    def active(self) -> list[Fault]:
        """The faults of the last step."""
        return self._broken(Micros(self.time - STEP * 1_000_000))

    def dark(self, gateway: DeviceId) -> bool:
        """Whether a gateway was dark in the last step."""
        return any(fault.device == gateway and fault.kind is FaultKind.GATEWAY_DARK for fault in self.active())

    def draw(self, kind: FaultKind, rng: np.random.Generator, *, end: Micros | None = None) -> Fault:
        """A clearly visible fault that begins with the next step; `inject` it."""
        return draw(kind, rng, start=self.time, end=end, equipment=self.equipment)

    def step(self) -> list[Batch]:
        """Go on by `STEP` seconds: one batch of events for each gateway that is up."""
        at, active = self.time, self._broken(self.time)
        dark = {fault.device for fault in active if fault.kind is FaultKind.GATEWAY_DARK}
        answers = self._hands.work(at, active)
        self._process.advance(at, active)
        readings = self._instruments.read(self._process, at, active)
        self._born -= dark
        batches = [
            self._batch(name, self._events(name, at, readings=readings, answers=answers))
            for name in self.equipment.gateways
            if name not in dark
        ]
        self.time = next_step(at)
        self.steps += 1
        return batches

    def _broken(self, at: Micros) -> list[Fault]:
        return [fault for fault in self.faults if fault.active(at)]

    def _batch(self, name: DeviceId, events: Iterable[WireEvent]) -> Batch:
        made = list(events)
        envelopes = self._envelopes[name]
        return Batch(name, self.steps, envelopes.epoch, envelopes.sequence, made)

    def _events(self, name: DeviceId, at: Micros, *, readings: Readings, answers: Sequence[Answer]) -> Iterator[WireEvent]:
        envelopes = self._envelopes[name]
        if name not in self._born:
            yield from self._births(name, at)
        for device in (name, *self.equipment.gateways[name]):
            if device in readings:
                yield envelopes.telemetry(at, device, readings[device])
        for answer in answers:
            if self.equipment.gateway(answer.device) == name:
                yield envelopes.result(at, answer)

    def _births(self, name: DeviceId, at: Micros) -> Iterator[WireEvent]:
        """A gateway that boots tells of everything behind it."""
        envelopes, equipment = self._envelopes[name], self.equipment
        envelopes.boot()
        self._born.add(name)
        for device in (name, *equipment.gateways[name]):
            yield envelopes.connected(at, _announcement(equipment, device))
        for edge in equipment.edges(name):
            yield envelopes.linked(at, edge)

    def _check(self, fault: Fault) -> None:
        allowed = HOSTS.get(fault.kind, self.equipment.measured)
        kind = self.equipment.type(fault.device) if fault.device in self.equipment else None
        if kind not in allowed and fault.device not in allowed:
            raise ValueError(f"{fault.device!r} cannot have the fault {fault.kind}")


def _announcement(equipment: Equipment, device: DeviceId) -> ConnectedData:
    return ConnectedData(
        device_id=device,
        type=equipment.type(device),
        zone=equipment.zone(device),
        signals=tuple(signal_data(signal) for signal in equipment.signals(device)),
        properties=dict(equipment.properties(device)),
    )
