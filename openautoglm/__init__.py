"""Open-AutoGLM: a live graph of the plant's devices, what is strange in it, where faults began and which way they spread.

The public face: what is named here is what others may build on.

>>> from openautoglm import Topology, decode
>>> event = (
...     b'{"specversion":"1.0","id":"1","source":"/gw","type":"device.linked","time":"2026-01-05T00:00:00Z",'
...     b'"data":{"source":"pump-1","target":"pipe-1","relation":"FEEDS"}}'
... )
>>> [edge.target for edge in Topology().merge(decode(event).events).edges()]
['pipe-1']
"""

from agents.alarms import Alarms
from agents.dispatcher import Dispatcher
from agents.policyfolder import Policy
from agents.runbook import Runbook
from graph.detection import Detector, Model, load, save, train
from graph.faultpath import FaultState, FaultTracker
from graph.topology import Device, DeviceState, Topology
from schemas.action import Action
from schemas.decode import Decoded, Limits, decode, decode_lines
from schemas.device import DeviceId, Edge, Relation, Signal, SignalKind, SignalName
from schemas.event import Event, Micros, Stamp
from schemas.finding import Alert, DeviceScore, Fault, Invalid, PlantScore
from streams.pipeline import Pipeline, Reaction
from streams.replay import Summary, replay
from streams.service import Service
from streams.settings import Settings
from streams.windows import Lateness

__all__ = [
    "Action",
    "Alarms",
    "Alert",
    "Decoded",
    "Detector",
    "Device",
    "DeviceId",
    "DeviceScore",
    "DeviceState",
    "Dispatcher",
    "Edge",
    "Event",
    "Fault",
    "FaultState",
    "FaultTracker",
    "Invalid",
    "Lateness",
    "Limits",
    "Micros",
    "Model",
    "Pipeline",
    "PlantScore",
    "Policy",
    "Reaction",
    "Relation",
    "Runbook",
    "Service",
    "Settings",
    "Signal",
    "SignalKind",
    "SignalName",
    "Stamp",
    "Summary",
    "Topology",
    "decode",
    "decode_lines",
    "load",
    "replay",
    "save",
    "train",
]
