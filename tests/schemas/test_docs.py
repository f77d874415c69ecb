"""The examples of docs/events.md are valid events, one of each type."""

from __future__ import annotations

import re

from schemas.decode import decode
from schemas.event import EventType
from tests.schemas.publish import ROOT

PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_examples_are_valid() -> None:
    for example in EXAMPLES:
        decoded = decode(example.encode())
        assert decoded.invalid == []
        assert len(decoded.events) == 1


def test_each_type_has_its_example() -> None:
    types = [re.findall(r'"type": "((?:device|action)\.\w+)"', example)[0] for example in EXAMPLES]
    assert types == list(EventType)
