"""`make bench`, or `python -m tests.bench [NAME...]`: every part beside its peer; one JSON object a line on stdout.

Nothing here asserts a time: what is fast enough is said in DESIGN 5, what was measured in docs/benchmarks.md.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from typing import Any

PARTS = ("decode", "merge", "log", "replay", "latency", "restart", "sparkplug", "policy", "plan", "instructions")
MODEL = ("temporal",)
"""The temporal graph network: `make bench-model`."""
GRAPH = ("dynamic", "ablation")
"""What the topology is worth; with `--quick` on next to no plants: `make bench-dynamic`, `make bench-ablation`."""
API = ("api",)
"""Fault paths, the HTTP API and events, beside plain FastAPI and Neo4j: `make bench-api`."""
ENGINES = ("stream", "distributed", "takeover", "projection")
"""What needs Kafka, Neo4j or Mosquitto: `make bench-stream`."""


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "bench": "machine",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }


def tell(row: dict[str, Any]) -> None:
    print(json.dumps(row, ensure_ascii=False), flush=True)


def main(names: list[str]) -> int:
    quick = {"quick": True} if "--quick" in names else {}
    names = [name for name in names if name != "--quick"]
    if unknown := sorted(set(names) - {*PARTS, *MODEL, *GRAPH, *API, *ENGINES}):
        print(
            f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS + MODEL + GRAPH + API + ENGINES)}", file=sys.stderr
        )
        return 2
    tell(machine())
    for name in names or PARTS:
        began = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        for row in importlib.import_module(f"tests.bench.{name}").run(**(quick if name in GRAPH else {})):
            tell(row)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
