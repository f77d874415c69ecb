"""What stands in the plant: gateways and the zones behind them, the controller, and where the sensors are.

Follows from the network alone, so every seed has the same plant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from schemas.device import DeviceId, Edge, Relation, Signal, SignalKind, SignalName
from streams.simulator.network import Network

CONTROLLER = DeviceId("plc-1")
LAKE_PUMP, RIVER_PUMP, BYPASS = DeviceId("pump-10"), DeviceId("pump-335"), DeviceId("valve-330")
SWITCHED = (LAKE_PUMP, RIVER_PUMP, BYPASS)
GUIDE_TANK = DeviceId("tank-1")
"""Its level decides whether the river is pumped or flows by itself."""
ZONES = {"gw-1": ("lake", (16.0, 18.0)), "gw-2": ("river", (29.0, 20.0)), "gw-3": ("south", (31.0, 6.0))}
"""Each gateway's zone and its middle, as drawn; a device belongs to the nearest."""
GAUGES, METERS = 25, 12
WIDE = 0.3
"""Pipes of this diameter in m and more are worth a flow meter."""


@dataclass(frozen=True)
class Quantity:
    """What a kind of sensor measures: standard deviation of its noise, absolute and as a share; `swing` is clearly visible."""

    signal: SignalName
    unit: str
    noise: float
    share: float
    swing: float


PRESSURE = Quantity(SignalName("pressure"), "m", noise=0.15, share=0.0, swing=5.0)
FLOW = Quantity(SignalName("flow"), "L/s", noise=0.3, share=0.01, swing=60.0)
LEVEL = Quantity(SignalName("level"), "m", noise=0.01, share=0.0, swing=0.8)
LOAD = Quantity(SignalName("load"), "%", noise=1.5, share=0.0, swing=40.0)


@dataclass(frozen=True)
class Sensor:
    device: DeviceId
    quantity: Quantity


class Equipment:
    """The plant's devices by gateway, its edges and its sensors."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sensors = [*_gauges(network), *_meters(network), *_levels(network), *_loads()]
        self.gateways = {DeviceId(name): [device for device in self.devices if self.gateway(device) == name] for name in ZONES}

    @cached_property
    def devices(self) -> list[DeviceId]:
        """All but the gateways."""
        return [*self.network.nodes, *self.network.links, CONTROLLER]

    def gateway(self, device: DeviceId) -> DeviceId:
        """The gateway that a device is behind; a gateway's is itself."""
        if device in ZONES:
            return device
        x, y = self.place(device)
        return DeviceId(min(ZONES, key=lambda name: np.hypot(x - ZONES[name][1][0], y - ZONES[name][1][1])))

    def type(self, device: DeviceId) -> str:
        if device == CONTROLLER:
            return "controller"
        return "gateway" if device in ZONES else device.partition("-")[0]

    def __contains__(self, device: object) -> bool:
        return device in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset((*self.devices, *ZONES))

    @cached_property
    def measured(self) -> frozenset[DeviceId]:
        """Devices with a numeric signal."""
        return frozenset(sensor.device for sensor in self.sensors)

    def properties(self, device: DeviceId) -> dict[str, float]:
        """Where a device is drawn, and its size in m."""
        network = self.network
        if device in network.nodes:
            found = {"elevation": network.nodes[device].elevation}
        elif device in network.links and self.type(device) == "pipe":
            found = {"length": network.links[device].length, "diameter": network.links[device].diameter}
        else:
            found = {}
        x, y = self.place(device)
        return found | {"x": round(x, 2), "y": round(y, 2)}

    def place(self, device: DeviceId) -> tuple[float, float]:
        """As drawn in the file; the controller stands at the river's pump, a gateway in the middle of its zone."""
        if device in ZONES:
            return ZONES[device][1]
        return self.network.place(RIVER_PUMP if device == CONTROLLER else device)

    def zone(self, device: DeviceId) -> str:
        return ZONES[self.gateway(device)][0]

    def signals(self, device: DeviceId) -> list[Signal]:
        measured = [sensor.quantity for sensor in self.sensors if sensor.device == device]
        numeric = [Signal(quantity.signal, SignalKind.NUMERIC, quantity.unit) for quantity in measured]
        return numeric + [Signal(name, SignalKind.BINARY) for name in switches(device)]

    def edges(self, gateway: DeviceId) -> list[Edge]:
        """What a gateway knows of the plant's edges: those that begin at itself or at a device behind it."""
        own = [Edge(gateway, device, Relation.NETWORK) for device in self.gateways[gateway]]
        return own + [edge for edge in self._process if self.gateway(edge.source) == gateway]

    @cached_property
    def _process(self) -> list[Edge]:
        edges = []
        for link in self.network.links.values():
            edges.append(Edge(link.start, link.device, Relation.FEEDS, directed=False))
            edges.append(Edge(link.device, link.end, Relation.FEEDS, directed=False))
        edges += [Edge(CONTROLLER, device, Relation.CONTROLS) for device in SWITCHED]
        return [*edges, Edge(GUIDE_TANK, CONTROLLER, Relation.AFFECTS)]


def switches(device: DeviceId) -> list[SignalName]:
    """The names of a device's binary signals."""
    if device == CONTROLLER:
        return [command(switched) for switched in SWITCHED]
    return [SignalName("open" if device == BYPASS else "running")] if device in SWITCHED else []


def command(device: DeviceId) -> SignalName:
    """The controller's signal for whether it wants a device on."""
    return SignalName(f"{device}-on")


def _gauges(network: Network) -> list[Sensor]:
    """Pressure, spread over the plant."""
    junctions = [device for device, node in network.nodes.items() if node.type == "junction"]
    return [Sensor(device, PRESSURE) for device in _spread(network, junctions, GAUGES)]


def _meters(network: Network) -> list[Sensor]:
    """Flow in wide pipes, spread over the plant, and in everything that is switched."""
    wide = [device for device, link in network.links.items() if link.type == "pipe" and link.diameter >= WIDE]
    return [Sensor(device, FLOW) for device in (*_spread(network, wide, METERS), *SWITCHED)]


def _levels(network: Network) -> list[Sensor]:
    return [Sensor(device, LEVEL) for device, node in network.nodes.items() if node.type == "tank"]


def _loads() -> list[Sensor]:
    """Gateways tell how busy they are."""
    return [Sensor(DeviceId(name), LOAD) for name in ZONES]


def _spread(network: Network, devices: Sequence[DeviceId], count: int) -> Iterable[DeviceId]:
    """The first device, then always the one that is farthest from all chosen before."""
    places = np.array([network.place(device) for device in devices])
    distance = np.full(len(devices), np.inf)
    chosen = 0
    for _ in range(min(count, len(devices))):
        yield devices[chosen]
        distance = np.minimum(distance, np.hypot(*(places - places[chosen]).T))
        chosen = int(distance.argmax())
