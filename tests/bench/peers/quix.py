"""quixstreams, doing decode, validation and a keyed state update; `quix-plain` with the libraries that come to mind first."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import orjson
from quixstreams import Application

servers, topic, count, program = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
schema = json.loads((Path(sys.path[0]).parents[2] / "schemas" / "published" / "device.telemetry.json").read_text())
plain = program == "quix-plain"
loads = json.loads if plain else orjson.loads
valid = jsonschema.Draft202012Validator(schema).is_valid if plain else jsonschema_rs.Draft202012Validator(schema).is_valid
taken = 0
began = 0.0
app = Application(
    broker_address=servers,
    consumer_group=f"quix-{time.time_ns()}",
    auto_offset_reset="earliest",
    state_dir=f"quix-state-{time.time_ns()}",
    loglevel="ERROR",
)


def take(value: bytes, state: Any) -> None:
    global taken, began  # noqa: PLW0603 - as one writes it
    began = began or time.perf_counter()
    event = loads(value)
    if valid(event):
        for name, reading in event["data"]["values"].items():
            state.set(f"{event['data']['deviceId']}/{name}", reading)
    taken += 1
    if taken == count:
        print(json.dumps({"events": count, "seconds": time.perf_counter() - began}), flush=True)
        app.stop()


frame = app.dataframe(app.topic(f"{topic}.events", value_deserializer="bytes", key_deserializer="bytes"))
frame.update(take, stateful=True)
app.run()
