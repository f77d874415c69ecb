"""Writes the published copies of what is defined in Python: `python -m tests.schemas.publish` after a change."""

from __future__ import annotations

import json
from pathlib import Path

from schemas import asyncapi
from schemas.definitions import ENVELOPE, EVENTS
from schemas.findings import FINDINGS

ROOT = Path(__file__).parents[2]


def published() -> dict[Path, str]:
    """Path from the root of the repository to text."""
    schemas = {str(name): schema for name, schema in EVENTS.items()} | FINDINGS | {"envelope": ENVELOPE}
    texts = {
        Path("schemas", "published", f"{name}.json"): json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }
    return texts | {Path("docs", "asyncapi.yaml"): asyncapi.text()}


if __name__ == "__main__":
    for path, text in published().items():
        (ROOT / path).write_text(text, encoding="utf-8")
