"""The plant's own tools (`catalogue.yaml`), read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from agents.rulefile import parse
from agents.toolset import Tool, ToolSet


class CatalogueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    tools: tuple[Tool, ...]


@cache
def plant_tools() -> ToolSet:
    """What instructions can be carried out with.

    >>> ("signal_history", "draw_chart") in plant_tools().links
    True
    """
    raw = files("agents").joinpath("catalogue.yaml").read_bytes()
    return ToolSet(parse(raw, CatalogueFile, name="catalogue.yaml").tools)
