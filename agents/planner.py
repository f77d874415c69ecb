"""Instructions to task graphs: which tools of a set are asked for, in which order, and why.

With a model that was learnt from examples of the same tools (`openautoglm plan-train`) its networks and the examples speak;
without one the scorer that ships with the package judges each tool by its description. Used by the command line and the parser.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.encoder import Encoder, EncoderMissingError, LayeredEncoder, TokenEncoder, open_encoder
from agents.taskgraph import Task, TaskGraph
from agents.toolset import ToolSet
from graph.nn.toolgraph.clauses import clauses
from graph.nn.toolgraph.generic import Described, GenericScorer, chosen, described, ordered, shipped
from graph.nn.toolgraph.model import PlanModel, load

LONGEST = 8_192
"""Letters of an instruction."""
SHOWN = 3
CLAUSE_SCALE = 4.0
LATIN_ENDS, LATIN_SHARE = "\u0250", 0.8
NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]+")


class Similar(msgspec.Struct, frozen=True):
    """An example that was learnt from, and the tools that were right for it."""

    instruction: str
    tools: tuple[str, ...]


class Reason(msgspec.Struct, frozen=True):
    """Why a task is in a plan.

    `phrase`: the part of the instruction that it answers; `score` from 0 to 1: how likely it is asked for; `neighbours`: linked
    tools that are in the plan too; `similar`: examples in which the tool was right.
    """

    task: str
    tool: str
    phrase: str
    score: float
    neighbours: tuple[str, ...] = ()
    similar: tuple[Similar, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """A chain of tasks, and a reason for each."""

    graph: TaskGraph
    reasons: tuple[Reason, ...]

    @property
    def tools(self) -> tuple[str, ...]:
        return tuple(task.tool for task in self.graph.tasks)

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Between tools."""
        tool = {task.key: task.tool for task in self.graph.tasks}
        return tuple((tool[source], tool[target]) for source, target in self.graph.links)


@dataclass(frozen=True)
class _Found:
    """Places of tools in order, and of each its part of the instruction and its score."""

    chain: tuple[int, ...]
    parts: Sequence[str]
    scores: Sequence[float]
    similar: Sequence[tuple[Similar, ...]]


class Planner:
    """Plans for one tool set. One thread at a time uses it."""

    def __init__(
        self,
        tools: ToolSet,
        encoder: Encoder,
        *,
        wide: Encoder | None = None,
        model: PlanModel | None = None,
        scorer: GenericScorer | None = None,
    ) -> None:
        """Without a model an instruction that is not in Latin letters is read by `wide`, an encoder of many languages."""
        self.tools, self.encoder = tools, encoder
        self._model = model
        self._linked = linked(tools)
        if model is None:
            self._scorer = scorer or shipped()
            self._latin = (encoder, self._read_by(encoder))
            self._other = (wide, self._read_by(wide)) if wide is not None else self._latin

    @classmethod
    def open(cls, tools: ToolSet, folder: Path | None = None) -> Planner:
        """With the model of a folder and its encoder, or without one.

        Raises:
            PlanModelError: the folder holds no model that can be read, or one for other tools.
            EncoderMissingError: the model's encoder, or any, is not installed.
        """
        if folder is None:
            encoder, wide = open_encoder(fast=True), open_encoder()
            return cls(tools, encoder, wide=wide if wide.name != encoder.name else None)
        model = load(folder, tools=digest(tools), linked=framed(linked(tools)))
        encoder = open_encoder(model.manifest.encoder)
        if encoder.name != model.manifest.encoder or (model.manifest.layers and not isinstance(encoder, LayeredEncoder)):
            raise EncoderMissingError(f"{folder}: learnt with the encoder {model.manifest.encoder}, which is not installed")
        return cls(tools, encoder, model=model)

    def plan(self, instruction: str) -> Plan:
        """Raises ValueError if the instruction is empty or too long."""
        text = instruction.strip()
        if not text or len(instruction) > LONGEST:
            raise ValueError(f"an instruction has 1 to {LONGEST} letters, this one {len(instruction)}")
        found = self._learnt(text, self._model) if self._model is not None else self._generic(text)
        return self._composed(found)

    def _read_by(self, encoder: Encoder) -> Described:
        tools = self.tools.tools
        said = [" ".join([tool.id, tool.desc, *tool.examples]) for tool in tools]
        return Described([tool.id for tool in tools], said, tool_vectors(self.tools, encoder), self._linked)

    def _learnt(self, text: str, model: PlanModel) -> _Found:
        seen = model.text(text, *read(self.encoder, text, model.manifest.below))
        parts = clauses(text)
        weighed = model.weigh(seen, parts)
        return _Found(
            weighed.chain,
            [parts[place] for place in weighed.asks.argmax(axis=1)],
            [weighed.likely.having(tool) for tool in weighed.chain],
            [self._similar(model, weighed.near, tool) for tool in weighed.chain],
        )

    def _similar(self, model: PlanModel, near: NDArray[np.int64], tool: int) -> tuple[Similar, ...]:
        with_it = [int(place) for place in near if tool in model.neighbours.chains[place]][:SHOWN]
        return tuple(
            Similar(model.instructions[place], tuple(self.tools.tools[one].id for one in model.neighbours.chains[place]))
            for place in with_it
        )

    def _generic(self, text: str) -> _Found:
        parts = clauses(text)
        encoder, described_tools = self._latin if is_latin(text) else self._other
        seen = described_tools.see(parts, encoder.encode(parts))
        shares = self._scorer(seen.table)
        chain = ordered(chosen(shares), seen.clause, self._linked)
        return _Found(
            chain, [parts[seen.clause[tool]] for tool in chain], [float(shares[tool]) for tool in chain], [()] * len(chain)
        )

    def _composed(self, found: _Found) -> Plan:
        names = [self.tools.tools[tool].id for tool in found.chain]
        keys = task_keys(names)
        tasks, reasons = [], []
        for place, (key, name) in enumerate(zip(keys, names, strict=True)):
            part, score = found.parts[place], round(min(max(found.scores[place], 0.0), 1.0), 4)
            beside = tuple(other for other in names if other != name and {(name, other), (other, name)} & self.tools.links)
            tasks.append(Task(key, name, why=part))
            reasons.append(Reason(key, name, part, score, beside, found.similar[place]))
        return Plan(TaskGraph(tuple(tasks), tuple(pairwise(keys))), tuple(reasons))


