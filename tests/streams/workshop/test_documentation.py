"""The page's table of tools is the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

from agents.catalogue import plant_tools
from agents.run import RunState, TaskState

PAGE = (Path(__file__).parents[3] / "docs" / "instructions.md").read_text(encoding="utf-8")


def test_the_table_of_tools_is_the_catalogue() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\| ([^|]*) \|$", PAGE, re.MULTILINE)
    written = {name: (takes.strip(), puts.strip()) for name, takes, puts in rows}
    assert written == {
        tool.id: (
            ", ".join(slot.name if slot.required else f"[{slot.name}]" for slot in tool.inputs),
            ", ".join(slot.name for slot in tool.outputs),
        )
        for tool in plant_tools().tools
    }


def test_every_state_is_explained() -> None:
    words = set(re.findall(r"`([a-z]+)`", PAGE))
    assert {state.value for state in (*RunState, *TaskState)} <= words
