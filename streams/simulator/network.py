"""The water network Net3 and its hydraulics, solved by EPANET through wntr: the only file that knows wntr.

EPANET is stepped through its toolkit, one solution at a time, so tank levels carry on by themselves and a valve may be shut
between any two steps. Controls of the file are left out; the plant's controller does their work.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.device import DeviceId

Floats = NDArray[np.float64]
LITRES = 1000.0
STEP = 300
"""Seconds between two solutions."""
FOREVER = 2_000_000_000
"""Seconds that EPANET is told to run, 63 years: it must fit 32 bits."""
MOTOR_VALVE = "330"
"""In the file a pipe that the controls open and shut; in a plant that is a valve."""


class SimulatorMissingError(Exception):
    """wntr, or what it needs, is not installed."""


class _Node(IntEnum):
    """EPANET's codes for what a node has."""

    BASE_DEMAND = 1
    PRESSURE = 11


class _Link(IntEnum):
    FLOW = 8
    STATUS = 11


@dataclass(frozen=True)
class Node:
    """A junction, tank or reservoir. `place` as drawn in the file, `elevation` in m."""

    device: DeviceId
    type: str
    place: tuple[float, float]
    elevation: float


@dataclass(frozen=True)
class Link:
    """A pipe, pump or valve between two nodes; m."""

    device: DeviceId
    type: str
    start: DeviceId
    end: DeviceId
    length: float
    diameter: float


@dataclass(frozen=True)
class Network:
    """`demands`: what each junction takes at each full hour of the day, L/s; junctions that take nothing are not in it."""

    nodes: Mapping[DeviceId, Node]
    links: Mapping[DeviceId, Link]
    demands: Mapping[DeviceId, Floats]

    def place(self, device: DeviceId) -> tuple[float, float]:
        """Where a device is drawn: a link in the middle between its ends."""
        if device in self.nodes:
            return self.nodes[device].place
        ends = [self.nodes[end].place for end in (self.links[device].start, self.links[device].end)]
        return (ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2

    def at(self, node: DeviceId) -> list[Link]:
        """The links that meet at a node."""
        return [link for link in self.links.values() if node in {link.start, link.end}]


@dataclass(frozen=True)
class State:
    """One solution: m of water above each junction or above each tank's floor, and L/s from start to end of each link."""

    pressure: Mapping[DeviceId, float]
    flow: Mapping[DeviceId, float]


class Hydraulics:
    """EPANET's solver for the network, step by step; freed by `close`, or when it is no longer used."""

    def __init__(self) -> None:
        model = _model()
        self.network = _network(model)
        self._solver = _opened(model)
        self._nodes = {_node_device(node): int(self._solver.ENgetnodeindex(name)) for name, node in model.nodes()}
        self._links = {_link_device(name, link): int(self._solver.ENgetlinkindex(name)) for name, link in model.links()}
        self.close = weakref.finalize(self, _close, self._solver)

    def demand(self, junction: DeviceId, flow: float) -> None:
        """What a junction takes from now on, L/s."""
        self._solver.ENsetnodevalue(self._nodes[junction], _Node.BASE_DEMAND, flow)

    def switch(self, link: DeviceId, *, on: bool) -> None:
        """Open or shut a pipe or valve, start or stop a pump."""
        self._solver.ENsetlinkvalue(self._links[link], _Link.STATUS, float(on))

    def level(self, tank: DeviceId) -> float:
        """The depth of water now, m."""
        return float(self._solver.ENgetnodevalue(self._nodes[tank], _Node.PRESSURE))

    def solve(self) -> State:
        """Flows and pressures for what is set now."""
        solver = self._solver
        solver.ENrunH()
        pressure = {device: float(solver.ENgetnodevalue(index, _Node.PRESSURE)) for device, index in self._nodes.items()}
        flow = {device: float(solver.ENgetlinkvalue(index, _Link.FLOW)) for device, index in self._links.items()}
        return State(pressure, flow)

    def advance(self) -> None:
        """Let the tanks fill and empty until the next step; EPANET stops in between where one becomes full or empty."""
        left = STEP
        while left > 0:
            left -= int(self._solver.ENnextH())
            if left > 0:
                self._solver.ENrunH()


def _wntr() -> Any:
    """The package; it takes seconds to import, so only a plant does. Its warnings are about its own past."""
    logging.getLogger("wntr.epanet").setLevel(logging.ERROR)  # EPANET warns at each step of low pressure
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("wntr.epanet.toolkit")
            return importlib.import_module("wntr")
    except ImportError as error:
        raise SimulatorMissingError(f"the demo plant needs wntr: pip install 'openautoglm[demo]' ({error})") from error


def _model() -> Any:
    """Net3 with neither demands nor controls: the plant sets them step by step."""
    wntr = _wntr()
    path = Path(wntr.__file__).parent / "library" / "networks" / "Net3.inp"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = wntr.network.WaterNetworkModel(str(path))
    time = model.options.time
    time.hydraulic_timestep = time.report_timestep = time.pattern_timestep = time.quality_timestep = time.rule_timestep = STEP
    time.duration = FOREVER
    model.options.quality.parameter = "NONE"
    for name in list(model.control_name_list):
        model.remove_control(name)
    return model


def load_network() -> Network:
    """The network without a solver. Raises SimulatorMissingError."""
    return _network(_model())


def _network(model: Any) -> Network:
    nodes = {_node_device(node): _node(node) for _, node in model.nodes()}
    links = {_link_device(name, link): _link(name, link) for name, link in model.links()}
    demands = {_node_device(junction): _daily(junction) for _, junction in model.junctions()}
    return Network(nodes, links, {junction: daily for junction, daily in demands.items() if daily.any()})


def _opened(model: Any) -> Any:
    """A solver that has read the network, in m and L/s, with all demands at nothing."""
    wntr = _wntr()
    for _, junction in model.junctions():
        junction.demand_timeseries_list.clear()
        junction.add_demand(0.0, None)
    for _, pattern in model.patterns():  # one of them would count for demands without a pattern
        pattern.multipliers = [1.0]
    solver = wntr.epanet.toolkit.ENepanet()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "network.inp")
        wntr.network.write_inpfile(model, path, units="LPS")
        solver.ENopen(path, os.devnull, "")
    solver.ENopenH()
    solver.ENinitH(0)
    return solver


