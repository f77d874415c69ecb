"""What is strange: scores for the plant and each device, learnt from history without labels."""

from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model, ModelError, load, save
from graph.detection.training import NothingToLearnError, train

__all__ = ["Detector", "Model", "ModelError", "NothingToLearnError", "Step", "load", "save", "train"]
