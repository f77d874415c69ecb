"""The white paper's two steps under its names: a sentence to its semantic form, and the form to a task graph.

The service takes the same way (`agents.interpreter`), with the names of its live graph.
"""

from __future__ import annotations

from pathlib import Path

from agents.encoder import MODELS, open_encoder
from agents.interpreter import Interpreter
from agents.names import Names
from agents.parser.composer import composed
from agents.parser.form import SemanticForm
from agents.planner import Planner
from agents.taskgraph import TaskGraph
from agents.toolset import ToolSet


class SemanticParser:
    """Reads sentences with an encoder: BERT, or what stands in for it on this machine (`agents.encoder`).

    `names`: of the plant that sentences are about; without them devices are not resolved.
    """

    def __init__(self, model_name: str | None = None, *, names: Names | None = None, models: Path = MODELS) -> None:
        """A model that is not on this machine is never fetched: another stands in, with a UserWarning.

        Raises:
            EncoderMissingError: none is installed that could.
        """
        self.encoder = open_encoder(model_name, models=models)
        self.names = names or Names({})
        self._interpreter = Interpreter(self.encoder)

    def encode(self, text: str) -> SemanticForm:
        """Vector, intents and entities of a sentence."""
        _, form, _ = self._interpreter.read(text, self.names)
        return form


class TaskGraphBuilder:
    """Makes task graphs of semantic forms: by the plant's own tools, or any others, with or without a model learnt for them.

    `hidden_dim` is the paper's: the width of its BERT's vectors. A form has the width of its own encoder, so nothing depends
    on it here.
    """

    def __init__(
        self,
        hidden_dim: int = 768,
        *,
        tools: ToolSet | None = None,
        model: Path | None = None,
        names: Names | None = None,
    ) -> None:
        """Raises PlanModelError, EncoderMissingError, ValueError."""
        if hidden_dim < 1:
            raise ValueError(f"hidden_dim is {hidden_dim}, and must be positive")
        self.hidden_dim = hidden_dim
        self.names = names or Names({})
        self._interpreter = Interpreter()
        self._planner = None if tools is None else Planner.open(tools, model)

    def build(self, form: SemanticForm) -> TaskGraph:
        """What is to be done. An argument that the sentence does not give is left open. Raises TaskGraphError."""
        if self._planner is not None:
            return self._planner.plan(form.text).graph
        reading, _, anchors = self._interpreter.read(form.text, self.names, vector=False)
        graph, _ = composed(reading, anchors)
        return graph