def _close(solver: Any) -> None:
    solver.ENcloseH()
    solver.ENclose()


def _node_device(node: Any) -> DeviceId:
    return DeviceId(f"{node.node_type.lower()}-{node.name}")


def _link_type(name: str, link: Any) -> str:
    return "valve" if name == MOTOR_VALVE else str(link.link_type).lower()


def _link_device(name: str, link: Any) -> DeviceId:
    return DeviceId(f"{_link_type(name, link)}-{name}")


def _node(node: Any) -> Node:
    x, y = node.coordinates
    elevation = node.base_head if node.node_type == "Reservoir" else node.elevation
    return Node(_node_device(node), node.node_type.lower(), (float(x), float(y)), round(float(elevation), 2))


def _link(name: str, link: Any) -> Link:
    return Link(
        _link_device(name, link),
        _link_type(name, link),
        _node_device(link.start_node),
        _node_device(link.end_node),
        round(float(getattr(link, "length", 0.0)), 1),
        round(float(getattr(link, "diameter", 0.0)), 3),
    )


def _daily(junction: Any) -> Floats:
    """A junction's demand at each full hour, L/s; the file's patterns last a day."""
    daily = np.zeros(24)
    for demand in junction.demand_timeseries_list:
        multipliers = np.ones(24) if demand.pattern is None else np.asarray(demand.pattern.multipliers, dtype=np.float64)
        daily += float(demand.base_value) * LITRES * multipliers
    return daily
