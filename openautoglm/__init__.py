r"""Open-AutoGLM: a live graph of the plant's devices, what is strange in it, where faults began and which way they spread.

The public face: what is named here is what others may build on.

An instruction becomes a task graph (without the white paper's BERT on this machine, a packaged one stands in and says so):

>>> from openautoglm import SemanticParser, TaskGraphBuilder
>>> parser = SemanticParser(model_name="bert-base-uncased")
>>> graph_builder = TaskGraphBuilder(hidden_dim=768)
>>> semantics = parser.encode("分析销售数据并生成可视化图表")
>>> task_graph = graph_builder.build(semantics)
>>> print(task_graph.to_dot())
digraph tasks {
  rankdir=LR;
  node [shape=box];
  "t1" [label="t1: signal_history"];
  "t2" [label="t2: signal_statistics\nseries: t1.series"];
  "t3" [label="t3: draw_chart\nseries: t1.series"];
  "t1" -> "t2";
  "t1" -> "t3";
}

And events become a graph of the plant:

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
from agents.interpreter import Interpreter, Understood
from agents.names import Names
from agents.parser.form import SemanticForm
from agents.planner import Planner
from agents.policyfolder import Policy
from agents.runbook import Runbook
from agents.scheduler import Scheduler
from agents.semantics import SemanticParser, TaskGraphBuilder
from agents.taskgraph import Task, TaskGraph
from agents.toolset import Tool, ToolSet
from graph.detection.detector import Detector
from graph.detection.model import Model, load, save
from graph.detection.training import train
from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker
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
    "Interpreter",
    "Invalid",
    "Lateness",
    "Limits",
    "Micros",
    "Model",
    "Names",
    "Pipeline",
    "Planner",
    "PlantScore",
    "Policy",
    "Reaction",
    "Relation",
    "Runbook",
    "Scheduler",
    "SemanticForm",
    "SemanticParser",
    "Service",
    "Settings",
    "Signal",
    "SignalKind",
    "SignalName",
    "Stamp",
    "Summary",
    "Task",
    "TaskGraph",
    "TaskGraphBuilder",
    "Tool",
    "ToolSet",
    "Topology",
    "Understood",
    "decode",
    "decode_lines",
    "load",
    "replay",
    "save",
    "train",
]
