"""Tools by which instructions can be carried out, and which of them feeds which: the graph that plans are made on.

Read from a JSON file, `{"nodes": [{"id", "desc", ...}], "links": [{"source", "target"}]}`, the form in which UltraTool and
TaskBench are published; the plant's own tools are `agents.catalogue`. Used by the planner, the parser and the scheduler.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

LARGEST = 32_000_000
"""Bytes of a file."""
MOST_TOOLS, MOST_LINKS = 20_000, 1_000_000
ANY = "any"

ToolId = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=8_192)]


class ToolFileError(ValueError):
    """A file that describes no tools; the message names the file and the field."""


class Slot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input or output of a tool. An output fits an input of the same `type`; `any` fits all.

    `choices`: the only words that an input takes. What is not `required` may be left out; `default` is what it is then.
    """

    name: ToolId
    type: str = ANY
    desc: Text = ""
    required: bool = True
    choices: tuple[str, ...] = ()
    default: Any = None


class Effect(StrEnum):
    """What is left behind: nothing; a file of the run; something in the plant or with people, by way of the policy."""

    READ = "read"
    MAKE = "make"
    ACT = "act"


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that can be done. `examples` are sentences in which somebody asks for it."""

    id: ToolId
    desc: Text = ""
    domain: tuple[str, ...] = ()
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    examples: tuple[Text, ...] = ()
    effect: Effect = Effect.READ

    def input(self, name: str) -> Slot | None:
        return next((slot for slot in self.inputs if slot.name == name), None)

    def output(self, name: str) -> Slot | None:
        return next((slot for slot in self.outputs if slot.name == name), None)


class ToolSet:
    """Tools in the order of their ids, and the links between them. Immutable, so that plans of it can be kept.

    >>> tools = ToolSet([Tool("read", outputs=(Slot("text", "text"),)), Tool("print", inputs=(Slot("page", "text"),))])
    >>> sorted(tools.links)
    [('read', 'print')]
    """

    def __init__(self, tools: Iterable[Tool], links: Iterable[tuple[str, str]] | None = None) -> None:
        """Without `links`, they follow from the types of outputs and inputs.

        Raises:
            ValueError: an id stands twice, or a link leads to a tool that is not there.
        """
        self.tools: tuple[Tool, ...] = tuple(sorted(tools, key=lambda tool: tool.id))
        self._place = {tool.id: place for place, tool in enumerate(self.tools)}
        counts = Counter(tool.id for tool in self.tools)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"several tools are named {twice[0]}")
        found = _fitting(self.tools) if links is None else set(links)
        for end in (end for link in sorted(found) for end in link):
            if end not in self._place:
                raise ValueError(f"a link leads to {end}, which is no tool here")
        self.links: frozenset[tuple[str, str]] = frozenset(link for link in found if link[0] != link[1])

    @classmethod
    def load(cls, path: Path) -> ToolSet:
        """Raises ToolFileError, OSError."""
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        return cls.parse(raw, name=str(path))

    @classmethod
    def parse(cls, raw: bytes, *, name: str) -> ToolSet:
        """Raises ToolFileError, with this name of the file."""
        if len(raw) > LARGEST:
            raise ToolFileError(f"{name}: more than {LARGEST} bytes")
        try:
            document = msgspec.json.decode(raw, type=_Document)
            links = None if document.links is None else [(link.source, link.target) for link in document.links]
            return cls((node.tool() for node in document.nodes), links)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
            raise ToolFileError(f"{name}: {error}") from None

    def __len__(self) -> int:
        return len(self.tools)

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __getitem__(self, name: str) -> Tool:
        return self.tools[self._place[name]]

    def place(self, name: str) -> int:
        """Where a tool stands in `tools`."""
        return self._place[name]

    def wire(self) -> bytes:
        """The file's form."""
        links = [{"source": source, "target": target} for source, target in sorted(self.links)]
        return msgspec.json.encode({"nodes": self.tools, "links": links})


class _Node(msgspec.Struct, frozen=True):
    """A tool as files write it. What they say beyond is left alone; TaskBench names types instead of slots."""

    id: ToolId
    desc: Text = ""
    domain: tuple[str, ...] | str = ()
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    examples: tuple[Text, ...] = ()
    input_types: tuple[str, ...] = msgspec.field(default=(), name="input-type")
    output_types: tuple[str, ...] = msgspec.field(default=(), name="output-type")

    def tool(self) -> Tool:
        domain = (self.domain,) if isinstance(self.domain, str) else self.domain
        inputs = self.inputs or tuple(Slot(kind, kind) for kind in self.input_types)
        outputs = self.outputs or tuple(Slot(kind, kind) for kind in self.output_types)
        return Tool(self.id, self.desc, domain, inputs, outputs, self.examples)


class _Link(msgspec.Struct, frozen=True):
    source: ToolId
    target: ToolId


class _Document(msgspec.Struct, frozen=True):
    nodes: Annotated[tuple[_Node, ...], Meta(min_length=1, max_length=MOST_TOOLS)]
    links: Annotated[tuple[_Link, ...], Meta(max_length=MOST_LINKS)] | None = None


def _fitting(tools: Iterable[Tool]) -> set[tuple[str, str]]:
    """A link wherever an output fits an input."""
    takers: Mapping[str, set[str]] = defaultdict(set)
    for tool in tools:
        for slot in tool.inputs:
            takers[slot.type].add(tool.id)
    fed = {(tool.id, kind) for tool in tools for slot in tool.outputs for kind in (slot.type, ANY)}
    return {(source, taker) for source, kind in fed for taker in takers.get(kind, ())}
