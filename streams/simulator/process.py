"""The water's side of the demo plant: demands that differ from day to day, the controller, and what faults and hands do to it.

`advance` goes on by one step; the truth of the step is then in `state` and `commands`. The sensors' side is `instruments`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.device import DeviceId
from schemas.event import Micros
from streams.simulator.equipment import BYPASS, GUIDE_TANK, LAKE_PUMP, RIVER_PUMP, SWITCHED
from streams.simulator.faults import Fault, FaultKind
from streams.simulator.network import STEP, Floats, Hydraulics, Network, State

HOUR = 3_600_000_000
DAY_HOURS = 24
LAKE_HOURS = (1.0, 15.0)
"""Hours of the day between which the file's controls pump from the lake."""
REFILL, FULL = 5.21, 5.82
"""Levels of the guide tank, m, at which the river's pump starts and stops."""
REFERENCE_PRESSURE = 50.0
"""Metres at which a leak lets out its size; it follows the root of the pressure."""
COMMON, OWN = (0.03, 0.99), (0.08, 0.96)
"""Standard deviation of the demands' noise, as a share, and its correlation from step to step: of all together, of each."""


class Demands:
    """What the junctions take, L/s: the file's day, straight between the hours, times two slow noises."""

    def __init__(self, network: Network, rng: np.random.Generator) -> None:
        self.junctions = list(network.demands)
        daily = np.array([network.demands[junction] for junction in self.junctions])
        self._daily = np.hstack([daily, daily[:, :1]])
        self._rng = rng
        self._noise = rng.normal(size=1 + len(self.junctions))
        self._memory = np.array([COMMON[1], *[OWN[1]] * len(self.junctions)])

    def step(self, at: Micros) -> Floats:
        shocks = self._rng.normal(size=len(self._noise)) * np.sqrt(1 - self._memory**2)
        self._noise = self._memory * self._noise + shocks
        hour = hour_of_day(at)
        low = int(hour)
        mean = self._daily[:, low] + (hour - low) * (self._daily[:, low + 1] - self._daily[:, low])
        taken: Floats = mean * np.exp(COMMON[0] * self._noise[0] + OWN[0] * self._noise[1:])
        return taken


class Process:
    """The network in motion. `shut` and `stopped`: links that hands have closed and pumps that they have switched off."""

    def __init__(self, hydraulics: Hydraulics, rng: np.random.Generator) -> None:
        self.network = hydraulics.network
        self.commands = dict.fromkeys(SWITCHED, False)
        self.shut: set[DeviceId] = set()
        self.stopped: set[DeviceId] = set()
        self.state: State = hydraulics.solve()
        self.on: dict[DeviceId, bool] = dict.fromkeys(self.network.links, True)
        self._hydraulics = hydraulics
        self._demands = Demands(self.network, rng)
        self._leaks: dict[DeviceId, float] = {}

    def advance(self, at: Micros, faults: Sequence[Fault]) -> None:
        """One step: what is asked and what is broken at `at`, solved; the tanks then carry on."""
        self._control(at)
        self._switch({fault.device for fault in faults if fault.kind in {FaultKind.PUMP_TRIP, FaultKind.PIPE_CLOSED}})
        self._leak([fault for fault in faults if fault.kind is FaultKind.LEAK])
        for junction, flow in zip(self._demands.junctions, self._demands.step(at).tolist(), strict=True):
            self._leaks.setdefault(junction, 0.0)
            self._hydraulics.demand(junction, flow + self._leaks[junction])
        for junction in self._leaks.keys() - self.network.demands.keys():
            self._hydraulics.demand(junction, self._leaks[junction])
        self.state = self._hydraulics.solve()
        self._hydraulics.advance()

    def _control(self, at: Micros) -> None:
        """What the controller wants: it goes by the clock and by the guide tank's own switch, not by the sensor."""
        self.commands[LAKE_PUMP] = LAKE_HOURS[0] <= hour_of_day(at) < LAKE_HOURS[1]
        level = self._hydraulics.level(GUIDE_TANK)
        if level < REFILL or level > FULL:
            self.commands[RIVER_PUMP] = level < REFILL
        self.commands[BYPASS] = not self.commands[RIVER_PUMP]

    def _switch(self, broken: set[DeviceId]) -> None:
        for link, was in self.on.items():
            on = self.commands.get(link, True) and link not in broken | self.shut | self.stopped
            if on != was or link in self.commands:
                self._hydraulics.switch(link, on=on)
                self.on[link] = on

    def _leak(self, faults: Iterable[Fault]) -> None:
        """A pipe leaks half at each end, and no more when it is shut; what a junction loses needs all its pipes shut."""
        self._leaks = dict.fromkeys(self._leaks, 0.0)
        for fault in faults:
            for junction, share in self._holes(fault.device):
                head = max(0.0, self.state.pressure[junction]) / REFERENCE_PRESSURE
                self._leaks[junction] = self._leaks.get(junction, 0.0) + fault.size * share * float(np.sqrt(head))

    def _holes(self, device: DeviceId) -> list[tuple[DeviceId, float]]:
        if device in self.network.nodes:
            fed = any(self.on[link.device] for link in self.network.at(device))
            return [(device, 1.0)] if fed else []
        link = self.network.links[device]
        return [(end, 0.5) for end in (link.start, link.end)] if self.on[device] else []


def hour_of_day(at: Micros) -> float:
    return at / HOUR % DAY_HOURS


def next_step(at: Micros) -> Micros:
    return Micros(at + STEP * 1_000_000)
