"""Sparkplug messages of 50 metrics: reading the payload, and all the way to events, beside protobuf where the peers are."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from schemas.event import Micros
from schemas.sparkplug.codec import decode, encode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.host import Host
from schemas.sparkplug.model import Payload
from schemas.sparkplug.values import metric

START = 1_767_571_200_000
METRICS = 50
REPEATS = 3000
PEER = Path(__file__).parents[2] / ".peers" / "bin" / "python"
ORACLE = """
import sys, time
from pysparkplug._protobuf import Payload
raw, best = bytes.fromhex(sys.argv[1]), float("inf")
for _ in range(3000):
    began = time.perf_counter()
    values = [(m.alias, m.timestamp, getattr(m, m.WhichOneof("value"))) for m in Payload.FromString(raw).metrics]
    best = min(best, time.perf_counter() - began)
print(best)
"""


def data(number: int) -> bytes:
    metrics = (metric(Datatype.DOUBLE, 1.5 * at, alias=at, timestamp=START + number) for at in range(METRICS))
    return encode(Payload(timestamp=START + number, seq=number % 256, metrics=tuple(metrics)))


def best(steps: Iterable[Callable[[], object]]) -> float:
    """Seconds: the best of the repeats, as other load only ever slows."""
    found = float("inf")
    for step in steps:
        began = time.perf_counter()
        step()
        found = min(found, time.perf_counter() - began)
    return found


def session() -> Iterable[Callable[[], object]]:
    """A host that has met the node takes its messages, one with each step."""
    metrics = (metric(Datatype.DOUBLE, 0.0, name=f"line/motor {at}/speed", alias=at) for at in range(METRICS))
    host = Host()
    host.take("spBv1.0/g/NBIRTH/e", encode(Payload(timestamp=START, seq=0, metrics=tuple(metrics))), Micros(START * 1000))
    for number in range(1, REPEATS):
        raw = data(number)
        yield partial(host.take, "spBv1.0/g/NDATA/e", raw, Micros((START + number) * 1000))
    assert (host.counts.received, host.counts.duplicate, host.counts.refused) == (REPEATS, 0, 0)


def run() -> list[dict[str, Any]]:
    """Rows of figures, in microseconds for one message."""
    times = {"payload": best([partial(decode, data(1))] * REPEATS), "to events": best(session())}
    raw = data(1)
    if PEER.exists():
        done = subprocess.run([str(PEER), "-c", ORACLE, raw.hex()], capture_output=True, text=True, timeout=60, check=True)
        times["payload, protobuf (C)"] = float(done.stdout)
    return [
        {"bench": "sparkplug", "case": case, "metrics": METRICS, "bytes": len(raw), "microseconds": round(seconds * 1e6)}
        for case, seconds in times.items()
    ]


if __name__ == "__main__":
    print("\n".join(map(json.dumps, run())))
