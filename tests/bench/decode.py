"""Decoding and validating events per second, beside the validators that others use, in one run on one core."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import fastjsonschema
import jsonschema
import jsonschema_rs

from schemas.decode import decode, decode_lines
from schemas.definitions import EVENTS
from schemas.event import EventType

SECONDS = 1.2
SCHEMA = EVENTS[EventType.TELEMETRY]


def telemetry(number: int) -> bytes:
    """About 250 bytes, as a gateway sends it: a new time and sequence each, a hundred devices."""
    event = {
        "specversion": "1.0",
        "id": f"{number:08d}",
        "source": "/plants/homberg/gateways/gw-01",
        "type": "device.telemetry",
        "time": f"2026-01-05T00:{number // 60_000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",
        "sequence": f"{number:020d}",
        "data": {
            "deviceId": f"pump-{number % 100:02d}",
            "values": {"pressure": 4.25 + number, "flow": 12.5},
            "quality": "good",
        },
    }
    return json.dumps(event, separators=(",", ":")).encode()


def rate(step: Callable[[], object], events: int) -> float:
    """Events per second: the best of the repeats that fit the time, as other load only ever slows."""
    best = float("inf")
    until = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < until:
        step()
        best = min(best, time.perf_counter() - began)
    return events / best


def peers(messages: list[bytes]) -> dict[str, float]:
    """Each reads JSON with the standard library and validates; none makes a typed event, which `decode` does too."""
    quick = fastjsonschema.compile(SCHEMA, use_default=False)
    rust = jsonschema_rs.Draft202012Validator(SCHEMA, pattern_options=jsonschema_rs.RegexOptions())
    plain = jsonschema.Draft202012Validator(SCHEMA)
    few = messages[:100]
    return {
        "jsonschema": rate(lambda: [plain.is_valid(json.loads(raw)) for raw in few], len(few)),
        "fastjsonschema": rate(lambda: [quick(json.loads(raw)) for raw in few], len(few)),
        "jsonschema_rs": rate(lambda: [rust.is_valid(json.loads(raw)) for raw in few], len(few)),
    }


def run() -> list[dict[str, Any]]:
    """Rows of figures; `ratio` is ours by the peer's."""
    messages = [telemetry(number) for number in range(1000)]
    batches = [b"[" + b",".join(messages[at : at + 200]) + b"]" for at in range(0, 1000, 200)]
    foreign = [raw.replace(b'"id"', b'"facility":"hall-2","id"') for raw in messages]
    broken = [raw.replace(b"12.5", b"NaN") if at % 100 == 0 else raw for at, raw in enumerate(messages)]
    ours = {
        "single messages": rate(lambda: [decode(raw) for raw in messages], 1000),
        "batches of 200": rate(lambda: [decode(raw) for raw in batches], 1000),
        "1000 lines": rate(lambda: decode_lines(messages), 1000),
        "1000 lines, 1% invalid": rate(lambda: decode_lines(broken), 1000),
        "1000 lines with an extension attribute": rate(lambda: decode_lines(foreign), 1000),
    }
    theirs = peers(messages)
    rows: list[dict[str, Any]] = [
        {"bench": "decode", "case": peer, "events_per_second": round(per_second), "bytes": len(messages[0])}
        for peer, per_second in theirs.items()
    ]
    rows += [
        {
            "bench": "decode",
            "case": case,
            "events_per_second": round(per_second),
            "bytes": len(messages[0]),
            "peer": peer,
            "ratio": round(per_second / theirs[peer], 1),
        }
        for case, per_second in ours.items()
        for peer in theirs
    ]
    return rows


if __name__ == "__main__":
    print("\n".join(map(json.dumps, run())))
