"""Teaches the intent head: from sentences whose plans are known, to the weights that ship with the package.

`python -m agents.parser.lessons PLANT.ndjson FILE...` (in a clone: `make pretrain-intents`). Only sentences that are read right
teach: their fragments are labelled by the cues that count in them. So do the tools' own descriptions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from agents.catalogue import plant_tools
from agents.encoder import E5, open_encoder
from agents.names import Names
from agents.parser.composer import Composer, composed
from agents.parser.intentions import plain_words
from agents.parser.reading import Reading
from agents.taskgraph import Task, TaskGraphError
from graph.nn.intents import NOTHING, SHIPPED, IntentHead
from graph.topology import Topology
from schemas.decode import decode_lines


class Lesson(msgspec.Struct, frozen=True):
    """A line of a file of instructions with their plans."""

    id: str
    text: str
    tasks: tuple[Task, ...]
    links: tuple[tuple[str, str], ...] = ()


def plant_names(path: Path) -> Names:
    """The names of a plant that is written down as events."""
    topology = Topology().merge(decode_lines(path.read_bytes().splitlines()).events)
    return Names.of(topology.devices())


def fragments(reading: Reading) -> Iterator[tuple[str, str]]:
    """Fragments and what they ask for, each label once."""
    composer = Composer(reading, reading.anchors)
    for fragment in reading.fragments:
        tools = {anchor.tool for anchor in composer.taken if fragment.start <= anchor.start < fragment.end}
        if said := plain_words(reading, fragment):
            yield from ((said, tool) for tool in sorted(tools) or [NOTHING])


def learnt(names: Names, paths: Iterable[Path]) -> IntentHead:
    """From files of instructions, one JSON object a line."""
    found = [(tool.desc.split(":")[0], tool.id) for tool in plant_tools().tools]
    for path in paths:
        for line in path.read_bytes().splitlines():
            lesson = msgspec.json.decode(line, type=Lesson)
            reading = Reading(lesson.text, names)
            if _tools_of(reading) == sorted(task.tool for task in lesson.tasks):
                found += fragments(reading)
    encoder = open_encoder(E5)
    return IntentHead.fit(encoder.encode([said for said, _ in found]), [tool for _, tool in found], encoder=encoder.name)


def _tools_of(reading: Reading) -> list[str]:
    try:
        graph, _ = composed(reading, reading.anchors)
    except TaskGraphError:
        return []
    return sorted(task.tool for task in graph.tasks)


def main(arguments: list[str]) -> None:
    plant, *paths = map(Path, arguments)
    out = Path("graph/nn/shipped") / SHIPPED
    out.write_bytes(learnt(plant_names(plant), paths).saved())
    sys.stdout.write(f"{out}: {out.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
