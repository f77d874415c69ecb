"""Where faults began and which way they spread."""

from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker

__all__ = ["FaultState", "FaultTracker"]
