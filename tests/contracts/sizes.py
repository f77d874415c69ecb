"""Size limits of the style: no function over 60 lines, no file over 400, median function under 10. Run by `make check`."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

MAX_FUNCTION = 60
MAX_FILE = 400
MAX_MEDIAN = 10
FOLDERS = ("openautoglm", "streams", "agents", "graph", "schemas", "deploy", "tests")


def problems(root: Path) -> list[str]:
    """What is too long under `root`, one line each."""
    found: list[str] = []
    lengths: list[int] = []
    for path in sorted(file for folder in FOLDERS for file in (root / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root)
        if (count := text.count("\n")) > MAX_FILE:
            found.append(f"{name}: {count} lines, at most {MAX_FILE}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append(length)
                if length > MAX_FUNCTION:
                    found.append(f"{name}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION}")
    if lengths and (median := statistics.median(lengths)) > MAX_MEDIAN:
        found.append(f"the median function has {median} lines, at most {MAX_MEDIAN}")
    return found


if __name__ == "__main__":
    listed = problems(Path(__file__).parents[2])
    print("\n".join(listed) or "Sizes: all within limits.")
    sys.exit(bool(listed))
