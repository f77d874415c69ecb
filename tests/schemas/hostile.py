"""Inputs that somebody who wants to stop the service would send. Also used end to end."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from schemas.definitions import example
from schemas.event import EventType

Make = Callable[[random.Random], bytes]
ODD = [
    "NaN",
    "-Infinity",
    "1e400",
    "9" * 5000,
    "123456789012345678901234567890",
    '"\\ud800"',
    "null",
    "[]",
    "{}",
    "-0",
    "01",
    '"\\u0000"',
    "tru",
]


def valid(rng: random.Random) -> bytes:
    event = example(rng.choice(list(EventType)))
    event["id"] = f"hostile-{rng.getrandbits(64)}"
    return json.dumps(event).encode()


def deep(rng: random.Random) -> bytes:
    opening = rng.choice([b"[", b'{"a":', b'[{"a":', b'{"data":{"values":['])
    return opening * rng.choice([17, 100, 1000, 50_000]) + rng.choice([b"", b"1", b"]" * 100])


def deep_inside(rng: random.Random) -> bytes:
    levels = rng.choice([5, 20, 500])
    return valid(rng).replace(b'"specversion": "1.0"', b'"specversion": ' + b"[" * levels + b"]" * levels)


def long(rng: random.Random) -> bytes:
    text = rng.choice([b"a", b"\\", b'\\"', b"\xf0\x9f\x92\xa3", b"[", b","]) * rng.choice([200, 20_000, 100_000])
    return valid(rng).replace(b'"gw-', b'"' + text).replace(b'"hostile', b'"' + text)


def truncated(rng: random.Random) -> bytes:
    raw = valid(rng)
    return raw[: rng.randrange(len(raw))]


def noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(300))


def flipped(rng: random.Random) -> bytes:
    raw = bytearray(valid(rng))
    for _ in range(rng.randrange(1, 6)):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw)


def wrong_type(rng: random.Random) -> bytes:
    event = example(rng.choice(list(EventType)))
    place = rng.choice([event, event["data"]])
    key = rng.choice(list(place))
    mark = "@@"
    place[key] = mark
    return json.dumps(event).replace(f'"{mark}"', rng.choice(ODD)).encode()


def repeated(rng: random.Random) -> bytes:
    raw = valid(rng)
    key = rng.choice([b'"id": "x", ', b'"\\u0069d": "x", ', b'"type": "device.log", ', b'"source":"/a",'])
    return raw[:1] + key + raw[1:]


def batch(rng: random.Random) -> bytes:
    parts = [rng.choice(KINDS[:-1])(rng) for _ in range(rng.randrange(5))]
    return b"[" + b",".join(parts) + rng.choice([b"]", b"", b"] x", b",]"])


def wide(rng: random.Random) -> bytes:
    part = rng.choice([b"[],", b"1,", b"{},", b'"",', b",", b'{"a":[1,'])
    return rng.choice([b"[", b'{"a":[']) + part * rng.choice([100, 12_000]) + b"0]"


KINDS: list[Make] = [valid, deep, deep_inside, long, truncated, noise, flipped, wrong_type, repeated, wide, batch]


def hostile(count: int, seed: int) -> Iterator[bytes]:
    """`count` messages, the same ones for the same seed; some are valid, some blank, most are neither."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choice(KINDS)(rng)
