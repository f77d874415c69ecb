"""Plants that the project makes up itself, with faults whose truth is known: a model practises on them."""

from graph.rehearsal.plant import Rehearsal, Trial, UnsolvableError
from graph.rehearsal.rehearse import FAMILIES, rehearse, topology

__all__ = ["FAMILIES", "Rehearsal", "Trial", "UnsolvableError", "rehearse", "topology"]