def is_latin(text: str) -> bool:
    """Whether nearly all letters are Latin.

    >>> is_latin("Mach Pumpe 7 aus: Überdruck!"), is_latin("请停止水泵 P-7。")
    (True, False)
    """
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter < LATIN_ENDS for letter in letters) >= LATIN_SHARE * len(letters)


def task_keys(names: Sequence[str]) -> list[str]:
    """A key for each task, made from the name of its tool.

    >>> task_keys(["stop_pump", "Text Translator", "Text Translator", "停泵"])
    ['stop_pump', 'Text-Translator', 'Text-Translator-2', 'task']
    """
    plain = [NOT_IN_KEYS.sub("-", name).strip("-_.")[:56] or "task" for name in names]
    seen: Counter[str] = Counter()
    found = []
    for name in plain:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


def digest(tools: ToolSet) -> str:
    """Equal for equal tool sets, in whatever order their file names them."""
    return hashlib.sha256(tools.wire()).hexdigest()


def linked(tools: ToolSet) -> NDArray[np.bool_]:
    """(t, t): where a link leads."""
    found = np.zeros((len(tools), len(tools)), bool)
    for source, target in tools.links:
        found[tools.place(source), tools.place(target)] = True
    return found


def framed(links: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(t + 1, t + 1): the same with a last place from which and to which all is open: beginning and end."""
    found = np.ones((len(links) + 1, len(links) + 1), np.float32)
    found[:-1, :-1] = links
    return found


def read(encoder: Encoder, text: str, below: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A text's vector (d), and those of its tokens (m, e); of its clauses where the encoder does not tell of tokens.

    `below`: only so many of the encoder's layers read, where others go on that were taught.
    """
    if isinstance(encoder, TokenEncoder):
        states = (encoder.states([text], below) if isinstance(encoder, LayeredEncoder) and below else encoder.states([text]))[0]
        vector = states.mean(axis=0)
        return vector / max(float(np.linalg.norm(vector)), 1e-6), states
    return encoder.encode([text])[0], encoder.encode(clauses(text)) * CLAUSE_SCALE


def tool_vectors(tools: ToolSet, encoder: Encoder) -> NDArray[np.float32]:
    """(t, d): names with descriptions."""
    return encoder.encode([described(tool.id, tool.desc) for tool in tools.tools])
