"""Ten thousand hostile messages: none raises, each is accounted for, each byte can be had back."""

from __future__ import annotations

import time

from schemas.decode import decode, decode_lines, original
from tests.schemas.hostile import hostile


def test_each_hostile_message_is_accounted_for() -> None:
    slowest = 0.0
    for raw in hostile(10_000, seed=1):
        began = time.perf_counter()
        decoded = decode(raw)
        slowest = max(slowest, time.perf_counter() - began)
        assert len(decoded.events) + len(decoded.invalid) >= 1
        assert len(decoded.offsets) == len(decoded.events)
        for invalid in decoded.invalid:
            assert invalid.reason
            assert "not by its type" not in invalid.reason
            assert original(invalid.raw) in raw
    print(f"slowest hostile message: {slowest * 1000:.1f} ms")


def test_hostile_lines_are_accounted_for_line_by_line() -> None:
    lines = [raw.replace(b"\n", b" ") for raw in hostile(2000, seed=2)]
    decoded = decode_lines(lines, start=10)
    blank = {at for at, line in enumerate(lines, 10) if not line.strip(b" \t\r\n")}
    places = [*decoded.offsets, *(invalid.offset for invalid in decoded.invalid)]
    assert sorted(places) == sorted(set(range(10, 10 + len(lines))) - blank)
    for at, event in zip(decoded.offsets, decoded.events, strict=True):
        assert decode(lines[at - 10]).events == [event]
