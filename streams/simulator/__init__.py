"""A plant to watch: the water network Net3, solved by EPANET, with sensors, gateways and faults on demand (extra `demo`)."""

from streams.simulator.drawing import draw
from streams.simulator.faults import Fault, FaultKind
from streams.simulator.live import Simulator
from streams.simulator.network import STEP, SimulatorMissingError
from streams.simulator.plant import SITE, START, Plant
from streams.simulator.recording import events, history, write_recording

__all__ = [
    "SITE",
    "START",
    "STEP",
    "Fault",
    "FaultKind",
    "Plant",
    "Simulator",
    "SimulatorMissingError",
    "draw",
    "events",
    "history",
    "write_recording",
]
