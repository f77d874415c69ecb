"""The obvious build: a Faust agent that takes single events, validates them with jsonschema, and keeps the newest in a dict."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import faust
import jsonschema

from schemas.definitions import schema_of
from schemas.event import EventType

servers, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
app = faust.App(
    f"obvious-{time.time_ns()}",
    broker=f"kafka://{servers}",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
    store="memory://",
)
source = app.topic(f"{topic}.events", key_type=bytes, value_type=bytes, value_serializer="raw")
validator = jsonschema.Draft202012Validator(schema_of(EventType.TELEMETRY))
newest: dict[tuple[str, str], Any] = {}
taken = 0
began = 0.0


@app.agent(source)
async def take(stream: Any) -> None:
    global taken, began  # noqa: PLW0603 - as one writes it
    async for value in stream:
        began = began or time.perf_counter()
        event = json.loads(value)
        validator.validate(event)
        for name, reading in event["data"]["values"].items():
            newest[event["data"]["deviceId"], name] = reading
        taken += 1
        if taken == count:
            print(json.dumps({"events": count, "seconds": time.perf_counter() - began}), flush=True)
            os._exit(0)


faust.Worker(app, loglevel="error", quiet=True, redirect_stdouts=False).execute_from_commandline()
